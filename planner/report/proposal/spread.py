"""At which price a run on the spot market comes to its cost, as storage beside it and a change of prices move that.

Where a price is spread, cost and time do not go together: the cost that is kept with some probability is not the time
that is kept with it at any one price of the offer. The price that would make it so lies between that of a run without
storage and the middle of the range, and depends on storage's share of the bill alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.report.proposal.model import PriceCurve
from planner.search.prices import Rates, price_range, quantile
from planner.search.run_cost import HOUR_S
from planner.search.search_space import SearchSpace
from planner.search.search_state import SearchState
from planner.spec.hardware import Offer
from planner.spec.scenario import Storage

GRID = tuple(n / 12 for n in range(13))  # shares of storage that a workbook holds prices of; between them a line
_ONE_AN_HOUR = Storage(1e9, 720.0)  # USD; a month has 720 hours
_NO_STORAGE = 1e-9  # a share of it that does not count


def middle_rate(space: SearchSpace, offer: Offer, cells: IntArray) -> FloatArray:
    """USD an hour of all machines of these cells on an offer, at the middle of its range, (n,)."""
    return np.asarray(sum(price_range(offer)) / 2.0 * space.paid_gpus[cells], dtype=np.float64)


def share_of(storage_usd_per_h: float, rate: FloatArray) -> FloatArray:
    """Storage's share of what an hour costs with machines of `rate`, (n,)."""
    return np.asarray(storage_usd_per_h / (storage_usd_per_h + rate))


def prices(
    state: SearchState, offer: Offer, cells: IntArray, levels: Sequence[float], share: FloatArray | float
) -> FloatArray:
    """USD per GPU-hour at which the time at each level comes to the cost there, (levels, n).

    `share`, (n,) or one for all, is storage's of an hour at the middle price (`share_of`); at 1 it is that price.
    """
    low, high = price_range(offer)
    gpus = state.space.paid_gpus[cells].astype(np.float64)
    part = np.clip(np.broadcast_to(np.asarray(share, dtype=np.float64), gpus.shape), _NO_STORAGE, 1.0 - 1e-6)
    # Storage of one USD an hour, and machines of as many as make it that share.
    scale = (1.0 - part) / (part * middle_rate(state.space, offer, cells))
    costs = replace(state.space.costs, storage=_ONE_AN_HOUR, egress=None)
    runs = state.completion_model.completion(state.best.seconds[cells], cells)
    out = []
    for level in levels:
        usd = quantile(costs, runs, cells, Rates(low * gpus * scale, high * gpus * scale), level)
        time = runs.quantile(level)
        hours = costs.paid_s(time, cells) / HOUR_S
        out.append((usd - time / HOUR_S) / (hours * gpus * scale))
    return np.where(np.asarray(share) >= 1.0, (low + high) / 2.0, np.array(out))


def curve(
    state: SearchState, offer: Offer, cell: int, sure: float, at: float, known: tuple[float, float]
) -> PriceCurve | None:
    """The prices of one run at the median and at the confidence `sure`; None where the price is not spread.

    `known` are the two prices at the share `at` that the scenario has.
    """
    low, high = price_range(offer)
    if low >= high:
        return None
    cells = np.array([cell])
    points = {share: tuple(prices(state, offer, cells, (0.5, sure), share)[:, 0].tolist()) for share in GRID}
    points[at] = known
    shares = tuple(sorted(points))
    rate = float(middle_rate(state.space, offer, cells)[0])
    return PriceCurve(rate, shares, tuple(points[s][0] for s in shares), tuple(points[s][1] for s in shares))
