"""A shell script cut into words, operators, redirections and here-documents; nothing is evaluated here.

A quote or bracket that is never closed ends with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_NESTED = 20  # of quotes and brackets within a word
_OPERATOR = re.compile(r";;&|;;|;&|&&|\|\||\|&|\n|[;&|()]")
_REDIRECT = re.compile(r"(?:\d{0,3}|&)(?:<<<|<<-|<<|>>|>&|<&|<>|>\||<|>)")
_PLAIN = re.compile(r"[^\s'\"\\;&|()<>`$]+")
_SPACE = re.compile(r"(?:[ \t\r]|\\\r?\n)+")
_IN_QUOTES = re.compile(r'[^"\\`$]+')
_IN_BRACKETS = re.compile(r"[^'\"\\`$(){}]+")
_NAME = re.compile(r"[A-Za-z_]\w*|[0-9#@*?$!-]")


@dataclass(frozen=True, slots=True)
class Token:
    """A word as written, an operator, a redirection, or the text of a here-document."""

    kind: str  # word | operator | redirect | here
    text: str
    glued: bool = False  # to the token before it
    literal: bool = False  # a here-document without expansion


def tokens(text: str) -> Iterator[Token]:
    """Words, operators, redirections and here-documents, in order; comments and line continuations left out."""
    position, fresh = 0, True
    waiting: list[tuple[str, bool, bool]] = []  # here-documents that start after this line: delimiter, tabs, literal
    expected: str = ""
    while position < len(text):
        if space := _SPACE.match(text, position):
            position, fresh = space.end(), True
            continue
        if text[position] == "#" and fresh:
            position = end if (end := text.find("\n", position)) >= 0 else len(text)
            continue
        redirect = _REDIRECT.match(text, position) if fresh or text[position] in "<>" else None
        if redirect and not text.startswith("(", redirect.end()):
            position, fresh = redirect.end(), True
            sign = redirect[0].lstrip("0123456789")
            expected = sign if sign in ("<<", "<<-") else ""
            yield Token("redirect", redirect[0])
            continue
        if operator := _OPERATOR.match(text, position):
            yield Token("operator", operator[0], glued=not fresh)
            position, fresh = operator.end(), True
            if operator[0] == "\n" and waiting:
                for delimiter, tabs, literal in waiting:
                    body, position = _here(text, position, delimiter, tabs)
                    yield Token("here", body, literal=literal)
                waiting = []
            continue
        end = word_end(text, position)
        word, glued = text[position:end], not fresh
        position, fresh = end, False
        if expected:
            waiting.append((re.sub(r"['\"\\]", "", word), expected == "<<-", any(c in word for c in "'\"\\")))
            expected = ""
        yield Token("word", word, glued)


def _here(text: str, position: int, delimiter: str, tabs: bool) -> tuple[str, int]:
    lines: list[str] = []
    while position < len(text):
        end = end if (end := text.find("\n", position)) >= 0 else len(text)
        line = text[position:end].rstrip("\r")
        position = end + 1
        line = line.lstrip("\t") if tabs else line
        if line == delimiter:
            break
        lines.append(line)
    return "\n".join(lines) + "\n", min(position, len(text))


def word_end(text: str, position: int) -> int:
    """Where the word that starts at `position` ends; at least one character further."""
    start = position
    while position < len(text):
        if plain := _PLAIN.match(text, position):
            position = plain.end()
        elif text[position] in "'\"\\`$" or (text[position] in "<>" and text.startswith("(", position + 1)):
            position = piece_end(text, position)
        else:
            break
        if text.startswith("\\\n", position):
            break
    return max(position, start + 1)


def piece_end(text: str, at: int) -> int:
    """Where a quoted or `$` piece ends: '…', "…", `…`, $(…), $((…)), ${…}, $name, or one escaped character."""
    end = _piece_end(text, at, 0)
    return _line_end(text, at) if end is None else end


def _piece_end(text: str, at: int, depth: int) -> int | None:
    """`piece_end`, or None where nothing closes the piece."""
    char, following = text[at], text[at + 1 : at + 2]
    if depth > MAX_NESTED:
        return None
    if char == "\\":
        return min(len(text), at + 2)
    if char in "'`" or (char == "$" and following == "'"):
        quote = at + (char == "$")
        return end + 1 if (end := text.find(text[quote], quote + 1)) >= 0 else None
    if char == '"':
        return _closed(text, at + 1, '"', depth)
    if char in "$<>" and following == "(":
        return _closed(text, at + 2, ")", depth)
    if char == "$" and following == "{":
        return _closed(text, at + 2, "}", depth)
    if char == "$" and (name := _NAME.match(text, at + 1)):
        return name.end()
    return at + 1


def _closed(text: str, position: int, closing: str, depth: int) -> int | None:
    """Behind the closing quote or bracket of what starts before `position`, or None if there is none.

    What nothing closes inside leaves nothing that could close the outside, so that each failure is found once.
    """
    opened = 0
    plain = _IN_QUOTES if closing == '"' else _IN_BRACKETS
    opening = {")": "(", "}": "{"}.get(closing, "")
    limit = min(len(text), position + 40_000)
    while position < limit:
        char = text[position]
        if match := plain.match(text, position):
            position = match.end()
        elif char == closing and not opened:
            return position + 1
        elif char in "\\`$" or (char in "'\"" and closing != '"'):
            inner = _piece_end(text, position, depth + 1)
            if inner is None:
                return None
            position = inner
        else:
            opened += (char == opening) - (char == closing)
            position += 1
    return None


def _line_end(text: str, at: int) -> int:
    return end if (end := text.find("\n", at)) >= 0 else len(text)
