"""How long a cell's run may take, and what became of the candidates: the rules by which they are ruled out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from planner.performance.arrays import FloatArray, IntArray

SLACK = 1.0 + 1e-9  # a bound must exceed a cut by this factor to prune: rounding never prunes a tie

#: The rules, by the codes of their words.
OBJECTIVE, TIME, COST, MEMORY = "pruning.objective", "pruning.time", "pruning.cost", "pruning.memory"
SPARED, MORE_EXPENSIVE = "pruning.spared", "pruning.more_expensive"


@dataclass(slots=True)
class Limits:
    """What a cell's run may take, seconds at p50, (cells,): by each budget, and by what is already found."""

    time_s: FloatArray
    cost_s: FloatArray
    objective_s: FloatArray

    @property
    def least_s(self) -> FloatArray:
        return np.minimum(np.minimum(self.time_s, self.cost_s), self.objective_s) * SLACK


@dataclass(slots=True)
class Tally:
    """Candidates by what became of them, each (cells,)."""

    evaluated: FloatArray
    pruned: dict[str, FloatArray] = field(default_factory=dict)

    @staticmethod
    def of(cells: int) -> Tally:
        return Tally(np.zeros(cells), {rule: np.zeros(cells) for rule in (MEMORY, SPARED, TIME, COST, OBJECTIVE)})

    def add(self, rule: str, cell: IntArray, count: IntArray) -> None:
        target = self.evaluated if rule == "evaluated" else self.pruned[rule]
        target += np.bincount(cell, weights=count, minlength=len(target))

    def slow(self, cell: IntArray, bound_s: FloatArray, count: IntArray, limits: Limits) -> None:
        """Counts candidates whose bound passes a limit, under the first rule of time, cost, objective it passes."""
        over_time = bound_s > limits.time_s[cell] * SLACK
        over_cost = ~over_time & (bound_s > limits.cost_s[cell] * SLACK)
        for rule, which in ((TIME, over_time), (COST, over_cost), (OBJECTIVE, ~over_time & ~over_cost)):
            if which.any():
                self.add(rule, cell[which], count[which])
