"""Of plans as good as the best for all that anybody can tell, the one that a person would choose to run.

The machines are those of the optimum. Within `simpler_within` of it, in the objective and in training time, and within
every budget at its confidence, the simplest layout and batch by `ORDER` are the plan; of equally simple ones the
fastest. Exact: a bound proves of every candidate that is left out that it takes longer than that.
"""

from __future__ import annotations

import math
from dataclasses import astuple, replace
from itertools import pairwise

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.search.candidates import Found, Pick, first_of_each
from planner.search.engine import each_within
from planner.search.layout_space import LayoutSpace
from planner.search.objectives import View
from planner.search.pruning import SLACK
from planner.search.search_state import SearchState

#: What counts as simpler, the most telling first; docs/search.md gives the same list.
ORDER = (
    ("no context parallel", "a sequence that fits whole needs no second way of splitting attention"),
    ("fewer kinds of parallelism", "each of tp, pp, cp and ep is one more thing to set, to profile and to resume from"),
    ("tp inside a node", "its all-reduces wait for the slowest link in every layer"),
    ("smaller cp", "fewer ranks hold one sequence"),
    ("smaller vpp", "fewer chunks a stage: simpler schedules and checkpoints"),
    ("smaller pp", "fewer stages to balance, and a smaller bubble when the batch changes"),
    ("smaller tp", "larger matrix multiplications, and fewer checkpoints to reshard"),
    ("smaller ep", "fewer ranks that wait for the busiest expert"),
    ("less recompute", "none before selective before full: what is computed twice is read twice"),
    ("ZeRO 0 or 1", "stages 2 and 3 move gradients and weights that the others keep"),
    ("states over all ranks", "shard groups are one more thing to set, and each holds a copy"),
    ("micro-batch a power of two", "kernels are tuned for it, and it halves and doubles without a remainder"),
    ("rounder global batch", "a power of two, or a small odd multiple of one: it divides when GPUs come and go"),
    ("global batch nearer the optimum's", "learning rates were chosen for about that"),
)

WIDE = 1.2  # of the fastest run's seconds: about the width of an 80 % interval
SIMPLEST = (0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0)  # the `layout_key` that none comes before
FIRST = 256  # batches that are looked at first, the roundest of them


def plain(view: View, cell: int) -> Pick:
    """The plan of a cell that has been searched: the simplest within the scenario's `simpler_within` of its fastest."""
    best, share = view.state.best.pick(cell), view.state.space.scenario.simpler_within
    return simplest(view, best, share, share) if share > 0.0 else best


def simplest(view: View, best: Pick, share_of_time: float, share_of_value: float = math.inf) -> Pick:
    """The simplest run on the best one's machines within these shares of it (time, objective), and in the budgets."""
    state, cell = view.state, best.cell
    if layout_key(state, best) == SIMPLEST and odd_part(np.array([best.batch]))[0] == 1:
        return best
    layouts, within = (
        state.layout_space(int(state.space.pool[cell])),
        _Within(view, best, share_of_time, share_of_value),
    )
    found = _near(state, best, within.most_s)
    keys = pair_keys(layouts, found, state.space.pools[int(state.space.pool[cell])].setting.hardware.gpus_per_node)
    order = np.lexsort(keys[::-1])
    found, ordered = found.take(order), np.stack([key[order] for key in keys])
    begin = np.flatnonzero(np.append(True, np.any(ordered[:, 1:] != ordered[:, :-1], axis=0)))
    for first, last in pairwise([*begin.tolist(), len(order)]):
        chosen = _roundest(layouts, found.take(np.arange(first, last)), best.batch, within)
        if chosen is not None:
            return replace(chosen.pick(0), cell=cell)
    raise AssertionError("the best run is not within its own limits")


def _near(state: SearchState, best: Pick, most_s: float) -> Found:
    """Of every layout and micro-batch of the pick's cell that may run within `most_s`, one candidate.

    Looked for within a wide limit, and kept: a cell is asked about again, for other offers and other shares.
    """
    layouts = state.layout_space(int(state.space.pool[best.cell]))
    known_s, found = state.near.get(best.cell, (0.0, None))
    if found is None or known_s < most_s:
        known_s = max(most_s, best.seconds * WIDE)
        found = each_within(layouts, int(state.space.gpus[best.cell]), known_s)
        state.near[best.cell] = (known_s, found)
    further = layouts.run.further_least(found.batch, found.step_s, found.seconds, layouts.batches.low)
    # At another batch a pipeline may hold fewer micro-batches and recompute fewer layers: nothing is known of it.
    fewer = (layouts.table.pp[found.row] > 1) & (found.covered > layouts.table.least[found.row])
    least = np.where(fewer, 0.0, np.minimum(found.seconds, further))
    return found.take(least <= most_s * SLACK)


