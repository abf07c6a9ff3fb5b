"""The catalog as values: accelerators, nodes, fabrics, prices and curves, read lazily from layers of folders."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from planner.catalog.curves import Curve, Width, read_curves
from planner.catalog.facts import ACCELERATOR, FABRIC, NODE, SHIPPED, Layer, Record, Records, read_mapping
from planner.catalog.history import prices_on, refuse_before_all
from planner.catalog.part_names import instead_of, parts_meant
from planner.catalog.paths import data_dir
from planner.catalog.prices import PriceRow, files_on, read_prices, snapshot_files
from planner.catalog.tables import layered_table
from planner.files import finish
from planner.reading import fault, read_bytes, records
from planner.spec.hardware import Accelerator, Node
from planner.units import PlannerError
from planner.words import say

MIB = 2**20
GIB = 2**30
_NOT_GPUS = frozenset({"tpu", "trainium", "gaudi", "ascend"})
_UNSEEN = ("ascend",)  # families of which no data sheet is in the catalog, known so that the answer says why
Part = TypeVar("Part")
_DIGESTED = ("accelerators", "nodes", "fabrics", "matmul", "attention", "energy", "costs", "risk")


class Parts(Mapping[str, Part]):
    """Accelerators or node types by id; a file is read when what it describes is asked for."""

    def __init__(self, records: Records, read: Callable[[Record], Part]) -> None:
        self.records = records
        self._read = read
        self._made: dict[str, Part] = {}

    def __getitem__(self, key: str) -> Part:
        if key not in self._made:
            self._made[key] = self._read(self.records[key])
        return self._made[key]

    def __contains__(self, key: object) -> bool:
        return key in self.records

    def __iter__(self) -> Iterator[str]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)


class Catalog:
    """Everything that is known of hardware and prices, from one shipped folder and the user's overlays.

    `snapshot` names a price snapshot by its date; None takes the newest of each layer. `on`: prices as they were
    on that day. Nothing is read on construction.
    """

    def __init__(self, layers: Sequence[Layer], snapshot: str | None = None, on: date | None = None) -> None:
        self.layers = tuple(layers)
        self.snapshot = snapshot
        self.on = on
        self.accelerators = Parts(Records(ACCELERATOR, self.layers), accelerator_from)
        self.nodes = Parts(Records(NODE, self.layers), node_from)
        self.fabrics: Mapping[str, Record] = Records(FABRIC, self.layers)
        self._tables: dict[str, list[dict[str, str]]] = {}

    @property
    def overlays(self) -> tuple[Path, ...]:
        """The user's own folders, the strongest last."""
        return tuple(layer.path for layer in self.layers if layer.name != SHIPPED)

    def accelerator(self, name: str) -> Accelerator:
        """The accelerator with this id.

        Raises
        ------
        PlannerError
            If there is none, with the nearest ids, or all that a short name such as `a100` could mean.
        """
        return self.accelerators[self.accelerator_id(name)]

    def accelerator_id(self, name: str) -> str:
        """The catalog's id for a name as a person writes it: any case, or the only id that it begins.

        Raises as `accelerator`.
        """
        key = name.strip().lower()
        if key in self.accelerators:
            return key
        meant = parts_meant(name, self.accelerators)
        if len(meant) == 1:
            return meant[0]
        if len(meant) > 1:
            raise PlannerError(say("part_names.ambiguous", name=repr(name[:60]), parts=meant))
        if why := without_data_sheet(name):
            raise PlannerError(say("part_names.no_data_sheet", name=name[:60], why=why))
        instead = instead_of(name, self.accelerators)
        raise PlannerError(say("part_names.not_in_catalog", name=name[:60], instead=instead))

    @cached_property
    def prices(self) -> tuple[PriceRow, ...]:
        """The chosen snapshot's rows, one for each machine, region and pricing, and those that only history keeps.

        A later layer's row takes the place of an earlier one; within one layer the newer date does, and the older row
        is kept with the flag `superseded`. A row that an import check doubts takes nobody's place.
        """
        current: dict[tuple[str, str, str, str], PriceRow] = {}
        kept: list[PriceRow] = []
        for path, rows in self._price_files():
            for row in rows:
                earlier = current.get(row.key)
                if "superseded" in row.flags or "index" in row.flags or row.quality == "X":
                    kept.append(row)
                elif earlier is not None and ("suspect" in row.flags) != ("suspect" in earlier.flags):
                    sound, doubted = (earlier, row) if "suspect" in row.flags else (row, earlier)
                    current[row.key] = sound
                    kept.append(doubted)
                elif earlier is None or earlier.layer != row.layer:
                    current[row.key] = row
                elif earlier.as_of_latest == row.as_of_latest:
                    raise fault(path, say("prices.twice", offer="/".join(row.key)))
                else:
                    older, newer = sorted((earlier, row), key=lambda each: each.as_of_latest or date.min)
                    kept.append(older._replace(flags=(*older.flags, "superseded")))
                    current[row.key] = newer
        return (*_without_covered(current, [layer.name for layer in self.layers]), *kept)

    def offers(self, gpu: str | None = None) -> tuple[PriceRow, ...]:
        """The price rows, of one accelerator if it is named. What may be planned with is `eligible_offers`' answer."""
        if gpu is None:
            return self.prices
        wanted = self.accelerator_id(gpu)
        return tuple(row for row in self.prices if row.gpu == wanted)

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """Measured collectives by name."""
        return read_curves(self.table("fabrics/collectives.csv"))

    @cached_property
    def widths(self) -> tuple[Width, ...]:
        """Measured collectives inside one node by the number of GPUs that take part."""
        return records(Width, self.table("fabrics/in_box_widths.csv"))

    @cached_property
    def sources(self) -> dict[str, dict[str, str]]:
        """Source keys to their title and date."""
        merged: dict[str, dict[str, str]] = {}
        for layer in self.layers:
            path = layer.path / "sources.yaml"
            if path.is_file():
                merged.update(read_mapping(path))
        return merged

    def table(self, path: str) -> list[dict[str, str]]:
        """The rows of one CSV (`energy/pue.csv`, ...) of all layers, later layers last; `layer` names where from.

        Read once, and not to be changed.
        """
        if path not in self._tables:
            self._tables[path] = layered_table(self.layers, path)
        return self._tables[path]

    def _price_files(self) -> list[tuple[Path, list[PriceRow]]]:
        """The chosen files with their rows, layer by layer; on a day, as they stood then."""
        read = [(path, read_prices(path, layer.name)) for layer, path in self._chosen_files()]
        if self.on is None:
            return read
        rows = [row for _, rows in read for row in rows]
        refuse_before_all(rows, self.on)
        paths = [path for path, rows in read for _ in rows]
        return [(path, [row]) for path, row in zip(paths, prices_on(rows, self.on), strict=True)]

    def _chosen_files(self) -> list[tuple[Layer, Path]]:
        if self.on is not None:
            return files_on(self.layers, self.on)
        return snapshot_files(self.layers, self.snapshot)

    @cached_property
    def digest(self) -> str:
        """sha256 over the files that this catalog stands on, in the order of their paths within each layer.

        Hardware, costs, energy and the chosen prices enter; what nobody selected, such as older snapshots, does not.
        """
        total = hashlib.sha256()
        if self.on is not None:
            total.update(f"prices on {self.on}\0".encode())
        prices = {path for _, path in self._chosen_files()}
        for number, layer in enumerate(self.layers):
            files = [path for folder in _DIGESTED for path in (layer.path / folder).glob("*.*")]
            files += [path for path in prices if path.is_relative_to(layer.path)]
            files += [path for path in (layer.path / "sources.yaml",) if path.is_file()]
            for path in sorted(files, key=lambda path: path.relative_to(layer.path).as_posix()):
                content = read_bytes(path)
                total.update(f"{number}/{path.relative_to(layer.path).as_posix()}\0{len(content)}\0".encode())
                total.update(content)
        return total.hexdigest()


