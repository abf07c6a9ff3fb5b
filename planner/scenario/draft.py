"""One scenario file while it is being read: its values, their places, and the defaults used so far."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.reading.tree import Node
from planner.scenario.fields import Reading
from planner.scenario.fields import fail as fail_at
from planner.scenario.sections import SCENARIO
from planner.units import PlannerError

_OF_CLOUDS = ("cluster.clouds", "cluster.regions", "cluster.pricing", "cluster.quality")


@dataclass(frozen=True)
class Draft:
    """`values` are those of `root`, checked key by key; checks across keys find their places in `root`."""

    root: Node
    values: dict[str, Any]
    reading: Reading
    file: Path

    def used_defaults(self) -> tuple[tuple[str, str], ...]:
        """In the order of the sections; those of cloud offers only where cloud offers are looked at."""
        order = [key.name for key in SCENARIO.keys]
        used = sorted(self.reading.defaults, key=lambda entry: order.index(entry[0].split(".")[0]))
        hidden = _OF_CLOUDS if self.values["cluster"]["own_only"] else ()
        return tuple(entry for entry in used if entry[0] not in hidden)

    def default(self, path: str, value: str) -> str:
        """Records a default, or a reading that was not exact, and gives it back."""
        self.reading.defaults.append((path, value))
        return value

    def node(self, path: str) -> Node:
        """The node at a path, or the nearest above it."""
        node = self.root
        for part in path.split("."):
            inner = (node.fields or {}).get(part)
            if inner is None and node.items is not None and part.isdecimal():
                inner = node.items[int(part)]
            if inner is None:
                return node
            node = inner
        return node

    def fail(self, path: str, message: str) -> PlannerError:
        """The sentence of a mistake at a key path."""
        return fail_at(self.node(path).where, path, message)
