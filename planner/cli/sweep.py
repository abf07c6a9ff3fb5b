"""`planner sweep`: a grid of variations of one scenario in one table."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Catalog, Chart, Json, Quiet, ScenarioFile, Set, file_option
from planner.cli.output import INFEASIBLE, colour, draw, emit, progress, say, width, working
from planner.units import PlannerError
from planner.words import said

if TYPE_CHECKING:
    from planner.sweeps.journal import Journal
    from planner.sweeps.run import PreparedSweep
    from planner.sweeps.table import Sweep


FAR = 8  # variations, at most, that go to a cluster at once


def sweep(
    scenario: ScenarioFile,
    over: Annotated[
        list[str] | None,
        typer.Option(
            "--over",
            metavar="KEY=VALUES",
            help="A key and its values, a,b,c or LOW..HIGH:COUNT (:log for even ratios); repeatable.",
        ),
    ] = None,
    set_: Set = None,
    overlays: Catalog = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=1024, metavar="N", help="Processes; default: one a core.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Solve on the Dask cluster of this scheduler instead.")
    ] = None,
    chart: Chart = None,
    as_json: Json = False,
    output: Annotated[Path | None, file_option("Save the table: .csv, .json or .parquet.")] = None,
    quiet: Quiet = False,
) -> None:
    """Solve a grid of variations of a scenario into one table, on all cores or a Dask cluster.

    With -o, what is solved is kept in FILE.journal as it comes: the same command continues an interrupted sweep.

    Exit code 3: no variation is feasible; an infeasible one among others is a row that says so.

    Example: planner sweep scenarios/neox20b.yaml --over budget.time=7..60d:8 --over training.epochs=1,2,4 -o grid.csv
    """
    from planner.report.sweep import save_table, sweep_table, table_kind
    from planner.report.sweep_chart import sweep_figure
    from planner.sweeps.run import prepare

    if scheduler is not None and jobs is not None:
        raise PlannerError(said("cli_sweep.jobs"))
    if output is not None:
        table_kind(output)
    with working(said("output.reading"), quiet=quiet):
        prepared = prepare(scenario, over or (), set_ or (), overlays or ())
    found = _swept(prepared, output, jobs, scheduler, quiet)
    if output is not None:
        save_table(found, output)
    if as_json:
        emit(found.to_json())
    elif not quiet:
        emit(sweep_table(found, width(), colour()))
    if output is not None:
        say(said("output.saved", file=str(output)), quiet=quiet)
    draw(chart, partial(sweep_figure, found), quiet=quiet)
    if all(row["status"] != "optimal" for row in found.rows):
        raise typer.Exit(INFEASIBLE)


def _swept(prepared: PreparedSweep, output: Path | None, jobs: int | None, scheduler: str | None, quiet: bool) -> Sweep:
    """The sweep, from where its journal left it; Ctrl-C says how to go on."""
    from planner.sweeps.journal import Journal, journal_path
    from planner.sweeps.run import run

    keeper = nullcontext() if output is None else Journal(journal_path(output))
    with keeper as journal:
        known = {} if journal is None else {key: journal.known[key] for key in prepared.keys if key in journal.known}
        missing = len(set(prepared.keys)) - len(known)
        if known and missing:
            say(said("cli_sweep.known", known=len(known), all=len(set(prepared.keys))), quiet=quiet)
        try:
            with (
                _executor(missing, jobs, scheduler) as executor,
                progress(said("output.sweeping"), quiet=quiet) as tick,
            ):
                found = run(
                    prepared,
                    executor,
                    known=known,
                    on_solved=None if journal is None else journal.add,
                    tick=tick,
                    together=1 if scheduler is None else min(FAR, -(-missing // FAR)) or 1,
                )
        except KeyboardInterrupt:
            say(_kept_in_journal(prepared, journal), quiet=quiet)
            raise
        if journal is not None:
            journal.compact(prepared.keys)
    return found


@contextmanager
def _executor(missing: int, jobs: int | None, scheduler: str | None) -> Iterator[Executor | None]:
    """Where to solve; nothing is started for what one process does sooner."""
    from planner.sweeps.executors import dask, processes, usable_cores

    if scheduler is not None and missing:
        with dask(scheduler) as cluster:
            yield cluster
        return
    wanted = min(jobs or usable_cores(), missing)
    if wanted < 2:
        yield None
        return
    with processes(wanted) as pool:
        yield pool


def _kept_in_journal(prepared: PreparedSweep, journal: Journal | None) -> str:
    if journal is None:
        return said("cli_sweep.stopped")
    kept = sum(key in journal.known for key in set(prepared.keys))
    return said("cli_sweep.kept", kept=kept, all=len(set(prepared.keys)), journal=str(journal.path))
