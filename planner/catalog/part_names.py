"""Accelerators by the names that people and programs give them: `H100`, `NVIDIA GeForce RTX 4090`, `TPU v5p`.

A chip is told by its own word, whole: a near one (H20 of H200, A10 of A100, L40 of L40S) is another chip.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from planner.units import PlannerError, shown
from planner.words import say

_SERIES = ("tpu", "rtx")  # their chip is named by two words in ids: tpu-v4, rtx-4090, rtx-pro6000
_FORM = re.compile(r"(sxm|pcie|nvl|oam)(\d*)")
_MEMORY = re.compile(r"(\d{1,4})g(?:i?b)?")
NEAR_MEMORY = 0.04  # of its size: driver's and maker's GB of one part
#: Makers, families and kinds of memory, which choose no part.
_GENERIC = re.compile(
    r"nvidia|amd|intel|habana|google|aws|cloud|tesla|geforce|radeon|instinct|quadro|dgx|hgx|ampere|hopper|blackwell|volta"
    r"|ada|lovelace|tensor|core|cores|gpus?|tpu|rtx|accelerator|superchip|hbm\d?e?|gddr\d?x?"
)
#: What a chip is also called, by its own word.
CALLED = {"trillium": "tpuv6e", "ironwood": "tpuv7x", "trn1": "trainium1", "trn2": "trainium2", "trn3": "trainium3"}
MOST = 6  # parts that a sentence lists


def parts_meant(name: str, ids: Iterable[str]) -> tuple[str, ...]:
    """The ids that a name stands for: one, or all parts of a chip that its words leave open; () where it is none.

    Form factors and memories choose among a chip's parts; any other word says that it is something else.
    """
    known = tuple(ids)
    same = tuple(each for each in known if each.lower() == name.strip().lower())
    if same:
        return same[:1]
    words = _words(name)
    spans = {"".join(words[i : i + n]): (i, i + n) for n in (3, 2, 1) for i in range(len(words) - n + 1)}
    chips = {chip: each for chip in {_chip(part) for part in known} for each in _spelt(chip) if each in spans}
    if not chips:
        return ()
    chip, spelt = max(chips.items(), key=lambda pair: spans[pair[1]][1] - spans[pair[1]][0])
    first, last = spans[spelt]
    others = [word for i, word in enumerate(words) if not first <= i < last and not _GENERIC.fullmatch(word)]
    parts = [part for part in known if _chip(part) == chip]
    for word in others:
        parts = [part for part in parts if _has(part, word)]
    return tuple(parts)


def the_part(name: str, ids: Iterable[str]) -> str:
    """The one part that a name means.

    Raises
    ------
    PlannerError
        If it means none, or several, which are listed.
    """
    known = tuple(ids)
    meant = parts_meant(name, known)
    if len(meant) == 1:
        return meant[0]
    if meant:
        code = "part_names.ambiguous_and_more" if len(meant) > MOST else "part_names.ambiguous"
        raise PlannerError(say(code, name=shown(name), parts=meant[:MOST]))
    raise PlannerError(say("part_names.none", name=shown(name), instead=instead_of(name, known)))


def instead_of(name: str, ids: Iterable[str]) -> str:
    """What the catalog has of that chip, else what begins alike and is another, else where they are listed."""
    known, whole = tuple(ids), "".join(_words(name))
    chips = {_chip(part): part for part in known}
    own = max((c for c in chips for s in _spelt(c) if re.search(rf"{s}(?!\d)", whole)), key=len, default="")
    if own:
        parts = [part for part in known if _chip(part) == own]
        return say("part_names.of_that_chip", parts=parts[:MOST])
    alike = [part for chip, part in chips.items() if chip.startswith(whole) or re.match(rf"{chip}(?!\d)", whole)]
    if alike:
        return say("part_names.alike", parts=alike[:3], n=len(alike))
    return say("part_names.list")


def _has(part: str, word: str) -> bool:
    """Whether a word is one of a part's: its memory, its form factor of any generation, or as its id has it."""
    own = _words(part)
    if word in own:
        return True
    memory, form = _MEMORY.fullmatch(word) or re.fullmatch(r"(\d{2,4})", word), _FORM.fullmatch(word)
    if form is not None:
        return any(f[1] == form[1] and (not form[2] or f[2] == form[2]) for f in map(_FORM.fullmatch, own) if f)
    if memory is None:
        return False
    sizes = [int(m[1]) for m in map(_MEMORY.fullmatch, own) if m]
    return any(abs(size - int(memory[1])) <= NEAR_MEMORY * size for size in sizes)


def _chip(part: str) -> str:
    words = part.split("-")
    return "".join(words[:2]) if words[0] in _SERIES else words[0]


def _spelt(chip: str) -> tuple[str, ...]:
    """How a chip is written: `rtx4090` and `4090`, `tpuv5p` and `v5p`, and what else it is called."""
    short = [chip.removeprefix(series) for series in _SERIES if chip.startswith(series)]
    return (chip, *short, *(name for name, own in CALLED.items() if own == chip))


def _words(name: str) -> list[str]:
    text = re.sub(r"(?<=\d)[\s-]+(?=g(?:i?b)?(?![a-z0-9]))", "", name[:100].lower())
    return re.findall(r"[a-z0-9]+", text)