class _Within:
    """Which runs of a cell are within shares of its best and within every budget: those up to some seconds, exactly.

    Both the objective and what a budget limits rise with the seconds, so that few runs have to be asked about.
    """

    def __init__(self, view: View, best: Pick, share_of_time: float, share_of_value: float) -> None:
        self.view, self.cell = view, np.array([best.cell])
        self.most = view.value_of(best) * (1.0 + share_of_value) if math.isfinite(share_of_value) else math.inf
        bounds = (*view.budget_limits(self.cell), view.longest_s(self.most, self.cell))
        self.most_s = max(best.seconds, min(best.seconds * (1.0 + share_of_time), *(float(b[0]) for b in bounds)))
        self.inside, self.outside = best.seconds, math.inf

    def first(self, seconds: FloatArray) -> int | None:
        """The first of runs predicted to train for `seconds` that is within; None where none is."""
        at = np.flatnonzero(seconds <= self.most_s)
        halve = False
        while len(at := at[seconds[at] < self.outside]):
            if seconds[at[0]] <= self.inside:
                return int(at[0])
            # The first one is, as a rule; where it is not, halving what is open settles many of the others.
            open_ = np.unique(seconds[at][seconds[at] > self.inside])
            seconds_at = np.array([open_[len(open_) // 2] if halve else seconds[at[0]]])
            good = bool(self.view.keeps(seconds_at, self.cell)[0])
            if good and (math.isinf(self.most) or bool(self.view.value(seconds_at, self.cell)[0] <= self.most)):
                self.inside = float(seconds_at[0])
            else:
                self.outside = float(seconds_at[0])
            halve = not halve
        return None


def pair_keys(layouts: LayoutSpace, found: Found, gpus_per_node: int) -> tuple[IntArray | BoolArray, ...]:
    """How simple layouts and micro-batches are, (n,) each, the most telling first; smaller is simpler."""
    t, row = layouts.table, found.row
    tp, pp, vpp, cp, ep = (axis[row] for axis in (t.tp, t.pp, t.vpp, t.cp, t.ep))
    kinds = np.sum([axis > 1 for axis in (tp, pp, cp, ep)], axis=0)
    zero = np.maximum(t.zero_stage[row] - 1, 0)
    groups, odd = found.instances > 1, odd_part(found.micro) > 1
    return cp > 1, kinds, tp > gpus_per_node, cp, vpp, pp, tp, ep, t.recompute[row], zero, groups, odd


def layout_key(state: SearchState, pick: Pick) -> tuple[int, ...]:
    """How simple a pick's layout and micro-batch are, the most telling first; smaller is simpler."""
    pool = int(state.space.pool[pick.cell])
    one = Found(*(np.array([value]) for value in astuple(pick)))
    keys = pair_keys(state.layout_space(pool), one, state.space.pools[pool].setting.hardware.gpus_per_node)
    return tuple(int(key[0]) for key in keys)


def odd_part(number: IntArray) -> IntArray:
    """What is left of numbers when every factor of two is taken out, of their shape: 1 for powers of two."""
    return np.asarray(number // (number & -number), dtype=np.int64)


def _roundest(layouts: LayoutSpace, pairs: Found, batch: int, within: _Within) -> Found | None:
    """Of these layouts and micro-batches, with all their batches within the limits, the one with the roundest batch."""
    unit = pairs.dp * layouts.table.group[pairs.row]
    which, batches = layouts.batches.all(pairs.micro * unit)
    odd, far = odd_part(batches), np.abs(batches - batch)
    order = np.lexsort((far, odd))
    which, batches, odd, far = which[order], batches[order], odd[order], far[order]
    begin, size = 0, FIRST
    while begin < len(order):
        last = odd[min(begin + size, len(order)) - 1]  # as round as each other: looked at together
        end = int(np.searchsorted(odd, last, side="right"))
        at = np.arange(begin, end)
        some, total = pairs.take(which[at]), batches[at]
        cut = (some.row, some.dp, some.micro, total // (some.micro * some.dp), some.instances)
        covered = layouts.fewest_covered(*cut)
        found = layouts.evaluate(np.zeros_like(at), some.row, some.dp, some.micro, total, covered, some.instances)
        fits = np.flatnonzero(layouts.fits(*cut, covered))
        first = within.first(found.seconds[fits])
        if first is not None:
            same = (odd[at] == odd[at][fits[first]]) & (far[at] == far[at][fits[first]])
            found = found.take(fits[same[fits] & (found.seconds[fits] <= within.inside)])
            return found.take(first_of_each(found, layouts.table))
        begin, size = end, 4 * size
    return None
