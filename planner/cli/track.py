"""`planner track`: a run against its plan."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.actuals import Focus, Jobs, Rate, Sacct, Tag, Zone, pairs
from planner.cli.options import Catalog, Json, Output, Quiet, chart_file, day_option
from planner.cli.output import back, colour, deliver, emit, terminal, width
from planner.results.result import Result
from planner.units import PlannerError
from planner.words import said

if TYPE_CHECKING:
    from planner.results.answers import Optimization


def track(
    plan: Annotated[Path, typer.Argument(help="A saved `planner optimize --json` document.", metavar="PLAN")],
    log: Annotated[
        list[Path] | None,
        typer.Option(
            "--log",
            metavar="FILE",
            help="The run's training log: text, CSV or JSON lines; of a programme STAGE=FILE, once a stage.",
        ),
    ] = None,
    sacct: Sacct = None,
    focus: Focus = None,
    follow: Annotated[bool, typer.Option("--follow", help="Keep looking as the log grows; Ctrl-C ends.")] = False,
    replan: Annotated[
        Path | None,
        typer.Option("--replan", metavar="SCENARIO", help="Also find the best plan of what is left of this scenario."),
    ] = None,
    jobs: Jobs = "*",
    zone: Zone = None,
    tag: Tag = None,
    rate: Rate = None,
    start: Annotated[datetime | None, day_option("--start", "First day of the plan.")] = None,
    overlays: Catalog = None,
    chart: Annotated[Path | None, chart_file("Draw it into FILE (svg, png or html).")] = None,
    as_json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Show where a run stands: done, pace, losses, end and cost with ranges, and when a budget will be missed.

    With --sacct or --focus: GPU-hours and money that accounting says were used, against the plan to the cent; beside a
    --log, the run's cost so far is then what was spent.

    Example: planner track plan.json --log train.log --follow
    """
    from planner import api
    from planner.interop.programmes import is_programme_answer

    if is_programme_answer(plan):
        others = (sacct, focus, start, chart, tag, rate, zone)
        if follow or any(others):
            raise PlannerError(said("cli_track.programme"))
        _programme(plan, log or (), replan, overlays, as_json, output, quiet)
        return
    if log is not None and len(log) > 1:
        raise PlannerError(said("cli_track.one_log"))
    one = log[0] if log else None
    _check_options(
        one, sacct, focus, {"--follow": follow, "--replan": replan is not None, "--chart": chart is not None}
    )
    answer = api.load_plan(plan)
    if follow and one is not None:
        _follow(answer, one, as_json)
        return
    parts: dict[str, Result] = {}
    text, spent = "", None
    if sacct is not None or focus is not None:
        from planner.report.actuals import actuals_table

        day = None if start is None else start.date()
        tags, rates = pairs("--tag", tag), pairs("--rate", rate)
        found = api.reconcile(answer, sacct=sacct, focus=focus, jobs=jobs, zone=zone, tags=tags, rates=rates, start=day)
        parts["actuals"], spent, text = found, found.cost_usd.used, actuals_table(found, width())
    if one is not None:
        from planner.report.track_view import continuation_view, view

        now = api.track(answer, one, on_read=_reading(one, quiet), spent_usd=spent)
        parts, text = {"progress": now, **parts}, "\n".join(filter(None, (view(now, width(), colour()), text)))
        if chart is not None:
            from planner.report.charts import save_chart
            from planner.report.track_chart import track_figure

            save_chart(track_figure(now, answer.provenance.scenario), chart)
        if replan is not None:
            rest = api.replan(answer, one, replan, overlays, now=now)
            parts["continuation"] = rest
            text += continuation_view(rest, width())
    deliver(_document(parts), text, as_json=as_json, output=output, quiet=quiet)


def _programme(
    plan: Path,
    logs: Sequence[Path],
    replan: Path | None,
    overlays: list[Path] | None,
    as_json: bool,
    output: Path | None,
    quiet: bool,
) -> None:
    """A programme against its calendar, by the logs of its stages."""
    from planner import api
    from planner.report.programme_track import programme_track_table

    named = {}
    for each in logs:
        stage, equals, file = str(each).partition("=")
        if not equals or not stage or not file:
            raise PlannerError(said("cli_track.stage_log", given=str(each)))
        named[stage] = file
    if not named:
        raise PlannerError(said("cli_track.no_stage_log"))
    now = api.track_programme(plan, named, replan=replan, overlays=overlays)
    table = "" if as_json or quiet else programme_track_table(now, width(), colour())
    deliver(now.to_json(), table, as_json=as_json, output=output, quiet=quiet)


def _check_options(log: Path | None, sacct: Path | None, focus: Path | None, of_logs: Mapping[str, bool]) -> None:
    """Refuse what says nothing of the run, or the same twice, and options of a log without one."""
    if log is None and sacct is None and focus is None:
        raise PlannerError(said("cli_track.nothing"))
    if sacct is not None and focus is not None:
        raise PlannerError(said("cli_track.both"))
    needing = next((name for name, given in of_logs.items() if given), None)
    if log is None and needing is not None:
        raise PlannerError(said("cli_track.of_a_log", option=needing))
    if of_logs["--follow"] and (sacct is not None or focus is not None):
        raise PlannerError(said("cli_track.follow"))


def _document(parts: Mapping[str, Result]) -> str:
    """One result as it is, several by their names."""
    if len(parts) == 1:
        return next(iter(parts.values())).to_json()
    return "{" + ",\n".join(f'"{name}": {part.to_json().rstrip()}' for name, part in parts.items()) + "}\n"


def _reading(log: Path, quiet: bool) -> Callable[[int], None] | None:
    """Tells a person at a terminal how far reading has come, once it has taken two seconds."""
    if quiet or not terminal(sys.stderr):
        return None
    from time import monotonic

    size = max(1, log.stat().st_size) if log.is_file() else 1
    started, text = monotonic(), said("cli_track.reading", file=log.name)

    def show_share(count: int) -> None:
        if monotonic() - started > 2:
            end = "\r\x1b[K" if count >= size else ""
            sys.stderr.write(f"\r{text}: {min(1.0, count / size):4.0%}{end}")

    return show_share


def _follow(answer: Optimization, log: Path, as_json: bool) -> None:
    """Draw over the last view on a terminal; else print one line of JSON, or one view, each time the log grows."""
    from planner.api.running import course_of
    from planner.interop.tracking import follow_log
    from planner.report.track_view import view
    from planner.tracking.progress import progress

    assert answer.plan is not None  # noqa: S101
    drawn = 0
    for state in follow_log(log, answer.plan, course=course_of(answer)):
        now = replace(progress(state, answer.plan, answer.goal), money=answer.provenance.money)
        if as_json:
            import json

            emit(json.dumps(json.loads(now.to_json())))
        else:
            text = view(now, width(), colour())
            if drawn and terminal(sys.stdout):
                back(drawn)
            emit(text)
            drawn = text.count("\n")
        if now.status == "finished":
            return
