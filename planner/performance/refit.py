"""From measured rows to a calibration: which rows, the fit, the residual field, and what rows left out say of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from planner.catalog import load_catalog
from planner.catalog.curves import Curve
from planner.catalog.paths import data_dir
from planner.performance.arrays import BoolArray, FloatArray
from planner.performance.benches import read_benches, with_benches
from planner.performance.calibration import Calibration, rule_from, stored_fit, to_json
from planner.performance.fitting import Fit, batch_of, fit
from planner.performance.gpu_names import chip_of
from planner.performance.intervals import UNSEEN, label_spreads, spread
from planner.performance.machine import FIRST_LOG2_BYTES, GRID, PORT
from planner.performance.rates import design
from planner.performance.residual import Levels, ResidualField
from planner.performance.rows import Reader, Run
from planner.performance.stacks import context_of, place_of
from planner.performance.tables import MAX_BYTES as TABLE_BYTES
from planner.performance.tables import read_table
from planner.performance.vendor_recipes import recipe_files
from planner.reading import read_bytes
from planner.units import PlannerError

Key = Callable[[Run], Hashable]


def priors() -> dict[str, Any]:
    """The shipped priors file."""
    text = (data_dir() / "calibration" / "priors.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def uncalibrated(curves: Mapping[str, Curve]) -> Calibration:
    """The priors alone, on the catalog's measured link curves."""
    stored = priors()
    tables: dict[str, FloatArray] = {}
    for family, entry in stored["links"].items():
        shares = _on_grid(curves[entry["curve"]], entry["nominal_gbyte_per_s"])
        tables[f"reduce:{family}"] = shares
        tables[f"gather:{family}"] = shares * entry["gather"]
    for fabric, entry in stored["networks"].items():
        shape = _on_grid(curves[entry["curve"]], 1.0, PORT / (entry["port_gbit_per_s"] * 1e9 / 8))
        tables[f"out:{fabric}"] = shape / shape.max() * entry["peak"]
    return Calibration(
        rules={name: rule_from(rule) for name, rule in stored["rates"].items()},
        values={},
        shares=stored["ceiling_shares"],
        curves=tables,
        field=ResidualField((), np.zeros(0), np.zeros(0), Levels(**stored["levels"])),
        levels=Levels(**stored["levels"]),
        spreads={},
        digest="",
    )


def measured_files(overlays: Iterable[Path] = ()) -> list[Path]:
    """The shipped tables and those of the overlays, in order of name within each folder."""
    folders = [data_dir() / "measured", *(Path(o) / "measured" for o in overlays)]
    return [path for folder in folders for path in sorted(folder.glob("*.csv"))]


def read_runs(paths: Sequence[Path], overlays: Sequence[Path] = ()) -> list[Run]:
    """The runs of these tables that state a throughput; ids are FILE:ROW, rows counted from 1 below the header.

    Raises
    ------
    PlannerError
        If a row cannot be read, naming file and row.
    """
    runs, unreadable = sort_runs(paths, overlays)
    if unreadable:
        raise PlannerError(next(iter(unreadable.values())))
    return runs


def sort_runs(paths: Sequence[Path], overlays: Sequence[Path] = ()) -> tuple[list[Run], dict[str, str]]:
    """The runs of these tables that state a throughput, and why rows of theirs cannot be read, by FILE:ROW.

    Raises
    ------
    PlannerError
        If a file is no table of runs (`tables.read_table`).
    """
    reader = Reader(load_catalog(tuple(overlays)))
    runs, unreadable = [], {}
    for path in paths:
        for number, row in enumerate(read_table(path).rows, 1):
            place = f"{path.stem}:{number}"
            try:
                run = reader.read(row, place, path.stem)
            except PlannerError as error:
                unreadable[place] = error.args[0]
            else:
                runs += [run] if run.tokens_per_s_per_gpu else []
    return runs, unreadable


def learn(runs: Sequence[Run], prior: Calibration, start: Calibration | None = None) -> Calibration:
    """The calibration that these runs call for: rates, residual field and effects of sites. Spreads are the prior's.

    Runs that trained adapters alone teach nothing of others: they take no part.
    """
    whole = [run for run in runs if run.setting.conditions.adapter is None]
    if runs and not whole:
        return prior
    return fit(whole, prior, start).calibration(prior)


def log_errors(runs: Sequence[Run], calibration: Calibration, *, corrected: bool = True) -> FloatArray:
    """ln(predicted / measured step time) of these runs, (n,)."""
    measured_s = np.asarray([r.step_s for r in runs])
    return np.asarray(np.log(step_seconds(runs, calibration, corrected=corrected) / measured_s))


