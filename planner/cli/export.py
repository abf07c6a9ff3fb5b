"""`planner export`: the launch-ready files of a saved plan."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Quiet, day_option
from planner.cli.output import emit, say
from planner.words import said


def export(
    plan: Annotated[Path, typer.Argument(help="A saved `planner optimize --json` document.", metavar="PLAN")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="TARGET",
            help="The plan's framework (neox, megatron, torchtitan, …), slurm, skypilot, jobset, pytorchjob, or focus: "
            "its charges.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write the files into.")],
    scenario: Annotated[
        Path | None, typer.Option("--scenario", help="The plan's scenario, where the document does not hold the model.")
    ] = None,
    start: Annotated[datetime | None, day_option("--start", "Of charges: the run's first day.")] = None,
    by: Annotated[str, typer.Option("--by", metavar="PERIOD", help="Of charges: a row a month or a day.")] = "month",
    quiet: Quiet = False,
) -> None:
    """Write the files that start the planned run, or its expected charges: complete, all of them or none.

    Example: planner export plan.json --to slurm -o launch
    """
    from planner import api

    launch = api.export(plan, to, scenario, start=start.date() if start is not None else None, by=by)
    for path in launch.write(output):
        emit(str(path))
    for note in launch.notes:
        say(said("output.note", what=note), quiet=quiet)
