"""What each term and each level of the model is worth: taken away, everything fitted anew, rows left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from accuracy_studies import ground, units

from planner.performance.calibration import Calibration
from planner.performance.fitting import Fit, fit
from planner.performance.intervals import UNSEEN, label_spreads
from planner.performance.rates import RateRule
from planner.performance.refit import HOLD, NOISES, held_out
from planner.performance.validation import Judged, interval_score, subset

NONE = 1e-9  # of a term that is taken away


def _rule(model: Calibration, name: str, **changes: Any) -> Calibration:
    return replace(model, rules={**model.rules, name: replace(model.rules[name], **changes)})


def _pinned(*names: str, value: float = NONE) -> Callable[[Calibration], Calibration]:
    def change(model: Calibration) -> Calibration:
        for name in names:
            model = _rule(model, name, prior=value, by=(), sigma=(), means={})
        return model

    return change


def _unlabelled(*labels: str) -> Callable[[Calibration], Calibration]:
    def change(model: Calibration) -> Calibration:
        rules: dict[str, RateRule] = {}
        for name, rule in model.rules.items():
            kept = [(b, s) for b, s in zip(rule.by, rule.sigma, strict=True) if not set(labels) & set(b.split("+"))]
            rules[name] = replace(rule, by=tuple(b for b, _ in kept), sigma=tuple(s for _, s in kept))
        return replace(model, rules=rules)

    return change


def _level(**changes: float) -> Callable[[Calibration], Calibration]:
    def change(model: Calibration) -> Calibration:
        levels = replace(model.levels, **changes)
        return replace(model, levels=levels, field=replace(model.field, levels=levels))

    return change


SWITCHES = ("graphs", "dispatch", "overlap", "eager", "fused", "fp8_attention", "repeated")
#: What is shared by runs, and how rows are weighed: intervals are made anew, too.
LEVELS: Mapping[str, Callable[[Calibration], Calibration]] = {
    "nothing": lambda model: model,
    "smooth field of a stack on a part (`stack_gpu`)": _level(stack_gpu=0.0),
    "field of a model there (`model_gpu`)": _level(model_gpu=0.0),
    "effects of a site (`site`)": _level(site=0.0),
    "more of them for MoE (`site_moe`)": _level(site_moe=0.0),
    "slopes of a site (`site_slope`)": _level(site_slope=0.0),
    "all three of a site": _level(site=0.0, site_moe=0.0, site_slope=0.0),
    "heavy tails (`tails`)": _level(tails=1e9),
    "equal totals (`rows_a_source`)": _level(rows_a_source=1e9),
    "less weight where trust is low (`low_trust`)": _level(low_trust=1.0),
    "rates by stack": _unlabelled("stack"),
    "rates by part": _unlabelled("gpu"),
    "rates by family of parts": _unlabelled("family"),
}
TERMS: Mapping[str, Callable[[Calibration], Calibration]] = {
    "nothing": lambda model: model,
    "half waves (`wave`)": _pinned("wave"),
    "narrow groups (`narrow`)": _pinned("narrow"),
    "heads of no multiple of 8 (`ragged`)": _unlabelled("ragged"),
    "flash attention of the second kind on Hopper and later (`flash2`)": _unlabelled("flash2"),
    "unfused norms and activations (`eager_ops`)": _unlabelled("eager_ops"),
    "reductions behind or after the backward pass (`reduced`)": _unlabelled("reduced"),
    "GPT-NeoX's kernels (`kernels`)": _unlabelled("kernels"),
    "experts with biases (`biased`)": _unlabelled("biased"),
    **{f"recipes: `{name}`": _unlabelled(name) for name in SWITCHES},
    "recipes: all of these": _unlabelled(*SWITCHES),
    "scores in memory (`scores`)": _pinned("scores"),
    "recomputation (`recompute`)": _pinned("recompute"),
    "memory-bound operations (`pointwise`)": _pinned("pointwise"),
    "permutation of tokens (`routing`)": _pinned("routing"),
    "logits and loss (`loss`)": _pinned("loss"),
    "host time of layers (`host_layer`)": _pinned("host_layer"),
    "host time of MoE layers (`host_moe`)": _pinned("host_moe"),
    "host time of experts (`host_expert`)": _pinned("host_expert"),
    "constant a micro-batch (`micro_batch`)": _pinned("micro_batch"),
    "constant a step (`step`)": _pinned("step"),
    "optimizer (`optimizer`)": _pinned("optimizer"),
    "tensor-parallel traffic (`tensor`)": _pinned("tensor"),
    "context-parallel ring (`context`)": _pinned("context"),
    "exchange of experts (`expert_exchange`)": _pinned("expert_exchange"),
    "pipeline messages (`pipeline`)": _pinned("pipeline"),
    "gradient traffic (`data`)": _pinned("data"),
    "weight traffic of FSDP and ZeRO 3 (`shard`)": _pinned("shard"),
    "a fitted rate of the network (`network`)": lambda model: _rule(model, "network", by=(), sigma=(), means={}),
}
CHANGES = {"levels": LEVELS, "terms": TERMS}


def taken_away(task: tuple[str, str]) -> dict[str, Any]:
    """Median errors by source and way with one thing taken away; of levels also what intervals hold and score."""
    kind, name = task
    here = ground()
    prior = CHANGES[kind][name](here.prior)
    found = fit(here.runs, prior, here.shipped)
    sources = units(range(len(here.runs)), False)
    result: dict[str, Any] = {}
    for way in ("site", "stack", "part", "group"):
        held = held_out(found, prior, way)
        ape = np.abs(np.exp(-held.errors) - 1.0)
        result[way] = {s: round(float(np.median(ape[list(rows)])), 4) for s, rows in sources.items()}
    return result | (_intervals(found, prior) if kind == "levels" else {})


def _intervals(found: Fit, prior: Calibration) -> dict[str, float]:
    """With the spreads of this fit's own model: the factor by which 80 % of sites left out hold, and the score then."""
    here = ground()
    spreads = label_spreads(found.places, found.covariance) | {
        **{name: prior.spreads[name] for name in (*NOISES, UNSEEN)},
        "scale": 1.0,
    }
    held = held_out(found, replace(prior, spreads=spreads), "site")
    one = Judged(here.runs, held.errors, held.sigma(here.runs), "site")
    sources = list(units(range(len(here.runs)), False).values())

    def each(factor: float, figure: Callable[[Judged], Any]) -> float:
        scaled = replace(one, sigma=factor * one.sigma)
        return float(np.mean([figure(subset(scaled, rows)).mean() for rows in sources]))

    low, high = 0.2, 20.0
    for _ in range(25):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if each(middle, lambda part: part.inside) >= HOLD else (middle, high)
    return {"factor": round(high, 3), "score": round(each(high, interval_score), 4)}


def ablation() -> dict[str, dict[str, Any]]:
    """By kind ("levels", "terms") and by what was taken away."""
    tasks = [(kind, name) for kind, changes in CHANGES.items() for name in changes]
    found: dict[str, dict[str, Any]] = {kind: {} for kind in CHANGES}
    ground()
    with ProcessPoolExecutor() as pool:
        for (kind, name), result in zip(tasks, pool.map(taken_away, tasks), strict=True):
            found[kind][name] = result
            print(kind, name, round(float(np.mean(list(result["site"].values()))), 4), flush=True)
    return found
