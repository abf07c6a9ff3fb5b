"""The answer of `planner iterations`: how long a run is, counted, and what was counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from planner.report.layout import Page, bullets, columns, indented
from planner.results.result import Result
from planner.spec.scenario import BatchRamp
from planner.units import format_count
from planner.words import said
from planner.workload.dataset import RunLength
from planner.workload.iterations import iterations_for, leftover_remarks, per_epoch, samples_consumed


@dataclass(frozen=True, slots=True, repr=False)
class IterationCount(Result):
    """Counts of one run at one batch. Keys of the JSON are these fields, in this order."""

    tokens_per_epoch: int
    samples_per_epoch: int
    iterations_per_epoch: int  # full batches of one pass: floor(N / B)
    leftover_samples: int  # N mod B
    iterations: int  # covers the epochs: ceil(E N / B)
    epochs: float | None  # None: the iterations were given
    basis: str
    remarks: tuple[str, ...]
    seq_length: int
    global_batch: int
    tokens: int  # that those iterations read


def count_iterations(
    run: RunLength, global_batch: int, ramp: BatchRamp | None = None, remarks: Sequence[str] = ()
) -> IterationCount:
    """The counts of `run` at `global_batch` sequences; `remarks` go before those of the run itself."""
    full, leftover = per_epoch(run, global_batch)
    all_remarks = (*remarks, *run.remarks, *(leftover_remarks(run, global_batch, ramp)))
    return IterationCount(
        tokens_per_epoch=run.tokens_per_epoch,
        samples_per_epoch=run.samples_per_epoch,
        iterations_per_epoch=int(full),
        leftover_samples=int(leftover),
        iterations=int(iterations_for(run, global_batch, ramp)),
        epochs=None if run.epochs is None else float(run.epochs),
        basis=run.basis,
        remarks=all_remarks,
        seq_length=run.seq_length,
        global_batch=global_batch,
        tokens=int(samples_consumed(run, global_batch, ramp)) * run.seq_length,
    )


def iterations_table(count: IterationCount, width: int) -> str:
    """The counts for a person."""
    page = Page(width)
    full = {"batches": count.iterations_per_epoch, "batch": count.global_batch, "left": count.leftover_samples}
    samples = {"samples": count.samples_per_epoch, "length": count.seq_length}
    rows = [
        (said("report_iterations.tokens_an_epoch"), format_count(count.tokens_per_epoch)),
        (said("report_iterations.samples_an_epoch"), said("report_iterations.samples", **samples)),
        (said("report_iterations.iterations_an_epoch"), said("report_iterations.full_batches", **full)),
    ]
    whole = said("report_iterations.whole", iterations=count.iterations, tokens=count.tokens)
    if count.epochs is None:
        rows.append((said("report_iterations.as_given"), whole))
    else:
        rows.append((said("report_iterations.to_cover", epochs=count.epochs), whole))
    lines = columns(rows, "ll", page, header=False, flexible=1)
    basis = indented(said("report_iterations.basis", basis=count.basis), page)
    return "\n".join([*lines, "", *basis, *bullets(count.remarks, page)]) + "\n"
