"""Accelerators as tables of runs write them: `A100 80GB`, `NVIDIA H100 SXM`, or a memory size that no catalog lists."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from planner.catalog import Catalog
from planner.spec.hardware import Accelerator
from planner.units import PlannerError

Accelerators = Mapping[str, Accelerator]
SERIES = ("tpu", "rtx")  # their chip is named by two words, in ids at least: tpu-v4, rtx-4090, rtx-pro6000
FORMS = ("sxm", "pcie", "nvl")  # the first that a chip comes in is meant where none is stated
OTHER_MEMORY = 0.15  # of its size: a difference beyond it makes another part
NEAR_MEMORY = 0.03  # of its size: no more is one's own memory, counted in other units or by a driver
#: Memory of a maker's other part of one chip, over a known one's; a half is a slice of it (MI250X's GCD, MIG), and
#: several times as much is not its own (GH200 480GB counts the CPU's).
OTHER_PART = (0.6, 1.5)
_MEMORY = re.compile(r"(\d{1,4})g(?:i?b)?")
_FORM = re.compile(r"(sxm|pcie|nvl)(\d*)")
#: Words beside the chip's that make no other part of it; any other does: RTX 3090 Ti, MI250X GCD, A100 MIG, H100 CNX.
_GENERIC = re.compile(
    r"nvidia|amd|intel|habana|google|aws|cloud|tesla|geforce|radeon|instinct|quadro|dgx|hgx|ampere|hopper|blackwell|volta"
    r"|grace|ada|lovelace|tensor|core|cores|gpus?|tpu|rtx|accelerator|superchip|class|oam|hbm\d?e?|gddr\d?x?|\d+w"
)


def accelerator_written(name: str, memory_gb: float | None, accelerators: Accelerators) -> Accelerator | None:
    """The accelerator that a table's words mean, None if no catalog knows the chip, or that part of it.

    Of a chip's parts the stated form factor and memory decide (`memory_gb` where the name has none), else SXM and the
    largest memory; a variant that the catalog calls unusual is meant by its memory alone. Where several memories could
    be meant, or one that no part has, or another form, the result is a part of its own, `id` as written: nothing was
    measured on it, and predictions are the wider for it. Where a word says that it is something else than the parts
    known (a slice of one, a variant), or the memory cannot be one's, it is not taken for one.
    """
    words = _words(name)
    alike = _alike(words, accelerators)
    if not alike:
        return None
    known = [_memory_gb(accelerators[each]) for each in alike]
    memories = _memories(words)
    numbers = [float(w) for w in _other_words(words, alike) if w.isdecimal()]
    tpu = any(each.startswith("tpu") for each in alike)  # v5p-128: cores of a slice
    if not memories:  # "A100 40": a number behind the chip is a memory if a part of it has as much
        memories = [n for n in numbers if any(abs(s - n) <= OTHER_MEMORY * s for s in known)]
        numbers = [n for n in numbers if n not in memories]
    if len(memories) > 1 or _is_variant(words, alike) or (numbers and not memories and not tpu):
        return None
    stated = memories[0] if memories else memory_gb
    if stated is None:
        alike = [each for each in alike if not accelerators[each].unusual] or alike
    form = next((m for m in map(_FORM.fullmatch, words) if m), None)

    def distance(part: str) -> tuple[bool, float, int, float]:
        own = _memory_gb(accelerators[part])
        forms = [i for i, f in enumerate(FORMS) if f in part]
        return (
            form is not None and form[1] not in part,
            abs(own - stated) if stated else 0.0,
            min(forms, default=0),
            -own,
        )

    part = accelerators[min(alike, key=distance)]
    written = replace(part, id="-".join(words))
    if stated and abs(_memory_gb(part) - stated) > OTHER_MEMORY * _memory_gb(part):
        low, high = OTHER_PART
        if not low <= stated / _memory_gb(part) <= high:
            return None
        return replace(written, memory_gib=stated * 1e9 / 2**30)
    if form is not None:  # the part's own form factor, in the generation written if both say one
        own_form = next((m for m in map(_FORM.fullmatch, part.id.split("-")) if m and m[1] == form[1]), None)
        if own_form is None or (own_form[2] and form[2] and own_form[2] != form[2]):
            return written
    sizes = {_memory_gb(accelerators[each]) for each in alike if accelerators[each].form_factor == part.form_factor}
    return part if stated or len(sizes) == 1 else written


def accelerator_id(name: str, catalog: Catalog) -> str:
    """The catalog's id of a GPU by its id, or by words that mean one part of it ("A100 40 GB"); short forms do not.

    Raises
    ------
    PlannerError
        If the name means none or several, with the nearest.
    """
    try:
        return catalog.accelerator(name).id
    except PlannerError:
        short = any(each.startswith(name.strip().lower()) for each in catalog.accelerators)
        meant = None if short else accelerator_written(name, None, catalog.accelerators)
        if meant is None or meant.id not in catalog.accelerators:
            raise
        return meant.id


def memory_written(name: str) -> float | None:
    """The GB that a part's written name states, None where it states none."""
    return next(iter(_memories(_words(name))), None)


