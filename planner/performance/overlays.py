"""A user's own measured runs: into their catalog folder, and what they changed."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from planner.catalog import load_catalog
from planner.catalog.paths import data_dir
from planner.files import write_atomically
from planner.performance.calibration import Calibration, dumps, read_calibration, to_json
from planner.performance.learning import log_errors, with_overlays
from planner.performance.rows import Run, read_run
from planner.units import PlannerError

MAX_BYTES = 64 << 20


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table of measurements.

    Raises
    ------
    PlannerError
        If the file cannot be read, is not a table, or states no throughput.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PlannerError(f"{path}: larger than {MAX_BYTES >> 20} MiB; split it")
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [{k: v or "" for k, v in row.items() if k is not None} for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PlannerError(f"{path}: cannot be read as a table ({error})") from None
    if not any((row.get("tokens_per_s_per_gpu") or "").strip() for row in rows):
        raise PlannerError(
            f"{path}: no row states tokens_per_s_per_gpu; give a table with the columns of catalogs/measured, "
            "or a training log with --plan"
        )
    return rows


def add_rows(rows: Sequence[Mapping[str, str]], name: str, folder: Path, overlays: Sequence[Path] = ()) -> list[Run]:
    """The rows into FOLDER/measured/NAME.csv, behind those that are there; a row that is there already is not repeated.

    Returns
    -------
    The runs of these rows as they will be read. Nothing is written if one of them cannot be.
    """
    path = folder / "measured" / f"{name}.csv"
    catalog = load_catalog(tuple(o for o in overlays if Path(o).is_dir()))
    runs = [read_run(row, catalog, f"{name}:{number}") for number, row in enumerate(rows, 1)]
    old = read_rows(path) if path.is_file() else []
    known = {tuple(sorted(row.items())) for row in old}
    new = [dict(row) for row in rows if tuple(sorted(row.items())) not in known]
    header = list(dict.fromkeys(key for row in (*old, *new) for key in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows([*old, *new])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
    return [run for run in runs if run.tokens_per_s_per_gpu]


def refit(folder: Path, overlays: Sequence[Path], runs: Sequence[Run]) -> list[str]:
    """Fit shipped and own rows together, store the fit in FOLDER/calibration/fit.json, and say what it changed."""
    shipped = read_calibration(data_dir() / "calibration" / "fit.json")
    before = _off(runs, shipped)
    (folder / "calibration").mkdir(parents=True, exist_ok=True)
    fitted = with_overlays(shipped, overlays)
    write_atomically(folder / "calibration" / "fit.json", dumps(to_json(fitted)))
    return [
        f"{len(runs)} {'run is' if len(runs) == 1 else 'runs are'} in {folder / 'measured'}",
        f"predictions of them were off by {before:.1%} at the median, now by {_off(runs, fitted):.1%}",
    ]


def _off(runs: Sequence[Run], calibration: Calibration) -> float:
    return float(np.median(np.abs(np.expm1(-log_errors(runs, calibration)))))
