"""`planner import`: a scenario from other programs' files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Json, Quiet, file_option
from planner.cli.output import emit, say
from planner.words import said


def import_(
    files: Annotated[
        list[Path], typer.Argument(help="Configs or a launch script: GPT-NeoX, Megatron-LM, torchtitan, …")
    ],
    gpus: Annotated[int | None, typer.Option("--gpus", help="GPUs of the run, where no file says.")] = None,
    vocab: Annotated[int | None, typer.Option("--vocab", help="Entries of the tokenizer, where no file says.")] = None,
    samples: Annotated[str | None, typer.Option("--samples", help="Sequences of one epoch of the data.")] = None,
    tokens: Annotated[str | None, typer.Option("--tokens", help="Tokens of one epoch of the data, as 64B.")] = None,
    epochs: Annotated[float | None, typer.Option("--epochs", help="Epochs to train, where no file says.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse files with keys that planner does not understand.")
    ] = False,
    as_json: Json = False,
    output: Annotated[Path | None, file_option("Save the scenario to FILE.")] = None,
    quiet: Quiet = False,
) -> None:
    """Write a scenario from GPT-NeoX configs, a Hugging Face config.json or Megatron-LM arguments.

    What GPT-NeoX or Megatron-LM would refuse is refused in its words; every value says where it came from.

    Example: planner import configs/20B.yml --gpus 96 -o 20b.yaml
    """
    from planner import api
    from planner.files import write_atomically

    files, given = _parted(files)
    found = api.import_files(
        files,
        arguments=given,
        gpus=gpus,
        vocab=vocab,
        samples=samples,
        tokens=tokens,
        epochs=epochs,
        strict=strict,
    )
    text = found.to_yaml()
    if output is not None:
        write_atomically(output, text)
    if as_json:
        emit(found.to_json())
    elif output is None:
        emit(text)
    for warning in found.warnings:
        say(said("output.warning", what=warning))
    for remark in found.remarks:
        say(said("output.note", what=remark), quiet=quiet)
    if found.missing:
        say(said("cli_import.needs", missing=list(found.missing)), quiet=quiet)
    if output is not None:
        say(said("output.saved", file=str(output)), quiet=quiet)


def _parted(files: list[Path]) -> tuple[list[Path], list[str]]:
    """The files, and what a script among them is started with: the words after `--` that are no files."""
    first = files[0].suffix in (".sh", ".sbatch", ".slurm", ".bash")
    given = files[1:] if first and not any(file.exists() for file in files[1:]) else []
    return files[: len(files) - len(given)], [str(word) for word in given]
