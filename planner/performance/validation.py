"""Predicted against measured: rows predicted by calibrations that never saw them, and what that says of the model."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from planner.catalog import load_catalog
from planner.performance.arrays import BoolArray, FloatArray
from planner.performance.calibration import Calibration
from planner.performance.intervals import spread
from planner.performance.learning import (
    KEYS,
    held_out,
    log_errors,
    measured_files,
    read_runs,
    sort_runs,
    uncalibrated,
)
from planner.performance.rows import Run
from planner.performance.spreads import without
from planner.performance.stacks import kind_of, release_year
from planner.units import PlannerError

CENTRAL = (0.1, 0.9)  # the 80 % interval
WORST = 10  # rows that a report names
LEAVE_OUT = ("configuration", "row", "group", "model", "source", "none")


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
    paths: Sequence[Path], shipped: Calibration, leave_out: str = "configuration", overlays: Sequence[Path] = ()
) -> Judged:
    """The runs of these tables, each predicted without what `leave_out` names.

    Parameters
    ----------
    paths : tables of measured rows, as in catalogs/measured
    shipped : the calibration; its rows are what everything is refitted on
    leave_out : configuration | row | group | model | source | none

    Raises
    ------
    PlannerError
        If a table cannot be read or `leave_out` is none of these.
    """
    asked, unreadable = sort_runs(paths, overlays)
    if unreadable and not asked:
        raise PlannerError(next(iter(unreadable.values())))
    if not asked:
        raise PlannerError(f"{', '.join(p.name for p in paths)}: no row states tokens_per_s_per_gpu to compare with")
    known = read_runs(measured_files(overlays), overlays)
    if leave_out not in LEAVE_OUT:
        raise PlannerError(f"--leave-out '{leave_out}' is none of {', '.join(LEAVE_OUT)}")
    if leave_out == "none":
        return Judged(
            tuple(asked), log_errors(asked, shipped), _sigma(asked, [shipped] * len(asked)), leave_out, unreadable
        )
    key = _KEYS[leave_out]
    held = held_out(known, uncalibrated(load_catalog(tuple(overlays)).curves), key, asked)
    ids: dict[Hashable, set[str]] = {}
    for run in known:
        ids.setdefault(key(run), set()).add(run.id)
    honest = {k: without(c, shipped, ids.get(k, ())) for k, c in held.calibrations.items()}
    return Judged(tuple(asked), held.errors, _sigma(asked, [honest[k] for k in held.keys]), leave_out, unreadable)


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


def _sigma(runs: Sequence[Run], calibrations: Sequence[Calibration]) -> FloatArray:
    found = [spread(r.setting, np.asarray([r.gpus]), c).sigma[0] for r, c in zip(runs, calibrations, strict=True)]
    return np.asarray(found)


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


def _row_key(run: Run) -> Hashable:
    return (run.source, run.configuration, run.setting.release, run.gpus)


_KEYS: Mapping[str, Callable[[Run], Hashable]] = {**KEYS, "row": _row_key}
_GROUPINGS: Mapping[str, Callable[[Run], str]] = {
    "source": lambda r: f"{r.source} {kind_of(r.setting.model)}",
    "accelerator": lambda r: r.setting.accelerator.id,
    "model": lambda r: r.setting.model.name,
    "precision": lambda r: r.setting.precision,
}


def _round(value: float, digits: int = 4) -> float:
    return round(float(value), digits)
