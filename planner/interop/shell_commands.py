"""What a few commands say or find true, from their words alone: echo, expr, seq and their like, and `[ … ]`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from planner.interop.shell_words import Scope, arithmetic, unresolved


def command_output(scope: Scope, words: list[str], given: str | None) -> str | None:
    """The output of a command whose words are known; `given` is its input. None: only running it would tell."""
    name, rest = words[0], words[1:]
    match name:
        case "echo":
            return " ".join(word for word in rest if word not in ("-n", "-e"))
        case "expr":
            value = arithmetic(scope, " ".join(rest))
            return None if value is None else str(value)
        case "basename" if rest:
            return rest[0].rstrip("/").rsplit("/", 1)[-1].removesuffix(rest[1] if len(rest) > 1 else "\0")
        case "scontrol" if rest[:1] == ["show"] and "SLURM_NNODES" in scope.variables:
            return "\n".join(f"node{n}" for n in range(min(int(scope.variables["SLURM_NNODES"][0]), 100_000)))
        case "seq" if all(re.fullmatch(r"-?\d{1,4}", word) for word in rest) and 0 < len(rest) < 3:
            low, high = (1, int(rest[0])) if len(rest) == 1 else (int(rest[0]), int(rest[1]))
            return " ".join(map(str, range(low, high + 1)))
        case "awk" if found := _AWK_SUM.fullmatch(rest[-1] if rest else ""):
            value = None if unresolved(found[1]) else arithmetic(scope, found[1])
            return None if value is None else str(value)
        case "cat" if rest and rest[0] in scope.files:
            return scope.files[rest[0]].strip()
    return None if given is None else _filtered(scope, name, rest, given)


def _filtered(scope: Scope, name: str, rest: list[str], given: str) -> str | None:
    """What a command makes of its input."""
    match name:
        case "bc":
            value = arithmetic(scope, given.split(";")[-1]) if "scale" not in given else None
            return None if value is None else str(value)
        case "awk":
            return _fields_of(rest, given)
        case "head":
            return given.split("\n")[0]
        case "sed" if swap := _swapped(rest):
            return re.sub(swap[0], lambda _: swap[1], given)
        case "xargs" if not rest:
            return " ".join(given.split())
        case "grep" if len(rest) > 1 and _QUIET.fullmatch(rest[0]) and _LITERAL.fullmatch(rest[-1]):
            return "found" if rest[-1] in given else ""
        case "tr" if len(rest) == 2 and all(len(word) == 1 for word in rest):
            return given.replace(rest[0], rest[1])
        case "wc" if rest in (["-w"], ["-l"]):
            return str(len(given.split() if rest == ["-w"] else given.splitlines()))
    return None


_AWK_SUM = re.compile(r"\s*BEGIN\s*\{\s*print\s+([^{};$\"]{1,80});?\s*\}\s*")
_AWK_FIELD = re.compile(r"\s*\{\s*print\s+(\$NF|\$\d{1,4}|NF)\s*;?\s*\}\s*")


def _fields_of(rest: Sequence[str], given: str) -> str | None:
    """`awk '{print $N}'`, `$NF` or `NF`, with `-F` or without; None for any other program."""
    separator = " "
    words = list(rest)
    if words and words[0].startswith("-F"):
        first = words.pop(0)
        separator = first[2:] or (words.pop(0) if words else "")
    found = _AWK_FIELD.fullmatch(words[0]) if len(words) == 1 else None
    if found is None or len(separator) != 1 or unresolved(given):
        return None
    lines = []
    for line in given.split("\n"):
        parts = line.split() if separator == " " else line.split(separator)
        number = len(parts) if found[1] == "$NF" else 0 if found[1] == "NF" else int(found[1][1:])
        value = parts[number - 1] if 0 < number <= len(parts) else ""
        lines.append(str(len(parts)) if found[1] == "NF" else line if found[1] == "$0" else value)
    return "\n".join(lines)


def printed(form: str, words: Sequence[str]) -> str:
    """`printf FORM WORDS` of texts and whole numbers alone."""
    given = iter(words)
    return re.sub(r"%[sd]", lambda _: next(given, ""), form).replace("\\n", "\n")


def next_option(scope: Scope, letters: str, name: str, given: Sequence[str]) -> bool:
    """`getopts LETTERS NAME`: the next option of the arguments into NAME, with its OPTARG; False when there is none."""

    def count(key: str) -> int:
        text = (scope.variables.get(key) or ["1"])[0]
        return int(text) if re.fullmatch(r"[1-9]\d{0,5}", text) else 1

    at, letter = count("OPTIND"), count("OPTIND.letter")
    word = given[at - 1] if at <= len(given) else ""
    if word == "--":
        scope.assign("OPTIND", [str(at + 1)])
    if not re.fullmatch(r"-[^-].*", word, re.DOTALL):
        scope.assign(name, ["?"])
        return False
    option, rest = word[letter], word[letter + 1 :]
    known = letters.find(option) if option != ":" else -1
    scope.variables.pop("OPTARG", None)
    if known >= 0 and letters[known + 1 : known + 2] == ":":
        value = rest or (given[at] if at < len(given) else "")
        scope.assign("OPTARG", [value])
        at, letter = at + (1 if rest else 2), 1
    elif rest:
        letter += 1
    else:
        at, letter = at + 1, 1
    scope.assign(name, [option if known >= 0 else "?"])
    scope.assign("OPTIND", [str(at)])
    scope.assign("OPTIND.letter", [str(letter)])
    return True


_LITERAL = re.compile(r"[\w /:,=-]+")
_QUIET = re.compile(r"-[a-z]*q[a-z]*")


def _swapped(rest: list[str]) -> tuple[str, str] | None:
    """The pattern and the text of `sed s/old/new/g`, of letters, digits, spaces and stars alone."""
    found = re.fullmatch(r"s(.)([\w *-]+)\1([\w -]*)\1g", rest[-1]) if rest and len(rest[-1]) < 80 else None
    if found is None or [word for word in rest[:-1] if word != "-e"] or found[2].startswith("*") or "**" in found[2]:
        return None
    return found[2], found[3]


_NUMBERS = {"-eq": "==", "-ne": "!=", "-lt": "<", "-le": "<=", "-gt": ">", "-ge": ">="}


def tested(words: list[str]) -> bool | None:
    """Whether a test of texts or numbers holds; None for what is asked of files."""
    match words:
        case []:
            return False
        case ["-z", *rest]:
            return not any(rest)
        case ["-n", *rest]:
            return any(rest)
        case [operator, _] if operator.startswith("-"):
            return None  # files
        case [word]:
            return bool(word)
        case [left, "=" | "==", right]:
            return fnmatch.fnmatchcase(left, right)
        case [left, "!=", right]:
            return not fnmatch.fnmatchcase(left, right)
        case [left, operator, right] if operator in _NUMBERS:
            value = arithmetic(Scope(""), f"{left or 0}{_NUMBERS[operator]}{right or 0}")
            return None if value is None else bool(value)
    return None
