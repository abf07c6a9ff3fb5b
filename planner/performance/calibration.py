"""What measurements taught, as values: the rates of a setting, the residual correction, and the spreads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from planner.performance.arrays import FloatArray, IntArray, Setting
from planner.performance.machine import MachineNumbers, machine_numbers
from planner.performance.memory_states import halves_gradients
from planner.performance.rates import RateRule, Rates, resolve
from planner.performance.residual import Levels, Place, ResidualField
from planner.performance.stacks import context_of, place_of
from planner.reading import fault, read_json
from planner.units import PlannerError
from planner.words import say


@dataclass(frozen=True, slots=True)
class UserPoint:
    """A run of the user's own: on this GPU, at this size (None: any), steps took `factor` times what is predicted."""

    gpu: str
    gpus: int | None
    factor: float
    id: str = "user"


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted values and what they were fitted on; nothing changes it."""

    rules: Mapping[str, RateRule]
    values: Mapping[str, float]
    shares: Mapping[str, Mapping[str, float]]  # best matmul / peak, by family and format
    curves: Mapping[str, FloatArray]
    field: ResidualField
    levels: Levels
    spreads: Mapping[str, float]  # of ln(step) by what runs have in common: `intervals.SHARED`, "noise" and "scale"
    digest: str  # of the rows and priors it was fitted on
    points: tuple[UserPoint, ...] = ()

    @property
    def stacks(self) -> frozenset[str]:
        """Software stacks that were measured."""
        return frozenset(p.stack for p in self.field.places)

    def machine_numbers(self, setting: Setting) -> MachineNumbers:
        return machine_numbers(
            setting.accelerator,
            setting.hardware,
            setting.precision,
            self.shares,
            self.curves,
            half_gradients=halves_gradients(setting),
            power_limit_w=setting.conditions.power_limit_w,
        )

    def rates(self, setting: Setting) -> Rates:
        return resolve(self.rules, self.values, context_of(setting))

    def correction(self, setting: Setting, gpus: IntArray) -> FloatArray:
        """Factor on step time, (n,): smooth in the run's size, never of its layout.

        The user's factors on this GPU are exact at their sizes, interpolated between, constant outside.
        """
        sizes, back = np.unique(np.atleast_1d(gpus), return_inverse=True)
        ln_gpus = np.log(sizes.astype(np.float64))
        log_factor = self.field.log_ratio(place_of(setting), ln_gpus)
        own = [p for p in self.points if p.gpu == setting.accelerator.id]
        sized = sorted({p.gpus: float(np.log(p.factor)) for p in own if p.gpus}.items())
        anywhere = [float(np.log(p.factor)) for p in own if not p.gpus]
        if sized:
            log_factor = log_factor + np.interp(ln_gpus, np.log([g for g, _ in sized]), [f for _, f in sized])
        elif anywhere:
            log_factor = log_factor + anywhere[-1]
        return np.asarray(np.exp(log_factor)[back].reshape(np.shape(gpus)))


def with_user_measurements(calibration: Calibration, points: Sequence[UserPoint]) -> Calibration:
    """The calibration as the user's own runs bend it.

    Each factor is measured / predicted step time (or predicted / measured tokens/s) under `calibration` itself, at the
    stated layout or at the best legal one. It rescales every candidate on that GPU; at its own size it holds exactly.

    Raises
    ------
    PlannerError
        If a factor is not a finite number above zero.
    """
    for point in points:
        if not (np.isfinite(point.factor) and point.factor > 0):
            raise PlannerError(say("calibration.point", gpu=point.gpu))
    return replace(calibration, points=calibration.points + tuple(points))


def read_calibration(path: Path) -> Calibration:
    """A calibration from its JSON file.

    Raises
    ------
    PlannerError
        If the file is missing or not one.
    """
    return _calibration_of(read_json(path, holds=say("calibration.holds")), path)


def stored_fit(path: Path, digest: str) -> Calibration | None:
    """The calibration in a file, if it is there and is the fit of the rows with this digest.

    Raises
    ------
    PlannerError
        If it is no calibration.
    """
    if not path.is_file():
        return None
    stored = read_json(path, holds=say("calibration.holds"))
    known = isinstance(stored, Mapping) and stored.get("digest") == digest
    return _calibration_of(stored, path) if known else None


def _calibration_of(stored: Any, path: Path) -> Calibration:
    try:
        return calibration_from_json(stored)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise fault(path, say("calibration.none", error=str(error))) from None


def calibration_from_json(stored: Mapping[str, Any]) -> Calibration:
    """A calibration from what `to_json` wrote."""
    levels = Levels(**stored["levels"])
    places = tuple(
        Place(r[0], r[1], r[2], r[3], r[4], r[5], coordinates=(r[8], r[9], r[10]), site=r[6], family=r[7])
        for r in stored["field"]
    )
    weights, noise = (np.asarray([row[column] for row in stored["field"]]) for column in (11, 12))
    return Calibration(
        rules={name: rule_from(rule) for name, rule in stored["rates"].items()},
        values=stored["values"],
        shares=stored["ceiling_shares"],
        curves={name: np.asarray(values) for name, values in stored["curves"].items()},
        field=ResidualField(places, weights, noise, levels),
        levels=levels,
        spreads=stored["spreads"],
        digest=stored["digest"],
    )


def to_json(calibration: Calibration) -> dict[str, Any]:
    """Plain values, rounded so that machines that differ in the last digits write the same file."""
    found = calibration.field
    field_rows = [
        [
            *(p.id, p.stack, p.kind, p.model, p.gpu, p.format, p.site, p.family),
            *(round(c, 5) for c in p.coordinates),
            round(float(w), 3),
            round(float(n), 6),
        ]
        for p, w, n in zip(found.places, found.weights, found.noise, strict=True)
    ]
    return {
        "digest": calibration.digest,
        "rates": {name: rule_to(rule) for name, rule in calibration.rules.items()},
        "levels": {level.name: getattr(calibration.levels, level.name) for level in fields(Levels)},
        "values": {name: round(value, 4) for name, value in sorted(calibration.values.items())},
        "ceiling_shares": {family: dict(shares) for family, shares in calibration.shares.items()},
        "curves": {name: [round(float(x), 9) for x in curve] for name, curve in calibration.curves.items()},
        "spreads": {name: round(s, 4) for name, s in calibration.spreads.items()},
        "field": field_rows,
    }


def dumps(document: Mapping[str, Any]) -> str:
    """A calibration's document as text: a line an entry, so that a refit reads as a diff."""
    parts = []
    for key, value in document.items():
        if isinstance(value, Mapping):
            rows = [f"  {json.dumps(name)}: {json.dumps(entry, sort_keys=True)}" for name, entry in value.items()]
            parts.append(f"{json.dumps(key)}: {{\n" + ",\n".join(rows) + "\n}")
        elif isinstance(value, list):
            parts.append(f"{json.dumps(key)}: [\n" + ",\n".join(f"  {json.dumps(row)}" for row in value) + "\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def rule_from(stored: Mapping[str, Any]) -> RateRule:
    """A rate's rule from its entry in the priors or in a stored fit."""
    at_most = stored.get("at_most")
    return RateRule(
        prior=float(stored["prior"]),
        by=tuple(stored["by"]),
        sigma=tuple(float(s) for s in stored["sigma"]),
        at_most=None if at_most is None else float(at_most),
        means={key: float(mean) for key, mean in stored.get("means", {}).items()},
        measured={key: float(spread) for key, spread in stored.get("measured", {}).items()},
    )


def rule_to(rule: RateRule) -> dict[str, Any]:
    """The entry that `rule_from` reads."""
    entry: dict[str, Any] = {"prior": rule.prior, "by": list(rule.by), "sigma": list(rule.sigma)}
    if rule.at_most is not None:
        entry["at_most"] = rule.at_most
    if rule.means:
        entry["means"] = dict(rule.means)
    if rule.measured:
        entry["measured"] = dict(rule.measured)
    return entry
