"""Predicted against measured: rows predicted by calibrations that never saw them, and what that says of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from planner.catalog import load_catalog
from planner.performance.arrays import BoolArray, FloatArray
from planner.performance.calibration import Calibration
from planner.performance.fitting import fit
from planner.performance.intervals import spread
from planner.performance.mixture import both, is_open, mix
from planner.performance.refit import (
    KEYS,
    NAMELESS,
    held_out,
    log_errors,
    measured_files,
    read_runs,
    sort_runs,
    uncalibrated,
)
from planner.performance.rows import Run
from planner.performance.stacks import kind_of, release_year
from planner.units import PlannerError
from planner.words import say

CENTRAL = (0.1, 0.9)  # the 80 % interval
MANY = 8  # rows from which a source's coverage is looked at by itself
WORST = 10  # rows that a report names
LEAVE_OUT = (*KEYS, "none")


@dataclass(frozen=True, slots=True)
class Judged:
    """Measured rows and what was predicted of them, (n,) each."""

    runs: tuple[Run, ...]
    errors: FloatArray  # ln(predicted / measured step time)
    sigma: FloatArray  # the spread that was stated, log
    leave_out: str
    unreadable: Mapping[str, str] = field(default_factory=dict)  # why, by FILE:ROW

    @property
    def throughput_ratio(self) -> FloatArray:
        """Predicted / measured tokens a second."""
        return np.asarray(np.exp(-self.errors))

    @property
    def inside(self) -> BoolArray:
        """Whether the measurement lay in the stated 80 % interval."""
        low, high = spread_bounds(self.sigma)
        return np.asarray((-self.errors >= low) & (-self.errors <= high))


def spread_bounds(sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Logarithms of the factors that bound the central 80 % of measured / predicted step time."""
    from statistics import NormalDist

    low, high = (NormalDist().inv_cdf(p) for p in CENTRAL)
    return low * sigma, high * sigma


def judge(
    paths: Sequence[Path],
    shipped: Calibration,
    leave_out: str = "configuration",
    overlays: Sequence[Path] = (),
    *,
    refit: bool = False,
) -> Judged:
    """The runs of these tables, each predicted without what `leave_out` names.

    Parameters
    ----------
    paths : tables of measured rows, as in catalogs/measured
    shipped : the calibration; its values are where the fit of all known rows starts from
    leave_out : a name of `learning.KEYS`, or none
    refit : fit all others anew for each that is left out, where otherwise the common fit is solved without it

    Raises
    ------
    PlannerError
        If a table cannot be read or `leave_out` is none of these.
    """
    runs, unreadable = sort_runs(paths, overlays)
    if unreadable and not runs:
        raise PlannerError(next(iter(unreadable.values())))
    if not runs:
        raise PlannerError(say("validation.no_throughput", files=[p.name for p in paths]))
    if leave_out not in LEAVE_OUT:
        raise PlannerError(say("validation.leave_out", found=leave_out, known=list(LEAVE_OUT)))
    if leave_out == "none":
        sigma = np.asarray([spread(r.setting, np.asarray([r.gpus]), shipped).sigma[0] for r in runs])
        judged = Judged(tuple(runs), log_errors(runs, shipped), sigma, leave_out, unreadable)
        return _mixed(judged, [shipped] * len(runs))
    prior = replace(uncalibrated(load_catalog(tuple(overlays)).curves), spreads=shipped.spreads)
    found = fit(read_runs(measured_files(overlays), overlays), prior, shipped)
    held = held_out(found, prior, leave_out, runs, refit=refit)
    judged = Judged(tuple(runs), held.errors, held.sigma(runs), leave_out, unreadable)
    return _mixed(judged, [held.calibrations[key] for key in held.keys])


def _mixed(judged: Judged, calibrations: Sequence[Calibration]) -> Judged:
    """The same, with rows that leave something open predicted over what is plausible (`mixture`)."""
    errors, sigma, runs = judged.errors.copy(), judged.sigma.copy(), list(judged.runs)
    for i, (run, calibration) in enumerate(zip(judged.runs, calibrations, strict=True)):
        if not is_open(run):
            continue
        model = replace(run.setting.model, name="") if judged.leave_out in NAMELESS else run.setting.model
        found = mix(replace(run, setting=replace(run.setting, model=model)), calibration)
        if found is not None:
            errors[i] = found.mean + np.log(run.tokens_per_s_per_gpu or np.nan)
            sigma[i] = np.hypot(sigma[i], found.sigma)
            remark = say("mixture.over_plausible", what=both(found.what))
            runs[i] = replace(run, assumed=(*run.assumed, remark))
    return replace(judged, runs=tuple(runs), errors=errors, sigma=sigma)


def report(judged: Judged) -> dict[str, Any]:
    """The figures of `planner validate --json`: fractions, errors of tokens a second."""
    ratio, ape = judged.throughput_ratio, np.abs(judged.throughput_ratio - 1.0)
    order = np.argsort(-ape, kind="stable")[:WORST]
    return {
        "schema_version": 1,
        "rows": len(judged.runs),
        "predicted": int(np.isfinite(ratio).sum()),
        "unreadable": [{"id": place, "why": why} for place, why in judged.unreadable.items()],
        "leave_out": judged.leave_out,
        "mdape": _round(np.median(ape)),
        "mape": _round(ape.mean()),
        "p90_ape": _round(np.quantile(ape, 0.9)),
        "bias": _round(np.median(ratio) - 1.0),
        "coverage80": _round(judged.inside.mean()),
        "by_source": by_source(judged),
        "regret": regret(judged),
        "by": [
            {"by": name, "group": group, **figures}
            for name, label in _GROUPINGS.items()
            for group, figures in _figures_by(judged, label)
        ],
        "worst": [
            {
                "id": judged.runs[i].id,
                "model": judged.runs[i].model_name,
                "gpu": judged.runs[i].setting.accelerator.id,
                "gpus": judged.runs[i].gpus,
                "release": judged.runs[i].setting.release,
                "measured_tokens_per_s_per_gpu": judged.runs[i].tokens_per_s_per_gpu,
                "predicted_tokens_per_s_per_gpu": _round((judged.runs[i].tokens_per_s_per_gpu or 0.0) * ratio[i], 1),
                "error": _round(ratio[i] - 1.0),
            }
            for i in order
        ],
    }


