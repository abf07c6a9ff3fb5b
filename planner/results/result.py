"""What the library's functions answer with: values that become JSON, a data frame, a picture, or a page of a notebook.

The values themselves know nothing of words and pictures: how a kind of result is shown is told from above, by
`shown_by`, when the library is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.money import money_of, written_in
from planner.results import json_form as plan_json
from planner.units import PlannerError
from planner.words import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

Row = Mapping[str, Any]


class InfeasibleError(PlannerError):
    """Nothing meets the budgets, and without a plan there is no answer to give."""


@dataclass(frozen=True, slots=True)
class View:
    """How one kind of result is shown."""

    rows: Callable[[Any], Sequence[Row]]  # of its data frame: seconds, USD, counts and shares
    headline: Callable[[Any], str]  # one line
    figure: Callable[[Any], Figure] | None = None  # None: there is nothing to draw


_views: list[Callable[[type], View]] = []


def shown_by(views: Callable[[type], View]) -> None:
    """Let `views` say how each kind of result is shown."""
    _views[:] = [views]


class Result:
    """A result: numbers, with `to_json()`, `to_frame()`, `plot()` and a short form for terminals and notebooks."""

    __slots__ = ()

    def to_json(self) -> str:
        """The document as text, ending in a newline; equal results give equal bytes."""
        return plan_json.dumps(self)

    def to_frame(self) -> DataFrame:
        """One plan, run or variation a row; times in seconds, money in USD, shares as fractions.

        Where hours are counted in place of money, columns of USD are empty and columns of hours stand beside them.
        """
        from pandas import DataFrame

        return DataFrame.from_records([dict(row) for row in _view(self).rows(self)])

    def plot(self, path: str | Path | None = None) -> Figure:
        """The result as a matplotlib figure, saved too if `path` (.svg, .png or .pdf) is given.

        Raises
        ------
        PlannerError
            If this kind of result has nothing to draw, or matplotlib is missing.
        """
        draw = _view(self).figure
        if draw is None:
            raise PlannerError(say("result.no_figure", kind=type(self).__name__))
        with written_in(money_of(self)):
            figure = draw(self)
        if path is not None:
            try:
                figure.savefig(path)
            except (OSError, ValueError) as error:
                raise PlannerError(say("result.cannot_draw", path=str(path), error=str(error))) from None
        return figure

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {_headline(self)}>" if _views else f"<{type(self).__name__}>"

    def _repr_html_(self) -> str:
        from html import escape

        table = self.to_frame().to_html(max_rows=20, max_cols=12, border=0, float_format=lambda value: f"{value:,.6g}")
        return f"<p>{escape(_headline(self))}</p>\n{table}"


@dataclass(frozen=True, slots=True, repr=False)
class Document(Result):
    """A result that is read by the keys of its JSON."""

    document: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.document[key]

    def to_json(self) -> str:
        """The document as text, ending in a newline."""
        return plan_json.dumps(dict(self.document))


@dataclass(frozen=True, slots=True, repr=False)
class Rows(Result):
    """A plain table, such as what the catalog lists; in JSON its rows stand under `name`."""

    name: str
    rows: tuple[Row, ...]
    made_of: Any = field(default=None, compare=False)  # the value that the rows describe, where there is one

    def to_json(self) -> str:
        """{NAME: [row, ...]} as text, ending in a newline."""
        return plan_json.dumps({self.name: list(self.rows)})


def _headline(result: Result) -> str:
    with written_in(money_of(result)):
        return _view(result).headline(result)


def _view(result: Result) -> View:
    if not _views:
        raise PlannerError(say("result.no_views"))
    return _views[0](type(result))
