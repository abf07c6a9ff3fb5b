"""The commands of a shell script and their words, without running any of it.

Assignments, conditions, loops, functions and here-documents are followed as a shell follows them with the arguments
given and an empty environment; no command is started, and of files only those are read that the caller has for
`source`. Where only running the script would tell which way it goes, `Script.unsure` says so, and `assume` is which way
was taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from planner.interop.shell_commands import command_output, next_option, printed, tested
from planner.interop.shell_flow import Flow, StopError
from planner.interop.shell_syntax import Node, Pipe, Simple, parse
from planner.interop.shell_words import BLANK, Scope, calculate, fields, quoted_text, text_of, unresolved
from planner.units import PlannerError
from planner.words import say

_ASSIGN = re.compile(r"([A-Za-z_]\w*)(\[[^\]=]{1,200}\])?(\+?)=(.*)", re.DOTALL)
_DECLARING = ("export", "local", "readonly", "declare", "typeset")
_SHELLS = ("bash", "sh", "zsh")
_MAX_CALLS = 20  # functions, `eval` and `bash -c` within each other


@dataclass
class Script:
    """What a script assigns, which words its commands have, in order, and the texts of the files that it writes.

    `unread` are files that it reads with `source` and whose text is not at hand, and whether it had assigned anything
    before, which such a file may set anew.
    """

    commands: list[list[str]] = field(default_factory=list)
    variables: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    unsure: bool = False
    unread: dict[str, bool] = field(default_factory=dict)


def read_script(
    text: str,
    name: str,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    assume: bool = True,
    read_file: Callable[[str], str | None] = lambda _: None,
) -> Script:
    """The commands of a script with its own variables filled in.

    Parameters
    ----------
    arguments : what the script is started with: $1, $2, …
    environment : variables that are set before it starts
    assume : which way a condition goes that only running the script would tell
    read_file : the text of a file that the script reads with `source`; None if it is not at hand

    Raises
    ------
    PlannerError
        If variables grow beyond reason or there are more words than any launch script has.
    """
    run = _Run(Scope(name, arguments=list(arguments)), assume, read_file)
    for key, value in (environment or {}).items():
        run.scope.assign(key, [value])
    try:
        run.all(parse(text))
    except StopError:
        pass
    except RecursionError:
        raise PlannerError(say("shell.too_deep", script=name)) from None
    return Script(run.commands, run.scope.variables, run.scope.files, run.unsure, run.unread)


class _Run(Flow):
    """One pass over a script: what its simple commands do."""

    def __init__(self, scope: Scope, assume: bool, read_file: Callable[[str], str | None]) -> None:
        super().__init__(scope, assume)
        self.read_file = read_file
        self.unread: dict[str, bool] = {}
        self.assigned = False
        self.commands: list[list[str]] = []
        self.printing: list[str] | None = None  # what a function says, while that is asked for
        self.calls = 0
        scope.output = self.output

    def simple(self, node: Simple) -> bool | None:
        words: list[str] = []
        set_before: list[str] = []
        leading, declaring = True, False
        for number, (word, array) in enumerate(node.words):
            found = _ASSIGN.fullmatch(word) if leading or declaring else None
            if found:
                self.assign(found, array)
                set_before.append(found[1])
                continue
            if leading and not number and word in _DECLARING:
                declaring = True
            leading = False
            words += fields(self.scope, word)
        if not words or declaring:
            return True
        return self.command(words, node)

    def assign(self, found: re.Match[str], array: list[str] | None) -> None:
        name, subscript, more, value = found.groups()
        self.assigned = True
        if array is not None:
            keyed = [re.fullmatch(r"\[([^\]]{1,200})\]=(.*)", item, re.DOTALL) for item in array]
            if array and all(keyed):
                for item in filter(None, keyed):
                    key = text_of(self.scope, item[1])
                    self.scope.assign(f"{name}[{key}]", [text_of(self.scope, item[2])])
                return
            self.scope.assign(name, [w for item in array for w in fields(self.scope, item)], bool(more), array=True)
        elif subscript:
            key = text_of(self.scope, subscript[1:-1]).strip("\"'")
            self.scope.assign(f"{name}[{key}]", [text_of(self.scope, value)], bool(more))
        else:
            self.scope.assign(name, [text_of(self.scope, value)], bool(more))
            if name == "IFS":
                self.scope.separator = text_of(self.scope, value)[:1]

    def command(self, words: list[str], node: Simple) -> bool | None:
        name = words[0]
        if name == "!":
            status = self.command(words[1:], node) if words[1:] else None
            return None if status is None else not status
        if name in ("[", "test", "[["):
            return self.test([w for w in words[1:] if w not in ("]", "]]")])
        if name in ("((", "let"):
            value = calculate(self.scope, " ".join(words[1:]))
            return None if value is None else bool(value)
        if name in self.functions and self.calls < _MAX_CALLS:
            return self.call(self.functions[name], words[1:])
        if name in _STATUS:
            return _STATUS[name]
        if name in _BUILTIN:
            return _BUILTIN[name](self, words)
        if name == "printf" and words[1:2] == ["-v"] and len(words) > 3:
            self.scope.assign(words[2], [printed(words[3], words[4:])])
            return True
        if name in ("echo", "printf", "cat", "tee"):
            return self.write(words, node)
        self.keep(words)
        return None

    def keep(self, words: list[str]) -> None:
        """Note a command; of `bash -c "…"` the commands inside, each behind the words that start that shell."""
        for number, (word, option) in enumerate(pairwise(words)):
            if word.rsplit("/", 1)[-1] in _SHELLS and re.fullmatch(r"-[a-z]*c", option) and len(words) > number + 2:
                inner = self.within(words[number + 2], words[number + 3 :])
                self.commands += [[*words[:number], *command] for command in inner]
                return
        self.commands.append([word.replace(BLANK, " ") for word in words])

    def within(self, text: str, arguments: Sequence[str] = ()) -> list[list[str]]:
        """The commands of a text that is run as a script of its own, in the same variables."""
        if self.calls >= _MAX_CALLS:
            return []
        self.calls += 1
        before, self.commands = self.commands, []
        given, self.scope.arguments = self.scope.arguments, list(arguments[1:]) or self.scope.arguments
        try:
            self.all(parse(text))
        except StopError:
            pass
        finally:
            found, self.commands = self.commands, before
            self.scope.arguments = given
            self.calls -= 1
        return found

    def call(self, body: Sequence[Node], arguments: list[str]) -> bool | None:
        given, self.scope.arguments = self.scope.arguments, arguments
        self.calls += 1
        self.inside += 1
        try:
            return self.all(body)
        except StopError as stop:
            if str(stop) != "return":
                raise
            return None
        finally:
            self.scope.arguments = given
            self.calls -= 1
            self.inside -= 1

    def write(self, words: list[str], node: Simple) -> bool | None:
        """`echo`, `printf`, `cat`: what they write into a file, if the script says it."""
        target = text_of(self.scope, node.target) if node.target else ""
        if words[0] == "tee" and len(words) > 1:
            target = words[-1]
        if not target:
            if self.printing is not None and words[0] in ("echo", "printf"):
                plain = words[2:] if words[0] == "printf" and re.fullmatch(r"%[sd](\\n|\n)?", words[1]) else words[1:]
                self.printing.append(" ".join(plain))
            return True
        if node.here is not None:
            body, literal = node.here
            self.scope.files[target] = body if literal else quoted_text(self.scope, body)
        elif words[0] in ("echo", "printf"):
            self.scope.files[target] = " ".join(words[1:])
        return True

    def stop(self, words: list[str]) -> bool | None:
        """`exit` ends the script, `return` the function; inside a condition `exit` is a guard that nothing trips."""
        if words[0] == "exit" and self.inside:
            return None
        raise StopError(words[0])

    def set_arguments(self, words: list[str]) -> bool:
        if "--" in words:
            self.scope.arguments = words[words.index("--") + 1 :]
        return True

    def shift(self, words: list[str]) -> bool:
        count = int(words[1]) if len(words) > 1 and words[1].isdigit() and len(words[1]) < 4 else 1
        self.scope.arguments = self.scope.arguments[count:]
        return True

    def evaluate(self, words: list[str]) -> bool | None:
        self.commands += self.within(" ".join(words[1:]))
        return None

    def source(self, words: list[str]) -> bool:
        """`source FILE ARGUMENTS`: a file that the script writes, or that is at hand, is read in its place."""
        name = words[1].replace(BLANK, " ") if len(words) > 1 else ""
        text = self.scope.files.get(name) if name in self.scope.files else self.read_file(name)
        if text is not None and self.calls < _MAX_CALLS:
            self.commands += self.within(text, words[1:])
        elif name:
            self.unread[name] = self.unread.get(name, False) or self.assigned
        return True

    def options(self, words: list[str]) -> bool | None:
        if len(words) < 3:
            return None
        return next_option(self.scope, words[1], words[2], words[3:] or self.scope.arguments)

    def unset(self, words: list[str]) -> bool:
        for word in words[1:]:
            self.scope.variables.pop(word, None)
        return True

    def test(self, words: list[str]) -> bool | None:
        """`[ … ]`: what is asked of texts and numbers; of files, only those at hand are known to be there."""
        for operator, both in (("||", any), ("-o", any), ("&&", all), ("-a", all)):
            if operator in words:
                at = words.index(operator)
                parts = [self.test(words[:at]), self.test(words[at + 1 :])]
                decisive = both is any
                if decisive in parts:
                    return decisive
                return None if None in parts else not decisive
        if words[:1] == ["!"]:
            inner = self.test(words[1:])
            return None if inner is None else not inner
        words = [w for w in words if w not in ("(", ")")]
        if len(words) == 2 and words[0] in ("-f", "-e", "-r", "-s") and self.read_file(words[1].replace(BLANK, " ")):
            return True
        if any("$(" in w or "`" in w for w in words):
            return None
        return tested([re.sub(r"\$\{?\w+\}?", "", w) if unresolved(w) else w for w in words])

    def output(self, text: str) -> str | None:
        """What a command between `$(` and `)` says, of the few that only say words."""
        if self.calls >= _MAX_CALLS or len(text) > 2000:
            return None
        self.calls += 1
        try:
            return self.nodes_output(parse(text))
        finally:
            self.calls -= 1

    def printed(self, words: list[str]) -> str | None:
        """What one of the script's functions says; None where its way, or its words, only running would tell."""
        unsure, before = self.unsure, self.printing
        self.unsure, self.printing = False, []
        try:
            self.call(self.functions[words[0]], words[1:])
            known = not self.unsure and not any(unresolved(text) for text in self.printing)
            return " ".join(self.printing) if known else None
        finally:
            self.unsure, self.printing = unsure, before

    def nodes_output(self, nodes: list[Node]) -> str | None:
        first = nodes[0] if len(nodes) == 2 else None
        if isinstance(first, Simple) and first.words and first.words[0][0].startswith("IFS="):
            before = self.scope.separator
            self.node(first)
            found = self.nodes_output(nodes[1:])
            self.scope.separator = before
            return found
        if len(nodes) != 1:
            return None
        parts = nodes[0].parts if isinstance(nodes[0], Pipe) else [nodes[0]]
        text: str | None = None
        for number, part in enumerate(parts):
            if not isinstance(part, Simple):
                return None
            words = [w for word, _ in part.words for w in fields(self.scope, word)]
            if words and words[0] in self.functions and len(parts) == 1:
                return self.printed(words)
            if not words or (words[0] not in ("echo", "awk") and any(unresolved(w) for w in words)):
                return None
            if words[0] == "echo" and any("$(" in w or "`" in w for w in words):
                return None
            given = text if number else quoted_text(self.scope, part.here[0]).strip("\"'") if part.here else None
            text = command_output(self.scope, words, given)
            if text is None:
                return None
        return text


_STATUS = {"true": True, ":": True, "cd": True, "pwd": True, "false": False}
_BUILTIN: dict[str, Callable[[_Run, list[str]], bool | None]] = {
    "source": _Run.source,
    ".": _Run.source,
    "getopts": _Run.options,
    "set": _Run.set_arguments,
    "shift": _Run.shift,
    "unset": _Run.unset,
    "eval": _Run.evaluate,
    **dict.fromkeys(("exit", "return", "break", "continue"), _Run.stop),
}