def is_memory_of(part: Accelerator, memory_gb: float) -> bool:
    """Whether a part is sold or seen with so much memory: of makers' and programs' GB, and GiB, any."""
    sizes = (part.memory_gib, _memory_gb(part), *_memories(_words(part.id)))
    return any(abs(size - memory_gb) <= NEAR_MEMORY * size for size in sizes)


def _memories(words: Sequence[str]) -> list[float]:
    return [float(m[1]) for m in map(_MEMORY.fullmatch, words) if m]


def parts_of_chip(name: str, accelerators: Accelerators) -> list[str]:
    """The parts of the chip that a name's words name, none if no catalog knows it."""
    return _alike(_words(name), accelerators)


def _alike(words: Sequence[str], accelerators: Accelerators) -> list[str]:
    joined = {"".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words))}
    return [each for each in accelerators if chip_of(each) in joined]


def _other_words(words: Sequence[str], alike: Sequence[str]) -> list[str]:
    """The words that do not name the chip."""
    chips = {chip_of(each) for each in alike}
    spans = [(i, n) for n in (1, 2, 3) for i in range(len(words)) if "".join(words[i : i + n]) in chips]
    named = {i for first, n in spans for i in range(first, first + n)}
    return [w for i, w in enumerate(words) if i not in named]


def _is_variant(words: Sequence[str], alike: Sequence[str]) -> bool:
    """Whether a word says that this is none of the chip's known parts: not their own, a form, a memory or a maker."""
    own = {word for each in alike for word in each.split("-")}
    return any(
        not (w.isdecimal() or w in own or _MEMORY.fullmatch(w) or _FORM.fullmatch(w) or _GENERIC.fullmatch(w))
        or (w.startswith("nvl") and w != "nvl" and w not in own)  # NVL4 and NVL72: machines of other domains
        for w in _other_words(words, alike)
    )


def _words(name: str) -> list[str]:
    """A name's words: `40 GB` is one of them, and how many GPUs there are ("8xH100", "H100 x 8") none."""
    text = re.sub(r"(?<![a-z0-9])\d+\s*[x×*]\s*(?=[a-z])", "", name[:100].lower())
    text = re.sub(r"(?:(?<=\d)|(?<=\s))\s*[x×*]\s*\d+(?![a-z0-9])", "", text)
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=\d)[\s-]+(?=g(?:i?b)?(?![a-z0-9]))", "", text))


def chip_of(part: str) -> str:
    """The chip of a part's id: `h100` of h100-sxm5-80gb, `tpuv4` of tpu-v4."""
    words = part.split("-")
    return "".join(words[:2]) if words[0] in SERIES else words[0]


def _memory_gb(part: Accelerator) -> float:
    return part.memory_gib * 2**30 / 1e9
