"""`planner propose`: the budget proposal of one or more scenarios, in the formats asked for."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Catalog, Json, Quiet, Set
from planner.cli.options import Date as DateOption
from planner.cli.output import emit, say


def propose(
    scenarios: Annotated[list[Path], typer.Argument(help="Scenario files (YAML).", metavar="SCENARIO…")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write the documents into.")],
    format_: Annotated[
        str, typer.Option("--format", metavar="LIST", help="Some of html, pdf, xlsx, md, separated by commas.")
    ] = "html,pdf,xlsx,md",
    date: DateOption = None,
    lang: Annotated[str, typer.Option("--lang", metavar="en|zh", help="Language of the documents.")] = "en",
    set_: Set = None,
    catalog: Catalog = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a budget proposal that people sign: the ask, options, frontier, costs, schedule, risks, method.

    All formats hold the same content; the same inputs and --date give the same bytes. Nothing is written where a
    scenario is infeasible (exit code 3).

    Example: planner propose scenarios/neox20b.yaml --format html,pdf -o proposal --date 2026-11-24
    """
    from datetime import date as calendar

    from planner import api, search
    from planner.catalog.overlay import overlay_dirs
    from planner.cli.run import INFEASIBLE
    from planner.interop.files import naming
    from planner.plan_json import dumps
    from planner.report.proposal.content import build_proposal
    from planner.report.proposal.locale import locale
    from planner.report.proposal.writing import formats_of, rendered, summary, write_proposal

    formats = formats_of(format_)
    locale(lang)  # a wrong language is said before the search
    day = date.date() if date else calendar.today()  # noqa: DTZ011 - the author's own day
    overlays = overlay_dirs(catalog or ())
    loaded = [api.load_scenario(path, set_ or (), overlays) for path in scenarios]
    facts = api.load_facts(overlays)
    outcomes = []
    for path, scenario in zip(scenarios, loaded, strict=True):
        with naming(path):
            outcomes.append(search.optimize(scenario, *facts))
    for scenario, outcome in zip(loaded, outcomes, strict=True):
        if outcome.infeasibility is not None:
            changes = (f"\n  - {change.text}" for change in outcome.infeasibility.changes)
            say(f"{scenario.name}: infeasible; {outcome.infeasibility.reason}" + "".join(changes))
    if any(outcome.plan is None for outcome in outcomes):
        raise typer.Exit(INFEASIBLE)
    command = _command(scenarios, format_, day.isoformat(), lang, set_ or (), overlays)
    proposal = build_proposal(loaded, outcomes, *facts, day=day, language=lang, command=command)
    files = rendered(proposal, formats)
    paths = write_proposal(output, files)
    emit(dumps(summary(proposal, paths, files)) if as_json else "\n".join(map(str, paths)))
    say(f"proposal of {day.isoformat()}, {len(proposal.sections)} sections", quiet=quiet)


def _command(
    scenarios: list[Path],
    formats: str,
    day: str,
    lang: str,
    overrides: list[str] | tuple[str, ...],
    overlays: list[Path] | tuple[Path, ...],
) -> str:
    """What makes the documents again, without a machine's folders: files by their names."""
    words = ["planner", "propose", *(path.name for path in scenarios), "--format", formats, "--date", day]
    words += ["--lang", lang] if lang != "en" else []
    for override in overrides:
        words += ["--set", override]
    for overlay in overlays:
        words += ["--catalog", overlay.name]
    return shlex.join([*words, "-o", "proposal"])
