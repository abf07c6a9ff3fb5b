"""How narrow short runs leave a decision for the GPU-hours that they cost: chosen by `planner probe`, or otherwise.

Two grounds. *Simulated sites*: decisions of several models and budgets, each met by sites that are drawn from the
shipped fit's own population (parameters, field and site effects together, tailed noise). *Published sweeps*: of each
source its site is left out, its runs on more GPUs are what is asked for, its shorter ones may be measured.

Compared with picks at random from the same runs, and with the plan itself on the fewest machines that hold it; all may
spend what the latter costs. Measures, of ln(step time) of what is asked for: the interval that is stated and the error
that is made, at equal GPU-hours spent, and on the mean over the GPU-hours on the way there (the area under the curve);
and the GPU-hours in which the chooser leaves the interval that the other way leaves. Ratios are geometric means over
pairs, their 95 % intervals bootstrapped over decisions or sources, whole.

Run it: python benchmarks/probe.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
from accuracy_studies import alike, ground, predicted

import planner
from planner.api.probing import _plans
from planner.catalog import Catalog
from planner.interop.probes import START_S, Probe, probes_of, run_of
from planner.performance.arrays import FloatArray
from planner.performance.calibration import Calibration
from planner.performance.memory import capacity_gib
from planner.performance.next_runs import choose, measured, posterior
from planner.performance.overlays import known_runs
from planner.performance.rows import Run
from planner.performance.stacks import kind_of
from planner.results.answers import Trained
from planner.results.plan import Plan
from planner.search.probing import Decision, Value, scaled

SITES = 200
RESAMPLED = 2000
MODELS = ("pythia-12b", "gpt-neox-20b", "llama2-13b", "llama3-8b", "mixtral-8x7b")
GPUS = ("a100-sxm4-80gb", "h100-sxm5-80gb")
DAYS = (7, 21)
NEAR_GPUS = 32  # of a published run that may be measured: four nodes
STEPS = 30


@dataclass(frozen=True)
class Case:
    """A decision: all runs' joint covariance with what is asked for first, hours and the chooser's order."""

    name: str
    spread: FloatArray  # (1 + m, 1 + m)
    own: float
    noise: float
    hours: FloatArray  # (m,)
    smallest: int  # which of the runs is the plan itself on the fewest machines
    next_run: Callable[
        [Sequence[int], Sequence[int], bool], int
    ]  # of the affordable ones, given what is known; a price

    def left(self, spread: FloatArray) -> float:
        return float(np.hypot(self.own, np.sqrt(max(spread[0, 0], 0.0))))


# ---- simulated sites ---------------------------------------------------------------------------------------------


def decision(model: str, gpu: str, days: int) -> Case | None:
    """One decision, with the short runs that stand for its plan; None where it has no plan or only one such run."""
    scenario = planner.load_scenario(
        {
            "name": f"{model} {gpu} {days} days",
            "model": model,
            "data": {"tokens": "200B tokens", "seq_length": 2048 if "pythia" in model or "neox" in model else 4096},
            "training": {
                "framework": "gpt-neox" if model in MODELS[:2] else "megatron",
                "global_batch": 1024,
                "epochs": 1,
            },
            "budget": {"time": f"{days} days"},
            "cluster": {"gpus": [gpu]},
        }
    )
    facts = planner.load_facts()
    answer, plans = _plans(scenario, (), (), facts)
    plan, trained = answer.plan, answer.trained
    if plan is None or trained is None or answer.goal is None:
        return None
    probes = probes_of(plan, trained, *facts)
    whole = smallest(plan, trained, facts)
    if len(probes) < 2 or whole is None:
        return None
    probes = [*probes, whole]
    runs = [run_of(each, trained.model, facts[0]) for each in plans]
    calibration = facts[1]
    weighed = Decision.of(plans, answer.goal)
    joint = posterior([*runs, *(p.run for p in probes)], known_runs(()), calibration)
    noise_of = "noise moe" if kind_of(trained.model) == "moe" else "noise"
    own = min(calibration.spreads["scale"] * calibration.spreads[noise_of], 0.9 * float(weighed.step.min()))
    value = Value(weighed, scaled(joint, weighed.step, own), own)
    now, n = value.now(), len(plans)
    hours = np.asarray([p.gpu_hours for p in probes])
    usd = np.asarray([p.usd for p in probes])

    def next_run(known: Sequence[int], open_: Sequence[int], a_price: bool) -> int:
        spread = value.spread.copy()
        for run in known:
            measured(spread, n + run, calibration.levels.noise)
        at = n + np.asarray(open_)
        gains = value.gains(at, now)(spread, calibration.levels.noise)
        before = value.worth(spread[:n, :n]).total(now)
        return int(np.argmax((gains - before) / (usd[np.asarray(open_)] if a_price else 1.0)))

    keep = [0, *range(n, n + len(probes))]
    return Case(
        scenario.name, value.spread[np.ix_(keep, keep)], own, calibration.levels.noise, hours, len(probes) - 1, next_run
    )


def smallest(plan: Plan, trained: Trained, facts: tuple[Catalog, Calibration]) -> Probe | None:
    """The plan itself on the fewest machines that hold it: all layers, its tensor, pipeline and batch a GPU."""
    from planner.interop.probes import _cut, _memory, _timed
    from planner.performance.refit import step_seconds

    catalog, calibration = facts
    layout = plan.layout
    each = plan.offer.gpus_per_node or 8
    block = layout.tp * layout.cp * layout.pp
    for dp in range(1, layout.dp + 1):
        if (dp * block) % each and dp * block > each:
            continue
        made = _cut(plan, trained, replace(layout, dp=dp), -(-dp * block // each), trained.model.layers)
        if made is None:
            continue
        run = run_of(made[0], made[1].model, catalog)
        held = _memory(run)
        if held is not None and held <= capacity_gib(run.setting):
            step = float(step_seconds([run], calibration)[0])
            return Probe(_timed(made[0], step), made[1], made[1].model.layers, run, step, held)
    return None


# ---- strategies ----------------------------------------------------------------------------------------------------

Curve = list[tuple[float, list[int]]]  # GPU-hours spent, and what is measured by then


def spend(case: Case, budget: float, pick: Callable[[list[int], list[int]], int | None]) -> Curve:
    """Runs one after another while the budget holds one."""
    curve: Curve = [(0.0, [])]
    spent, known = 0.0, list[int]()
    while True:
        open_ = [i for i, h in enumerate(case.hours) if i not in known and spent + h <= budget * (1 + 1e-9)]
        at = pick(known, open_) if open_ else None
        if at is None:
            return curve
        known = [*known, at]
        spent += float(case.hours[at])
        curve.append((spent, known))


def strategies(case: Case, budget: float, rng: np.random.Generator) -> dict[str, Curve]:
    """What each way of picking measures for this many GPU-hours."""
    ways = [
        spend(case, budget, lambda known, open_, way=way: open_[case.next_run(known, open_, way)])  # type: ignore[misc]
        for way in (True, False)
    ]
    return {
        "for its price": ways[0],
        "probe": min(ways, key=lambda curve: case.left(knowledge(case, curve[-1][1])[1])),
        "random": spend(case, budget, lambda _, open_: int(rng.choice(open_))),
        "itself": spend(case, budget, lambda known, _: None if known else case.smallest),
    }


def cheapest(case: Case, width: float) -> float:
    """GPU-hours of the cheapest one or two runs that leave no more than this interval; those of all where none do."""
    sets = [(i,) for i in range(len(case.hours))] + list(combinations(range(len(case.hours)), 2))
    sets.sort(key=lambda some: float(case.hours[list(some)].sum()))
    enough = (some for some in sets if case.left(knowledge(case, some)[1]) <= 1.001 * width)
    some = next(enough, tuple(range(len(case.hours))))
    return float(case.hours[list(some)].sum())


def hours(case: Case, curves: Mapping[str, Curve]) -> dict[str, float]:
    """GPU-hours in which the chooser leaves what each way left, over those that this way spent."""
    return {
        way: cheapest(case, case.left(knowledge(case, curve[-1][1])[1])) / curve[-1][0]
        for way, curve in curves.items()
        if curve[-1][1]
    }


def knowledge(case: Case, known: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """(weights of what was measured in the mean of what is asked for, the covariance left)."""
    if not known:
        return np.zeros(0), case.spread
    at = 1 + np.asarray(known)
    total = case.spread[np.ix_(at, at)] + case.noise**2 * np.eye(len(at))
    weights = np.linalg.solve(total, case.spread[at, 0])
    return weights, case.spread - case.spread[:, at] @ np.linalg.solve(total, case.spread[at])


def area(curve: Curve, value: Sequence[float], budget: float) -> float:
    """The mean of a value that holds from each point of the curve to the next, over the budget."""
    ends = [*(hours for hours, _ in curve[1:]), budget]
    return sum(v * (end - start) for v, (start, _), end in zip(value, curve, ends, strict=True)) / budget


def simulated() -> tuple[list[str], list[dict[str, dict[str, float]]]]:
    """Every simulated site: its decision, and by way of picking the measures."""
    cases = [case for each in product(MODELS, GPUS, DAYS) if (case := decision(*each)) is not None]
    rng = np.random.default_rng(26)
    names, found = [], []
    for number in range(SITES):
        case = cases[number % len(cases)]
        budget = float(case.hours[case.smallest])
        truth = rng.multivariate_normal(np.zeros(len(case.spread)), case.spread, method="eigh")
        noise = case.noise * rng.standard_t(2, len(case.spread))
        off_self = case.own * rng.standard_normal()
        site = {}
        curves = strategies(case, budget, rng)
        saved = hours(case, curves)
        for name, curve in curves.items():
            widths, errors = [], []
            for _, known in curve:
                weights, left = knowledge(case, known)
                shown = (truth + noise)[1 + np.asarray(known, dtype=int)]
                widths.append(case.left(left))
                errors.append(abs(truth[0] + off_self - float(weights @ shown)))
            site[name] = {
                "interval": widths[-1], "error": errors[-1], "interval, on the way": area(curve, widths, budget),
                "error, on the way": area(curve, errors, budget), "hours": curve[-1][0],
                "saved": saved.get(name, 1.0),
            }  # fmt: skip
        names.append(case.name)
        found.append(site)
    return names, found


# ---- published sweeps --------------------------------------------------------------------------------------------


def sweep_case(source: str, rows: Sequence[int], target: int) -> Case | None:
    """One published run to be predicted, and the shorter ones of its source that might be measured for it."""
    here = ground()
    asked = here.runs[target]
    cands = [i for i in rows if i != target and here.runs[i].gpus <= min(NEAR_GPUS, asked.gpus // 2)]
    same = [i for i in cands if here.runs[i].setting.model.name == asked.setting.model.name]
    if len(cands) < 3 or not same:
        return None
    out = alike(("site",), target)
    model = here.found.calibration(here.prior, out)
    gone = set(out.tolist())
    known = [r for i, r in enumerate(here.runs) if i not in gone]
    joint = posterior([asked, *(here.runs[i] for i in cands)], known, model)
    hours = np.asarray([_hours(here.runs[i]) for i in cands])

    def next_run(done: Sequence[int], open_: Sequence[int], a_price: bool) -> int:
        spread = joint.copy()
        for run in done:
            measured(spread, 1 + run, model.levels.noise)
        at = 1 + np.asarray(open_)

        def gains(now: FloatArray, noise: float) -> FloatArray:
            taught = now[0, at] ** 2 / (now[at, at] + noise**2)
            return np.asarray(np.sqrt(now[0, 0]) - np.sqrt(np.maximum(now[0, 0] - taught, 0.0)))

        price = 1e-9 * hours[np.asarray(open_)]
        picks = choose(spread, at, model.levels.noise, gains, 1, price, a_price=a_price)
        return picks[0].index if picks else 0

    fewest = min(same, key=lambda i: (here.runs[i].gpus, _hours(here.runs[i])))
    case = Case(source, joint, 0.0, model.levels.noise, hours, cands.index(fewest), next_run)
    _ROWS[id(case)] = (target, tuple(cands))
    return case


_ROWS: dict[int, tuple[int, tuple[int, ...]]] = {}


def _hours(run: Run) -> float:
    return run.gpus * (START_S + STEPS * run.step_s) / 3600.0


def swept() -> tuple[list[str], list[dict[str, dict[str, float]]]]:
    """Every published run that shorter ones of its source stand beside."""
    here = ground()
    by_source: dict[str, list[int]] = {}
    for i, run in enumerate(here.runs):
        by_source.setdefault(run.source, []).append(i)
    rng = np.random.default_rng(27)
    names, found = [], []
    for source, rows in sorted(by_source.items()):
        for target in rows:
            case = sweep_case(source, rows, target)
            if case is None:
                continue
            budget = float(case.hours[case.smallest])
            at, cands = _ROWS[id(case)]
            site = {}
            curves = strategies(case, budget, rng)
            saved = hours(case, curves)
            for name, curve in curves.items():
                judged = [predicted([at], [cands[i] for i in known], ("site",)) for _, known in curve]
                widths = [float(j.sigma[0]) for j in judged]
                errors = [abs(float(np.log(j.throughput_ratio[0]))) for j in judged]
                site[name] = {
                    "interval": widths[-1], "error": errors[-1], "interval, on the way": area(curve, widths, budget),
                    "error, on the way": area(curve, errors, budget), "hours": curve[-1][0],
                "saved": saved.get(name, 1.0),
                }  # fmt: skip
            names.append(source)
            found.append(site)
    return names, found


# ---- figures -----------------------------------------------------------------------------------------------------


def ratios(names: Sequence[str], found: Sequence[Mapping[str, Mapping[str, float]]], other: str, key: str) -> str:
    """The geometric mean of probe over another way, and its bootstrapped 95 % interval by decision or source.

    On the way it takes first what gains most for its price; at the end it has the better of that and what gains most.
    """
    mine = "for its price" if key.endswith("way") else "probe"
    least = 1e-3  # of an error: closer than a tenth of a per cent nobody can tell
    return ratio(names, [max(s[mine][key], least) / max(s[other][key], least) for s in found])


def ratio(names: Sequence[str], each: Sequence[float]) -> str:
    """The geometric mean of ratios, and its bootstrapped 95 % interval."""
    logs = np.log(np.asarray(each))
    groups = {n: np.flatnonzero([m == n for m in names]) for n in dict.fromkeys(names)}
    means = np.asarray([logs[at].mean() for at in groups.values()])
    rng = np.random.default_rng(28)
    drawn = means[rng.integers(0, len(means), (RESAMPLED, len(means)))].mean(axis=1)
    low, high = np.exp(np.quantile(drawn, (0.025, 0.975)))
    return f"{np.exp(means.mean()):.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Print the figures of both grounds."""
    for title, ran in (("simulated sites", simulated), ("published sweeps", swept)):
        names, found = ran()
        print(f"{title}: {len(found)} pairs of {len(set(names))} decisions or sources")
        for other in ("random", "itself"):
            for key in ("interval", "interval, on the way", "error", "error, on the way"):
                print(f"  {key:24} probe / {other:8} {ratios(names, found, other, key)}")
        for other in ("random", "itself"):
            print(
                f"  {'GPU-hours, same interval':24} probe / {other:8} "
                f"{ratio(names, [s[other]['saved'] for s in found])}"
            )
        for way in ("probe", "random", "itself"):
            spent = np.mean([s[way]["hours"] for s in found])
            print(f"  {way:8} spends {spent:6.2f} GPU-hours on the mean")


if __name__ == "__main__":
    main()
