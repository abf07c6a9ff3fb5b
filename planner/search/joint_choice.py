"""The last step of every search: one plan a run, together within shared limits, chosen by scipy's MILP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray
from planner.words import say

CUTS = 200  # selections that rounding let through and exact arithmetic threw out, before giving up


@dataclass(frozen=True, slots=True)
class SharedLimit:
    """What all runs together may use: `amounts` holds one array a run, (its columns,), of what each column uses."""

    name: str
    limit: float
    amounts: tuple[FloatArray, ...]


def choose(values: Sequence[FloatArray], limits: Sequence[SharedLimit] = ()) -> list[int] | None:
    """The column of each run that makes the sum of values least within every limit; None if nothing is within them.

    Parameters
    ----------
    values : one array a run, (its columns,): lower is better, and of equal columns of a run the earlier wins
    limits : shared rows

    Binary x[run, column], one column a run (HiGHS, mip_rel_gap = 0). The solver's tolerances decide nothing: each
    selection is checked in exact arithmetic, and one that breaks a limit is cut off and the choice made again.
    """
    if any(len(v) == 0 for v in values):
        return None
    columns = [first_of_equals(values, limits, run) for run in range(len(values))]
    cuts: list[list[int]] = []
    for _ in range(CUTS):
        picked = _solve(values, limits, columns, cuts)
        if picked is None:
            return None
        if all(within(limit, picked) for limit in limits):
            return _exact_least(values, limits, picked)
        cuts.append(picked)
    raise ArithmeticError(say("joint_choice.rounding"))


def within(limit: SharedLimit, picked: Sequence[int]) -> bool:
    """Whether these columns keep a limit, in exact arithmetic."""
    used = sum((Fraction(float(a[i])) for a, i in zip(limit.amounts, picked, strict=True)), Fraction(0))
    return used <= Fraction(limit.limit)


def undominated(axes: Sequence[FloatArray], keys: Sequence[object]) -> BoolArray:
    """Which entries no other of the same key beats or equals on every axis; of equals the first stays. (n,) each."""
    n = len(keys)
    keep = np.ones(n, dtype=bool)
    groups: dict[object, list[int]] = {}
    for i, key in enumerate(keys):
        groups.setdefault(key, []).append(i)
    for members in groups.values():
        at = np.array(members)
        table = np.stack([axis[at] for axis in axes], axis=1)
        order = np.lexsort((np.arange(len(at)), *table.T[::-1]))
        kept: list[int] = []
        for i in order:
            if kept and bool(np.any(np.all(table[kept] <= table[i], axis=1))):
                keep[at[i]] = False
            else:
                kept.append(int(i))
    return keep


def first_of_equals(values: Sequence[FloatArray], limits: Sequence[SharedLimit], run: int) -> list[int]:
    """Columns of a run without those that equal an earlier one in value and in every limit's amount."""
    seen: set[tuple[float, ...]] = set()
    kept = []
    for i, value in enumerate(values[run].tolist()):
        key = (value, *(float(limit.amounts[run][i]) for limit in limits))
        if key not in seen:
            seen.add(key)
            kept.append(i)
    return kept


def _solve(
    values: Sequence[FloatArray], limits: Sequence[SharedLimit], columns: list[list[int]], cuts: list[list[int]]
) -> list[int] | None:
    from scipy.optimize import Bounds, LinearConstraint, milp

    sizes = [len(c) for c in columns]
    start = np.concatenate([[0], np.cumsum(sizes)])
    cost = np.concatenate([v[c] for v, c in zip(values, columns, strict=True)])
    scale = max(float(np.abs(cost).max()), 1e-300)
    one = np.zeros((len(sizes), start[-1]))
    for run in range(len(sizes)):
        one[run, start[run] : start[run + 1]] = 1.0
    constraints = [LinearConstraint(one, 1.0, 1.0)]
    for limit in limits:
        row = np.concatenate([a[c] for a, c in zip(limit.amounts, columns, strict=True)])
        unit = limit.limit if limit.limit > 0 else 1.0
        constraints.append(LinearConstraint(row / unit, -np.inf, limit.limit / unit))
    for picked in cuts:
        row = np.zeros(start[-1])
        for run, column in enumerate(picked):
            row[start[run] + columns[run].index(column)] = 1.0
        constraints.append(LinearConstraint(row, -np.inf, len(sizes) - 1.0))
    answer = milp(
        cost / scale,
        constraints=constraints,
        integrality=np.ones(start[-1]),
        bounds=Bounds(0.0, 1.0),
        options={"mip_rel_gap": 0.0},
    )
    if answer.x is None:
        return None
    return [columns[run][int(np.argmax(answer.x[start[run] : start[run + 1]]))] for run in range(len(sizes))]


def _exact_least(values: Sequence[FloatArray], limits: Sequence[SharedLimit], picked: list[int]) -> list[int]:
    """`picked`, improved run by run where rounding hid a better or earlier column of equal worth."""
    picked = list(picked)
    for run in range(len(values)):
        order = np.lexsort((np.arange(len(values[run])), values[run]))
        for column in order.tolist():
            if values[run][column] > values[run][picked[run]] or column == picked[run]:
                break
            trial = [*picked[:run], column, *picked[run + 1 :]]
            if all(within(limit, trial) for limit in limits):
                picked = trial
                break
    return picked