def step_seconds(runs: Sequence[Run], calibration: Calibration, *, corrected: bool = True) -> FloatArray:
    """Predicted seconds of a step of these runs, (n,); without the residual field unless `corrected`."""
    batch = batch_of(runs, calibration)
    plan = design(calibration.rules, [context_of(r.setting) for r in runs])
    found = np.asarray([calibration.values.get(n, m) for n, m in zip(plan.names, plan.mean, strict=True)])
    factor = np.ones(len(runs))
    if corrected:
        factor = np.asarray([calibration.correction(r.setting, np.asarray([r.gpus]))[0] for r in runs])
    return np.asarray(batch.predict(plan.rates(found)) * factor)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Predictions of rows by calibrations that never saw them."""

    errors: FloatArray  # ln(predicted / measured), (n,)
    calibrations: Mapping[Hashable, Calibration]  # by what was left out
    keys: tuple[Hashable, ...]  # what was left out for each row

    def sigma(self, judged: Sequence[Run]) -> FloatArray:
        """The spread that was stated of each, (n,)."""
        found = (
            spread(r.setting, np.asarray([r.gpus]), self.calibrations[k]).sigma[0]
            for r, k in zip(judged, self.keys, strict=True)
        )
        return np.asarray(list(found))


def held_out(
    found: Fit, prior: Calibration, leave_out: str, ask: Sequence[Run] | None = None, *, refit: bool = False
) -> HeldOut:
    """Every set of runs with one key, predicted by what the others teach.

    Parameters
    ----------
    found, prior : the fit of all runs, and what it started from
    leave_out : a name of `KEYS`
    ask : the runs to predict (default: all); runs of the same key are left out with them
    refit : fit the others anew for each key; otherwise they are taken out of the common fit by the block's inverse

    Where models are left out, they are asked for without their names, by which published recipes are known.
    """
    key = KEYS[leave_out]
    runs = found.runs
    judged = list(runs if ask is None else ask)
    known = [key(r) for r in runs]
    keys = tuple(key(r) for r in judged)
    if leave_out in NAMELESS:
        judged = [replace(r, setting=replace(r.setting, model=replace(r.setting.model, name=""))) for r in judged]
    errors = np.zeros(len(judged))
    calibrations: dict[Hashable, Calibration] = {}
    for k in dict.fromkeys(keys):
        out = np.flatnonzero([other == k for other in known])
        if refit and len(out):
            calibrations[k] = learn([r for r, other in zip(runs, known, strict=True) if other != k], prior)
        else:
            calibrations[k] = found.calibration(prior, out)
        rows = [i for i, other in enumerate(keys) if other == k]
        errors[rows] = log_errors([judged[i] for i in rows], calibrations[k])
    return HeldOut(errors, calibrations, keys)


def by_part(run: Run) -> Hashable:
    """Leave out all that ran on its accelerator; an accelerator's sizes of memory are one part."""
    return chip_of(run.setting.accelerator.id)


KEYS: Mapping[str, Key] = {  # what is left out together
    "configuration": lambda run: run.configuration,  # in all its releases
    "row": lambda run: (run.source, run.configuration, run.setting.release, run.gpus),  # and its equals
    "group": lambda run: run.group,  # the model on that accelerator in that precision
    # all that its stack ran of the model, on whichever accelerator and in whichever precision
    "model": lambda run: (place_of(run.setting).stack, place_of(run.setting).model),
    "source": lambda run: run.source,  # all that its source published
    "site": lambda run: run.setting.conditions.site,  # all that ran there, whatever published it
    "stack": lambda run: place_of(run.setting).stack,  # all that its software stack ran
    "part": by_part,
}
NAMELESS = ("model",)  # what is left out there is not known by name either
# Left out to see how far off runs of sites that are not known are, and of known sites, and of parts.
WHOLE, KNOWN, PART = "site", "group", "part"
HOLD = 0.8  # of the rows of a source, or a part, that 80 % intervals hold
NOISES = ("noise", "noise moe")  # of one run: of dense models, and of those with experts
ROUNDS = 6  # in which the factor and the noise of intervals settle


def rebuild(progress: Callable[[float], None] | None = None) -> dict[str, Any]:
    """The shipped calibration from the shipped rows, as its JSON document."""
    paths = measured_files()
    prior = uncalibrated(load_catalog().curves)
    found = fit(read_runs(paths), prior)
    if progress:
        progress(0.5)
    return to_json(replace(with_spreads(found, prior), digest=digest(paths)))


