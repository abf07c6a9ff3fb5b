"""The table of contents of the command line. Command modules import little, so that `planner --help` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli import (
    calibrate,
    catalog,
    compare,
    explain,
    export,
    frontier,
    import_,
    init,
    iterations,
    optimize,
    predict,
    probe,
    propose,
    schema,
    simulate,
    sweep,
    track,
    validate,
)
from planner.units import PlannerError, shown
from planner.words import say, speak_on, spoken

app = typer.Typer(
    name="planner",
    help="Which cluster, how many GPUs, which batch sizes and layout train a model within a time and a budget.",
    epilog="Start with: planner init",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        from planner import __version__
        from planner.cli.output import emit

        emit(f"planner {__version__}")
        raise typer.Exit


def _language(context: typer.Context, language: str) -> None:
    source = getattr(context.get_parameter_source("lang"), "name", "DEFAULT")
    if source == "ENVIRONMENT" and language not in spoken():
        raise PlannerError(say("languages.unknown_set", language=shown(language), known=list(spoken())))
    if source != "DEFAULT":  # typer parses anew, without it, for a command that it takes for an option
        speak_on(language)


@app.callback()
def _planner(
    lang: Annotated[
        str,
        typer.Option(
            metavar="|".join(spoken()),
            envvar="PLANNER_LANG",
            callback=_language,
            is_eager=True,
            help="Language of what is printed and of documents.",
        ),
    ] = "en",
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


# In the order in which a person meets them; the short sentences are what `planner --help` lists.
_COMMANDS = (
    ("init", init.init, "A first scenario that runs, from five answers."),
    ("optimize", optimize.optimize, "The best plan: cluster, batch, layout, time, cost, and its proof."),
    ("frontier", frontier.frontier, "Every plan that no other beats in both time and cost."),
    ("compare", compare.compare, "Scenarios, saved plans or options side by side."),
    ("explain", explain.explain, "What binds, what more is worth, why another plan loses."),
    ("predict", predict.predict, "Throughput, step and memory of given layouts."),
    ("validate", validate.validate, "Predicted against measured, each row left out of the fit."),
    ("calibrate", calibrate.calibrate, "Your own measured runs into your overlay; or the shipped fit anew."),
    ("probe", probe.probe, "Which short runs to measure before deciding, and what their logs say."),
    ("sweep", sweep.sweep, "A grid of variations in one table, on all cores or Dask."),
    ("iterations", iterations.iterations, "Iterations of a run from samples, tokens, an index or a log."),
    ("import", import_.import_, "A scenario from other programs' files."),
    ("export", export.export, "Launch-ready files of a saved plan."),
    ("propose", propose.propose, "The budget proposal: HTML, PDF, XLSX, Markdown."),
    ("track", track.track, "A run against its plan: progress, end, cost, budgets."),
    ("simulate", simulate.simulate, "A plan simulated event by event, and in worse worlds."),
    ("schema", schema.schema, "The JSON Schema of scenarios."),
)
for _name, _function, _short in _COMMANDS:
    app.command(_name, short_help=_short)(_function)
app.add_typer(catalog.app, name="catalog", help="What is in the catalog, its provenance and age.")
