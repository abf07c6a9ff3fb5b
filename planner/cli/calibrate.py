"""`planner calibrate`: a run of the user's own into their overlay, or the shipped fit from the shipped rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Json, Quiet
from planner.cli.output import emit, say, working
from planner.units import PlannerError

if TYPE_CHECKING:
    from planner.performance.overlays import Added


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
    as_json: Json = False,
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
        _rebuild(as_json, quiet)
        return
    from planner.catalog.overlay import config_catalog, overlay_dirs
    from planner.performance.overlays import add_rows, read_rows, refit

    folder = catalog[-1] if catalog else config_catalog()
    rows = read_rows(run) if plan is None else [_from_log(run, plan)]
    overlays = overlay_dirs((*(catalog or ()), folder))
    with working("fitting", quiet=quiet):
        added = add_rows(rows, run.stem, folder, overlays, of_log=plan is not None)
        lines = refit(folder, overlays, added)
    if as_json:
        emit(_document(added, folder))
    for line in lines:
        say(line, quiet=quiet)


def _document(added: Added, folder: Path) -> str:
    """What was learnt from: how far off these rows are in the shipped fit, and in the one just stored in `folder`."""
    import numpy as np

    from planner.catalog.paths import data_dir
    from planner.performance.calibration import read_calibration
    from planner.performance.learning import log_errors
    from planner.plan_json import dumps

    fits = [read_calibration(root / "calibration" / "fit.json") for root in (data_dir(), folder)]
    before, after = (float(np.median(np.abs(np.expm1(-log_errors(added.runs, fit))))) for fit in fits)
    return dumps(
        {
            "schema_version": 1,
            "rows": len(added.runs),
            "replaced_tokens_per_s_per_gpu": [float(rate) for rate in added.replaced if rate != "?"],
            "mdape_before": before,
            "mdape_after": after,
        }
    )


def _rebuild(as_json: bool, quiet: bool) -> None:
    from planner.catalog.paths import data_dir
    from planner.files import write_atomically
    from planner.performance.calibration import dumps
    from planner.performance.learning import rebuild
    from planner.plan_json import dumps as dumps_json

    with working("leaving out and refitting", quiet=quiet):
        document = rebuild()
    path = data_dir() / "calibration" / "fit.json"
    write_atomically(path, dumps(document))
    if as_json:
        emit(dumps_json({"schema_version": 1, "rows": len(document["field"]), "digest": document["digest"]}))
    say(f"saved to {path}", quiet=quiet)


def _from_log(log: Path, plan: Path) -> dict[str, str]:
    """The log's steady step as a row."""
    from planner.interop.measurement import training_log_measurement
    from planner.interop.plans import read_plan

    return training_log_measurement(log, read_plan(plan))