def by_source(judged: Judged) -> dict[str, Any]:
    """Each source counting once, whatever its rows: medians over sources of their medians, means of their coverage.

    `under_half`: sources of at least `MANY` rows of which the intervals hold less than half; `interval_score` is
    Winkler's, of ln(tokens/s) at 80 %, smaller is better (Gneiting & Raftery 2007, JASA 102, section 6.2).
    """
    names = sorted({r.source for r in judged.runs})
    parts = [subset(judged, [i for i, r in enumerate(judged.runs) if r.source == name]) for name in names]
    figures = [(np.abs(p.throughput_ratio - 1.0), p.throughput_ratio - 1.0, p.inside.mean()) for p in parts]
    many = [held for p, (_, _, held) in zip(parts, figures, strict=True) if len(p.runs) >= MANY]
    return {
        "sources": len(parts),
        "mdape": _round(np.median([np.median(off) for off, _, _ in figures])),
        "mean_mdape": _round(np.mean([np.median(off) for off, _, _ in figures])),
        "bias": _round(np.median([np.median(signed) for _, signed, _ in figures])),
        "coverage80": _round(np.mean([held for _, _, held in figures])),
        "under_half": sum(bool(held < 0.5) for held in many),
        "of_many": len(many),
        "interval_score": _round(np.mean([np.mean(interval_score(p)) for p in parts])),
    }


def interval_score(judged: Judged) -> FloatArray:
    """Winkler's score of each row's 80 % interval of ln(step time), (n,)."""
    low, high = spread_bounds(judged.sigma)
    miss = np.maximum(low + judged.errors, 0.0) + np.maximum(-judged.errors - high, 0.0)
    return np.asarray(high - low + 2.0 / (1.0 - (CENTRAL[1] - CENTRAL[0])) * miss)


def contests(judged: Judged) -> list[list[int]]:
    """Rows that answer one question differently: same model, accelerator, GPUs, batch and sequence, several layouts."""
    sets: dict[tuple[object, ...], list[int]] = {}
    for i, r in enumerate(judged.runs):
        key = (r.source, r.model_name, r.setting.accelerator.id, r.gpus, round(r.step_tokens), r.setting.seq_length)
        sets.setdefault(key, []).append(i)
    return [rows for rows in sets.values() if len({judged.runs[i].configuration for i in rows}) > 1]


def regret(judged: Judged) -> dict[str, Any]:
    """How much slower the layout ranked first measured than the fastest one, over `contests`; and its own error.

    A layout that ran in several releases counts once, in its newest: a release is nothing that one chooses.
    """
    lost, first = [], []
    for rows in contests(judged):
        newest: dict[tuple[object, ...], int] = {}
        for i in sorted(rows, key=lambda i: release_year(judged.runs[i].setting.release) or 0.0):
            newest[judged.runs[i].configuration] = i
        choice = list(newest.values())
        measured = np.asarray([judged.runs[i].step_s for i in choice])
        best = int(np.argmin(measured * np.exp(judged.errors[choice])))
        lost.append(measured[best] / measured.min() - 1.0)
        first.append(choice[best])
    if not lost:
        return {"contests": 0, "mean": None, "worst": None, "first_bias": None, "first_coverage80": None}
    return {
        "contests": len(lost),
        "mean": _round(np.mean(lost)),
        "worst": _round(np.max(lost)),
        "first_bias": _round(np.median(judged.throughput_ratio[first]) - 1.0),
        "first_coverage80": _round(judged.inside[first].mean()),
    }


def subset(judged: Judged, rows: Iterable[int]) -> Judged:
    """Some of the rows, in their order."""
    index = list(rows)
    return replace(
        judged,
        runs=tuple(judged.runs[i] for i in index),
        errors=judged.errors[index],
        sigma=judged.sigma[index],
    )


def _figures_by(judged: Judged, label: Callable[[Run], str]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    labels = [label(r) for r in judged.runs]
    for group in sorted(set(labels)):
        part = subset(judged, [i for i, other in enumerate(labels) if other == group])
        ape = np.abs(part.throughput_ratio - 1.0)
        yield (
            group,
            {
                "rows": len(part.runs),
                "mdape": _round(np.median(ape)),
                "p90_ape": _round(np.quantile(ape, 0.9)),
                "bias": _round(np.median(part.throughput_ratio) - 1.0),
                "coverage80": _round(part.inside.mean()),
            },
        )


_GROUPINGS: Mapping[str, Callable[[Run], str]] = {
    "source": lambda r: f"{r.source} {kind_of(r.setting.model)}",
    "accelerator": lambda r: r.setting.accelerator.id,
    "model": lambda r: r.setting.model.name,
    "precision": lambda r: r.setting.precision,
}


def _round(value: float, digits: int = 4) -> float:
    return round(float(value), digits)
