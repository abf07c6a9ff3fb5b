"""What a file is that was given to the wrong command: other programs' configs, weights, tokenizers, logs.

A kind is told by its ending, by the keys of its JSON object, or by lines that only files of one program have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.interop.key_kinds import table_of_keys
from planner.words import say


@dataclass(frozen=True, slots=True)
class FileKind:
    """`what` as in "a.yml is WHAT"; `instead` is what to give in its place, "" for what planner lists anyway."""

    what: str
    instead: str = ""
    log: bool = False


def _kind(row: Mapping[str, Any]) -> FileKind:
    """A kind by the codes of its words, or a tool's file that planner does not import, or a piece of one it does."""
    if "kind" in row:
        what, instead = (*row["kind"], "")[:2]
        return FileKind(say(f"file_kinds.{what}"), say(f"file_kinds.{instead}") if instead else "", "log" in row)
    tool, *parts = row["tool"]
    if parts:
        return FileKind(say("file_kinds.part_of_tool", tool=tool), say("file_kinds.give_whole", parts=parts))
    return FileKind(say("file_kinds.of_tool", tool=tool))


def _table(part: str) -> Any:
    return table_of_keys("file_kinds")[part]


_NEOX_HEAD = re.compile(r"(?:[ \t]{0,40}(?:#[^\n]{0,400})?\n){0,200}[ \t]{0,40}(?:\{|[\"']?[a-z][\w-]{1,60}[\"']?\s*:)")
_NEOX_MODEL = re.compile(r"^\s*[{,]?\s*[\"']?num[-_]layers[\"']?\s*:|,\s*[\"']num[-_]layers[\"']\s*:", re.MULTILINE)


def kind_by_ending(path: Path) -> FileKind | None:
    """The kind of a file that is no text, by its name."""
    codes = _table("endings").get(path.suffix.lower())
    return None if codes is None else _kind({"kind": codes})


def kind_of(text: str) -> FileKind | None:
    """The kind of a text of another program; None where it is none of those known here."""
    keys = _keys(text)
    if keys:
        for row in _table("object"):
            if all(key in keys for key in row["keys"]):
                return _kind(row)
        if is_deepspeeds(text):
            return _kind({"kind": ("deepspeed", "give_what_it_belongs_to")})
        return None
    for row in _table("line"):
        if re.search(rf"^(?:{row['sign']})", text, re.MULTILINE):
            return _kind(row)
    return None


def tool_in(text: str) -> str | None:
    """The tool whose file a text is, by keys at their places; None where it is none of those known so."""
    row = _tool_row(text)
    return None if row is None else str(row["id"])


def _tool_row(text: str) -> Mapping[str, Any] | None:
    rows = (row for row in _table("tool") if all(re.search(sign, text, re.MULTILINE) for sign in row["signs"]))
    return next(rows, None)


def is_deepspeeds(text: str) -> bool:
    """Whether a JSON object has the keys of DeepSpeed's configuration and none of a GPT-NeoX model's.

    A value "auto" is one that only a trainer fills in.
    """
    keys = _keys(text)
    if not keys or _NEOX_MODEL.search(text):
        return False
    own = sum(key in _table("deepspeed") for key in keys)
    return '"auto"' in text or own >= 2 and own * 2 > len(keys)


def configuration_of(text: str) -> str:
    """Words for a text that is a configuration or a script, "" for what may be a log."""
    tool, kind = _tool_row(text[: 512 << 10]), kind_of(text[: 512 << 10])
    if tool is not None:
        return say("file_kinds.of_tool", tool=tool["name"])
    if kind is not None:
        return "" if kind.log else kind.what
    if re.match(r"#!", text) or re.search(r"^#SBATCH ", text[:4096], re.MULTILINE):
        return say("file_kinds.script")
    if re.search(r'"(?:model_type|architectures)"\s*:', text[:4096]) and text.lstrip().startswith("{"):
        return say("file_kinds.huggingface")
    neox = _NEOX_HEAD.match(text) and _NEOX_MODEL.search(text[: 64 << 10])
    return say("file_kinds.neox") if neox else ""


def _keys(text: str) -> frozenset[str]:
    """The keys of a JSON object; none for any other text."""
    if not text.lstrip().startswith("{"):
        return frozenset()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(map(str, found)) if isinstance(found, dict) else frozenset()
