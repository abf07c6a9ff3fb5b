"""What a shell makes of one word: variables, arrays, arithmetic, and the output of a few commands that only say words.

What only running the script would tell (an unset variable, other commands' output) stays as written.
"""

from __future__ import annotations

import ast
import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from planner.interop.shell_tokens import piece_end
from planner.units import PlannerError
from planner.words import say

MAX_VALUE = 100_000  # characters of one variable: `A=$A$A` repeated must not grow
MAX_TOTAL = 4_000_000  # characters of all values and words together
MAX_WORDS = 20_000
_PLAIN = re.compile(r"[^'\"\\`$]+")
_NAME = re.compile(r"[A-Za-z_]\w*|[0-9]+|[#@*?$!-]")
_SUBSCRIPT = re.compile(r"\[([^\]]{1,200})\]")
_RANGE = re.compile(r"\{(-?\d{1,6})\.\.(-?\d{1,6})(?:\.\.(\d{1,6}))?\}")
BLANK = "\u2420"  # a space inside a command or sum that stays as written, so that nothing splits there
_LEFT = re.compile(r"\$\{?[A-Za-z_0-9]")


@dataclass
class Scope:
    """What a script's names stand for, and how much it has said so far."""

    name: str  # of the script, for sentences
    variables: dict[str, list[str]] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)  # what the script writes, by name
    words: int = 0
    characters: int = 0
    separator: str = " "  # the first character of IFS, which stands between what "${A[*]}" joins
    unset_is_empty: bool = False  # in conditions, where a script asks whether it was given something
    output: Callable[[str], str | None] = lambda _: None

    def assign(self, name: str, values: list[str], more: bool = False, array: bool = False) -> None:
        """Set a variable, or add to it.

        Raises
        ------
        PlannerError
            If it grows beyond what a launch script holds.
        """
        old = self.variables.get(name, []) if more else []
        new = [*old, *values] if array or not old else [*old[:-1], old[-1] + (values[0] if values else "")]
        if sum(map(len, new)) > MAX_VALUE or len(new) > MAX_WORDS:
            raise PlannerError(say("shell.variable_grows", script=self.name, name=name, most=MAX_VALUE))
        self.variables[name] = new
        self.count(0, sum(map(len, new)))

    def count(self, words: int, characters: int) -> None:
        """Note that so much was read.

        Raises
        ------
        PlannerError
            If it is more than any launch script says.
        """
        self.words += words
        self.characters += characters
        if self.words > MAX_WORDS or self.characters > MAX_TOTAL:
            raise PlannerError(say("shell.words", script=self.name, words=MAX_WORDS))


def fields(scope: Scope, word: str) -> list[str]:
    """One word as written, as the words that a shell makes of it: unquoted values split at spaces, arrays spread."""
    if (found := _RANGE.fullmatch(word)) and abs(int(found[1]) - int(found[2])) < 1000:
        low, high, step = int(found[1]), int(found[2]), max(1, int(found[3] or 1))
        return [str(n) for n in (range(low, high + 1, step) if low <= high else range(low, high - 1, -step))]
    done: list[str] = []
    current, started = "", False
    for values, splits, quoted in _pieces(scope, word):
        started = started or quoted
        if not splits:
            parts = values
        else:
            text = " ".join(values)
            parts = text.split()
            if text[:1].isspace() and current:
                done, current, started = [*done, current], "", False
        for number, part in enumerate(parts):
            if number:
                done, current = [*done, current], ""
            current, started = current + part, True
        if splits and parts and " ".join(values)[-1:].isspace():
            done, current, started = [*done, current], "", False
        if len(current) > MAX_VALUE:
            raise PlannerError(say("shell.word_grows", script=scope.name, most=MAX_VALUE))
    if started or current:
        done.append(current)
    scope.count(len(done), sum(map(len, done)))
    return done


def text_of(scope: Scope, word: str) -> str:
    """A word with its variables filled in, as one text (the value of an assignment)."""
    text = "".join(" ".join(values) for values, _, _ in _pieces(scope, word))
    if len(text) > MAX_VALUE:
        raise PlannerError(say("shell.word_grows", script=scope.name, most=MAX_VALUE))
    scope.count(0, len(text))
    return text


def quoted_text(scope: Scope, body: str) -> str:
    """The inside of "…" or of a here-document, filled in."""
    out: list[str] = []
    size = position = 0
    while position < len(body):
        if body[position] == "\\" and body[position + 1 : position + 2] in ("$", "`", '"', "\\", "\n"):
            out.append(body[position + 1].replace("\n", ""))
            position += 2
            continue
        if body[position] in "$`":
            end = max(piece_end(body, position), position + 1)
            joint = scope.separator if re.search(r"(?:\[\*\]\}|^\$\*|^\$\{\*\})$", body[position:end]) else " "
            out.append(joint.join(_dollar(scope, body[position:end])))
        else:
            found = re.compile(r"[^\\$`]+").match(body, position)
            end = found.end() if found else position + 1
            out.append(body[position:end])
        position = end
        size += len(out[-1])
        if size > MAX_VALUE:
            raise PlannerError(say("shell.word_grows", script=scope.name, most=MAX_VALUE))
    return "".join(out)


