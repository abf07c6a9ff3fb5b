"""`planner calibrate`: a run of the user's own into their overlay, or the shipped fit from the shipped rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Quiet
from planner.cli.output import say, working
from planner.units import PlannerError


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
    catalog: Annotated[
        list[Path] | None,  # unlike elsewhere the folder need not exist yet: the first run makes it
        typer.Option(
            "--catalog",
            metavar="DIR",
            help="A catalog laid over the shipped one; repeatable.",
            envvar="PLANNER_CATALOG",
            file_okay=False,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Learn from measured runs: predictions near them sharpen.

    Rows go to the `measured` folder of the catalog folder that --catalog names, else of your own one, and the fit of
    all rows together beside it.

    Example: planner calibrate my-runs.csv --catalog ./mine
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # many small fits: threads only get in each other's way
    if rebuild == (run is not None):
        raise PlannerError("give measured rows or a log, or --rebuild, and not both")
    if run is None:
        _rebuild(quiet)
        return
    from planner.catalog.overlay import config_catalog, overlay_dirs
    from planner.performance.overlays import add_rows, read_rows, refit

    folder = catalog[-1] if catalog else config_catalog()
    rows = read_rows(run) if plan is None else [_from_log(run, plan)]
    overlays = overlay_dirs((*(catalog or ()), folder))
    with working("fitting", quiet=quiet):
        added = add_rows(rows, run.stem, folder, overlays, of_log=plan is not None)
        lines = refit(folder, overlays, added)
    for line in lines:
        say(line, quiet=quiet)


def _rebuild(quiet: bool) -> None:
    from planner.catalog.paths import data_dir
    from planner.files import write_atomically
    from planner.performance.calibration import dumps
    from planner.performance.learning import rebuild

    with working("leaving out and refitting", quiet=quiet):
        document = rebuild()
    path = data_dir() / "calibration" / "fit.json"
    write_atomically(path, dumps(document))
    say(f"saved to {path}", quiet=quiet)


def _from_log(log: Path, plan: Path) -> dict[str, str]:
    """The log's steady step as a row."""
    from planner.interop.measurement import training_log_measurement
    from planner.interop.plans import read_plan

    return training_log_measurement(log, read_plan(plan))
