"""A key of another program's file, both ways: what it stands for in a scenario, how it is read and how it is written.

A tool's table lists each of its keys once. The importer asks by the scenario's key (`values.Values`), the exporter
writes whole rows of the table (`assumptions.written`), and neither states a key's name or default again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from planner.interop.export_common import Export, conditions_of
from planner.interop.quoting import yaml_value

REQUIRED: Any = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a tool's file.

    Parameters
    ----------
    key : dotted path in the file, or an option
    means : the scenario's key whose value it holds ("layout.tp"); "" where it holds none as it is
    default : what the tool takes where the file is silent; REQUIRED where it stops; True or False of a switch
    write : what an export writes, or what gives that of an Export (None: the key is left out); if not given, the plan's
        value of `means`, else the default
    words : the tool's words for the scenario's values, where it has its own
    read : what gives the scenario's value of the file's and of the words for its place (None: it says nothing), where
        neither `words` nor a number or a switch does
    decides : what it decides, at any value but the default, where no importer reads it
    least, most : bounds of a number
    """

    key: str
    means: str = ""
    default: Any = REQUIRED
    write: Any = REQUIRED
    words: Mapping[Any, Any] = field(default_factory=dict)
    read: Callable[[Any, str], Any] | None = None
    decides: str = ""
    least: int = 1
    most: int = 10**15

    def of(self, export: Export) -> Any:
        """The value in an export; None for a key that is left out."""
        if self.write is not REQUIRED:
            return self.write(export) if callable(self.write) else self.write
        value = planned(export, self.means) if self.means else self.default
        return self.words.get(value, value) if self.words else value


def planned(export: Export, key: str) -> Any:
    """A plan's value of a scenario's key: of its model, its layout, its batch and length, or how it is set up.

    It is None of a part that the model lacks ("model.moe.experts").
    """
    section, _, name = key.partition(".")
    part: Any = {"model": export.model, "layout": export.plan.layout}.get(section, export.plan)
    part = part if hasattr(part, name.partition(".")[0]) else conditions_of(export)
    for inner in name.split("."):
        part = None if part is None else getattr(part, inner)
    return part


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested maps of values by dotted path."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


def yaml_lines(tree: Mapping[str, Any], word: Callable[[Any], str] = yaml_value, indent: str = "") -> list[str]:
    """Nested maps as lines of YAML; `word` writes whatever is no map."""
    lines: list[str] = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:", *yaml_lines(value, word, f"{indent}  ")]
        else:
            lines.append(f"{indent}{key}: {word(value)}")
    return lines
