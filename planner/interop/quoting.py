"""A value as a word of a shell, a value of YAML or a comment: every text that reaches a written file passes here.

Whatever the text holds, each function gives one word, one value or one line, of printable characters alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from planner.units import PlannerError
from planner.words import say


def printable(text: object) -> str:
    """`text` with a question mark for every character that is not seen: controls, line ends, marks that turn text."""
    return "".join(char if char.isprintable() else "?" for char in str(text))


def commented(lines: Iterable[str], sign: str = "#") -> list[str]:
    """Lines behind a comment sign; no character can end the comment."""
    return [f"{sign} {printable(line)}".rstrip() for line in lines]


def shell_word(value: object) -> str:
    """A value as one word of bash; what cannot be printed is written as the bytes of its UTF-8.

    Raises
    ------
    PlannerError
        If the value holds a NUL, which no word of a shell can.
    """
    word = str(value)
    if "\0" in word:
        raise PlannerError(say("quoting.nul", word=printable(word)[:60]))
    if re.fullmatch(r"[A-Za-z0-9_./:=,@%+-]+", word):
        return word
    if word.isprintable():
        return "'" + word.replace("'", "'\"'\"'") + "'"
    return "$'" + "".join(map(_escaped, word)) + "'"


def shell_path(path: object) -> str:
    """A path as one word of bash that no command takes for an option: one that begins with a dash gets `./` before."""
    word = str(path)
    return shell_word(f"./{word}" if word.startswith("-") else word)


def yaml_value(value: Any) -> str:
    """A value in YAML's flow style on one line, quoted as JSON is wherever JSON can say it.

    Floats keep a decimal point, since YAML 1.1 takes 1e-08 for a text. What cannot be printed is escaped.
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(map(_yaml_character, value)) + '"'
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text or "e" not in text else text.replace("e", ".0e")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{yaml_value(str(k))}: {yaml_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(yaml_value, value)) + "]"
    return str(value)


def _escaped(char: str) -> str:
    """A character within $'…' of bash."""
    if char.isprintable():
        return f"\\{char}" if char in "\\'" else char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))


def _yaml_character(char: str) -> str:
    """A character within a double-quoted scalar of YAML 1.1."""
    if char.isprintable():
        return f"\\{char}" if char in '"\\' else char
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class _Block(str):
    """A text of several lines, written as a block."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """Safe YAML with blocks for scripts, and without references to what stands twice."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


_Dumper.add_representer(
    _Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)


def block(lines: Sequence[str]) -> str:
    """Lines that `dumped` writes as a block."""
    return _Block("\n".join(lines) + "\n")


def dumped(document: Any, *, printable: bool = False) -> str:
    """A document as YAML, in the order of its keys.

    Letters beyond ASCII are escaped unless all texts are known to be `printable`: PyYAML writes no block with escapes.
    """
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=printable)
    return text
