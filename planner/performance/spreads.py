"""How wide intervals are: spreads by stack and kind, from errors of predictions by fits that left the runs out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from planner.performance.arrays import FloatArray
from planner.performance.calibration import Calibration
from planner.performance.recipes import has_recipes
from planner.performance.residual import Place
from planner.performance.rows import Run
from planner.performance.stacks import place_of

COVERAGE_Z = 1.2816  # of a normal's central 80 %
WITH_RECIPES = " with recipes"  # what is said of kinds of model on a stack whose recipes are published
# Log spread of a stack never measured, and the whole sources that this judgement counts as. Left out, two sources
# without recipes were off by 0.11 and 0.13 (dense); a third by 0.30 (MoE) before its recipes were known, since then by
# 0.15 (dense: 0.08).
UNSEEN = {"dense": 0.125, "moe": 0.28, "dense" + WITH_RECIPES: 0.075, "moe" + WITH_RECIPES: 0.14}
UNSEEN_SOURCES = 6
DOUBT = 0.33  # of its standard error, that a spread known from few groups is wider by; chosen on the shipped rows
NEW_STACK_ROWS = 6.0  # rows of a new stack that halve the variance of its spread


def spreads(places: Sequence[Place], left_out: Mapping[str, FloatArray]) -> dict[str, dict[str, float]]:
    """Spreads by stack and kind from errors with the configuration, group and model left out; by kind, the source.

    A spread known from G groups (models) is itself known to 1 / sqrt(2 G) only, and wider by a share of that. Models
    count the same there, however many their rows: the next one is one more of them. Of a stack never measured it is the
    mean over the measured ones, whatever their number of rows, and a judgement.
    """
    labels = np.asarray([f"{p.stack}/{p.kind}" for p in places])
    models = np.asarray([p.model for p in places])
    found: dict[str, dict[str, float]] = {"configuration": {}, "group": {}, "model": {}}
    alone: dict[str, list[float]] = {}
    for label in map(str, sorted(set(labels))):
        mine = labels == label
        groups = len({p.group for p, is_mine in zip(places, mine, strict=True) if is_mine})
        for what in ("configuration", "group"):
            found[what][label] = _doubted(spread_of(left_out[what][mine]), groups)
        _, model, rows = np.unique(models[mine], return_inverse=True, return_counts=True)
        new = _doubted(spread_of(left_out["model"][mine], 1.0 / rows[model]), len(rows))
        found["model"][label] = max(new, found["group"][label])
        alone.setdefault(_unseen_label(*label.rsplit("/", 1)), []).append(spread_of(left_out["source"][mine]))
    unseen = {
        kind: (UNSEEN_SOURCES * judged + sum(alone.get(kind, ()))) / (UNSEEN_SOURCES + len(alone.get(kind, ())))
        for kind, judged in UNSEEN.items()
    }
    return {**found, "stack": unseen}


def without(calibration: Calibration, shipped: Calibration, ids: Iterable[str]) -> Calibration:
    """The calibration with spreads that leave out the rows `ids`, too; the other rows' shipped errors stay."""
    out = set(ids)
    judged = shipped.field.places[: len(shipped.left_out["group"])]  # a user's own rows come behind
    keep = np.asarray([p.id not in out for p in judged])
    places = [p for p, kept in zip(judged, keep, strict=True) if kept]
    left = {what: errors[keep] for what, errors in shipped.left_out.items()}
    return replace(calibration, spreads=spreads(places, left))


def with_new_stacks(known: Mapping[str, Mapping[str, float]], runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Spreads of stacks that are not among the known ones: each row narrows them, for new models each model run."""
    out = {kind: dict(by) for kind, by in known.items()}
    models: dict[str, list[str]] = {}
    for run in runs:
        place = place_of(run.setting)
        models.setdefault(f"{place.stack}/{place.kind}", []).append(place.model)
    for label, ran in models.items():
        if label not in known["group"]:
            unseen = unseen_spread(known, *label.rsplit("/", 1))
            near = unseen / float(np.sqrt(1.0 + len(ran) / NEW_STACK_ROWS))
            out["configuration"][label] = out["group"][label] = near
            out["model"][label] = max(near, unseen / float(np.sqrt(1.0 + len(set(ran)))))
    return out


def unseen_spread(known: Mapping[str, Mapping[str, float]], stack: str, kind: str) -> float:
    """The log spread of a stack that was never measured."""
    return known["stack"][_unseen_label(stack, kind)]


def _unseen_label(stack: str, kind: str) -> str:
    return kind + (WITH_RECIPES if has_recipes(stack) else "")


def spread_of(errors: FloatArray, weights: FloatArray | None = None) -> float:
    """The log spread whose central 80 % holds 80 % of these errors (a split-conformal quantile of their size).

    With `weights` (n,), that of their weight.
    """
    size = np.abs(errors)
    if weights is not None:
        order = np.argsort(size)
        reached = np.cumsum(weights[order]) / weights.sum()
        return float(size[order][np.searchsorted(reached, 0.8 - 1e-9)]) / COVERAGE_Z
    n = len(errors)
    level = min(1.0, np.ceil((n + 1) * 0.8) / n)
    return float(np.quantile(size, level)) / COVERAGE_Z


def _doubted(sigma: float, groups: int) -> float:
    """A spread known from so many groups, wider by a share of its own standard error, sigma / sqrt(2 groups)."""
    return sigma * (1.0 + DOUBT / float(np.sqrt(2.0 * groups)))
