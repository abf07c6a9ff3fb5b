"""`planner propose`: the budget proposal of one or more scenarios, in the formats asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Catalog, Json, Quiet, Set
from planner.cli.options import Date as DateOption
from planner.cli.output import INFEASIBLE, emit, say
from planner.words import said, spoken


def propose(
    scenarios: Annotated[list[Path], typer.Argument(help="Scenario files (YAML).", metavar="SCENARIO…")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write the documents into.")],
    format_: Annotated[
        str, typer.Option("--format", metavar="LIST", help="Some of html, pdf, xlsx, md, txt, separated by commas.")
    ] = "html,pdf,xlsx,md",
    date: DateOption = None,
    lang: Annotated[
        str | None, typer.Option("--lang", metavar="|".join(spoken()), help="Language of the documents.")
    ] = None,
    set_: Set = None,
    overlays: Catalog = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a budget proposal that people sign: the ask, options, frontier, costs, schedule, risks, method.

    All formats hold the same content; the same inputs and --date give the same bytes. Nothing is written where a
    scenario is infeasible (exit code 3).

    Example: planner propose scenarios/neox20b.yaml --format html,pdf -o proposal --date 2026-11-24
    """
    from planner import api

    try:
        made = api.propose(
            scenarios,
            overlays,
            formats=format_,
            date=date.date() if date else None,
            lang=lang,
            overrides=set_ or (),
        )
    except api.InfeasibleError as error:
        say(error.args[0])
        raise typer.Exit(INFEASIBLE) from None
    paths = made.write(output)
    emit(made.to_json(output) if as_json else "\n".join(map(str, paths)))
    text = said("cli_propose.written", day=made.proposal.day, sections=len(made.proposal.sections))
    say(text, quiet=quiet)