def _pieces(scope: Scope, word: str) -> list[tuple[list[str], bool, bool]]:
    """The word's pieces: their values, whether they split at spaces, and whether they are quoted."""
    found: list[tuple[list[str], bool, bool]] = []
    position = size = 0
    while position < len(word):
        if plain := _PLAIN.match(word, position):
            found.append(([plain[0]], False, False))
            position = plain.end()
            continue
        end = max(piece_end(word, position), position + 1)
        piece = word[position:end]
        position = end
        if piece[0] == "\\":
            found.append(([piece[1:].replace("\n", "")], False, True))
        elif len(piece) > 1 and piece[0] == piece[-1] == "'":
            found.append(([piece[1:-1]], False, True))
        elif len(piece) > 2 and piece.startswith("$'") and piece[-1] == "'":
            found.append(([piece[2:-1].replace("\\n", "\n")], False, True))
        elif len(piece) > 1 and piece[0] == piece[-1] == '"':
            inner = piece[1:-1]
            spread = re.fullmatch(r"\$(?:@|\{(?:@|[A-Za-z_]\w*\[@\])\})", inner)
            values = _dollar(scope, inner) if spread else [quoted_text(scope, inner)]
            found.append((values, False, bool(values)))
        elif piece[0] in "$`" and len(piece) > 1:
            values = _dollar(scope, piece)
            found.append((values, values != [piece], False))
        else:
            found.append(([piece], False, False))
        size += sum(map(len, found[-1][0]))
        if size > MAX_VALUE:
            raise PlannerError(say("shell.word_grows", script=scope.name, most=MAX_VALUE))
    return found


def _dollar(scope: Scope, piece: str) -> list[str]:
    """The values of `$name`, `${…}`, `$(…)` or `$((…))`; as written where only running the script would tell."""
    unknown = [""] if scope.unset_is_empty and not piece.startswith(("$(", "`")) else [piece]
    written = re.sub(r"\s", BLANK, piece)
    if piece.startswith("$((") and piece.endswith("))"):
        value = arithmetic(scope, piece[3:-2])
        return [written] if value is None else [str(value)]
    if piece[0] == "`" or piece.startswith("$("):
        output = scope.output(piece[1:-1] if piece[0] == "`" else piece[2:-1])
        return [written] if output is None else [output]
    inner = piece[2:-1] if piece.startswith("${") and piece.endswith("}") else piece[1:]
    values = _parameter(scope, inner)
    return unknown if values is None else values


def _variable(scope: Scope, name: str, subscript: str | None) -> list[str] | None:
    if name in ("@", "*"):
        return list(scope.arguments)
    if name == "#":
        return [str(len(scope.arguments))]
    if name == "0":
        return [scope.name]
    if name.isdigit():
        return [scope.arguments[int(name) - 1]] if 0 < int(name[:6]) <= len(scope.arguments) else None
    if subscript is not None and subscript not in ("@", "*"):
        key = text_of(scope, subscript).strip("\"'")
        if (keyed := scope.variables.get(f"{name}[{key}]")) is not None:
            return keyed
        values, index = scope.variables.get(name), arithmetic(scope, key)
        return [values[index]] if values and index is not None and -len(values) <= index < len(values) else None
    return scope.variables.get(name)


def _parameter(scope: Scope, inner: str) -> list[str] | None:
    """What `${inner}` stands for, or None where the script does not say."""
    length, indirect = inner.startswith("#") and len(inner) > 1, inner.startswith("!") and len(inner) > 1
    rest = inner[1:] if length or indirect else inner
    name = _NAME.match(rest)
    if name is None:
        return None
    rest = rest[name.end() :]
    subscript = _SUBSCRIPT.match(rest)
    rest = rest[subscript.end() :] if subscript else rest
    values = _variable(scope, name[0], subscript[1] if subscript else None)
    if indirect and values:
        values = _variable(scope, values[0], None) if _NAME.fullmatch(values[0]) else None
    if length:
        many = subscript is not None and subscript[1] in "@*"
        return None if values is None else [str(len(values) if many else len(" ".join(values)))]
    return values if not rest else _changed(scope, name[0], values, rest)


