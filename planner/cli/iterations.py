"""`planner iterations`: tokens, samples, iterations and epochs from whatever says how much data there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Json, Output, Quiet, Set
from planner.cli.output import deliver, width
from planner.units import PlannerError

if TYPE_CHECKING:
    from planner.report.iterations import IterationCount
    from planner.scenario import Scenario


def iterations(
    scenario: Annotated[
        Path | None, typer.Argument(metavar="[SCENARIO]", help="Take data, epochs and batch from a scenario file.")
    ] = None,
    samples: Annotated[str | None, typer.Option(metavar="N", help="Sequences of one epoch.")] = None,
    tokens: Annotated[str | None, typer.Option(metavar="N", help="Tokens of one epoch: 64B, 300e9, ...")] = None,
    index: Annotated[str | None, typer.Option(metavar="PREFIX", help="A Megatron or GPT-NeoX index.")] = None,
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="A log of GPT-NeoX or Megatron-LM.")] = None,
    split: Annotated[
        str, typer.Option(metavar="A,B,C", help="Train, validation and test shares of an index; default: all of it.")
    ] = "",
    seq_length: Annotated[str | None, typer.Option(metavar="S", help="Tokens of a sequence.")] = None,
    global_batch: Annotated[str | None, typer.Option(metavar="B", help="Sequences of an iteration.")] = None,
    epochs: Annotated[str | None, typer.Option(metavar="E", help="Passes over the data; default: 1.")] = None,
    set_: Set = None,
    as_json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Count the iterations of a run from samples, tokens, a dataset index, a log or a scenario.

    Example: planner iterations --samples 31267487 --seq-length 2048 --global-batch 1024
    """
    from planner.report.iterations import iterations_json, iterations_table

    given = {"--samples": samples, "--tokens": tokens, "--index": index, "--log": log, "SCENARIO": scenario}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        found = f"{' and '.join(named)} were given" if named else "none was given"
        raise PlannerError(f"give exactly one of {', '.join(given)}: {found}")
    if split and index is None:
        raise PlannerError("--split is of an --index; samples and tokens are those of training alone")
    batch = None if global_batch is None else _count(global_batch, "--global-batch", "sequences")
    length = None if seq_length is None else _count(seq_length, "--seq-length", "tokens")
    if scenario is not None:
        count = _of_scenario(scenario, set_ or (), length, batch, epochs)
    elif set_:
        raise PlannerError("--set changes a scenario, and none was given")
    else:
        count = _of_options(samples, tokens, index, log, split, length, batch, epochs)
    table = "" if as_json or quiet else iterations_table(count, width())
    deliver(iterations_json(count), table, as_json=as_json, output=output, quiet=quiet)


def _of_options(
    samples: str | None,
    tokens: str | None,
    index: str | None,
    log: Path | None,
    split: str,
    length: int | None,
    batch: int | None,
    epochs: str | None,
) -> IterationCount:
    from planner.interop.resolve import resolve_source
    from planner.report.iterations import count_iterations
    from planner.scenario import DataSource
    from planner.workload.dataset import run_length

    source = DataSource(
        name="data",
        samples=None if samples is None else _count(samples, "--samples", "samples"),
        tokens=None if tokens is None else _count(tokens, "--tokens", "tokens"),
        index=index,
        log=None if log is None else str(log),
        split=split,
    )
    read = resolve_source(source, length)
    # A log says its own sequence length; one that is given overrules it, as it does in a scenario.
    length = length or read.seq_length
    if length is None:
        raise PlannerError("--seq-length is missing: how many tokens has a sequence?")
    run = run_length((read.source,), length, epochs=_epochs(epochs))
    count = count_iterations(run, _needed(batch), remarks=[*read.remarks, *_other_length(length, read.seq_length)])
    return replace(count, remarks=(*count.remarks, *_bare_number(source.samples)))


def _bare_number(samples: int | None) -> list[str]:
    """A number of samples is often copied from a log, where it may mean something else."""
    said = (
        "taken for the sequences of one epoch; a number from a GPT-NeoX log may count several epochs and be one too "
        "many: give the log itself (--log), and it is read with its epochs"
    )
    return [] if samples is None else [said]


def _other_length(length: int, read: int | None) -> list[str]:
    """Sequences of another length than those that the log or the index counted."""
    if read is None or read == length:
        return []
    return [f"counted anew for sequences of {length:,} tokens; what was read counted sequences of {read:,}"]


def _of_scenario(
    path: Path, overrides: list[str] | tuple[str, ...], length: int | None, batch: int | None, epochs: str | None
) -> IterationCount:
    from planner import api
    from planner.report.iterations import count_iterations
    from planner.workload.dataset import run_length

    scenario = api.load_scenario(path, overrides)
    training = scenario.training
    if epochs is not None:
        training = replace(training, epochs=_epochs(epochs), iterations=None)
    run = run_length(scenario.data, length or scenario.seq_length, training.epochs, training.iterations)
    return count_iterations(run, batch or _pinned(scenario), ramp=training.batch_ramp)


def _pinned(scenario: Scenario) -> int:
    choice = scenario.training.global_batch
    pinned = None if choice is None else choice.pinned
    if pinned is None:
        raise PlannerError(f"{scenario.source}: the batch is a range; name one with --global-batch")
    return pinned


def _needed(batch: int | None) -> int:
    if batch is None:
        raise PlannerError("--global-batch is missing: how many sequences has an iteration?")
    return batch


def _count(text: str, option: str, unit: str) -> int:
    from planner.units import parse_count

    try:
        count = parse_count(text, unit)
    except PlannerError as error:
        raise PlannerError(f"{option}: {error}") from None
    if count < 1:
        raise PlannerError(f"{option}: {text} is less than 1")
    return count


def _epochs(text: str | None) -> float:
    from planner.units import parse_number

    if text is None:
        return 1.0
    try:
        return parse_number(text, "a number of epochs, such as `4` or `1.5`")
    except PlannerError as error:
        raise PlannerError(f"--epochs: {error}") from None
