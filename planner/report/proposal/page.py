"""The proposal as one HTML file: no network, controls that answer from what the page holds, print, dark and light."""

from __future__ import annotations

from functools import cache
from typing import Any

from planner.report.charts import asset, embedded
from planner.report.proposal.model import Bullets, Explorer, Facts, Figure, Paragraph, Proposal, Table
from planner.report.proposal.svg import PALETTE
from planner.units import PlannerError
from planner.words import say
from planner.words.languages import forms


def page(proposal: Proposal) -> str:
    """The document.

    Raises
    ------
    PlannerError
        If Jinja2 is not there.
    """
    written = forms(proposal.language)
    data = {
        "language": proposal.language,
        "palette": PALETTE,
        "words": {k: v for k, v in proposal.words.items() if not k.startswith("ui_x_")}
        | {"percent": written.form("percent")},
        "runs": list(proposal.explorers),
    }
    return str(
        _template().render(
            proposal=proposal,
            words=proposal.words,
            kind=_kind,
            style=_asset("proposal.css"),
            script=asset("planner.report", "plane.js") + _asset("explorer.js"),
            data=embedded(data),
            language=written.form("lang"),
        )
    )


def _kind(block: object) -> str:
    """What the template asks a block for."""
    if isinstance(block, Paragraph | Bullets | Facts | Table | Figure | Explorer):
        return type(block).__name__.lower()
    raise TypeError(f"{type(block).__name__} has no HTML form")


def _asset(name: str) -> str:
    return asset("planner.report.proposal", name)


@cache
def _template() -> Any:
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise PlannerError(say("proposal.html_needs")) from None
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("proposal.html.j2"))
