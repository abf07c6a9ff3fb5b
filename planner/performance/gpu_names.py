"""Accelerators as tables of runs write them: `A100 80GB`, `NVIDIA H100 SXM`, or a memory size that no catalog lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from planner.catalog.types import Accelerator

SERIES = ("tpu", "rtx")  # their chip is named by two words, in ids at least: tpu-v4, rtx-4090, rtx-pro6000
FORMS = ("sxm", "pcie", "nvl")  # the first that a chip comes in is meant where none is stated
OTHER_MEMORY = 0.15  # of its size: a difference beyond it makes another part


def accelerator_written(
    name: str, memory_gb: float | None, accelerators: Mapping[str, Accelerator]
) -> Accelerator | None:
    """The accelerator that a table's words mean, None if no catalog knows the chip.

    Of a chip's parts the stated form factor and memory decide (`memory_gb` where the name has none), else SXM and the
    largest memory; a variant that the catalog calls unusual is meant by its memory alone. Where several memories could
    be meant, or one that no part has, the result is a part of its own, `id` as written: nothing was measured on it, and
    predictions are the wider for it.
    """
    words = _words(name)
    joined = ["".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words))]
    alike = [each for each in accelerators if chip_of(each) in joined]
    if not alike:
        return None
    stated = next((float(m[1]) for m in (re.fullmatch(r"(\d{1,4})g(?:i?b)?", w) for w in words) if m), None)
    if stated is None:  # "A100 40": a number behind the chip is a memory if a part of it has as much
        known = [_memory_gb(accelerators[each]) for each in alike]
        behind = words[next((i for i, w in enumerate(words) if not w.isdecimal()), 0) + 1 :]
        numbers = [float(w) for w in behind if w.isdecimal() and len(w) < 4]
        stated = next((n for n in numbers if any(abs(s - n) <= OTHER_MEMORY * s for s in known)), memory_gb)
    if stated is None:
        alike = [each for each in alike if not accelerators[each].unusual] or alike
    form = next((f for f in FORMS if any(w.startswith(f) for w in words)), None)

    def strangeness(part: str) -> tuple[bool, float, int, float]:
        own = _memory_gb(accelerators[part])
        forms = [i for i, f in enumerate(FORMS) if f in part]
        return (
            form is not None and form not in part,
            abs(own - stated) if stated else 0.0,
            min(forms, default=0),
            -own,
        )

    part = accelerators[min(alike, key=strangeness)]
    if stated and abs(_memory_gb(part) - stated) > OTHER_MEMORY * _memory_gb(part):
        return replace(part, id="-".join(words), memory_gib=stated * 1e9 / 2**30)
    sizes = {_memory_gb(accelerators[each]) for each in alike if accelerators[each].form_factor == part.form_factor}
    return part if stated or len(sizes) == 1 else replace(part, id="-".join(words))


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
