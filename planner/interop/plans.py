"""Saved answers of `planner optimize`: read for export and tracking, with what they train."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from planner.files import printable_name
from planner.interop.files import naming, shown
from planner.interop.quoting import printable
from planner.reading import fault, read_text
from planner.results import json_form as plan_json
from planner.results.answers import Optimization, StatedGoal, Trained
from planner.results.plan import Plan
from planner.spec.model import PARTS
from planner.spec.scenario import BatchRamp, Scenario
from planner.units import PlannerError
from planner.words import say
from planner.workload.iterations import ramp_increments

PROGRAMME = '"kind": "programme"'  # near the beginning of what is saved of several stages
MOST = 1e18  # tokens, seconds or USD of any run that will ever be


def read_plan(path: Path) -> Optimization:
    """A saved `optimize --json` document with a plan in it.

    Raises
    ------
    PlannerError
        As `read_answer`, or if it holds no plan.
    """
    answer = read_answer(path)
    if answer.plan is None:
        raise PlannerError(say("interop_plans.no_plan", file=printable_name(path)))
    return answer


def read_answer(path: Path) -> Optimization:
    """A saved `optimize --json` document, feasible or not.

    Raises
    ------
    PlannerError
        If it cannot be read, is no such document, or has texts or numbers that no plan has.
    """
    text = read_text(path, holds=say("interop_plans.holds"), endings=(".json",), controls=True)
    if PROGRAMME in text[:200]:
        raise PlannerError(say("interop_plans.programme", file=printable_name(path)))
    try:
        answer = Optimization.from_json(text)
    except PlannerError as error:
        raise PlannerError(say("interop_plans.not_saved", file=printable_name(path), error=error.args[0])) from error
    return checked(path, answer)


def checked(path: Path, answer: Optimization) -> Optimization:
    """The answer that a file holds, if its texts and numbers are such as answers have.

    Raises
    ------
    PlannerError
        If they are not, naming the file and what is wrong.
    """
    refuse_unprintable(path, answer, "optimization")
    if answer.plan is None:
        return answer
    wrong = _impossible(answer.plan, answer.trained, answer.goal)
    if wrong is None and answer.trained is not None and answer.trained.batch_ramp:
        ramp = answer.trained.batch_ramp
        if len(ramp) != 3:
            raise fault(path, say("interop_plans.ramp", ramp=str(list(ramp[:4]))))
        with naming(path):
            ramp_increments(BatchRamp(*ramp), np.asarray(answer.plan.global_batch, dtype=np.int64))
    if wrong is not None:
        raise PlannerError(say("interop_plans.impossible", file=printable_name(path), number=wrong))
    return answer


def refuse_unprintable(path: Path, answer: object, name: str) -> None:
    """Refuse what planner never writes: texts with line ends or other characters that are not seen."""
    for key, text in plan_json.texts(plan_json.encode(answer), name):
        if not text.isprintable():
            values = {"file": printable_name(path), "key": printable(key), "text": shown(text)}
            raise PlannerError(say("interop_plans.unprintable", **values))


def _impossible(plan: Plan, trained: Trained | None, goal: StatedGoal | None) -> str | None:
    """The first number of a plan that cannot be, by name: counts below 1, times that are no positive numbers."""
    layout = plan.layout
    counts: dict[str, float] = {
        "gpus": plan.gpus, "nodes": plan.nodes, "global_batch": plan.global_batch, "seq_length": plan.seq_length,
        "iterations": plan.iterations, "tokens": plan.tokens, "tp": layout.tp, "pp": layout.pp, "vpp": layout.vpp,
        "dp": layout.dp, "cp": layout.cp, "ep": layout.ep, "micro_batch": layout.micro_batch,
        "grad_accum": layout.grad_accum,
    }  # fmt: skip
    if trained is not None:
        sizes = ("layers", "hidden", "heads", "kv_heads", "head_dim", "vocab", "vocab_multiple", "norms_per_layer")
        counts |= {key: getattr(trained.model, key) for key in sizes}
        moe = trained.model.moe
        counts |= {f"moe.{key}": getattr(moe, key) for key in ("experts", "top_k", "expert_ffn", "every") if moe}
    wrong = [name for name, count in counts.items() if not 1 <= count < MOST]
    for name, kept in (("step_time_s", plan.step_time_s), ("time_s", plan.time_s), ("cost_usd", plan.cost_usd)):
        free = name == "cost_usd" and kept.p90 == 0  # machines of one's own may cost nothing
        ordered = 1e-9 < kept.p10 <= kept.p50 <= kept.p90 < MOST
        wrong += [] if ordered or free else [name]
    others = {
        "evaluation_time_s": plan.evaluation_time_s,
        "epochs": plan.epochs,
        say("interop_plans.time_budget"): goal.time_s if goal else None,
        say("interop_plans.cost_budget"): goal.cost_usd if goal else None,
        **(_from_zero(trained) if trained else {}),
    }
    wrong += [name for name, value in others.items() if value is not None and not 0 <= value < MOST]
    wrong += [] if 0 <= layout.zero_stage <= 3 else ["zero_stage"]
    return wrong[0] if wrong else None


def _from_zero(trained: Trained) -> dict[str, float | None]:
    """Numbers of what is trained that may be zero, but not below it."""
    model = trained.model
    held = (("", model), *((name, getattr(model, name)) for name in PARTS))
    parts = {f"{name}.": part for name, part in held if part}
    counts = {f"{name}{f.name}": getattr(part, f.name) for name, part in parts.items() for f in fields(part)}
    return {
        **{name.lstrip("."): count for name, count in counts.items() if type(count) is int},
        **{f"data_weights[{i}]": weight for i, weight in enumerate(trained.data_weights)},
        **{f"batch_ramp[{i}]": count for i, count in enumerate(trained.batch_ramp)},
        "evaluation_interval": trained.evaluation_interval,
        "evaluation_iterations": trained.evaluation_iterations,
    }


def trained_of(scenario: Scenario) -> Trained:
    """What a scenario trains, as a saved answer holds it."""
    ramp = scenario.training.batch_ramp
    indexed = [source for source in scenario.data if source.index or source.read_index]
    return Trained(
        model=scenario.model,
        data_index=tuple(source.index or source.read_index for source in indexed),
        data_weights=tuple(source.weight for source in indexed) if len(indexed) > 1 else (),
        data_split=next((source.split for source in indexed if source.split), ""),
        batch_ramp=(ramp.start, ramp.increment, ramp.samples) if ramp else (),
        evaluation_interval=scenario.training.evaluation_interval,
        evaluation_iterations=scenario.training.evaluation_iterations,
    )