def _without_covered(rows: Mapping[tuple[str, str, str, str], PriceRow], layers: Sequence[str]) -> Iterator[PriceRow]:
    """The rows, those superseded that a later layer prices for every region, or for regions where they said `all`."""
    rank = {name: number for number, name in enumerate(layers)}
    newest: dict[tuple[str, str, str], int] = {}
    everywhere: dict[tuple[str, str, str], int] = {}
    for row in rows.values():
        if "suspect" in row.flags:
            continue
        machine = (row.cloud, row.instance, row.pricing)
        newest[machine] = max(newest.get(machine, 0), rank[row.layer])
        if row.region == "all":
            everywhere[machine] = max(everywhere.get(machine, 0), rank[row.layer])
    for row in rows.values():
        machine = (row.cloud, row.instance, row.pricing)
        later = newest.get(machine, 0) if row.region == "all" else everywhere.get(machine, 0)
        yield row._replace(flags=(*row.flags, "superseded")) if later > rank[row.layer] else row


def load_catalog(overlays: Sequence[Path] = (), *, snapshot: str | None = None, on: date | None = None) -> Catalog:
    """The shipped catalog with the user's folders over it, the last one winning. Reads nothing yet.

    `snapshot`: the prices of the snapshot of that name; `on`: prices as they were on that day.

    Raises
    ------
    PlannerError
        If an overlay is not a folder.
    """
    layers = [Layer(SHIPPED, data_dir())]
    for path in overlays:
        if not path.is_dir():
            raise PlannerError(say("catalog.not_a_folder", path=str(path)))
        finish(path)
        name = path.name or "overlay"
        taken = {layer.name for layer in layers}
        layers.append(Layer(name if name not in taken else f"{name} ({len(layers)})", path))
    return Catalog(layers, snapshot, on)


