"""GPT-NeoX config files, read and merged as `deepy.py` does, with where each key stands.

Source: EleutherAI/gpt-neox ea7aefd, megatron/neox_arguments/arguments.py (from_ymls).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from planner.interop.fields import REQUIRED
from planner.interop.files import Document, shown, truth, whole
from planner.interop.neox_fields import TABLE
from planner.interop.neox_keys import misspelt
from planner.interop.values import Values
from planner.reading.names import did_you_mean
from planner.units import PlannerError
from planner.words import say

MOST_UNKNOWN = 50  # keys that are compared with the known ones: a file with more is no config
MOST_LETTERS = 60  # of a key


class Config(Values):
    """Merged keys of several files, with where each came from; null is as good as silent."""

    def __init__(self) -> None:
        super().__init__("GPT-NeoX", "", {}, TABLE)
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}

    def has(self, key: str) -> bool:
        return self.raw(key) is not None

    def raw(self, key: str, default: Any = None) -> Any:
        """What the files have for a key, or for an entry of a map ("zero_optimization.stage")."""
        name, _, entry = key.partition(".")
        if entry:
            return self.section(name, entry).get(entry, default)
        value = self.values.get(name)
        return default if value is None else value

    def get(self, key: str, default: Any = None) -> Any:
        return self.raw(key, self.table[key].default if key in self.table else default)

    def number(self, key: str) -> int:
        row = self.table[key]
        return self.integer(key, None if row.default is REQUIRED else row.default, row.least, row.most)

    def integer(self, key: str, default: int | None = None, least: int = 0, most: int = 10**15) -> int:
        value = self.raw(key, default)
        if value is None and "." not in key:
            raise PlannerError(say("neox_config.required", key=key))
        return whole(value, self.called(key), least, most)

    def optional(self, key: str, least: int = 0) -> int | None:
        return self.integer(key, least=least) if self.has(key) else None

    def flag(self, key: str, default: bool) -> bool:
        return truth(self.raw(key, default), self.called(key))

    def text(self, key: str, default: str) -> str:
        return str(self.raw(key, default)).strip().lower()

    def choice(self, key: str, default: str, choices: Sequence[str]) -> str:
        """The word that a key holds, in small letters.

        Raises
        ------
        PlannerError
            If it is none of `choices`, which GPT-NeoX refuses too.
        """
        word = self.text(key, default)
        if word not in choices:
            hint = did_you_mean(word, choices) or "."
            raise PlannerError(
                say("neox_config.choice", key=self.called(key), word=shown(word), choices=[*choices], hint=hint)
            )
        return word

    def section(self, key: str, reads: str) -> Mapping[str, Any]:
        """The map that a key holds; `reads` is the entry of it that is asked for.

        Raises
        ------
        PlannerError
            If it is no map, or holds a misspelt `reads`.
        """
        value = self.raw(key, {})
        if not isinstance(value, Mapping):
            raise PlannerError(say("neox_config.no_map", key=self.called(key), value=shown(value)))
        entries = {str(k).replace("-", "_"): v for k, v in value.items()}
        for entry in list(entries)[:MOST_UNKNOWN] if reads not in entries else ():
            if misspelt(entry, (reads,)):
                raise PlannerError(say("neox_config.misspelt", key=self.called(key), found=shown(entry), meant=reads))
        return entries

    def called(self, key: str) -> str:
        name, _, entry = key.partition(".")
        called = f"{name} ({self.origins[name]})" if name in self.origins else name
        return f"{entry} of {called}" if entry else called

    def origin(self, *keys: str) -> str:
        """Words for a scenario's comment: the keys and where they stand; defaults are said to be defaults."""
        names = [key.partition(".")[0] for key in keys]
        return ", ".join(
            f"{name}, {self.origins[name]}" if self.has(name) else f"default of {name} in GPT-NeoX" for name in names
        )


def merge(documents: Sequence[Document]) -> Config:
    """Several files as GPT-NeoX merges them: `-` is `_`, and a key of an earlier file may not return.

    Its check looks for the key as written: one that returns with `-` where the first stood with `_` is not seen, and
    the later value wins (arguments.py, from_ymls); planner does the same and says so.

    Raises
    ------
    PlannerError
        For a key that GPT-NeoX refuses as a duplicate.
    """
    config = Config()
    names: set[str] = set()
    for document in documents:
        config.remarks += [say("neox_config.repaired", repair=repair) for repair in document.repairs]
        if document.name in names:
            config.remarks.append(say("neox_config.two_files", file=document.name))
        names.add(document.name)
        for key, value in document.values.items():
            if key in config.values:
                if key in config.origins and config.origins[key].startswith(f"{document.name}:"):
                    config.remarks.append(say("neox_config.twice", key=key, file=document.name))
                else:
                    first = config.origins.get(key) or say("neox_config.earlier")
                    raise PlannerError(say("neox_config.duplicate", file=document.name, key=shown(key), first=first))
            name = key.replace("-", "_")
            if name in config.values and name != key:
                where = {"there": document.where(key), "before": config.origins[name]}
                config.remarks.append(say("neox_config.replaces", key=shown(key), name=name, **where))
            config.values[name] = value
            config.origins[name] = document.where(key)
    return config
