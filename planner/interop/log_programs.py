"""Lines by which training programs tell their steps, beside GPT-NeoX's, Megatron-LM's and DeepSpeed's own.

A form is told by a word that each of its lines has, and read by one pattern for the step and one for each other fact.
tables/logs.toml has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from planner.interop.kinds import table_of_keys

_N = r"(\d[\d,]{0,17}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?[KMBGT]?)"
#: `step N`, `iteration: N/M`, `Iter(train) [N/M]`, on a line that is of no evaluation.
_ANY_STEP = (
    r"^(?![^\r\n]{0,300}?\b(?:val|valid|validation|eval|evaluation)\b)[^\r\n]{0,200}?"
    r"\b(?:global[ _])?(?:step|iter|iteration)s?\b[ :=#\[]{0,12}(\d{1,15})(?: ?/ {0,8}(\d{1,15}))?(?![\d.])"
)
_LOSS = r"[ \t,|'\"]{0,3}[=:]?[ \t'\"]{0,10}(-?\d{1,12}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?)"


@dataclass(frozen=True, slots=True)
class Form:
    """How one program's line tells a step.

    `step` has the step in its first group and, where it has a second, the last step of the run. `facts` are patterns of
    one number each, by what it is: seconds, ms, elapsed, micro, micro_ms, steps_per_s, samples_per_s, tokens_per_s,
    tokens_per_s_gpu, batch, loss; epoch (from one) and epoch_zero, of which each counts its steps anew; and global_step
    (from zero), beside which `step` may count micro-batches. With `zero`, steps are counted from
    zero, or, where it is None, from zero if the first one is; with `block`, the lines after it that begin with a space
    belong to it.
    """

    name: str
    shown: str
    needle: bytes
    step: re.Pattern[bytes]
    facts: Mapping[str, re.Pattern[bytes]] = field(default_factory=dict)
    zero: bool | None = False
    block: bool = False


@cache
def forms() -> tuple[Form, ...]:
    """The forms of tables/logs.toml, in its order."""
    words = {"<n>": _N, "<loss>": _LOSS, "<any step>": _ANY_STEP}

    def pattern(text: str) -> re.Pattern[bytes]:
        return re.compile(re.sub("|".join(words), lambda found: words[found[0]], text).encode())

    found: list[Form] = []
    for row in table_of_keys("logs")["form"]:
        facts = {key: pattern(text) for key, text in row.items() if key not in Form.__slots__}
        zero = row.get("zero", False)
        zero = None if zero == "as the first" else zero
        needle, step = row["needle"].encode(), pattern(row["step"])
        found.append(Form(row["name"], row["shown"], needle, step, facts, zero, row.get("block", False)))
    return tuple(found)
