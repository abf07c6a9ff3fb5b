"""Two prices of one offer at one time that disagree: a row says which is believed and why, or it is a finding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta

from planner.catalog.checks_hardware import Finding
from planner.catalog.history import in_use
from planner.catalog.prices import PriceRow
from planner.words import say

DISAGREE = 0.15  # of the lower
NEAR = timedelta(days=31)  # prices of days further apart may both be right
_MOVING = "spot"  # differs by the hour


def check_agreement(rows: Iterable[PriceRow]) -> Iterator[Finding]:
    """Prices of one offer of about one time that are more than 15 % apart, where neither row says why.

    The row that is in use says it by the flag `differs`, the other one by `superseded`; why, the note of either.
    """
    offers: dict[tuple[str, str, str, str], list[PriceRow]] = defaultdict(list)
    for row in rows:
        if row.quality != "X" and "index" not in row.flags and row.pricing != _MOVING:
            offers[row.key].append(row)
    for key, listed in offers.items():
        used = next((row for row in listed if in_use(row)), None)
        if used is None:
            continue
        for other in listed:
            usd, other_usd = used.low / used.gpus, other.low / other.gpus
            low, high = sorted((usd, other_usd))
            explained = ("differs" in used.flags and used.note) or (
                "superseded" in other.flags and (other.note or used.note)
            )
            if other is used or low <= 0 or high / low - 1 <= DISAGREE or explained or not _of_one_time(used, other):
                continue
            undated = say("age.undated")
            one = {"usd": usd, "source": used.source, "as_of": used.as_of or undated}
            two = {"other_usd": other_usd, "other_source": other.source, "other_as_of": other.as_of or undated}
            yield Finding("agreement", "/".join(key), say("checks_agreement.differ", **one, **two))


def _of_one_time(one: PriceRow, other: PriceRow) -> bool:
    """Whether the days of two prices may be of one time; a price without a date may be of any."""
    starts = [row.as_of_earliest or row.as_of_latest for row in (one, other)]
    ends = [row.as_of_latest or row.as_of_earliest for row in (one, other)]
    if None in starts or None in ends:
        return True
    return max(filter(None, starts)) <= min(filter(None, ends)) + NEAR
