"""Names that a scenario may use: accelerators and clouds of the catalog and of its overlays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from planner.catalog.paths import data_dir


def catalog_names(overlays: Sequence[Path]) -> dict[str, Callable[[], Sequence[str]]]:
    """How to list what exists, by what it is; nothing is read before a scenario names something."""
    folders = [data_dir(), *overlays]
    return {"accelerator": lambda: _stems(folders, "accelerators")}


def _stems(folders: Sequence[Path], what: str) -> list[str]:
    return sorted({path.stem for folder in folders for path in (folder / what).glob("*.yaml")})
