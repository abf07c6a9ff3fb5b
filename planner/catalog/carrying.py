"""A new snapshot beside what its folder holds: files of others go along, and no offer is priced twice on one day."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from planner.catalog.facts import Layer
from planner.catalog.prices import read_prices, snapshots
from planner.reading import read_text

if TYPE_CHECKING:
    from planner.catalog.importing import Import

_KEY = ["cloud", "instance", "region", "pricing"]


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


def without_twice(outcome: Import, folder: Path, snapshot: str, name: str) -> Import:
    """An import without offers that another file beside it prices on that day: the file stands, each is reported."""
    import pandas as pd

    stands = {
        (*row.key, row.as_of_latest.isoformat() if row.as_of_latest else ""): path.name
        for path in others_files(folder, snapshot, name)
        for row in read_prices(path)
        if not {"superseded", "index"} & set(row.flags)
    }
    if not stands:
        return outcome
    rows = outcome.rows
    late = pd.Series(["superseded" in str(flags) for flags in rows["flags"]], rows.index, dtype=bool)
    keys = zip(*(rows[column].tolist() for column in (*_KEY, "as_of_latest")), strict=True)
    found = pd.Series([stands.get(key, "") for key in keys], rows.index, dtype=object).where(~late, "")
    twice = rows[found != ""]
    reasons = [f"{file} prices it on that day already" for file in found[found != ""]]
    report = pd.DataFrame(twice[["file", "line", *_KEY]]).assign(what="left out", check="priced_once", reason=reasons)
    return replace(outcome, rows=rows[found == ""], report=pd.concat([outcome.report, report], ignore_index=True))
