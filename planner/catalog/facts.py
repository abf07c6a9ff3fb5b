"""Facts as they lie in files: every number with its value, kind, source and date, merged field by field over layers.

A layer is a folder with the form of `catalogs/`. Later layers win, one field at a time; a file is read only when
something asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from planner.reading import fault, read_bytes
from planner.reading.names import nearest_or_all
from planner.reading.tree import Node, read_yaml
from planner.words import say

SHIPPED = "shipped"  # the name of planner's own layer
KINDS = ("datasheet", "measured", "derived", "recalled", "user")


@dataclass(frozen=True, slots=True)
class Fact:
    """One field: a number with its provenance, or a text (kind ""). `layer` is the folder's name."""

    value: float | str
    kind: str
    source: tuple[str, ...]
    as_of: str
    note: str
    layer: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One catalog folder and the name it is called by in reports."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Record:
    """One accelerator, node or fabric as its layers give it: field name (groups joined by a dot) to fact."""

    id: str
    facts: Mapping[str, Fact]
    files: tuple[Path, ...]

    def number(self, field: str) -> float | None:
        fact = self.facts.get(field)
        return None if fact is None or isinstance(fact.value, str) else fact.value

    def required(self, field: str) -> float:
        value = self.number(field)
        if value is None:
            raise fault(self.files[-1], say("facts.missing", field=field))
        return value

    def text(self, field: str, default: str = "") -> str:
        fact = self.facts.get(field)
        return default if fact is None else str(fact.value)

    def group(self, name: str) -> dict[str, float]:
        """The numbers of a group, such as `peak_dense_tflops`, by their names within it."""
        start = len(name) + 1
        return {
            key[start:]: fact.value
            for key, fact in self.facts.items()
            if key.startswith(name + ".") and not isinstance(fact.value, str)
        }


@dataclass(frozen=True, slots=True)
class Form:
    """Which fields a kind of file may have: texts, lists of text, numbers, and groups of numbers."""

    folder: str
    texts: frozenset[str]
    numbers: frozenset[str]
    groups: Mapping[str, frozenset[str]]


FORMATS = frozenset({"bf16", "fp16", "fp8", "fp4", "tf32"})
ACCELERATOR = Form(
    "accelerators",
    frozenset({"id", "name", "vendor", "family", "form_factor", "status", "flash_attention", "block_scaled", "notes"}),
    frozenset(
        {
            "launch_year",
            "memory_gb",
            "memory_reported_mib",
            "memory_bw_gbyte_per_s",
            "link_one_way_gbyte_per_s",
            "scale_up_domain",
            "tdp_w",
        }
    ),
    {"peak_dense_tflops": FORMATS, "matmul_tflops": FORMATS},
)
NODE = Form(
    "nodes",
    frozenset({"id", "cloud", "instance", "accelerator", "link", "network", "notes"}),
    frozenset(
        {
            "gpus_per_node",
            "link_one_way_gbyte_per_s_per_gpu",
            "scale_up_domain",
            "network_one_way_gbit_per_s_per_node",
            "vcpus",
            "ram_gib",
            "local_nvme_gb",
            "node_power_kw",
        }
    ),
    {},
)
FABRIC = Form(
    "fabrics",
    frozenset({"id", "name", "used_for", "curves", "notes"}),
    frozenset(
        {
            "all_reduce_busbw_gbyte_per_s",
            "ring_busbw_gbyte_per_s",
            "point_to_point_one_way_gbyte_per_s",
            "inter_node_efficiency",
            "two_node_latency_us",
        }
    ),
    {},
)


class Records(Mapping[str, Record]):
    """All records of one form, read when asked for. Keys come from file names, so that listing reads nothing."""

    def __init__(self, form: Form, layers: Sequence[Layer]) -> None:
        self._form = form
        self._layers = tuple(layers)
        self._read: dict[str, Record] = {}

    @cached_property
    def _files(self) -> dict[str, list[tuple[Layer, Path]]]:
        files: dict[str, list[tuple[Layer, Path]]] = {}
        for layer in self._layers:
            folder = layer.path / self._form.folder
            if folder.is_dir():
                for path in sorted(folder.glob("*.yaml")):
                    files.setdefault(path.stem, []).append((layer, path))
        return dict(sorted(files.items()))

    def __getitem__(self, key: str) -> Record:
        if key not in self._read:
            files = self._files[key]
            facts: dict[str, Fact] = {}
            for layer, path in files:
                facts.update(_facts_of(path, self._form, layer.name))
            facts.setdefault("id", Fact(key, "", (), "", "", files[0][0].name))
            if facts["id"].value != key:
                raise fault(files[-1][1], say("facts.id", id=facts["id"].value, key=key))
            self._read[key] = Record(key, facts, tuple(path for _, path in files))
        return self._read[key]

    def __contains__(self, key: object) -> bool:
        return key in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


