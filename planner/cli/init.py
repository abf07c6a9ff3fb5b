"""`planner init`: a first scenario from five answers, given as options or asked for on a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Catalog, Date, Quiet
from planner.cli.output import say, terminal
from planner.units import PlannerError
from planner.words import said

QUESTIONS = (  # an option, and its answer where none is given; `init.NAME` asks
    ("model", None),
    ("gpus", "cloud"),
    ("data", None),
    ("epochs", "1"),
    ("budget", "none"),
)


def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The scenario to write.")] = Path("scenario.yaml"),
    model: Annotated[str, typer.Option("--model", help="A name of the catalog, or a config.json.")] = "",
    gpus: Annotated[
        str, typer.Option("--gpus", help="cloud; your own, `4 x rtx-4090`, `8 x 8 h100`; both, `64 h100 or cloud`.")
    ] = "",
    data: Annotated[str, typer.Option("--data", help="`10k samples`, `2B tokens`, `10k samples of 4096`.")] = "",
    epochs: Annotated[str, typer.Option("--epochs", help="Passes over the data.")] = "",
    budget: Annotated[
        str, typer.Option("--budget", help="`14 days`, `5k USD`, `2027-03-01`, with `and` between; `none`.")
    ] = "",
    overlays: Catalog = None,
    quiet: Quiet = False,
    date: Date = None,
) -> None:
    """Write a first scenario that runs, with schema.json beside it; asks for what no option says.

    Nothing is overwritten. The file tells editors of its schema, so that they complete and check its keys.

    Example: planner init --model llama3-8b --gpus "8 x a100-sxm4-80gb" --data "10k samples" --epochs 3
    """
    from planner import api
    from planner.reading.quantities import parse_number

    if file.exists():
        raise PlannerError(said("starting.exists", file=str(file)))
    given = _answers({"model": model, "gpus": gpus, "data": data, "epochs": epochs, "budget": budget})
    found = api.init(
        file,
        model=given["model"],
        gpus=given["gpus"],
        data=given["data"],
        epochs=parse_number(given["epochs"], said("init.a_number")),
        budget=given["budget"],
        today=date.date() if date else None,
        overlays=overlays,
    )
    for remark in found.remarks:
        say(said("output.note", what=remark), quiet=quiet)
    say(said("init.saved", scenario=str(found.scenario), schema=str(found.schema)), quiet=quiet)


def _answers(given: dict[str, str]) -> dict[str, str]:
    """The options, and answers to the questions of those that are missing: asked for on a terminal only."""
    if terminal(sys.stdin):
        return {
            name: given[name] or str(typer.prompt(said(f"init.{name}"), default=default, err=True))
            for name, default in QUESTIONS
        }
    missing = [f"--{name}" for name, default in QUESTIONS if default is None and not given[name]]
    if missing:
        raise PlannerError(said("init.missing", options=missing))
    return {name: given[name] or default or "" for name, default in QUESTIONS}
