"""`planner compare`: scenarios, saved plans, or one scenario's options side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Catalog, Date, Json, Output, Quiet, Set, day
from planner.cli.output import colour, deliver, say, width, working
from planner.units import PlannerError

if TYPE_CHECKING:
    from planner.plan import Optimization
    from planner.scenario import Scenario


def compare(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenarios and saved plans, in any mixture.")],
    by: Annotated[
        str | None, typer.Option(metavar="WHAT", help="One scenario's options by offer, gpu, cloud or gpus.")
    ] = None,
    set_: Set = None,
    catalog: Catalog = None,
    chart: Annotated[
        Path | None, typer.Option("--chart", metavar="FILE", help="Draw it into FILE: .svg, .png or .html.")
    ] = None,
    as_json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
    date: Date = None,
) -> None:
    """Put plans side by side: what each takes, why they differ, and what the losing ones would need. Needs no budget.

    Exit code 3: no side is feasible; an infeasible side among others is shown as such.

    Example: planner compare scenarios/neox20b.yaml --by gpu
    """
    from planner import api
    from planner.catalog.overlay import overlay_dirs
    from planner.cli.run import INFEASIBLE
    from planner.report.comparison import comparison_table

    if chart is not None:
        from planner.report.charts import chart_kind

        chart_kind(chart)
    overlays = overlay_dirs(catalog or ())
    sides = [_side(path, set_ or (), overlays) for path in files]
    with working("searching", quiet=quiet):
        found = api.compare(sides, overlays, by=by, labels=_labels(files, sides))
    table = "" if as_json or quiet else comparison_table(found, width(), colour(), today=day(date))
    deliver(found.to_json(), table, as_json=as_json, output=output, quiet=quiet)
    if chart is not None:
        from planner.report.comparison_chart import comparison_chart

        comparison_chart(found, chart)
        say(f"drawn into {chart}", quiet=quiet)
    if all(side.plan is None for side in found.sides):
        raise typer.Exit(INFEASIBLE)


def _labels(files: Sequence[Path], sides: Sequence[Scenario | Optimization]) -> list[str] | None:
    """The files' names where scenarios share theirs, as the plans of two dates do; None: the scenarios' names do."""
    names = [side.name if hasattr(side, "name") else side.provenance.scenario for side in sides]
    if len(set(names)) == len(names):
        return None
    for called in ([file.stem for file in files], [file.name for file in files], [str(file) for file in files]):
        if len(set(called)) == len(called):
            return called
    return None


def _side(path: Path, overrides: Sequence[str], overlays: Sequence[Path]) -> Scenario | Optimization:
    """A saved plan if the file holds one JSON object, else a scenario."""
    from planner import api
    from planner.plan import Optimization

    if not _is_saved(path):
        return api.load_scenario(path, overrides, overlays)
    try:
        return Optimization.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlannerError(f"{path}: {error}") from None


def _is_saved(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False  # the reader of scenarios says what is wrong with it
    return head.lstrip()[:1] == b"{" and b'"schema_version"' in head
