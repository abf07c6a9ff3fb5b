"""`planner calibrate`: a run of the user's own into their overlay, which to measure, or the shipped fit anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Json, Quiet, catalogs
from planner.cli.output import colour, emit, say, width, working
from planner.units import PlannerError
from planner.words import said


def calibrate(
    run: Annotated[
        Path | None, typer.Argument(metavar="[ROWS.csv|LOG]", help="Measured rows, or a training log (with --plan).")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(metavar="PLAN.json", help="The saved plan that the log's run follows.")
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Refit the shipped calibration from the shipped rows (minutes).")
    ] = False,
    choose: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Name the N rows without tokens_per_s_per_gpu whose measuring would sharpen predictions of such rows"
            " most; nothing is written.",
        ),
    ] = None,
    catalog: Annotated[list[Path] | None, catalogs()] = None,  # the folder need not exist yet: the first run makes it
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Learn from measured runs: predictions near them sharpen. Or choose which to measure first.

    Rows go to the `measured` folder of the catalog folder that --catalog names, else of your own one, and the fit of
    all rows together beside it. With --choose, rows that state a throughput count as measured, like those shipped.

    Example: planner calibrate scenarios/candidates.csv --choose 3

    Example: planner calibrate my-runs.csv --catalog ./mine
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # many small fits: threads only get in each other's way
    if choose is not None and (run is None or plan is not None or rebuild):
        raise PlannerError(said("calibrate.choose"))
    if rebuild == (run is not None):
        raise PlannerError(said("calibrate.rows"))
    if run is None:
        _rebuild(as_json, quiet)
        return
    from planner import api
    from planner.catalog.overlay import overlay_dirs

    overlays, own = overlay_dirs(catalog or ()), catalog[-1] if catalog else None
    if choose is not None:
        from planner.report.next_runs import next_runs_table

        with working(said("output.choosing"), quiet=quiet):
            picked = api.choose_runs(run, choose, overlays)
        for line in picked.notes:
            say(line, quiet=quiet)
        if as_json:
            emit(picked.to_json())
        elif not quiet:
            emit(next_runs_table(picked.chosen, picked.candidates, picked.known, width(), colour()))
        return
    with working(said("output.fitting"), quiet=quiet):
        learnt = api.calibrate(run, own, overlays, plan=plan)
    for line in learnt.notes:
        say(line, quiet=quiet)
    if as_json:
        emit(learnt.to_json())


def _rebuild(as_json: bool, quiet: bool) -> None:
    from planner.catalog.paths import data_dir
    from planner.files import write_atomically
    from planner.performance.calibration import dumps
    from planner.performance.refit import rebuild
    from planner.results.json_form import dumps as dumps_json

    with working(said("output.rebuilding"), quiet=quiet):
        document = rebuild()
    path = data_dir() / "calibration" / "fit.json"
    write_atomically(path, dumps(document))
    if as_json:
        emit(dumps_json({"schema_version": 1, "rows": len(document["field"]), "digest": document["digest"]}))
    say(said("output.saved", file=str(path)), quiet=quiet)