_SHIPPED: dict[tuple[Path, int, int], Mapping[str, Fact]] = {}


def _facts_of(path: Path, form: Form, layer: str) -> Mapping[str, Fact]:
    """As `read_facts`; a shipped file is read once a process, and again if it became another."""
    if layer != SHIPPED:
        return read_facts(path, form, layer)
    stat = path.stat()
    key = (path, stat.st_mtime_ns, stat.st_size)
    if key not in _SHIPPED:
        _SHIPPED[key] = read_facts(path, form, layer)
    return _SHIPPED[key]


def read_facts(path: Path, form: Form, layer: str) -> dict[str, Fact]:
    """The fields of one YAML file. A bare number is allowed and counts as the user's own.

    Raises
    ------
    PlannerError
        On a field that the form does not have, a value that is not a number, or a kind that does not exist.
    """
    facts: dict[str, Fact] = {}
    root = _mapping(path)
    for field, node in (root.fields or {}).items():
        where = root.key_where[field]
        if field in form.texts:
            raw = node.texts()
            facts[field] = Fact(", ".join(map(str, raw)) if isinstance(raw, list) else str(raw), "", (), "", "", layer)
        elif field in form.numbers:
            facts[field] = _fact(where, field, node, layer)
        elif field in form.groups:
            if node.fields is None:
                raise fault(where, say("facts.group", field=field, found=node.kind))
            for name, value in node.fields.items():
                at = node.key_where[name]
                if name not in form.groups[field]:
                    near = nearest_or_all(name, sorted(form.groups[field]))
                    raise fault(at, say("facts.unknown_in_group", field=field, name=name[:60], near=near))
                facts[f"{field}.{name}"] = _fact(at, f"{field}.{name}", value, layer)
        else:
            near = nearest_or_all(field, sorted(form.texts | form.numbers | set(form.groups)))
            raise fault(where, say("facts.unknown", field=field[:60], near=near))
    return facts


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML file that holds one mapping, every scalar as the text that stands there."""
    values: dict[str, Any] = _mapping(path).texts()
    return values


def _mapping(path: Path) -> Node:
    root = read_yaml(read_bytes(path), str(path), say("facts.catalog_file"))
    if root.fields is None:
        raise fault(path, say("facts.mapping"))
    return root


def _fact(where: str, field: str, node: Node, layer: str) -> Fact:
    if node.fields is None:
        return Fact(_float(where, field, node), "user", (), "", "", layer)
    unknown = set(node.fields) - {"value", "kind", "source", "as_of", "note", "low", "high"}
    if unknown or "value" not in node.fields:
        if not unknown:
            raise fault(where, say("facts.no_value", field=field))
        raise fault(where, say("facts.has", field=field, key=min(unknown)[:60]))
    raw = node.texts()
    kind = raw.get("kind", "user")
    if kind not in KINDS:
        raise fault(where, say("facts.kind", field=field, kind=str(kind)[:60], kinds=KINDS))
    source = raw.get("source", ())
    return Fact(
        _float(where, field, node.fields["value"]),
        kind,
        tuple(map(str, source)) if isinstance(source, list) else ((str(source),) if source else ()),
        str(raw.get("as_of", "")),
        str(raw.get("note", "")),
        layer,
        _float(where, field, node.fields["low"]) if "low" in raw else None,
        _float(where, field, node.fields["high"]) if "high" in raw else None,
    )


def _float(where: str, field: str, node: Node) -> float:
    try:
        number = float(node.text.replace("_", ""))
    except ValueError:
        number = float("nan")
    if not 0 <= number < float("inf"):
        raise fault(where, say("facts.number", field=field, found=node.kind))
    return number