def with_spreads(found: Fit, prior: Calibration) -> Calibration:
    """The fit's calibration with spreads that hold.

    By label they are as the fit's own model has them. Four figures are set by what was left out: a factor on all,
    that 80 % intervals hold so much of sites left out whole, a run's own noise, of dense models and of those with
    experts, that they hold as much of groups left out of sites that are known, each source counting once, and what a
    part adds that was never measured, that they hold as much of parts left out whole, each part counting once.
    """
    spreads = label_spreads(found.places, found.covariance) | dict.fromkeys((*NOISES, UNSEEN), 0.0) | {"scale": 1.0}
    bare = replace(prior, spreads=spreads)
    moe = np.asarray([p.kind == "moe" for p in found.places])
    far, near, part = (_LeftOut.of(found, held_out(found, bare, way), way) for way in (WHOLE, KNOWN, PART))
    figures = {**dict.fromkeys(NOISES, found.levels.noise), UNSEEN: 0.0, "scale": 1.0}
    for _ in range(ROUNDS):
        figures["scale"] = far.least(figures, "scale", 3.0)
        for name, rows in zip(NOISES, (~moe, moe), strict=True):
            figures[name] = near.least(figures, name, 0.4, rows)
        figures[UNSEEN] = part.least(figures, UNSEEN, 0.8)
    return found.calibration(replace(prior, spreads=spreads | figures))


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """Rows predicted by others, (n,) each: how far off, how unsure but for their own noise, and what counts once."""

    off: FloatArray
    sigma: FloatArray
    moe: BoolArray
    unseen: BoolArray  # no other row is of their part
    groups: NDArray[np.str_]

    @classmethod
    def of(cls, found: Fit, held: HeldOut, way: str) -> _LeftOut:
        moe = np.asarray([p.kind == "moe" for p in found.places])
        groups = np.asarray([str(by_part(r)) if way == PART else r.source for r in found.runs])
        seen = {k: {chip_of(p.gpu) for p in c.field.places} for k, c in held.calibrations.items()}
        unseen = [by_part(r) not in seen[k] for r, k in zip(found.runs, held.keys, strict=True)]
        return cls(np.abs(held.errors), held.sigma(found.runs), moe, np.asarray(unseen), groups)

    def held(self, figures: Mapping[str, float], rows: BoolArray | None) -> float:
        """Share of these rows (None: all) that 80 % intervals hold, the mean of groups."""
        noise = np.hypot(np.where(self.moe, figures["noise moe"], figures["noise"]), self.unseen * figures[UNSEEN])
        inside = self.off <= NormalDist().inv_cdf(0.5 + HOLD / 2) * figures["scale"] * np.hypot(self.sigma, noise)
        rows = np.ones(len(inside), dtype=bool) if rows is None else rows
        return float(np.mean([inside[rows & (self.groups == g)].mean() for g in dict.fromkeys(self.groups[rows])]))

    def least(self, figures: Mapping[str, float], name: str, high: float, rows: BoolArray | None = None) -> float:
        """The least of one figure at which intervals hold what they should, the others as they are."""
        low = 0.01
        for _ in range(30):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if self.held({**figures, name: middle}, rows) >= HOLD else (middle, high)
        return high


def digest(paths: Sequence[Path]) -> str:
    """sha256 over the priors, the recipes and the tables' contents."""
    total = hashlib.sha256((data_dir() / "calibration" / "priors.yaml").read_bytes())
    for path in (*recipe_files(), *paths):
        total.update(path.name.encode() + b"\0" + read_bytes(path, TABLE_BYTES))
    return total.hexdigest()


def fit_of(
    paths: Sequence[Path], shipped: Calibration, overlays: Sequence[Path], benches: Sequence[Path] = ()
) -> Calibration:
    """The shipped calibration and the runs of these tables together: one fit, started from the shipped one.

    `paths` and `benches` are the shipped tables and those of the overlays, or what they are about to be. A folder that
    holds the fit of just these rows (`calibration/fit.json`) is taken at its word.
    """
    known_rates = with_benches(shipped, read_benches(benches)) if benches else shipped
    if len(paths) == len(measured_files()):  # no run of one's own: nothing to fit
        return replace(known_rates, digest=digest([*paths, *benches])) if benches else shipped
    mark = digest([*paths, *benches])
    for folder in overlays:
        known = stored_fit(Path(folder) / "calibration" / "fit.json", mark)
        if known is not None:
            return known
    runs = read_runs(paths, overlays)
    return replace(learn(runs, known_rates, shipped), digest=mark)


def _on_grid(curve: Curve, nominal_gbyte_per_s: float, stretch: float = 1.0) -> FloatArray:
    """The curve's share of the nominal rate at whole log2 sizes; below its first size a collective takes as long.

    `stretch`: sizes are multiplied by it, for the curve of a port of other speed.
    """
    grid = FIRST_LOG2_BYTES + np.arange(GRID)
    sizes, share = np.log2(curve.sizes_bytes * stretch), np.log2(curve.busbw_gbyte_per_s / nominal_gbyte_per_s)
    inside = np.interp(grid, sizes, share)
    return np.asarray(2.0 ** np.where(grid < sizes[0], share[0] + grid - sizes[0], inside))
