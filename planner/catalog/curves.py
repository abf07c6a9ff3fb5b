"""Measured collectives: bus bandwidth by message size, one curve for each machine and width that somebody measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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


def read_curves(rows_of_layers: Iterable[Mapping[str, str]]) -> dict[str, Curve]:
    """Every curve of the rows of `fabrics/collectives.csv`, by name; a later layer's replaces the earlier one whole."""
    curves: dict[str, Curve] = {}
    layers: dict[str, dict[str, list[Mapping[str, str]]]] = {}
    for row in rows_of_layers:
        layers.setdefault(row["layer"], {}).setdefault(row["curve"], []).append(row)
    for grouped in layers.values():
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
