"""GPT-NeoX config files, read and merged as `deepy.py` does, with where each key stands.

Source: EleutherAI/gpt-neox ea7aefd, megatron/neox_arguments/arguments.py (from_ymls).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from planner.interop.files import Document, shown, truth, whole
from planner.interop.neox_keys import misspelt
from planner.reading.names import did_you_mean
from planner.units import PlannerError

MOST_UNKNOWN = 50  # keys that are compared with the known ones: a file with more is no config
MOST_LETTERS = 60  # of a key


@dataclass
class Config:
    """Merged keys of several files, with where each came from and which were looked at."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def has(self, key: str) -> bool:
        return self.values.get(key) is not None

    def raw(self, key: str, default: Any = None) -> Any:
        self.used.add(key)
        value = self.values.get(key)
        return default if value is None else value

    def integer(self, key: str, default: int | None = None, least: int = 0) -> int:
        value = self.raw(key, default)
        if value is None:
            raise PlannerError(f"{key} is in none of the files; GPT-NeoX requires it: add the file that holds it.")
        return whole(value, self.what(key), least)

    def optional(self, key: str, least: int = 0) -> int | None:
        return self.integer(key, least=least) if self.has(key) else None

    def flag(self, key: str, default: bool) -> bool:
        return truth(self.raw(key, default), self.what(key))

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
            raise PlannerError(f"{self.what(key)} is {shown(word)!r}; it may be {', '.join(choices)}{hint}")
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
            raise PlannerError(f"{self.what(key)} is {shown(value)!r}, where a map is needed.")
        entries = {str(k).replace("-", "_"): v for k, v in value.items()}
        for entry in list(entries)[:MOST_UNKNOWN] if reads not in entries else ():
            if misspelt(entry, (reads,)):
                raise PlannerError(f"{self.what(key)} holds {shown(entry)!r}; did you mean {reads!r}?")
        return entries

    def what(self, key: str) -> str:
        return f"{key} ({self.origins[key]})" if key in self.origins else key

    def origin(self, *keys: str) -> str:
        """Words for a scenario's comment: the keys and where they stand; defaults are said to be defaults."""
        return ", ".join(
            f"{key}, {self.origins[key]}" if self.has(key) else f"default of {key} in GPT-NeoX" for key in keys
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
        config.remarks += [
            f"{repair}; it was read as if it were there, GPT-NeoX itself stops" for repair in document.repairs
        ]
        if document.name in names:
            config.remarks.append(f"GPT-NeoX refuses two files of one name ({document.name})")
        names.add(document.name)
        for key, value in document.values.items():
            if key in config.values:
                if key in config.origins and config.origins[key].startswith(f"{document.name}:"):
                    config.remarks.append(f"{key} stands twice in {document.name}; the later value wins")
                else:
                    raise PlannerError(
                        f"Conf file {document.name} has the following duplicate keys with previously loaded file: "
                        f"{shown(key)} (also in {config.origins.get(key, 'an earlier file')}); leave one out."
                    )
            name = key.replace("-", "_")
            if name in config.values and name != key:
                config.remarks.append(
                    f"{shown(key)} ({document.where(key)}) replaces {name} ({config.origins.get(name)}), as in GPT-NeoX"
                )
            config.values[name] = value
            config.origins[name] = document.where(key)
    return config


def zero_stage(config: Config) -> int:
    """The ZeRO stage that the config states; 0 where it is silent."""
    stage = config.section("zero_optimization", "stage").get("stage", 0)
    return whole(stage, f"stage of {config.what('zero_optimization')}", 0, 3)
