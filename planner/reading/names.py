"""Names that people write, looked up among those that are known: which is meant, and which may have been."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from planner.units import PlannerError, name_words, nearest, shown
from planner.words import say


def did_you_mean(found: str, names: Iterable[str]) -> str:
    """The end of a sentence: "; did you mean `x`?", or nothing when nothing is near."""
    near = nearest(found, names)
    return say("names.meant", names=either(near[:3])) if near else ""


def either(names: Sequence[str]) -> str:
    """One to three names in backquotes: "`a` or `b`"."""
    first = f"`{names[0]}`"
    return say("names.either", some=first, other=either(names[1:])) if len(names) > 1 else first


def nearest_or_all(found: str, names: Sequence[str]) -> str:
    """The end of a sentence: the nearest names, or else all that are known."""
    return did_you_mean(found[:60], names) or say("names.known", names=list(names))


def check_name(found: str, names: Iterable[str], what: str) -> str:
    """The name that `found` is, whatever its case, or the only one of which it is whole words: `RTX 4090`.

    Else the sentence that lists what it may mean. A near name of another thing (`h20` of an H200) is never taken.
    `what` it names: an accelerator, a cloud or a region.
    """
    names = tuple(names)
    if found in names:
        return found
    short = name_words(found)
    same = [name for name in names if name.lower() == found.strip().lower()]
    meant = same or [name for name in names if short and set(short) <= set(name_words(name))]
    if len(meant) == 1:
        return meant[0]
    near = nearest(found, names)
    if len(near) > 1:
        raise PlannerError(say("names.ambiguous", found=shown(found), names=[*near[:6], *(["…"] if near[6:] else ())]))
    instead = did_you_mean(found, names) or (say("names.where_listed") if what == "accelerator" else "")
    raise PlannerError(say("names.unknown", what=say(f"names.{what}"), found=shown(found), instead=instead))
