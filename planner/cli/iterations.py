"""`planner iterations`: tokens, samples, iterations and epochs from whatever says how much data there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Json, Output, Quiet, Set
from planner.cli.output import deliver, width


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
    from planner import api
    from planner.report.iterations import iterations_table

    found = api.iterations(
        scenario,
        samples=samples,
        tokens=tokens,
        index=index,
        log=log,
        split=split,
        seq_length=seq_length,
        global_batch=global_batch,
        epochs=epochs,
        overrides=set_ or (),
    )
    table = "" if as_json or quiet else iterations_table(found, width())
    deliver(found.to_json(), table, as_json=as_json, output=output, quiet=quiet)
