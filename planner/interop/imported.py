"""What an import found, and the scenario it is written as, each value with a comment that says where it came from."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import yaml

from planner.interop.fields import nested
from planner.interop.files import shown, whole
from planner.results.result import Result
from planner.spec.model import MLASpec, ModelSpec, MoESpec, RecurrentSpec, SparseSpec

SECTIONS = ("name", "model", "data", "training", "layout", "budget", "cluster")
_COMMENT_COLUMN = 44


@dataclass(frozen=True, slots=True)
class Taken:
    """One value of the scenario: its key path, the value, and the words that say where it came from."""

    key: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True, repr=False)
class Imported(Result):
    """All that was found in other programs' files.

    `taken` is the scenario, in order. `unused` names the keys that say nothing about planning. `remarks` are sentences
    for the user: conflicts in the tool's own terms, assumptions, things put right. `warnings` are sentences about what
    may change the answer and was not understood; `--strict` takes none of them.
    """

    tool: str  # one of importing.TOOLS
    files: tuple[str, ...]
    model: ModelSpec
    taken: tuple[Taken, ...]
    unused: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # key paths that the scenario still needs, which these files cannot say
    extras: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def value(self, key: str, default: Any = None) -> Any:
        """The value of a scenario key, or `default`."""
        return next((t.value for t in self.taken if t.key == key), default)

    def to_yaml(self) -> str:
        """The scenario as commented YAML."""
        return scenario_yaml(self)

    def to_json(self) -> str:
        """The findings as one JSON document: values with their origins, what was left aside, and the remarks."""
        document = {
            "schema_version": 1,
            "tool": self.tool,
            "files": list(self.files),
            "values": [{"key": t.key, "value": t.value, "origin": t.origin} for t in self.taken],
            "unused": list(self.unused),
            "remarks": list(self.remarks),
            "warnings": list(self.warnings),
            "missing": list(self.missing),
        }
        return json.dumps(document, indent=2) + "\n"


def model_taken(model: ModelSpec, origins: Mapping[str, str], otherwise: str) -> list[Taken]:
    """The fields of a model that are not their defaults, or whose origin is known; `otherwise` is said of the rest."""
    rows: list[Taken] = []
    for f in fields(ModelSpec):
        value = getattr(model, f.name)
        if f.name in ("source", "published_params") or (f.name not in origins and value == f.default):
            continue
        if isinstance(value, MoESpec | MLASpec | RecurrentSpec | SparseSpec):
            for inner in fields(value):
                part = getattr(value, inner.name)
                where = origins.get(f"{f.name}.{inner.name}")
                if where or part != inner.default:
                    rows.append(Taken(f"model.{f.name}.{inner.name}", part, where or origins.get(f.name, otherwise)))
        elif value not in (None, ""):
            rows.append(Taken(f"model.{f.name}", value, origins.get(f.name, otherwise)))
    return rows


@dataclass(frozen=True, slots=True)
class Stated:
    """What the caller says of a run that files often leave out.

    `gpus` is the world size, `vocab` the tokenizer's entries, `samples` and `tokens` are of one epoch of the data;
    `arguments` are those that a launch script is started with: its $1, $2, …
    """

    gpus: int | None = None
    vocab: int | None = None
    samples: int | None = None
    tokens: int | None = None
    arguments: Sequence[str] = ()

    @property
    def data(self) -> Taken | None:
        return data_given(self.samples, self.tokens)


def data_given(samples: int | None, tokens: int | None) -> Taken | None:
    """The data of one epoch as the caller states it; None where it does not."""
    if samples is not None:
        return Taken("data.samples", whole(samples, "--samples"), "--samples")
    return None if tokens is None else Taken("data.tokens", whole(tokens, "--tokens"), "--tokens")


def scenario_yaml(found: Imported) -> str:
    """The scenario as commented YAML; same findings, same bytes."""
    lines = [
        f"# Imported by `planner import` from {', '.join(shown(f, 80) for f in found.files)} ({found.tool}).",
        "# The comment beside a value says where it came from; edit freely.",
    ]
    for word, sentences in (("Warning", found.warnings), ("Note", found.remarks)):
        for sentence in sentences:
            lines += textwrap.wrap(
                f"{word}: {shown(sentence, 400)}", 110, initial_indent="# ", subsequent_indent="#   "
            )
    tree = nested({taken.key: taken for taken in found.taken})
    for section in [*SECTIONS, *(s for s in tree if s not in SECTIONS)]:
        if section in tree:
            lines += _written(section, tree[section], 0)
        elif section == "budget":
            lines.append(_aligned("# budget: {time: 30 days}", "no such file says it: give time, cost, or both"))
    lines += [_aligned(f"# {key}:", "the scenario needs this, and no file says it") for key in found.missing]
    if found.unused:
        lines.append("# Read and not needed for planning:")
        lines += _wrapped(found.unused)
    return "\n".join(lines) + "\n"


def _written(key: str, node: Any, depth: int) -> list[str]:
    pad = "  " * depth
    if isinstance(node, Taken):
        return [_aligned(f"{pad}{key}: {_flow(node.value)}", node.origin)]
    lines = [f"{pad}{key}:"]
    for name, child in node.items():
        lines += _written(name, child, depth + 1)
    return lines


def _aligned(text: str, comment: str) -> str:
    return f"{text:<{_COMMENT_COLUMN}}  # {shown(comment, 200)}" if comment else text


def _flow(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = value.replace("-", "").replace("_", "").replace(".", "").replace("/", "")
        if plain.isalnum() and plain.isascii() and not plain[0].isdigit() and yaml.safe_load(value) == value:
            return value
        return str(yaml.safe_dump(value, default_style='"', width=10**9)).strip()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    return str(value)


def _wrapped(words: Iterable[str], width: int = 110) -> list[str]:
    lines: list[str] = []
    line = "#  "
    for word in words:
        word = shown(word)
        if len(line) + len(word) + 2 > width:
            lines.append(line)
            line = "#  "
        line += f" {word},"
    return [*lines, line.rstrip(",")]
