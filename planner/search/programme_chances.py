"""A programme simulated: what its stages share is drawn once, what they do not is drawn for each run.

Shared: how far predictions are wrong together (site, stack, GPU, neighbours in size; `performance.jointly`), and the
spot price of an offer. For each run by itself: the noise of its step time, its failures, and what is paid beside
training. A stage begins as soon as those that it is after have ended, its machines are there, and whatever the calendar
puts before it on the same machines has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from planner.performance.arrays import FloatArray
from planner.performance.shared_error import Together
from planner.risk.checkpoint_segments import SHARES
from planner.risk.completion import Completion
from planner.search.prices import PlanCost

DAY_S = 86400.0
Draw = Callable[[int, FloatArray, np.random.Generator], FloatArray]


@dataclass(frozen=True)
class Part:
    """A stage as it is drawn: `turns` of so many copies side by side, each like `runs` (one entry)."""

    runs: Completion
    cost: PlanCost | None  # None: on a reservation, whose price does not depend on it
    copies: int
    lanes: int
    offer: str
    opens_s: float  # its machines are there from then on
    after: tuple[int, ...]  # parts that have ended before it begins
    source: int | None = None  # the part that it carries something from, `move_s` before it begins
    move_s: float = 0.0
    move_usd: float = 0.0
    share_left: float = 1.0  # of the run that is still to be done
    usd_fixed: float = 0.0


@dataclass(frozen=True)
class Worlds:
    """Programmes drawn: `starts_s`, `ends_s`, `usd` are (parts, worlds)."""

    starts_s: FloatArray
    ends_s: FloatArray
    usd: FloatArray
    fixed_usd: float  # what is paid in every world

    @property
    def total_usd(self) -> FloatArray:
        """What each world costs, (worlds,)."""
        return np.asarray(self.usd.sum(axis=0) + self.fixed_usd)

    @property
    def finish_s(self) -> FloatArray:
        """When all is done in each world, (worlds,)."""
        return np.asarray(self.ends_s.max(axis=0))


def simulate_parts(
    parts: Sequence[Part],
    errors: Together,
    worlds: int,
    seed: int,
    fixed_usd: float = 0.0,
    draw: Draw | None = None,
) -> Worlds:
    """Draw so many programmes; the same seed gives the same worlds.

    `draw`: the seconds of one run of a part, of its deviations from the median step time; else by its closed form.
    """
    draw = draw or (lambda number, z, rng: draw_time(parts[number].runs, z, rng))
    common = errors.root @ np.random.default_rng([seed, 0]).standard_normal((len(parts), worlds))
    luck: dict[str, FloatArray] = {}
    starts, ends, usd = (np.zeros((len(parts), worlds)) for _ in range(3))
    for number in order_of(parts):
        part = parts[number]
        rng = np.random.default_rng([seed, 1, number])
        begin = np.full(worlds, part.opens_s)
        for before in part.after:
            begin = np.maximum(begin, ends[before])
        if part.source is not None:
            begin = np.maximum(begin, ends[part.source] + part.move_s)
        if part.offer not in luck:
            luck[part.offer] = np.random.default_rng([seed, 2, len(luck)]).random(worlds)
        each = (common[number], float(errors.alone[number]))
        length, paid = _stage(part, each, luck[part.offer], rng, partial(draw, number))
        starts[number], ends[number], usd[number] = begin, begin + length, paid + part.move_usd + part.usd_fixed
    return Worlds(starts, ends, usd, fixed_usd)


def order_of(parts: Sequence[Part]) -> list[int]:
    """Parts so that each stands behind those that it is after."""
    out: list[int] = []
    left = list(range(len(parts)))
    while left:
        ready = [i for i in left if all(j in (*out, None) for j in (*parts[i].after, parts[i].source))]
        out += ready
        left = [i for i in left if i not in ready]
        if not ready:
            raise AssertionError("the parts of a programme go in a circle")
    return out


def _stage(
    part: Part,
    errors: tuple[FloatArray, float],
    luck: FloatArray,
    rng: np.random.Generator,
    draw: Callable[[FloatArray, np.random.Generator], FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """Seconds and USD of a stage in each world: its copies in turns, each turn as long as its slowest copy."""
    common, alone = errors
    length, paid, left = np.zeros_like(common), np.zeros_like(common), part.copies
    while left > 0:
        together = min(part.lanes, left)
        slowest = np.zeros_like(common)
        for _ in range(together):
            time = draw(common + alone * rng.standard_normal(len(common)), rng) * part.share_left
            slowest = np.maximum(slowest, time)
            if part.cost is not None:
                costs, rates = part.cost.costs, part.cost.rates
                rate = rates.low[0] + (rates.high[0] - rates.low[0]) * luck
                paid += costs.usd(rate, time, np.full(len(time), part.cost.cell))
        length += slowest
        left -= together
    return length, paid


def draw_time(runs: Completion, z: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Seconds of runs whose step times are z standard deviations from the median, (worlds,); `runs`: one entry."""
    slow = z >= 0
    tilt = np.where(slow, runs.tilts[1][0], runs.tilts[0][0])
    p_none = np.minimum(runs.p_none[0] * np.exp(-tilt * z), 1.0) if runs.tilted[0] else np.full(len(z), runs.p_none[0])
    interrupted = rng.random(len(z)) >= p_none
    node = np.searchsorted(np.cumsum(SHARES), rng.random(len(z)), side="right").clip(0, len(SHARES) - 1)
    at = np.where(interrupted, 1 + node, 0)
    below, above = runs.spreads
    factor = np.exp(z * np.where(slow, above[0, at], below[0, at]))
    overhead = runs.least[0] * np.exp(runs.log_more[0] * rng.standard_exponential(len(z)))
    return np.asarray(overhead * runs.at_median_s[0, at] * factor)
