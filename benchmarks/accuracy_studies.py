"""What docs/accuracy.md is made of: rows left out, and runs of one's own given.

Each figure is of rows that the fit in question did not see. `left_out` solves the common fit without them (what
`planner validate` does); `refits` fits anew, on all cores.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # many small fits: threads only get in each other's way

from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import combinations
from typing import Any

import numpy as np

from planner.catalog import load_catalog
from planner.performance.arrays import FloatArray, IntArray
from planner.performance.calibration import Calibration
from planner.performance.fitting import Fit, fit
from planner.performance.intervals import spread
from planner.performance.loading import load_calibration
from planner.performance.next_runs import next_runs
from planner.performance.refit import (
    KEYS,
    held_out,
    learn,
    log_errors,
    measured_files,
    read_runs,
    uncalibrated,
)
from planner.performance.rows import Run
from planner.performance.stacks import kind_of
from planner.performance.validation import Judged

WAYS = ("configuration", "group", "model", "source", "site", "stack", "part")
REFITTED = ("source", "site", "stack", "part")  # few enough to fit anew for each
OWN = (0, 1, 3, 10)  # rows of one's own
DRAWS = 6  # of them, for each source
MANY, ENOUGH = 20, 12  # rows of a source whose own rows are studied by itself, and for the first page

#: What is not known of a run: nobody's runs share any of these labels with it.
SITUATIONS: Mapping[str, tuple[str, ...]] = {
    "stack and part known": ("site",),
    "stack known, part not": ("site", "part"),
    "part known, stack not": ("site", "stack"),
    "neither known": ("site", "stack", "part"),
}


@dataclass(frozen=True)
class Ground:
    """The rows, what they start from, and the fit of them all."""

    runs: tuple[Run, ...]
    prior: Calibration  # with the spreads in use
    shipped: Calibration
    found: Fit

    @cached_property
    def labels(self) -> Mapping[str, IntArray]:
        """By way of leaving out, a number for what each row would be left out with."""
        found = {}
        for way in WAYS:
            codes: dict[Hashable, int] = {}
            found[way] = np.asarray([codes.setdefault(KEYS[way](r), len(codes)) for r in self.runs])
        return found


@cache
def ground() -> Ground:
    """Read and fitted once a process."""
    runs, shipped = tuple(read_runs(measured_files())), load_calibration()
    prior = replace(uncalibrated(load_catalog().curves), spreads=shipped.spreads)
    return Ground(runs, prior, shipped, fit(runs, prior, shipped))


# ---- rows left out -----------------------------------------------------------------------------------------------


def left_out(way: str, ask: Sequence[int] | None = None) -> Judged:
    """The rows (or those of index `ask`), each predicted without its like, by the common fit solved without them."""
    here = ground()
    asked = here.runs if ask is None else tuple(here.runs[i] for i in ask)
    held = held_out(here.found, here.prior, way, asked)
    return Judged(asked, held.errors, held.sigma(asked), way)


def all_left_out() -> dict[str, Judged]:
    """All rows, in all ways."""
    ground()  # processes that are forked from here have it
    with ProcessPoolExecutor() as pool:
        return dict(zip(WAYS, pool.map(left_out, WAYS), strict=True))


def _sigma(runs: Sequence[Run], calibration: Calibration) -> FloatArray:
    return np.asarray([spread(r.setting, np.asarray([r.gpus]), calibration).sigma[0] for r in runs])


def _without(out: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """Errors and spreads of these rows by a fit of all others."""
    here = ground()
    gone = set(out)
    other = learn([r for i, r in enumerate(here.runs) if i not in gone], here.prior)
    asked = [here.runs[i] for i in out]
    return log_errors(asked, other).tolist(), _sigma(asked, other).tolist()


def refits() -> dict[str, Judged]:
    """The rows, each predicted by a fit that never saw its source, site, stack or part."""
    here = ground()
    sets = {
        way: [tuple(np.flatnonzero(here.labels[way] == k).tolist()) for k in range(here.labels[way].max() + 1)]
        for way in REFITTED
    }
    different = sorted({out for outs in sets.values() for out in outs}, key=len)
    with ProcessPoolExecutor() as pool:
        fitted = dict(zip(different, pool.map(_without, different), strict=True))
    found = {}
    for way, outs in sets.items():
        errors, sigma = np.zeros(len(here.runs)), np.zeros(len(here.runs))
        for out in outs:
            errors[list(out)], sigma[list(out)] = fitted[out]
        found[way] = Judged(here.runs, errors, sigma, way)
    return found


# ---- runs of one's own -------------------------------------------------------------------------------------------


def alike(ways: Sequence[str], i: int) -> IntArray:
    """Rows that share any of these labels with row i."""
    labels = ground().labels
    return np.flatnonzero(np.any([labels[way] == labels[way][i] for way in ways], axis=0))


def predicted(asked: Sequence[int], given: Sequence[int], ways: Sequence[str]) -> Judged:
    """These rows, by a fit to which nothing is known that shares a label of `ways`, but for the rows that are given."""
    here = ground()
    sets: dict[tuple[int, ...], list[int]] = {}
    for i in asked:
        out = tuple(j for j in alike(ways, i).tolist() if j not in set(given))
        sets.setdefault(out, []).append(i)
    errors, sigma = {}, {}
    for out, rows in sets.items():
        model = here.found.calibration(here.prior, np.asarray(out))
        runs = [here.runs[i] for i in rows]
        errors |= dict(zip(rows, log_errors(runs, model), strict=True))
        sigma |= dict(zip(rows, _sigma(runs, model), strict=True))
    runs = tuple(here.runs[i] for i in asked)
    return Judged(runs, *(np.asarray([x[i] for i in asked]) for x in (errors, sigma)), "+".join(ways))


def worth(part: Judged) -> dict[str, float]:
    """Of some rows: median error, half-width of the 80 % interval, and the share inside; fractions."""
    low_high = np.exp(1.2816 * part.sigma) - 1.0
    return {
        "median": float(np.median(np.abs(part.throughput_ratio - 1.0))),
        "half": float(np.median(low_high)),
        "inside": float(part.inside.mean()),
    }


def _mean(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([p[name] for p in parts])), 4) for name in parts[0]}


def own_rows(task: tuple[str, tuple[int, ...], tuple[str, ...], bool]) -> dict[str, Any]:
    """Figures of the other rows with 0, 1, 3 and 10 of these given, on the mean of some draws; `pick`: picked, too."""
    name, rows, ways, pick = task
    rng = np.random.default_rng([len(rows), rows[0]])
    found: dict[str, Any] = {"name": name, "rows": len(rows)}
    for count in OWN:
        if count and len(rows) < ENOUGH:
            break
        draws = [rng.choice(rows, count, replace=False).tolist() for _ in range(DRAWS if count else 1)]
        parts = [predicted([i for i in rows if i not in given], given, ways) for given in draws]
        found[str(count)] = _mean([worth(p) for p in parts])
    if pick:
        given = picked(rows, ways, OWN[-1])
        found["picked"] = _mean([worth(predicted([i for i in rows if i not in given], given, ways))])
    return found


def picked(rows: Sequence[int], ways: Sequence[str], count: int) -> list[int]:
    """Which of these rows `planner calibrate --choose` would measure first, at a site of which nothing is known."""
    here = ground()
    out = alike(ways, rows[0])
    model = here.found.calibration(here.prior, out)
    known = [r for i, r in enumerate(here.runs) if i not in set(out.tolist())]
    return [rows[p.index] for p in next_runs([here.runs[i] for i in rows], known, model, count)]


def eligible(situation: str) -> list[int]:
    """Rows of which, with this left out, the rest still has what the situation calls known."""
    here = ground()
    ways = SITUATIONS[situation]
    kinds = np.asarray([kind_of(r.setting.model) for r in here.runs])
    found = []
    for i in range(len(here.runs)):
        rest = np.ones(len(here.runs), dtype=bool)
        rest[alike(ways, i)] = False
        rest &= kinds == kinds[i]
        known = (here.labels[way][rest] == here.labels[way][i] for way in ("stack", "part") if way not in ways)
        if all(each.any() for each in known):
            found.append(i)
    return found


def units(rows: Sequence[int], by_kind: bool) -> dict[str, tuple[int, ...]]:
    """Rows by source, or by source and kind of model."""
    here = ground()
    found: dict[str, list[int]] = {}
    for i in rows:
        run = here.runs[i]
        found.setdefault(source_of(run) if by_kind else run.source, []).append(i)
    return {name: tuple(found[name]) for name in sorted(found)}


def source_of(run: Run) -> str:
    return f"{run.source} {kind_of(run.setting.model)}"


def own_study() -> dict[str, Any]:
    """Rows of one's own: by situation for the first page, by source for sources of many rows, and Pythia's halves."""
    here = ground()
    tasks = [
        (situation, task)
        for situation in SITUATIONS
        for task in ((u, rows, SITUATIONS[situation], False) for u, rows in units(eligible(situation), True).items())
    ]
    tasks += [
        ("sources", (name, rows, ("site",), True))
        for name, rows in units(range(len(here.runs)), False).items()
        if len(rows) >= MANY
    ]
    situations: dict[str, list[Any]] = {name: [] for name in SITUATIONS}
    found: dict[str, Any] = {"situations": situations, "sources": []}
    with ProcessPoolExecutor() as pool:
        for (section, _), result in zip(tasks, pool.map(own_rows, [task for _, task in tasks]), strict=True):
            (situations[section] if section in situations else found["sources"]).append(result)
    four = [i for i, r in enumerate(here.runs) if r.source == "pythia"]
    halves = [predicted([i for i in four if i not in given], given, ("site",)) for given in combinations(four, 2)]
    found["pythia"] = [round(worth(h)["median"], 4) for h in halves]
    return found
