"""Whether a model is as large as its name says: `20B`, `pythia-12b`, `1-3B`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from planner.spec.model import ModelSpec
from planner.words import say
from planner.workload.counts import parameter_counts

TOLERANCE = 0.1  # names are rounded, by less than a tenth
_SIZE = re.compile(
    r"(?<![A-Za-z0-9.])(?:(?P<before>\d{1,4})[-_.p])?(?P<number>\d{1,4}(?:\.\d{1,3})?)(?P<unit>[bBmM])(?![A-Za-z0-9])"
)
_OF_DATA = re.compile(r"\d[bBmM]?[ _-]{0,2}tok", re.IGNORECASE)
_OF_EXPERTS = re.compile(r"\d+ ?[xX] ?\d+(?:\.\d+)?[bB]")
_UNITS = {"b": 10**9, "m": 10**6}


def size_warning(spec: ModelSpec, names: Iterable[str]) -> str:
    """A sentence where none of the sizes in a model's names is its size within a tenth; "" else.

    A size is right when it is that of the whole model, of the parameters a token meets, of either without the output
    layer (as if tied) or without both embeddings: all of them name models. Names such as `8x7B` say no such number.
    """
    counts = parameter_counts(spec)
    whole, active = counts.total, counts.active
    edges = counts.embedding + counts.head + counts.positions
    right = {n for size in (whole, active) for n in (size, size - counts.head, size - edges)}
    for name in names:
        found = _sizes(name)
        if found and not any(abs(own - said) <= TOLERANCE * said for said in found for own in right):
            stated = min(found, key=lambda said: abs(said - whole))
            return say("name_sizes.another_size", name=name, stated=_words(stated), read=_words(whole))
        if found:
            return ""
    return ""


def _sizes(name: str) -> list[float]:
    """The numbers of parameters that a name may say; a dash may be a point (`1-3B`) or part two numbers."""
    if _OF_EXPERTS.search(name) or _OF_DATA.search(name):
        return []
    sizes = []
    for match in _SIZE.finditer(name):
        unit = _UNITS[match["unit"].lower()]
        sizes.append(float(match["number"]) * unit)
        if match["before"] and "." not in match["number"]:
            sizes.append(float(f"{match['before']}.{match['number']}") * unit)
    return [size for size in sizes if size > 0]


def _words(count: float) -> str:
    return (
        say("name_sizes.billions", n=count / 1e9) if count >= 1e9 else say("name_sizes.millions", n=round(count / 1e6))
    )
