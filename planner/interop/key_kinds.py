"""Three kinds of keys: those a reader understands, those that say nothing to planning, and all the others.

What decides a model, its layout or its length is never left aside in silence: a key that no reader asked for is either
known to be irrelevant (its tool has it, and it changes nothing that is planned), or a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from planner.interop.files import shown
from planner.units import PlannerError, nearest
from planner.words import phrase, say

MOST_COMPARED = 50  # unknown keys that are given a nearest spelling: a file with more is not one of the tool's
MOST_NAMED = 12  # of them that are written out
MOST_LETTERS = 60


@cache
def table_of_keys(name: str) -> Mapping[str, Any]:
    """What a tool's files may hold beside what planner reads: tables/NAME.toml. A text there is a set of words."""
    import tomllib

    text = files("planner.interop").joinpath("tables", f"{name}.toml").read_text(encoding="utf-8")
    parts = tomllib.loads(text).items()
    return {key: frozenset(part.split()) if isinstance(part, str) else part for key, part in parts}


def by_name(table: Mapping[str, str]) -> dict[str, str]:
    """What stands behind each name of a table that has names behind what they have in common."""
    return {name: what for what, names in table.items() for name in names.split()}


@dataclass(frozen=True, slots=True)
class Kinds:
    """The names that one tool's files may hold, beside those that its reader asks for.

    `irrelevant`: names of the tool, of any release, that change nothing that is planned. `deciding`: names of the tool
    that do, each with the words for what it decides. `prefix` is what stands before a name in the file (`--`).
    """

    tool: str
    irrelevant: Collection[str]
    deciding: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Sorted:
    """The keys that no reader asked for: those to list as not needed, and a warning for each of the others."""

    unused: tuple[str, ...]
    warnings: tuple[str, ...]


def sort_keys(found: Mapping[str, str], understood: Collection[str], kinds: Kinds) -> Sorted:
    """Which of the keys of a file were understood, which are irrelevant, and which are neither.

    Parameters
    ----------
    found : the keys of the file, each with the place where it stands, as "run.sh" or "a.yml:7"
    understood : the keys that the reader asked for, in the file or not
    kinds : what the tool's files may hold
    """
    rest = {key: where for key, where in found.items() if key not in understood}
    unused = tuple(sorted(kinds.prefix + key for key in rest if key in kinds.irrelevant and key not in kinds.deciding))
    warnings: list[str] = [
        say("key_kinds.decides", file=where, key=kinds.prefix + key, what=phrase("deciding", kinds.deciding[key]))
        for key, where in rest.items()
        if key in kinds.deciding
    ]
    unknown = {key: at for key, at in rest.items() if key not in kinds.irrelevant and key not in kinds.deciding}
    names = sorted({*understood, *kinds.irrelevant, *kinds.deciding})
    for number, (key, where) in enumerate(unknown.items()):
        if number == MOST_NAMED:
            warnings.append(say("key_kinds.more_unknown", file=where, more=len(unknown) - number))
            break
        close = nearest(key[:MOST_LETTERS], names) if number < MOST_COMPARED else ()
        near = say("key_kinds.near", key=kinds.prefix + close[0]) if len(close) == 1 else ""
        name = kinds.prefix + shown(key)
        warnings.append(say("key_kinds.unknown", file=where, key=name, tool=kinds.tool, near=near))
    return Sorted(unused, tuple(warnings))


def refuse(warnings: Iterable[str], *, strict: bool) -> None:
    """With `--strict`, what would be a warning is an error.

    Raises
    ------
    PlannerError
        If `strict` and there are warnings: the first, and how many more there are.
    """
    listed = list(warnings)
    if strict and len(listed) > 1:
        raise PlannerError(say("key_kinds.strict_and_more", warning=listed[0], more=len(listed) - 1))
    if strict and listed:
        raise PlannerError(say("key_kinds.strict", warning=listed[0]))