def supports(accelerator: Accelerator, precision: str) -> bool:
    """Whether the accelerator has tensor units for a precision: a format, or a recipe such as mxfp8 or nvfp4.

    Units for a format do not make a recipe of it: Hopper computes in fp8 and has no scale a block of 32, CDNA 4 has
    MXFP4 and not NVFP4.
    """
    form = format_of(precision)
    scaled = precision.lower() == form or precision.lower() in accelerator.block_scaled
    return form in accelerator.peak_dense_tflops and scaled


def is_gpu(accelerator: Accelerator) -> bool:
    """Whether frameworks written for CUDA or ROCm run on it; TPU, Trainium, Gaudi and Ascend need their own ports."""
    return is_gpu_family(accelerator.family)


def is_gpu_family(family: str) -> bool:
    """As `is_gpu`, of a family by its name."""
    return family not in _NOT_GPUS


def without_data_sheet(name: str) -> str:
    """Of a part of a family that the catalog knows by name alone: that, and that no framework runs there; else ""."""
    family = next((word.title() for word in _UNSEEN if word in name.lower()), "")
    return say("frameworks.no_data_sheet", family=family, without=without_framework(family)) if family else ""


def without_framework(part: str) -> str:
    """The sentence on parts that are no GPUs."""
    return say("frameworks.none_on", part=part)


def format_of(precision: str) -> str:
    """The number format that a precision or recipe computes its matmuls in."""
    name = precision.lower()
    for known in ("fp8", "fp4", "bf16", "fp16", "tf32"):
        if known in name:
            return known
    return name


def accelerator_from(record: Record) -> Accelerator:
    """An accelerator from its facts; memory is what software sees, else the data sheet's GB."""
    reported = record.number("memory_reported_mib")
    link = record.number("link_one_way_gbyte_per_s")
    domain = record.number("scale_up_domain")
    return Accelerator(
        id=record.id,
        name=record.text("name", record.id),
        vendor=record.text("vendor"),
        form_factor=record.text("form_factor"),
        family=record.text("family"),
        memory_gib=reported * MIB / GIB if reported is not None else record.required("memory_gb") * 1e9 / GIB,
        memory_bw_gbyte_per_s=record.required("memory_bw_gbyte_per_s"),
        peak_dense_tflops=record.group("peak_dense_tflops"),
        matmul_tflops=record.group("matmul_tflops"),
        link_gbyte_per_s=link,
        scale_up_domain=int(domain) if domain is not None else 1,
        tdp_w=record.number("tdp_w"),
        recalled=record.text("status") == "recalled",
        unusual=record.text("status") == "unusual",
        flash_attention=record.text("flash_attention") != "none",
        block_scaled=frozenset(record.text("block_scaled").replace(",", " ").split()),
    )


def node_from(record: Record) -> Node:
    """A node type from its facts."""
    return Node(
        id=record.id,
        cloud=record.text("cloud"),
        instance=record.text("instance"),
        gpu=record.text("accelerator"),
        gpus_per_node=int(record.required("gpus_per_node")),
        link_gbyte_per_s=record.number("link_one_way_gbyte_per_s_per_gpu"),
        scale_up_domain=int(record.number("scale_up_domain") or 1),
        network=record.text("network"),
        network_gbit_per_s=record.number("network_one_way_gbit_per_s_per_node"),
        power_kw=record.number("node_power_kw"),
    )
