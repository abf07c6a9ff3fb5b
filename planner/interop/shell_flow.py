"""Which commands of a shell script run, and how often: lists, conditions and loops, followed without running any.

A status is True, False, or None where only running would tell.
"""

from __future__ import annotations

import fnmatch
from abc import ABC, abstractmethod
from collections.abc import Sequence

from planner.interop.shell_syntax import Case, Chain, Function, Group, If, Loop, Node, Pipe, Simple
from planner.interop.shell_words import Scope, fields, text_of, unresolved
from planner.units import PlannerError
from planner.words import say

_MAX_STEPS = 20_000
_MAX_TURNS = 500  # of one loop


class StopError(Exception):
    """`return`, `break`, `continue` or `exit`, on the way to where it ends."""


class Flow(ABC):
    """The way through a script; `unsure` where it took the `assume`d one of two that only running would tell apart."""

    def __init__(self, scope: Scope, assume: bool) -> None:
        self.scope = scope
        self.assume = assume
        self.functions: dict[str, list[Node]] = {}
        self.unsure = False
        self.steps = self.inside = 0

    @abstractmethod
    def simple(self, node: Simple) -> bool | None:
        """Run an assignment or a command."""

    @abstractmethod
    def nodes_output(self, nodes: list[Node]) -> str | None:
        """What commands print, where that is known."""

    def all(self, nodes: Sequence[Node]) -> bool | None:
        status: bool | None = True
        for node in nodes:
            status = self.node(node)
        return status

    def node(self, node: Node) -> bool | None:
        self.steps += 1
        if self.steps > _MAX_STEPS:
            raise PlannerError(say("shell.steps", script=self.scope.name, steps=_MAX_STEPS))
        match node:
            case Simple():
                return self.simple(node)
            case Pipe(parts):
                statuses = [self.node(part) for part in parts]
                last = parts[-1]
                if isinstance(last, Simple) and last.words and last.words[0][0] == "grep":
                    found = self.nodes_output([node])  # echo "$X" | grep -q word
                    return None if found is None else bool(found)
                return statuses[-1]
            case Chain(parts):
                return self.chain(parts)
            case If(branches, otherwise):
                return self.branches(branches, otherwise)
            case Loop():
                self.loop(node)
            case Case(word, arms):
                self.case(word, arms)
            case Function(name, body):
                self.functions[name] = body
            case Group(body):
                return self.all(body)
        return True

    def chain(self, parts: list[tuple[str, Node]]) -> bool | None:
        status: bool | None = True
        for operator, part in parts:
            wanted = operator != "||"
            if operator and status is None:
                # An unknown command succeeds: `cd x && torchrun …`; `mkdir x || exit` does not exit.
                status = True
            if not operator or status is wanted:
                self.inside += bool(operator)
                status = self.node(part)
                self.inside -= bool(operator)
        return status

    def decided(self, status: bool | None) -> bool:
        if status is None:
            self.unsure = True
            return self.assume
        return status

    def condition(self, nodes: Sequence[Node]) -> bool | None:
        self.scope.unset_is_empty, before = True, self.scope.unset_is_empty
        try:
            return self.all(nodes)
        finally:
            self.scope.unset_is_empty = before

    def branches(self, branches: list[tuple[list[Node], list[Node]]], otherwise: list[Node]) -> bool | None:
        self.inside += 1
        try:
            for condition, body in branches:
                if self.decided(self.condition(condition)):
                    return self.all(body)
            return self.all(otherwise)
        finally:
            self.inside -= 1

    def loop(self, node: Loop) -> None:
        words: list[str] | None = None
        if node.variable:
            items = ['"$@"'] if node.words is None else node.words
            words = [word for item in items for word in fields(self.scope, item)][:_MAX_TURNS]
        self.inside += 1
        for turn in range(_MAX_TURNS):
            if words is not None:
                if turn >= len(words):
                    break
                self.scope.assign(node.variable, [words[turn]])
            else:
                status = self.condition(node.condition) if node.condition else None
                self.unsure = self.unsure or status is None
                if status is None or status is node.until:
                    break
            try:
                self.all(node.body)
            except StopError as stop:
                if str(stop) == "break":
                    break
                if str(stop) != "continue":
                    raise
            self.all(node.step)
        self.inside -= 1

    def case(self, word: str, arms: list[tuple[list[str], list[Node]]]) -> None:
        self.scope.unset_is_empty, before = True, self.scope.unset_is_empty
        text = text_of(self.scope, word)
        self.scope.unset_is_empty = before
        unknown = unresolved(text)
        self.inside += 1
        for patterns, body in arms:
            matches = any(fnmatch.fnmatchcase(text, text_of(self.scope, pattern)) for pattern in patterns)
            if self.decided(None) if unknown else matches:
                self.all(body)
                break
        self.inside -= 1
