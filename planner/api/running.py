"""Runs: how many iterations, where a run stands against its plan, and how to go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from operator import index as as_int
from pathlib import Path
from typing import TYPE_CHECKING

from planner.api.inputs import Changes, Folders, PlanLike, ScenarioLike, load_plan, load_scenario
from planner.money import money_of
from planner.reading import wrong_at
from planner.reading.quantities import parse_count, parse_date, parse_number
from planner.units import PlannerError
from planner.words import say

if TYPE_CHECKING:
    from planner.report.iterations import IterationCount
    from planner.results.answers import Optimization
    from planner.spec.scenario import Scenario
    from planner.tracking.actuals import Actuals
    from planner.tracking.progress import Progress
    from planner.tracking.ramp import Course
    from planner.tracking.replan import Continuation

Count = int | float | str | None


def iterations(
    scenario: ScenarioLike | None = None,
    *,
    samples: Count = None,
    tokens: Count = None,
    index: str | Path | None = None,
    log: str | Path | None = None,
    split: str = "",
    seq_length: Count = None,
    global_batch: Count = None,
    epochs: Count = None,
    overrides: Changes = (),
) -> IterationCount:
    """Tokens, samples, iterations and epochs from whatever says how much data there is.

    Parameters
    ----------
    scenario : path, map or Scenario, optional
        Data, epochs and batch are taken from it. Exactly one of this, `samples`, `tokens`, `index` and `log` is given.
    samples, tokens : count
        Of one epoch: sequences, or tokens; texts such as "64B" are read.
    index : path prefix
        A Megatron or GPT-NeoX dataset index; `split` ("995,4,1") takes its first share.
    log : path
        A log of GPT-NeoX or Megatron-LM.
    seq_length, global_batch : count
        Tokens of a sequence, sequences of an iteration.
    epochs : number
        Passes over the data, 1 unless given.

    Raises
    ------
    PlannerError
        If a number is missing or wrong, or a file cannot be read.
    """
    given = {"--samples": samples, "--tokens": tokens, "--index": index, "--log": log, "SCENARIO": scenario}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        if named:
            raise PlannerError(say("running.one_of", names=list(given), given=named))
        raise PlannerError(say("running.one_of_none", names=list(given)))
    if split and index is None:
        raise PlannerError(say("running.split"))
    batch = None if global_batch is None else _count(global_batch, "--global-batch", "sequences")
    length = None if seq_length is None else _count(seq_length, "--seq-length", "tokens")
    if scenario is not None:
        return _of_scenario(load_scenario(scenario, overrides), length, batch, epochs)
    if overrides:
        raise PlannerError(say("running.no_scenario"))
    return _of_data(samples, tokens, index, log, split, length, batch, epochs)


def track(
    plan: PlanLike,
    log: str | Path,
    *,
    on_read: Callable[[int], None] | None = None,
    spent_usd: float | Decimal | None = None,
) -> Progress:
    """Where a run stands against its plan: done, pace, losses, end and cost with ranges, budgets.

    Parameters
    ----------
    plan : path or Optimization
        The saved plan that the run follows.
    log : path
        The run's training log: text, CSV or JSON lines.
    on_read : callable, optional
        Told how many bytes have been read.
    spent_usd : number, optional
        What accounting says was spent so far (`reconcile`); default: the plan's cost of the time elapsed.

    Raises
    ------
    PlannerError
        If plan or log cannot be read, or the log has lines and none of a known form.
    """
    from planner.interop.tracking import track_log
    from planner.tracking.progress import progress

    answer = load_plan(plan)
    assert answer.plan is not None  # noqa: S101 - load_plan has seen to it
    state = track_log(Path(log), answer.plan, on_read, course_of(answer))
    now = progress(state, answer.plan, answer.goal, None if spent_usd is None else float(spent_usd))
    return replace(now, money=answer.provenance.money)


def reconcile(
    plan: PlanLike,
    *,
    sacct: str | Path | None = None,
    focus: str | Path | None = None,
    jobs: str = "*",
    zone: str | None = None,
    tags: Mapping[str, str] | None = None,
    rates: Mapping[str, str] | None = None,
    start: date | str | None = None,
) -> Actuals:
    """GPU-hours and money that accounting says a run took, against its plan, to the cent.

    Parameters
    ----------
    plan : path or Optimization
        The saved plan that the run follows.
    sacct : path
        A dump of Slurm's `sacct --parsable2 --duplicates`; exactly one of this and `focus` is given.
    focus : path
        A cost export in the form of FOCUS (CSV).
    jobs : pattern
        Only Slurm's jobs whose names match it (`*`, `?`).
    zone : str, optional
        Of the dump's clock, such as "Europe/Berlin"; days are then UTC's.
    tags : map, optional
        Only rows of the export that have these tags.
    rates : map, optional
        USD of one unit of other currencies in the export: {"EUR": "1.08"}.
    start : date or "YYYY-MM-DD", optional
        The first day of the plan; default: the scenario's, else the first day of use.

    Raises
    ------
    PlannerError
        If a file cannot be read, is no such dump or export, or holds nothing of the run.
    """
    from planner.interop.focus import read_focus, wanted_of
    from planner.interop.sacct import read_sacct
    from planner.tracking.actuals import reconcile_bill, reconcile_usage

    answer = load_plan(plan)
    assert answer.plan is not None  # noqa: S101 - load_plan has seen to it
    day = parse_date(start) if isinstance(start, str) else start
    money = money_of(answer)
    begin = day or (answer.goal.start if answer.goal is not None else None)
    if (sacct is None) == (focus is None):
        raise PlannerError(say("running.sacct_or_focus"))
    if sacct is not None:
        offer = answer.plan.offer
        each = offer.gpus_per_node or -(-answer.plan.gpus // answer.plan.nodes)
        usage = read_sacct(Path(sacct), each, jobs=jobs, zone=zone)
        return replace(reconcile_usage(usage, answer.plan, answer.goal, begin), money=money)
    assert focus is not None  # noqa: S101 - one of the two
    if money.hours:
        raise PlannerError(say("running.money", unit=money.unit))
    bill = read_focus(Path(focus), answer.plan.offer, wanted_of(tags or {}, rates or {}))
    return replace(reconcile_bill(bill, answer.plan, begin), money=money)


def replan(
    plan: PlanLike, log: str | Path, scenario: ScenarioLike, overlays: Folders = (), *, now: Progress | None = None
) -> Continuation:
    """The best plan for what is left of a run within what is left of its budgets, beside staying on course.

    `now` is what `track` said of the same log, where it has been asked already.
    """
    from planner.api.planning import optimize
    from planner.tracking.replan import continuation, remaining_scenario

    answer = load_plan(plan)
    assert answer.plan is not None  # noqa: S101 - load_plan has seen to it
    now = now or track(answer, log)
    rest = remaining_scenario(load_scenario(scenario, (), overlays), answer.plan, now)
    return continuation(rest, answer.plan, now, optimize(rest, overlays))


def course_of(answer: Optimization) -> Course | None:
    """How the batch of the planned run grows, if it does."""
    from planner.tracking.ramp import course_of as course

    assert answer.plan is not None  # noqa: S101 - of plans only
    return None if answer.trained is None else course(answer.plan, answer.trained.batch_ramp)


def _of_data(
    samples: Count,
    tokens: Count,
    index: str | Path | None,
    log: str | Path | None,
    split: str,
    length: int | None,
    batch: int | None,
    epochs: Count,
) -> IterationCount:
    from planner.interop.referenced_data import resolve_source
    from planner.report.iterations import count_iterations
    from planner.spec.scenario import DataSource
    from planner.workload.dataset import run_length

    source = DataSource(
        name="data",
        samples=None if samples is None else _count(samples, "--samples", "samples"),
        tokens=None if tokens is None else _count(tokens, "--tokens", "tokens"),
        index=None if index is None else str(index),
        log=None if log is None else str(log),
        split=split,
    )
    read = resolve_source(source, length)
    # A log says its own sequence length; one that is given overrules it, as it does in a scenario.
    length = length or read.seq_length
    if length is None:
        raise PlannerError(say("running.seq_length"))
    run = run_length((read.source,), length, epochs=_epochs(epochs))
    if batch is None:
        raise PlannerError(say("running.global_batch"))
    remarks = list(read.remarks)
    if read.seq_length not in (None, length):  # the log or the index counted sequences of that
        remarks.append(say("running.counted_anew", length=length, read=read.seq_length))
    count = count_iterations(run, batch, remarks=remarks)
    if source.samples is None:
        return count
    # A number of samples is often copied from a log, where it may mean something else.
    return replace(count, remarks=(*count.remarks, say("running.bare_samples")))


def _of_scenario(scenario: Scenario, length: int | None, batch: int | None, epochs: Count) -> IterationCount:
    from planner.report.iterations import count_iterations
    from planner.workload.dataset import run_length

    training = scenario.training
    if epochs is not None:
        training = replace(training, epochs=_epochs(epochs), iterations=None)
    run = run_length(scenario.data, length or scenario.seq_length, training.epochs, training.iterations)
    return count_iterations(run, batch or _pinned(scenario), ramp=training.batch_ramp)


def _pinned(scenario: Scenario) -> int:
    choice = scenario.training.global_batch
    pinned = None if choice is None else choice.pinned
    if pinned is None:
        raise PlannerError(say("running.range", file=scenario.source))
    return pinned


def _count(given: int | float | str, option: str, unit: str) -> int:
    try:
        count = parse_count(as_int(given) if hasattr(given, "__index__") else given, unit)
    except PlannerError as error:
        raise wrong_at(option, error.args[0]) from None
    if count < 1:
        raise PlannerError(say("running.below_1", option=option, given=given))
    return count


def _epochs(given: Count) -> float:
    if given is None:
        return 1.0
    try:
        return parse_number(given, say("running.epochs"))
    except PlannerError as error:
        raise wrong_at("--epochs", error.args[0]) from None
