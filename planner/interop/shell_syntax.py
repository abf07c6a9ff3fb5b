"""The grammar of a shell script: commands, conditions, loops and functions as a tree; nothing is evaluated here.

What is no shell is read as well as it can be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from planner.interop.shell_tokens import Token, tokens
from planner.units import PlannerError
from planner.words import say

MAX_DEPTH = 40  # of conditions, loops and groups
_ARRAY = re.compile(r"[A-Za-z_]\w*\+?=")
_CLOSING = ("then", "elif", "else", "fi", "do", "done", "esac", "}")


@dataclass(slots=True)
class Simple:
    """A command as written: words, of which an assignment may have an array; where its output goes; its input."""

    words: list[tuple[str, list[str] | None]] = field(default_factory=list)
    target: str = ""
    here: tuple[str, bool] | None = None


@dataclass(slots=True)
class Pipe:
    parts: list[Node]


@dataclass(slots=True)
class Chain:
    """Commands joined by && and ||; each comes with what stands before it."""

    parts: list[tuple[str, Node]]


@dataclass(slots=True)
class If:
    branches: list[tuple[list[Node], list[Node]]]
    otherwise: list[Node]


@dataclass(slots=True)
class Loop:
    """`for variable in words` (words None: the script's arguments), or `while condition`.

    `step` is what `for ((…; …; step))` does after each turn.
    """

    variable: str
    words: list[str] | None
    condition: list[Node]
    body: list[Node]
    until: bool = False
    step: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Case:
    word: str
    arms: list[tuple[list[str], list[Node]]]


@dataclass(slots=True)
class Function:
    name: str
    body: list[Node]


@dataclass(slots=True)
class Group:
    body: list[Node]


Node = Simple | Pipe | Chain | If | Loop | Case | Function | Group


def parse(text: str) -> list[Node]:
    """The commands of a script.

    Raises
    ------
    PlannerError
        If conditions are nested deeper than `MAX_DEPTH`.
    """
    return _Parser(list(tokens(text))).everything()


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.at = 0
        self.depth = 0
        self.simple: Simple | None = None

    def everything(self) -> list[Node]:
        nodes: list[Node] = []
        while self.at < len(self.tokens):
            nodes += self.commands(())
            self.at += 1  # what closes nothing is passed over
        return nodes

    def peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def is_word(self, *words: str) -> bool:
        token = self.peek()
        return token is not None and token.kind == "word" and token.text in words

    def is_operator(self, *operators: str) -> bool:
        token = self.peek()
        return token is not None and token.kind == "operator" and token.text in operators

    def commands(self, until: tuple[str, ...]) -> list[Node]:
        """Commands up to a word of `until` (or any closing word, `;;`, `)`), which is left unread."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise PlannerError(say("shell.conditions", depth=MAX_DEPTH))
        nodes: list[Node] = []
        while (token := self.peek()) is not None:
            if token.kind == "here":
                if self.simple is not None:
                    self.simple.here = (token.text, token.literal)
                self.at += 1
            elif self.is_operator("\n", ";", "&", "|", "&&", "||", "|&"):
                self.at += 1
            elif self.is_word(*until, *_CLOSING) or self.is_operator(")", ";;", ";;&", ";&"):
                break
            else:
                before = self.at
                nodes.append(self.chain())
                self.at = max(self.at, before + 1)
        self.depth -= 1
        return nodes

    def chain(self) -> Node:
        parts: list[tuple[str, Node]] = [("", self.pipe())]
        while self.is_operator("&&", "||"):
            operator = self._text()
            self._skip("\n")
            parts.append((operator, self.pipe()))
        return parts[0][1] if len(parts) == 1 else Chain(parts)

    def pipe(self) -> Node:
        parts = [self.command()]
        while self.is_operator("|", "|&"):
            self.at += 1
            self._skip("\n")
            parts.append(self.command())
        return parts[0] if len(parts) == 1 else Pipe(parts)

    def _skip(self, *operators: str) -> None:
        while self.is_operator(*operators):
            self.at += 1

    def _text(self) -> str:
        """The text of the next token, which is read; "" at the end."""
        token = self.peek()
        self.at += 1
        return "" if token is None else token.text

    def command(self) -> Node:
        if self.is_word("if"):
            return self._if()
        if self.is_word("for", "select"):
            return self._for()
        if self.is_word("while", "until"):
            until = self.is_word("until")
            self.at += 1
            condition = self.commands(("do",))
            return Loop("", None, condition, self._do(), until)
        if self.is_word("case"):
            return self._case()
        if self.is_word("{"):
            self.at += 1
            return self._closed_by("}")
        if self.is_operator("("):
            self.at += 1
            if self.is_operator("(") and self.tokens[self.at].glued is False:
                return self._arithmetic()
            body = self.commands(())
            self.at += self.is_operator(")")
            return Group(body)
        if self.is_word("function"):
            self.at += 1
            return self._function()
        ahead = self.tokens[self.at + 1 : self.at + 3]
        brackets = [(t.kind, t.text) for t in ahead] == [("operator", "("), ("operator", ")")]
        token = self.peek()
        if token is not None and token.kind == "word" and brackets and not _ARRAY.fullmatch(token.text):
            return self._function()
        return self._simple()

    def _closed_by(self, word: str) -> Group:
        body = self.commands((word,))
        self.at += self.is_word(word)
        return Group(body)

    def _arithmetic(self) -> Simple:
        """`(( … ))` as one command of two words."""
        inner: list[str] = []
        self.at += 1
        opened = 0
        while (token := self.peek()) is not None and token.text != "\n":
            if token.text == ")" and not opened:
                break
            opened += (token.text == "(") - (token.text == ")")
            inner.append(token.text)
            self.at += 1
        self.at += self.is_operator(")")
        self.at += self.is_operator(")")
        return _sum(inner)

    def _function(self) -> Node:
        name = self._text()
        self._skip("(", ")", "\n")
        if not self.is_word("{"):
            return Simple([(name, None)])
        self.at += 1
        return Function(name, self._closed_by("}").body)

    def _if(self) -> If:
        branches: list[tuple[list[Node], list[Node]]] = []
        otherwise: list[Node] = []
        while self.is_word("if", "elif"):
            self.at += 1
            condition = self.commands(("then",))
            self.at += self.is_word("then")
            branches.append((condition, self.commands(("elif", "else", "fi"))))
        if self.is_word("else"):
            self.at += 1
            otherwise = self.commands(("fi",))
        self.at += self.is_word("fi")
        return If(branches, otherwise)

    def _do(self) -> list[Node]:
        self.at += self.is_word("do")
        body = self.commands(("done",))
        self.at += self.is_word("done")
        return body

    def _for(self) -> Loop | Group:
        self.at += 1
        if self.is_operator("("):
            # `for ((start; condition; step))`, whose first bracket is at hand
            self.at += 1
            parts = [*(text.strip() for text in self._arithmetic().words[1][0].strip('"').split(";")), "", "", ""]
            start, condition, step = ([_sum([text])] if text else [] for text in parts[:3])
            self._skip(";", "\n")
            return Group([*start, Loop("", None, [*condition], self._do(), step=[*step])])
        token = self.peek()
        variable = token.text if token is not None and token.kind == "word" else ""
        self.at += 1
        words: list[str] | None = None
        if self.is_word("in"):
            self.at += 1
            words = []
            while (token := self.peek()) is not None and token.kind == "word":
                words.append(token.text)
                self.at += 1
        self._skip(";", "\n")
        return Loop(variable, words, [], self._do())

    def _case(self) -> Case:
        self.at += 1
        word = self._text()
        while self.is_word("in") or self.is_operator("\n"):
            self.at += 1
        arms: list[tuple[list[str], list[Node]]] = []
        while self.peek() is not None and not self.is_word("esac"):
            before = self.at
            patterns: list[str] = []
            while (token := self.peek()) is not None and not self.is_operator(")"):
                if token.kind == "word":
                    patterns.append(token.text)
                elif token.text not in ("|", "(", "\n"):
                    break
                self.at += 1
            self.at += self.is_operator(")")
            arms.append((patterns, self.commands(("esac",))))
            self._skip(";;", ";;&", ";&", "\n", ";")
            self.at = max(self.at, before + 1)
        self.at += self.is_word("esac")
        return Case(word, arms)

    def _simple(self) -> Simple:
        simple = self.simple = Simple()
        test = self.is_word("[[")
        while (token := self.peek()) is not None:
            if token.kind == "redirect":
                self.at += 1
                target = self.peek()
                if target is not None and target.kind == "word":
                    if token.text == "<<<":
                        simple.here = (target.text, False)
                    elif ">" in token.text and not token.text.startswith("2"):
                        simple.target = target.text
                    self.at += 1
                continue
            if token.kind == "word":
                self.at += 1
                if self.is_operator("(") and self.tokens[self.at].glued and _ARRAY.fullmatch(token.text):
                    simple.words.append((token.text, self._array()))
                else:
                    simple.words.append((token.text, None))
                    test = test and token.text != "]]"
                continue
            if token.kind == "operator" and test and token.text != "\n":
                simple.words.append((token.text, None))
                self.at += 1
                continue
            break
        return simple

    def _array(self) -> list[str]:
        self.at += 1
        items: list[str] = []
        while (token := self.peek()) is not None and not self.is_operator(")"):
            if token.kind == "word":
                items.append(token.text)
            self.at += 1
        self.at += 1
        return items


def _sum(inner: Sequence[str]) -> Simple:
    """`((inner))` as a command of two words."""
    return Simple([("((", None), ('"' + " ".join(inner).replace('"', "") + '"', None)])
