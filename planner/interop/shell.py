"""The words of a shell script, without running it: quotes, comments, continuation lines, variables, arrays, arithmetic.

Only what assigns or names a word is understood; conditions and loops are read straight through, and what only running
the script would tell (command output, positional parameters) stays as written.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from planner.units import PlannerError

# Every repetition that could fail far away is bounded, so that reading stays linear in the text.
_TOKEN = re.compile(
    r"""(?P<space>[ \t]+)|(?P<join>\\\n)|(?P<end>[\n;&|]+)|(?P<open>[()])|(?P<redirect>[<>]+)"""
    r"""|(?P<word>(?:\$\(\([^\n]{0,200}?\)\)|\$\([^()\n]{0,200}\)|`[^`\n]{0,200}`|\$\{[^}\n]{0,200}\}"""
    r"""|'[^']*'|"(?:\\.|[^"\\])*"|\\[^\n]|[^\s'"\\;&|()<>`])+)"""
    r"""|(?P<other>.)""",
    re.DOTALL,
)
_ASSIGN = re.compile(r"([A-Za-z_]\w*)(\+?)=(.*)", re.DOTALL)
_NAME = re.compile(r"\$\{([A-Za-z_]\w*|[1-9])(?:\[[@*]\])?(?::?[-=]([^}]{0,200}))?\}|\$([A-Za-z_]\w*|[1-9])")
_ARITHMETIC = re.compile(r"\$\(\((.{0,200}?)\)\)", re.DOTALL)
_PIECE = re.compile(
    r"""\$\{[^}]{0,200}\}|\$\(\(.{0,200}?\)\)|'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^'"\\$]+|['"\\$]""", re.DOTALL
)
_DECLARING = ("export", "local", "readonly", "declare")
_MAX_VALUE = 100_000  # characters of one variable: `A=$A$A` repeated must not grow
_MAX_TOTAL = 4_000_000  # characters of all values and words together
_MAX_WORDS = 20_000


@dataclass
class Script:
    """What a script assigns and which words its commands have, in order."""

    commands: list[list[str]] = field(default_factory=list)
    variables: dict[str, list[str]] = field(default_factory=dict)
    words: int = 0
    characters: int = 0


def read_script(text: str, name: str, arguments: Sequence[str] = ()) -> Script:
    """The commands of a script with its own variables filled in.

    Raises
    ------
    PlannerError
        If variables grow beyond reason or there are more words than any launch script has.
    """
    script = Script()
    script.variables.update((str(number), [value]) for number, value in enumerate(arguments, 1))
    for command in _commands(text):
        words: list[str] = []
        leading = True  # assignments stand before the command's own words
        for word, array in command:
            found = _ASSIGN.fullmatch(word) if leading else None
            if found:
                _assign(script, found[1], bool(found[2]), found[3], array, name)
            else:
                leading = leading and word in _DECLARING
                new = _expand(script, word, name)
                words += new
                _count(script, new, name)
        if words:
            script.commands.append(words)
    return script


def _count(script: Script, words: list[str], name: str) -> None:
    script.words += len(words)
    script.characters += sum(map(len, words))
    if script.words > _MAX_WORDS or script.characters > _MAX_TOTAL:
        raise PlannerError(f"{name} has more than {_MAX_WORDS:,} words; is it a launch script?")


def _commands(text: str) -> Iterator[list[tuple[str, list[str] | None]]]:
    """Commands as words; an assignment `NAME=(a b)` comes with the words of its array."""
    command: list[tuple[str, list[str] | None]] = []
    array: list[str] | None = None
    fresh, glued = True, False  # at the start of a word; the last word ends right here
    position = 0
    while position < len(text):
        if text[position] == "#" and fresh:
            position = end if (end := text.find("\n", position)) >= 0 else len(text)
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            break
        kind, piece = match.lastgroup, match[0]
        position = match.end()
        if kind == "word":
            if array is not None:
                array.append(piece)
            else:
                command.append((piece, None))
        elif piece == "(" and glued and command and _ASSIGN.fullmatch(command[-1][0]) and command[-1][0].endswith("="):
            array = []
        elif piece == ")" and array is not None:
            command[-1] = (command[-1][0], array)
            array = None
        elif kind in ("end", "open") and array is None:
            if command:
                yield command
            command = []
        fresh, glued = kind != "word", kind == "word"
    if command:
        yield command


def _assign(script: Script, name: str, more: bool, value: str, array: list[str] | None, where: str) -> None:
    items = [[_text(script, value)]] if array is None else [_expand(script, item, where) for item in array]
    words = [word for item in items for word in item]
    old = script.variables.get(name, []) if more else []
    new = [*old, *words] if array is not None or not old else [*old[:-1], old[-1] + words[0]]
    if sum(map(len, new)) > _MAX_VALUE or len(new) > _MAX_WORDS:
        raise PlannerError(f"{where}: the variable {name} grows beyond {_MAX_VALUE:,} characters.")
    script.characters += sum(map(len, new))
    if script.characters > _MAX_TOTAL:
        raise PlannerError(f"{where}: its variables grow beyond {_MAX_TOTAL:,} characters.")
    script.variables[name] = new


def _expand(script: Script, word: str, where: str) -> list[str]:
    """One word as written, as the words that a shell makes of it: unquoted variables split at spaces, arrays spread."""
    whole = re.fullmatch(r'"?\$(?:\{([A-Za-z_]\w*)(?:\[[@*]\])?\}|([A-Za-z_]\w*))"?', word)
    if whole and (whole[1] or whole[2]) in script.variables:
        values = script.variables[whole[1] or whole[2]]
        return list(values) if word.startswith('"') else [w for v in values for w in v.split()]
    text = _text(script, word)
    if len(text) > _MAX_VALUE:
        raise PlannerError(f"{where}: one word grows beyond {_MAX_VALUE:,} characters.")
    quoted = any(q in word for q in "'\"")
    return [text] if quoted or "$" not in word else text.split() or [""]


def _text(script: Script, word: str) -> str:
    parts: list[str] = []
    for piece in _PIECE.findall(word):
        if len(piece) > 1 and piece[0] == piece[-1] == "'":
            parts.append(piece[1:-1])
        elif len(piece) > 1 and piece[0] == piece[-1] == '"':
            parts.append(_filled(script, re.sub(r'\\(["\\`])|\\\n', lambda m: m[1] or "", piece[1:-1])))
        elif piece[0] == "\\" and len(piece) > 1:
            parts.append(piece[1:])
        else:
            parts.append(_filled(script, piece))
    return "".join(parts)[: _MAX_VALUE + 1]


def _filled(script: Script, text: str) -> str:
    def variable(match: re.Match[str]) -> str:
        values = script.variables.get(match[1] or match[3])
        if values is not None:
            return " ".join(values)
        return match[0] if match[2] is None else match[2].strip("\"'")

    def arithmetic(match: re.Match[str]) -> str:
        inner = re.sub(
            r"[A-Za-z_]\w*", lambda m: " ".join(script.variables.get(m[0], [m[0]])), _NAME.sub(variable, match[1])
        )
        value = _integer(inner)
        return match[0] if value is None else str(value)

    return _NAME.sub(variable, _ARITHMETIC.sub(arithmetic, text))


def _integer(text: str) -> int | None:
    """The value of integer arithmetic (+ - * / %), or None for anything else."""
    if len(text) > 200 or not re.fullmatch(r"[\d\s+*/%()-]*", text) or "**" in text:
        return None
    try:
        tree = ast.parse(re.sub(r"\b0+(?=\d)", "", text.strip()), mode="eval").body
        value = _value(tree)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None
    return value if abs(value) < 10**15 else None


def _value(tree: ast.expr) -> int:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int):
        return tree.value
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub | ast.UAdd):
        return -_value(tree.operand) if isinstance(tree.op, ast.USub) else _value(tree.operand)
    if isinstance(tree, ast.BinOp):
        left, right = _value(tree.left), _value(tree.right)
        match tree.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div():
                return int(left / right)
            case ast.Mod():
                return left % right
    raise ValueError("no integer arithmetic")
