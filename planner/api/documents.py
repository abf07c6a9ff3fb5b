"""Files in and out: scenarios from other programs' files, launch files, proposals, and the schema of scenarios."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date as calendar
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.api.inputs import (
    Changes,
    Folders,
    PlanLike,
    ScenarioLike,
    changes_of,
    folders,
    load_any,
    load_facts,
    load_plan,
    load_scenario,
    several,
)
from planner.reading.quantities import parse_count, parse_date
from planner.results.result import InfeasibleError, Result
from planner.units import PlannerError
from planner.words import say, speaking

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.interop.imported import Imported
    from planner.performance.calibration import Calibration
    from planner.report.proposal.model import Proposal
    from planner.results.answers import Optimization
    from planner.spec.programme import Programme
    from planner.spec.scenario import Scenario


@dataclass(frozen=True, slots=True, repr=False)
class LaunchFiles(Result):
    """Files that start a planned run: their text by name, and what a user should know of them."""

    files: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def write(self, folder: str | Path) -> list[Path]:
        """Write all files into `folder`, or none; returns where they lie."""
        from planner.interop.exporting import write_files

        return write_files(Path(folder), self.files)


@dataclass(frozen=True, slots=True, repr=False)
class ProposalFiles(Result):
    """A budget proposal in every format asked for: its content, and its files by name."""

    proposal: Proposal
    files: Mapping[str, bytes]

    def write(self, folder: str | Path) -> tuple[Path, ...]:
        """Write all files into `folder`, or none; returns where they lie."""
        from planner.files import write_all

        return tuple(write_all(Path(folder), self.files))

    def to_json(self, folder: str | Path = "") -> str:
        """What is asked for, and the files with sizes and digests, as they lie in `folder`; ends in a newline."""
        from planner.report.proposal.writing import summary
        from planner.results.json_form import dumps

        return dumps(summary(self.proposal, [Path(folder) / name for name in self.files], self.files))


def import_files(
    files: Sequence[str | Path] | str | Path,
    *,
    gpus: int | None = None,
    vocab: int | None = None,
    samples: int | str | None = None,
    tokens: int | str | None = None,
    epochs: float | None = None,
    arguments: Sequence[str] = (),
    strict: bool = False,
) -> Imported:
    """A scenario from GPT-NeoX configs, a Hugging Face config.json or a Megatron-LM script; `scenario_yaml` writes it.

    Parameters
    ----------
    gpus, vocab : int, optional
        GPUs of the run, entries of the tokenizer, where no file says.
    samples, tokens : count, optional
        Sequences or tokens of one epoch of the data, where no file says; texts such as "64B" are read.
    epochs : float, optional
        Epochs to train, where no file says.
    arguments : sequence of str
        What a launch script is started with.
    strict : bool
        Refuse files with keys that are not understood, instead of a warning.

    Raises
    ------
    PlannerError
        What the tool itself would refuse, in its words; or what planner cannot plan.
    """
    from planner.interop.importing import import_files as read

    paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
    return read(
        paths,
        gpus=gpus,
        vocab=vocab,
        samples=None if samples is None else parse_count(samples),
        tokens=None if tokens is None else parse_count(tokens),
        epochs=epochs,
        arguments=arguments,
        strict=strict,
    )


def export(
    plan: PlanLike,
    to: str,
    scenario: ScenarioLike | None = None,
    *,
    start: calendar | str | None = None,
    by: str = "month",
) -> LaunchFiles:
    """The launch-ready files of a plan: complete, commented; or its expected charges, as a cost export has them.

    Parameters
    ----------
    plan : path or Optimization
        A saved plan, or an answer of `optimize`.
    to : {"neox", "megatron", "megatron-bridge", "torchtitan", "deepspeed", "nanotron", "slurm", "skypilot", "jobset", \
"pytorchjob"}
        The plan's framework, or what starts its files; "focus": its charges (FinOps FOCUS, CSV).
    scenario : path, map or Scenario, optional
        The plan's scenario, where a saved document does not hold the model.
    start : date or "YYYY-MM-DD", optional
        Of charges: the run's first day; default: the scenario's budget.start.
    by : {"month", "day"}
        Of charges: a row of each kind a month or a day.

    Raises
    ------
    PlannerError
        If the target is unknown or cannot run what was planned, saying what it lacks.
    """
    from planner.interop.exporting import export_files
    from planner.interop.files import naming
    from planner.interop.plans import trained_of

    answer = load_plan(plan)
    if to == "focus":
        from planner.interop.export_focus import focus_files

        return LaunchFiles(focus_files(answer, parse_date(start) if isinstance(start, str) else start, by), ())
    if start is not None or by != "month":
        raise PlannerError(say("documents.of_charges", to=to))
    trained = None if scenario is None else trained_of(load_scenario(scenario))
    with naming(*([Path(plan)] if isinstance(plan, str | Path) else [])):
        files, notes = export_files(answer, to, trained)
    return LaunchFiles(files, tuple(notes))


def propose(
    scenarios: Sequence[ScenarioLike] | ScenarioLike,
    overlays: Folders = (),
    *,
    formats: str = "html,pdf,xlsx,md",
    date: calendar | str | None = None,
    lang: str | None = None,
    overrides: Changes = (),
) -> ProposalFiles:
    """The budget proposal of one or more scenarios: the ask, options, frontier, costs, schedule, risks, method.

    Parameters
    ----------
    formats : str
        Some of html, pdf, xlsx, md, txt, separated by commas; all hold the same content.
    date : date or "YYYY-MM-DD", optional
        The day it is made; default: today. The same inputs and day give the same bytes.
    lang : str, optional
        The documents' language, "en" or another that `planner.words` has a file of; default: that of `speak`.

    Raises
    ------
    InfeasibleError
        If a scenario has no plan.
    PlannerError
        If a format or language is unknown, or the library of a format is missing.
    """
    from planner import search
    from planner.interop.files import naming
    from planner.report.proposal.content import build_proposal
    from planner.report.proposal.locale import locale
    from planner.report.proposal.writing import formats_of, rendered
    from planner.scenario import one_run
    from planner.spec.programme import Programme

    lang = lang or speaking()
    wanted = formats_of(formats)
    locale(lang)  # a wrong language is said before the search
    day = parse_date(date) if isinstance(date, str) else date or calendar.today()  # noqa: DTZ011 - the author's own
    given = several(scenarios)
    whole = [load_any(scenario, overrides, overlays) for scenario in given]
    facts = load_facts(overlays)
    if len(whole) == 1 and isinstance(whole[0], Programme):
        command = _command(_names(given, whole), formats, day, lang, changes_of(overrides), folders(overlays))
        proposal = _of_programme(whole[0], facts, day, lang, command)
        return ProposalFiles(proposal, rendered(proposal, wanted))
    loaded = [one_run(scenario) for scenario in whole]
    outcomes = []
    for scenario in loaded:
        with naming(Path(scenario.source)):
            outcomes.append(search.optimize(scenario, *facts))
    if any(outcome.plan is None for outcome in outcomes):
        raise InfeasibleError(_refusals(loaded, outcomes))
    command = _command(_names(given, loaded), formats, day, lang, changes_of(overrides), folders(overlays))
    proposal = build_proposal(loaded, outcomes, *facts, day=day, language=lang, command=command)
    return ProposalFiles(proposal, rendered(proposal, wanted))


def _names(given: Sequence[Any], loaded: Sequence[Scenario | Programme]) -> list[str]:
    """What the files are called."""
    return [
        Path(each).name if isinstance(each, str | Path) else Path(scenario.source).name
        for each, scenario in zip(given, loaded, strict=True)
    ]


def _of_programme(
    programme: Programme, facts: tuple[Catalog, Calibration], day: calendar, lang: str, command: str
) -> Proposal:
    """The proposal of a programme of stages, with its grant annex."""
    from planner import search
    from planner.interop.files import naming
    from planner.report.proposal.programme import build_programme_proposal
    from planner.search.programme_scaling import scaling_of

    with naming(Path(programme.source)):
        if programme.cost_left_out:
            raise PlannerError(say("documents.no_price"))
        answer = search.optimize_programme(programme, *facts)
        if answer.status != "optimal":
            raise InfeasibleError(_refusal(programme.name, answer.reason, answer.changes))
        scaling = scaling_of(programme, answer, *facts)
    return build_programme_proposal(programme, answer, scaling, day=day, language=lang, command=command)


def schema() -> dict[str, Any]:
    """The JSON Schema of scenario files, with descriptions; editors use it to complete and to check."""
    from planner.scenario import scenario_schema

    return dict(scenario_schema())


def _refusals(scenarios: Sequence[Scenario], outcomes: Sequence[Optimization]) -> str:
    """Why scenarios have no plan, and what would have to give."""
    refused = [
        _refusal(scenario.name, outcome.infeasibility.reason, [each.text for each in outcome.infeasibility.changes])
        for scenario, outcome in zip(scenarios, outcomes, strict=True)
        if outcome.infeasibility is not None
    ]
    return reduce(lambda said, more: say("documents.next", said=said, more=more), refused)


def _refusal(name: str, reason: str, changes: Iterable[str]) -> str:
    first: str = say("documents.infeasible", name=name, reason=reason)
    return reduce(lambda said, change: say("documents.change", said=said, change=change), changes, first)


def _command(
    names: Sequence[str],
    formats: str,
    day: calendar,
    lang: str,
    overrides: Sequence[str],
    overlays: Sequence[Path],
) -> str:
    """What makes the documents again, without a machine's folders: files by their names."""
    words = ["planner", "propose", *names, "--format", formats, "--date", day.isoformat()]
    words += ["--lang", lang] if lang != "en" else []
    for override in overrides:
        words += ["--set", override]
    for overlay in overlays:
        words += ["--catalog", overlay.name]
    return shlex.join([*words, "-o", "proposal"])
