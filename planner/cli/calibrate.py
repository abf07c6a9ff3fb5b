"""`planner calibrate`: a run of the user's own into their overlay, which to measure, or the shipped fit anew."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Json, Quiet
from planner.cli.output import colour, emit, say, width, working
from planner.units import PlannerError

if TYPE_CHECKING:
    from planner.performance.calibration import Calibration
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
    choose: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Name the N rows without tokens_per_s_per_gpu whose measuring would sharpen predictions of such rows"
            " most; nothing is written.",
        ),
    ] = None,
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
    """Learn from measured runs: predictions near them sharpen. Or choose which to measure first.

    Rows go to the `measured` folder of the catalog folder that --catalog names, else of your own one, and the fit of
    all rows together beside it. With --choose, rows that state a throughput count as measured, like those shipped.

    Example: planner calibrate scenarios/candidates.csv --choose 3

    Example: planner calibrate my-runs.csv --catalog ./mine
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # many small fits: threads only get in each other's way
    if choose is not None and (run is None or plan is not None or rebuild):
        raise PlannerError("give --choose with a table of rows, and without --plan and --rebuild")
    if rebuild == (run is not None):
        raise PlannerError("give measured rows or a log, or --rebuild, and not both")
    if run is None:
        _rebuild(as_json, quiet)
        return
    from planner.catalog.overlay import config_catalog, overlay_dirs
    from planner.performance.assumed import counted
    from planner.performance.overlays import add_rows, refit

    folder = catalog[-1] if catalog else config_catalog()
    overlays = overlay_dirs((*(catalog or ()), folder))
    if choose is not None:
        _choose(run, choose, [o for o in overlays if o.is_dir()], as_json, quiet)
        return
    rows = _rows(run, overlays, quiet) if plan is None else [_from_log(run, plan)]
    with working("fitting", quiet=quiet):
        added = add_rows(rows, run.stem, folder, overlays, of_log=plan is not None)
        lines = refit(folder, overlays, added)
    for assumption in counted(run.assumed for run in added.runs):
        say(assumption, quiet=quiet)
    if as_json:
        emit(_document(added, folder))
    for line in lines:
        say(line, quiet=quiet)


def _rows(table: Path, overlays: Sequence[Path], quiet: bool) -> list[Mapping[str, str]]:
    """The rows of a measured table that can be read; what the others lack, and which columns go unread, is said.

    Raises
    ------
    PlannerError
        With what the first row lacks, if no measured one can be read.
    """
    from planner.performance.overlays import read_rows, readable

    kept, refused = readable(read_rows(table), table.stem, overlays)
    if refused and not any((row.get("tokens_per_s_per_gpu") or "").strip() for row in kept):
        raise PlannerError(refused[0])
    _remark(table, quiet)
    for why in refused:
        say(f"left out: {why}", quiet=quiet)
    return kept


def _remark(table: Path, quiet: bool) -> None:
    """Say what of a table goes unread."""
    from planner.performance.tables import read_table

    for remark in read_table(table).remarks():
        say(remark, quiet=quiet)


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


def _choose(table: Path, count: int, overlays: Sequence[Path], as_json: bool, quiet: bool) -> None:
    """Print which of the table's rows to measure first."""
    from planner.performance.calibration import load_calibration
    from planner.performance.next_runs import next_runs
    from planner.performance.overlays import known_runs, read_table, runs_of
    from planner.plan_json import dumps
    from planner.report.next_runs import Chosen, next_runs_document, next_runs_table

    cells = read_table(table)
    if not cells or not {"model", "gpu"} <= set(cells[0]):
        lacks = "is no such table" if cells else "has no rows"
        raise PlannerError(
            f"{table}: --choose takes a table of runs with the columns of catalogs/measured; this {lacks}"
        )
    with working("choosing", quiet=quiet):
        runs = runs_of(cells, table.stem, overlays)
        rows = [row for row, run in enumerate(runs) if not run.tokens_per_s_per_gpu]
        if not rows:
            raise PlannerError(
                f"{table}: every row states tokens_per_s_per_gpu; leave it empty in the rows to choose from"
            )
        if count > len(rows):
            only = f"{len(rows):,} row{'' if len(rows) == 1 else 's'}"
            raise PlannerError(f"--choose {count}: {table} has only {only} without tokens_per_s_per_gpu")
        known, calibration = known_runs(runs, overlays), load_calibration(overlays)
        picks = next_runs([runs[row] for row in rows], known, calibration, count)
        order = [rows[pick.index] for pick in picks]
        against = _objections([cells[row] for row in order], overlays, calibration)
    _remark(table, quiet)
    chosen = [
        Chosen(row + 1, cells[row], runs[row], pick.left, why)
        for row, pick, why in zip(order, picks, against, strict=True)
    ]
    if as_json:
        emit(dumps(next_runs_document(chosen, len(rows), len(known))))
    elif not quiet:
        emit(next_runs_table(chosen, len(rows), len(known), width(), colour()))


def _objections(rows: Sequence[Mapping[str, str]], overlays: Sequence[Path], calibration: Calibration) -> list[str]:
    """What `planner predict` has against each row, "" if nothing."""
    from planner.catalog import load_catalog
    from planner.performance.predict import predict_rows

    found = predict_rows(rows, load_catalog(tuple(overlays)), calibration)
    return [row["why"].removeprefix(f"row:{number}: ") for number, row in enumerate(found, 1)]


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
    from planner.interop.files import naming
    from planner.interop.measurement import training_log_measurement
    from planner.interop.plans import read_plan

    answer = read_plan(plan)
    with naming(log, plan):
        return training_log_measurement(log, answer)
