"""Dataset indices that a config names, as the data of a scenario, where they are at hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from planner.interop.files import shown
from planner.interop.imported import Taken
from planner.units import SPLIT
from planner.words import say

MOST = 1000  # datasets of one mixture


def indexed_data(
    prefixes: Sequence[object], weights: Sequence[object], split: str, length: Taken, origin: str
) -> list[Taken] | None:
    """The scenario's `data` from index prefixes, or None if one of their .idx files is not here.

    Parameters
    ----------
    prefixes, weights : as the tool has them; no or other weights than prefixes: equal ones
    split : shares of train, validation and test by documents; "": all documents train
    length : the sequence length, already taken
    origin : where the prefixes stand
    """
    paths = [p for p in prefixes[:MOST] if isinstance(p, str) and p and "\0" not in p]
    if not paths or len(paths) != len(prefixes) or not all(_is_file(f"{path}.idx") for path in paths):
        return None
    absolute = [str(Path(path).absolute()) for path in paths]
    shares = split.replace(" ", "")
    stated = shares if re.fullmatch(SPLIT, shares) else ""
    if len(absolute) == 1:
        rows = [Taken("data.index", absolute[0], origin)]
        return [*rows, *([Taken("data.split", stated, "split")] if stated else []), length]
    numbers = [float(w) if isinstance(w, int | float | str) and _is_number(w) else 1.0 for w in weights]
    if len(numbers) != len(absolute):
        numbers = [1.0] * len(absolute)
    entries: list[dict[str, Any]] = [
        {"index": path, "weight": weight, **({"split": stated} if stated else {}), "seq_length": length.value}
        for path, weight in zip(absolute, numbers, strict=True)
    ]
    return [Taken("data", entries, origin)]


def named_index(prefixes: Sequence[object]) -> str:
    """The index that a config names, in brackets for a sentence; "" if it names none."""
    names = [prefix for prefix in prefixes if isinstance(prefix, str)]
    if not any(names):
        return ""
    if len(names) == 1:
        return say("config_datasets.named", name=shown(names[0], 60))
    return say("config_datasets.named_and_more", name=shown(names[0], 60), more=len(names) - 1)


def _is_number(value: float | str) -> bool:
    try:
        return 0 < float(value) < 1e9
    except ValueError:
        return False


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False
