"""`planner track`: a run against its plan."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Catalog, Json, Output, Quiet
from planner.cli.output import back, colour, deliver, emit, width

if TYPE_CHECKING:
    from planner.plan import Optimization


def track(
    plan: Annotated[Path, typer.Argument(help="A saved `planner optimize --json` document.", metavar="PLAN")],
    log: Annotated[
        Path, typer.Option("--log", metavar="FILE", help="The run's training log: text, CSV or JSON lines.")
    ],
    follow: Annotated[bool, typer.Option("--follow", help="Keep looking as the log grows; Ctrl-C ends.")] = False,
    replan: Annotated[
        Path | None,
        typer.Option("--replan", metavar="SCENARIO", help="Also find the best plan of what is left of this scenario."),
    ] = None,
    catalog: Catalog = None,
    chart: Annotated[
        Path | None, typer.Option("--chart", metavar="FILE", help="Draw it into FILE (svg, png or html).")
    ] = None,
    as_json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Show where a run stands: done, pace, losses, end and cost with ranges, and when a budget will be missed.

    Example: planner track plan.json --log train.log --follow
    """
    from planner import api
    from planner.catalog.overlay import overlay_dirs
    from planner.tracking.view import continuation_view, view

    answer = api.load_plan(plan)
    if follow:
        _follow(answer, log, as_json)
        return
    now = api.track(answer, log, heard=_reading(log, quiet))
    if chart is not None:
        from planner.report.track_chart import track_chart

        track_chart(now, chart, f"{answer.provenance.scenario}: iteration {now.iteration:,} of {now.iterations:,}")
    document, text = now.to_json(), view(now, width(), colour())
    if replan is not None:
        found = api.replan(answer, log, replan, overlay_dirs(catalog or ()), now=now)
        document = f'{{"progress": {document.rstrip()},\n"continuation": {found.to_json().rstrip()}}}\n'
        text += continuation_view(found, width())
    deliver(document, text, as_json=as_json, output=output, quiet=quiet)


def _reading(log: Path, quiet: bool) -> Callable[[int], None] | None:
    """Tells a person at a terminal how far reading has come, once it has taken two seconds."""
    if quiet or not sys.stderr.isatty():
        return None
    from time import monotonic

    size = max(1, log.stat().st_size) if log.is_file() else 1
    started = monotonic()

    def heard(count: int) -> None:
        if monotonic() - started > 2:
            end = "\r\x1b[K" if count >= size else ""
            sys.stderr.write(f"\rreading {log.name}: {min(1.0, count / size):4.0%}{end}")

    return heard


def _follow(answer: Optimization, log: Path, as_json: bool) -> None:
    """Draw over the last view on a terminal; else print one line of JSON, or one view, each time the log grows."""
    from planner.api.running import course_of
    from planner.interop.tracking import follow_log
    from planner.tracking.progress import progress
    from planner.tracking.view import view

    assert answer.plan is not None  # noqa: S101
    drawn = 0
    for state in follow_log(log, answer.plan, course=course_of(answer)):
        now = replace(progress(state, answer.plan, answer.goal), money=answer.provenance.money)
        if as_json:
            import json

            emit(json.dumps(json.loads(now.to_json())))
        else:
            text = view(now, width(), colour())
            if drawn and sys.stdout.isatty():
                back(drawn)
            emit(text)
            drawn = text.count("\n")
        if now.status == "finished":
            return
