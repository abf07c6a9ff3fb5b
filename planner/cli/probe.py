"""`planner probe`: the short runs to measure before a decision, and what their logs make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Json, Quiet, Set, catalogs
from planner.cli.output import INFEASIBLE, colour, deliver, emit, say, width, working
from planner.units import PlannerError
from planner.words import said


def probe(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SCENARIO|PLAN|LOG…", help="A scenario or a saved plan; with --read: logs.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder to write launch files into.")
    ] = None,
    read: Annotated[
        Path | None,
        typer.Option("--read", metavar="DIR", help="Learn from the logs of runs that were written into DIR."),
    ] = None,
    scenario: Annotated[
        Path | None,
        typer.Option("--scenario", metavar="SCENARIO", help="With --read: plan anew by this scenario, not DIR's copy."),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, max=8, help="At most so many short runs.")] = 3,
    set_: Set = None,
    catalog: Annotated[
        list[Path] | None,  # with --read the folder need not exist yet
        catalogs("A catalog laid over the shipped one; with --read the last one learns. Repeatable."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Which ten minutes to measure before deciding: 1 to 4 nodes, 20 to 50 steps, or that none are worth it.

    The layers of a short run are fewer, and what one GPU does is the plan's. With --read: logs of any known form,
    nccl-tests tables and CSV tables of matmuls (m,n,k,dtype,tflops) go into your catalog folder, and the ask is
    printed before and after.

    Example: planner probe scenarios/neox20b.yaml -o probe

    Example: planner probe --read probe probe/1/train.log all_reduce.txt
    """
    from planner import api
    from planner.catalog.overlay import overlay_dirs

    overlays = overlay_dirs(catalog or ())
    if read is not None:
        if output is not None or set_:
            raise PlannerError(said("cli_probe.read"))
        from planner.report.probe import reading_table

        own = catalog[-1] if catalog else None
        with working(said("output.learning"), quiet=quiet):
            found = api.read_probe(read, sources, own, overlays, scenario=scenario)
        for line in found.notes:
            say(line, quiet=quiet)
        if as_json:
            emit(found.to_json())
        elif not quiet:
            emit(reading_table(found, width(), colour()))
        return
    if len(sources) != 1 or scenario is not None:
        raise PlannerError(said("cli_probe.one"))
    from planner.report.probe import probe_table

    try:
        with working(said("output.weighing"), quiet=quiet):
            planned = api.probe(sources[0], overlays, overrides=set_ or (), count=runs)
    except api.InfeasibleError as error:
        say(error.args[0], quiet=quiet)
        raise typer.Exit(INFEASIBLE) from None
    written = planned.write(output) if output is not None else []
    deliver(planned.to_json(), probe_table(planned, width(), colour()), as_json=as_json, output=None, quiet=quiet)
    if written:
        say(said("output.saved_files", file=str(output), n=len(written)), quiet=quiet)
    for note in planned.notes if written else ():
        say(said("output.note", what=note), quiet=quiet)
