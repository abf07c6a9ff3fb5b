"""A new snapshot beside what its folder holds: files of others go along."""

from __future__ import annotations

from pathlib import Path

from planner.catalog.facts import Layer
from planner.catalog.prices import snapshots
from planner.reading import read_text


def newest_snapshot(folder: Path) -> str:
    """The date of a catalog folder's newest price snapshot, "" where it has none."""
    return max(snapshots(Layer(folder.name, folder)), default="")


def others_files(folder: Path, snapshot: str, name: str) -> list[Path]:
    """Price files that will stand beside an import's own: of the same snapshot, or of an older one that it would hide.

    Those of an earlier import of the same `name` are not among them: the new one takes their place.
    """
    present = newest_snapshot(folder)
    source = snapshot if (folder / "prices" / snapshot).is_dir() or present >= snapshot else present
    if not source:
        return []
    files = sorted((folder / "prices" / source).glob("*.csv"))
    return [path for path in files if not path.name.startswith(f"{name}-")]


def carried(folder: Path, snapshot: str, name: str) -> dict[str, str]:
    """Files to write into a snapshot from an older one, which it would hide: path within the folder to content."""
    return {
        f"prices/{snapshot}/{path.name}": read_text(path, endings=(".csv",))
        for path in others_files(folder, snapshot, name)
        if path.parent.name != snapshot
    }
