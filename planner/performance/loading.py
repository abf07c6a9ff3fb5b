"""The calibration to plan with: the shipped one, with what the user's own folders add to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from planner.catalog.paths import data_dir
from planner.performance.calibration import Calibration, read_calibration

_LOADED: dict[tuple[tuple[Path, tuple[tuple[str, int, int], ...]], ...], Calibration] = {}


def load_calibration(overlays: Sequence[Path] = ()) -> Calibration:
    """The shipped calibration; runs under an overlay's `measured/` are learnt from, too."""
    folders = tuple(Path(o) for o in overlays)
    files = []  # runs may be added while this process lives: name, time and size of each, of benches and of the fit
    for folder in folders:
        paths = sorted(path for part in ("measured", "benches", "calibration") for path in folder.glob(f"{part}/*"))
        stats = ((path.name, path.stat()) for path in paths)
        files.append((folder, tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)))
    key = tuple(files)
    if key not in _LOADED:
        shipped = read_calibration(data_dir() / "calibration" / "fit.json")
        if any((folder / each).is_dir() for folder in folders for each in ("measured", "benches")):
            from planner.performance.benches import bench_files
            from planner.performance.refit import fit_of, measured_files

            shipped = fit_of(measured_files(folders), shipped, folders, bench_files(folders))
        _LOADED[key] = shipped
    return _LOADED[key]
