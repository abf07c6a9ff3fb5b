"""The keys that a GPT-NeoX config may hold (tables/gpt-neox.toml), and what a misspelt one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from planner.interop.key_kinds import table_of_keys

_TABLE = table_of_keys("gpt-neox")
UNDERSTOOD: frozenset[str] = _TABLE["understood"]
IRRELEVANT: frozenset[str] = _TABLE["irrelevant"]
IRRELEVANT_BEFORE: frozenset[str] = _TABLE["irrelevant_before"]
DECIDING: Mapping[str, str] = _TABLE["deciding"]
KEYS = UNDERSTOOD | IRRELEVANT | IRRELEVANT_BEFORE | frozenset(DECIDING)


def misspelt(found: str, names: Iterable[str]) -> str | None:
    """The one of `names` that `found` is a slip of the pen away from, or None.

    A slip is a character too many, too few, changed, or two that changed places: one of them in names of four
    characters and more, two from eight on.
    """
    said = found.lower()
    most = 2 if len(said) >= 8 else int(len(said) >= 4)
    near = [(slips(said, name, most), name) for name in names if abs(len(name) - len(said)) <= most]
    distance, name = min(near, default=(most + 1, ""))
    return name if distance <= most else None


def slips(one: str, other: str, most: int) -> int:
    """How many slips part two words; `most` + 1 where they are more (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, char in enumerate(one, 1):
        new = [i]
        for j, there in enumerate(other, 1):
            cost = min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (char != there))
            if i > 1 and j > 1 and char == other[j - 2] and one[i - 2] == there:
                cost = min(cost, before[j - 2] + 1)
            new.append(cost)
        if min(new) > most and min(row) >= most:
            return most + 1
        before, row = row, new
    return min(row[-1], most + 1)