def _changed(scope: Scope, name: str, values: list[str] | None, rest: str) -> list[str] | None:
    """A parameter with what stands behind its name: a default, a pattern cut off or replaced, a part of it."""
    if default := re.fullmatch(r"(:?)([-=+?])(.*)", rest, re.DOTALL):
        # A value that is nothing but a variable which the script never set is none: NODES=${SLURM_NNODES}.
        unset = values is None or len(values) == 1 and re.fullmatch(r"\$\{?(?:[A-Za-z_]\w*|\d+)\}?", values[0])
        empty = values is None or (bool(default[1]) and not any(values)) or bool(unset)
        if default[2] == "+":
            return [] if empty else [text_of(scope, default[3])]
        if not empty:
            return values
        if default[2] == "?":
            return None
        stated = [text_of(scope, default[3])]
        if default[2] == "=":
            scope.assign(name, stated)
        return stated
    if values is None:
        return None
    text = " ".join(values)
    if cut := re.fullmatch(r"(##?|%%?)(.*)", rest, re.DOTALL):
        return [_cut(text, cut[1], text_of(scope, cut[2]))]
    if new := re.fullmatch(r"/(/?)([^/]+)(?:/(.*))?", rest, re.DOTALL):
        return [text.replace(text_of(scope, new[2]), text_of(scope, new[3] or ""), -1 if new[1] else 1)]
    if part := re.fullmatch(r":\s*(-?\d{1,9})(?::(-?\d{1,9}))?", rest):
        start, count = int(part[1]), part[2]
        end = None if count is None else (start + int(count) if int(count) >= 0 else int(count))
        return [text[start:end]]
    if rest in (",,", ",", "^^", "^"):
        return [text.lower() if rest[0] == "," else text.upper()]
    return None


def _cut(text: str, kind: str, pattern: str) -> str:
    if len(text) > 2000:
        return text
    places = range(len(text) + 1)
    if kind[0] == "#":
        order = places if kind == "#" else reversed(places)
        return next((text[i:] for i in order if fnmatch.fnmatchcase(text[:i], pattern)), text)
    order = reversed(places) if kind == "%" else places
    return next((text[:i] for i in order if fnmatch.fnmatchcase(text[i:], pattern)), text)


def arithmetic(scope: Scope, text: str) -> int | None:
    """The value of integer arithmetic (`+ - * / % **`, comparisons, `&& || !`), or None for anything else."""
    if len(text) > 400:
        return None
    filled = quoted_text(scope, text).replace("$", " ") if not scope.unset_is_empty else quoted_text(scope, text)

    def named(match: re.Match[str]) -> str:
        values = scope.variables.get(match[0])
        if values is None:
            return "0" if scope.unset_is_empty else match[0]
        return f"({' '.join(values)})" if re.fullmatch(r"\s*[-+]?\d+\s*", " ".join(values)) else " ".join(values)

    for _ in range(3):  # a variable may name another
        filled = re.sub(r"[A-Za-z_]\w*", named, filled)
    return _integer(filled)


def calculate(scope: Scope, text: str) -> int | None:
    """The value of `(( … ))` or `let …`, which may set a variable: `N=4*M`, `N+=1`, `N++`."""
    found = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*(?:([-+*/%]?)=(?!=)(.+)|(\+\+|--))\s*", text, re.DOTALL)
    if found is None:
        return arithmetic(scope, text)
    name, operator, right, step = found.groups()
    summed = f"{name}{step[0]}1" if step else f"{name}{operator}({right})" if operator else right
    value = arithmetic(scope, summed)
    scope.assign(name, [f"$(({summed.replace(' ', BLANK)}))" if value is None else str(value)])
    return value


def _integer(text: str) -> int | None:
    text = text.strip()
    if len(text) > 400 or not re.fullmatch(r"[\d\s+*/%()<>=!&|-]*", text):
        return None
    text = re.sub(r"!(?!=)", " not ", text.replace("&&", " and ").replace("||", " or "))
    try:
        return _value(ast.parse(re.sub(r"\b0+(?=\d)", "", text.strip()), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


_COMPARE: dict[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
}


def _value(tree: ast.expr) -> int:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int):
        return _bounded(tree.value)
    if isinstance(tree, ast.UnaryOp):
        inner = _value(tree.operand)
        return int(not inner) if isinstance(tree.op, ast.Not) else -inner if isinstance(tree.op, ast.USub) else inner
    if isinstance(tree, ast.BoolOp):
        parts = [bool(_value(part)) for part in tree.values]
        return int(all(parts) if isinstance(tree.op, ast.And) else any(parts))
    if isinstance(tree, ast.Compare) and len(tree.ops) == 1 and type(tree.ops[0]) in _COMPARE:
        return int(_COMPARE[type(tree.ops[0])](_value(tree.left), _value(tree.comparators[0])))
    if isinstance(tree, ast.BinOp):
        return _bounded(_operation(tree.op, _value(tree.left), _value(tree.right)))
    raise ValueError("no integer arithmetic")


def _bounded(value: int) -> int:
    if abs(value) >= 10**15:
        raise ValueError("too large")
    return value


def _operation(operator: ast.operator, left: int, right: int) -> int:
    quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1) if right else 0
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div() if right:
            return quotient
        case ast.Mod() if right:
            return left - quotient * right
        case ast.Pow() if 0 <= right < 50 and abs(left) < 1000:
            return int(left**right)
    raise ValueError("no integer arithmetic")


def unresolved(text: str) -> bool:
    """Whether a text holds a variable or a command that only running the script would tell."""
    return bool(_LEFT.search(text)) or "$(" in text or "`" in text
