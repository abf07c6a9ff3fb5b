"""Quotas: how many nodes of a row one may have, and what a cloud's stated quotas leave out.

Clouds grant quotas by part, and grant none unless asked: where a user states quotas of a cloud, what of it no quota
names cannot be had.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from planner.catalog.prices import PriceRow
from planner.spec.scenario import Quota, covers
from planner.words import Sentence, say

MOST_NAMED = 6  # parts that a sentence lists


def left_out_by_quotas() -> Sentence:
    """Why a row of which no stated quota is, is left out."""
    return say("left_out.fenced")


def outside_quotas(quotas: Sequence[Quota], row: PriceRow) -> bool:
    """Whether quotas of the row's cloud are stated and none of them is of the row."""
    mine = [quota for quota in quotas if quota.cloud == row.cloud]
    return bool(mine) and not any(covers(quota.key, row) for quota in mine)


def most_nodes(quotas: Sequence[Quota], row: PriceRow, gpus_per_node: int) -> int | None:
    """Nodes of the row's machine that its quotas allow; None: none is stated."""
    return min((quota.gpus // gpus_per_node for quota in quotas if covers(quota.key, row)), default=None)


def quota_remarks(rows: Iterable[PriceRow]) -> tuple[str, ...]:
    """A sentence a cloud on what its quotas left out, and how to let it in."""
    left_out: dict[str, dict[tuple[str, str], None]] = {}
    for row in rows:
        left_out.setdefault(row.cloud, {})[row.gpu, row.region] = None
    remarks = []
    for cloud, parts in sorted(left_out.items()):
        gpus = sorted({gpu for gpu, _ in parts})
        first = min(parts)
        where = {"cloud": cloud, "gpus": _listed(gpus), "gpu": first[0], "region": first[1]}
        remarks.append(say("fences.left_out", **where))
    return tuple(remarks)


def _listed(names: Sequence[str]) -> Sentence:
    if len(names) > MOST_NAMED:
        return say("fences.gpus_and_more", names=names[:MOST_NAMED], more=len(names) - MOST_NAMED)
    return say("fences.gpus", names=names)
