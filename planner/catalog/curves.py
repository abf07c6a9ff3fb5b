"""Measured collectives: bus bandwidth by message size, one curve for each machine and width that somebody measured."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.catalog.facts import Layer
from planner.units import PlannerError


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One measured collective. busbw is nccl-tests': payload / time x 2(n-1)/n, or x (n-1)/n where not all-reduce."""

    name: str
    fabric: str
    collective: str  # all_reduce | all_gather
    nodes: int
    ranks: int
    gpu: str
    network_gbit_per_s: float | None  # nominal, per node, one direction; None within one scale-up domain
    algorithm: str
    sizes_bytes: NDArray[np.float64]  # rising, shape (n,)
    busbw_gbyte_per_s: NDArray[np.float64]  # shape (n,)
    source: str


@dataclass(frozen=True, slots=True)
class Width:
    """Bus bandwidth of one large collective inside one node, by how many of its GPUs take part."""

    fabric: str
    gpu: str
    collective: str
    algorithm: str
    gpus: int
    size_bytes: float
    busbw_gbyte_per_s: float
    source: str


def read_curves(layers: Sequence[Layer]) -> dict[str, Curve]:
    """Every curve of `fabrics/collectives.csv`, by name; a later layer's curve replaces the earlier one whole."""
    curves: dict[str, Curve] = {}
    for layer in layers:
        grouped: dict[str, list[dict[str, str]]] = {}
        for row in read_table(layer, "fabrics/collectives.csv"):
            grouped.setdefault(row["curve"], []).append(row)
        for name, rows in grouped.items():
            rows.sort(key=lambda row: float(row["size_bytes"]))
            first = rows[0]
            network = first["network_one_way_gbit_per_s_per_node"]
            curves[name] = Curve(
                name,
                first["fabric"],
                first["collective"],
                int(first["nodes"]),
                int(first["gpus"]),
                first["gpu"],
                float(network) if network else None,
                first["algorithm"],
                np.array([float(row["size_bytes"]) for row in rows]),
                np.array([float(row["busbw_gbyte_per_s"]) for row in rows]),
                first["source"],
            )
    return curves


def read_widths(layers: Sequence[Layer]) -> tuple[Width, ...]:
    """The rows of `fabrics/in_box_widths.csv` of every layer."""
    return tuple(
        Width(
            row["fabric"],
            row["gpu"],
            row["collective"],
            row["algorithm"],
            int(row["gpus"]),
            float(row["size_bytes"]),
            float(row["busbw_gbyte_per_s"]),
            row["source"],
        )
        for layer in layers
        for row in read_table(layer, "fabrics/in_box_widths.csv")
    )


def read_table(layer: Layer, path: str) -> list[dict[str, str]]:
    """The rows of a layer's CSV by column name; none where the layer has no such file."""
    file = layer.path / path
    if not file.is_file():
        return []
    try:
        with file.open(newline="", encoding="utf-8-sig") as handle:
            return list(csv.DictReader(handle))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PlannerError(f"{file}: cannot be read as a CSV in UTF-8 ({error})") from None
