"""YAML whose scripts are written as blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml


class _Block(str):
    """A text of several lines, written as a block."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """Safe YAML with blocks for scripts, and without references to what stands twice."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _as_block(dumper: yaml.SafeDumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


_Dumper.add_representer(_Block, _as_block)


def block(lines: Sequence[str]) -> str:
    """Lines that `dumped` writes as a block."""
    return _Block("\n".join(lines) + "\n")


def dumped(document: Any, *, printable: bool = False) -> str:
    """A document as YAML, in the order of its keys.

    Letters beyond ASCII are escaped unless all texts are known to be `printable`: PyYAML writes no block with escapes.
    """
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=printable)
    return text
