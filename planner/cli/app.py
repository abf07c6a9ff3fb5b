"""The table of contents of the command line. Command modules import little, so that `planner --help` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli import optimize, schema

app = typer.Typer(
    name="planner",
    help="Which cluster, how many GPUs, which batch sizes and layout train a model within a time and a budget.",
    epilog="Start with: planner optimize scenarios/neox20b.yaml",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        from planner import __version__
        from planner.cli.output import emit

        emit(f"planner {__version__}")
        raise typer.Exit


@app.callback()
def _planner(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command("optimize")(optimize.optimize)
app.command("schema")(schema.schema)
