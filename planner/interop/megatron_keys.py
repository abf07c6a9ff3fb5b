"""Which of Megatron-LM's options, of all years and forks, decide what is planned, and which do not."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from planner.interop.key_kinds import Kinds, by_name, table_of_keys

_TABLE = table_of_keys("megatron")
#: Options that decide what is trained, how it is laid out, what memory holds or how long it runs, and are not read.
DECIDING = by_name(_TABLE["deciding"])


@cache
def known_options() -> frozenset[str]:
    """All names that Megatron-LM or a fork of it has or had (megatron_options.txt says which, and its sources)."""
    text = files("planner.interop").joinpath("megatron_options.txt").read_text(encoding="utf-8")
    elsewhere: frozenset[str] = _TABLE["elsewhere"]
    return elsewhere | {line.split()[0] for line in text.splitlines() if line and not line.startswith("#")}


def option_kinds() -> Kinds:
    """The kinds of Megatron-LM's options, beside those that are read."""
    return Kinds("Megatron-LM", known_options(), DECIDING, "--")
