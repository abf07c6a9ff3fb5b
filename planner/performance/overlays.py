"""A user's own measured runs: into their catalog folder, and what they changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from planner.catalog import load_catalog
from planner.catalog.paths import data_dir
from planner.files import csv_text, finish, write_all
from planner.performance.benches import FOLDER
from planner.performance.calibration import Calibration, dumps, read_calibration, to_json
from planner.performance.refit import fit_of, log_errors, measured_files, read_runs
from planner.performance.rows import Reader, Run
from planner.performance.tables import read_table
from planner.reading import fault
from planner.units import PlannerError
from planner.words import say

#: What tells one logged run from another: its log's name, and what ran where; not what was measured of it so far.
RUN = (
    "source_id", "page_or_path", "framework", "version_or_date", "model", "layers_run", "seq_len", "gpu", "gpus",
    "precision", "tp", "pp", "vpp", "dp", "cp", "ep", "zero_or_fsdp", "recompute", "micro_batch",
    "global_batch_samples",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Added:
    """Runs that were given, and the throughputs (tokens/s/GPU, as written) of older rows that they stand in for."""

    runs: tuple[Run, ...]
    replaced: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # the table with them, by its path within the folder


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table of measurements.

    Raises
    ------
    PlannerError
        If the file cannot be read, is not a table, or states no throughput.
    """
    rows = list(read_table(path, (".csv", ".log")).rows)
    if not measured(rows):
        raise fault(path, say("overlays.no_throughput"))
    return rows


def measured(rows: Iterable[Mapping[str, str]]) -> bool:
    """Whether any of the rows states a throughput."""
    return any((row.get("tokens_per_s_per_gpu") or "").strip() for row in rows)


def readable(
    rows: Sequence[Mapping[str, str]], name: str, overlays: Sequence[Path] = ()
) -> tuple[list[Mapping[str, str]], list[str]]:
    """The rows that can be read, and why the others cannot."""
    reader = Reader(load_catalog(tuple(o for o in overlays if Path(o).is_dir())))
    kept, refused = [], []
    for number, row in enumerate(rows, 1):
        try:
            reader.read(row, f"{name}:{number}", name)
        except PlannerError as error:
            refused.append(error.args[0])
        else:
            kept.append(row)
    return kept, refused


def runs_of(rows: Sequence[Mapping[str, str]], name: str, overlays: Sequence[Path] = ()) -> list[Run]:
    """The runs that these rows state, measured or not; their ids are NAME:ROW, rows counted from 1.

    Raises
    ------
    PlannerError
        If a row cannot be read, naming it.
    """
    reader = Reader(load_catalog(tuple(o for o in overlays if Path(o).is_dir())))
    return [reader.read(row, f"{name}:{number}", name) for number, row in enumerate(rows, 1)]


def known_runs(own: Iterable[Run], overlays: Sequence[Path] = ()) -> list[Run]:
    """The measured runs of the shipped tables and of the overlays, and those of `own` that are not among them yet."""
    folders = [o for o in overlays if Path(o).is_dir()]
    known = read_runs(measured_files(folders), folders)
    there = {_measurement(run) for run in known}
    return [*known, *(run for run in own if run.tokens_per_s_per_gpu and _measurement(run) not in there)]


def add_rows(
    rows: Sequence[Mapping[str, str]], name: str, folder: Path, overlays: Sequence[Path] = (), *, of_log: bool = False
) -> Added:
    """The rows for FOLDER/measured/NAME.csv, behind those that are there; a row that is there already is not repeated.

    `of_log`: a row is all that a log says of its run so far, so it takes the place of older rows of that run.

    Returns
    -------
    The runs of these rows as they will be read, and the table to write. Raises if one of them cannot be.
    """
    finish(folder)
    path = folder / "measured" / f"{name}.csv"
    runs = runs_of(rows, name, overlays)
    old = read_rows(path) if path.is_file() else []
    logged = {_run_of(row) for row in rows} if of_log else set()
    kept = [row for row in old if _run_of(row) not in logged]
    known = {_stated(row) for row in kept}
    new = [dict(row) for row in rows if _stated(row) not in known]
    now = {_stated(row) for row in rows}
    stale = [row for row in old if _run_of(row) in logged and _stated(row) not in now]
    header = list(dict.fromkeys(key for row in (*old, *new) for key in row))
    table = csv_text([header, *([row.get(key, "") for key in header] for row in (*kept, *new))])
    return Added(
        tuple(run for run in runs if run.tokens_per_s_per_gpu),
        tuple(row.get("tokens_per_s_per_gpu") or "?" for row in stale),
        {f"measured/{name}.csv": table},
    )


def _stated(row: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What a row states; the columns that other rows of its table need stay out."""
    return tuple(sorted((key, value.strip()) for key, value in row.items() if value.strip()))


def _measurement(run: Run) -> tuple[object, ...]:
    """What ran and what was measured of it, whatever table says so."""
    s = run.setting
    return (run.configuration, s.framework, s.release, s.hardware, run.tokens_per_s_per_gpu)


def _run_of(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple((row.get(key) or "").strip() for key in RUN)


def refit(folder: Path, overlays: Sequence[Path], added: Added) -> list[str]:
    """Fit shipped and own rows together, store rows and fit in FOLDER, both or none, and say what it changed."""
    runs = added.runs
    shipped = read_calibration(data_dir() / "calibration" / "fit.json")
    if not runs:  # benches alone: rates of the site, which no fit need be made for
        write_all(folder, added.files)
        return []
    before = _off(runs, shipped)
    fitted = _fitted(folder, overlays, added.files, shipped)
    write_all(folder, {**added.files, "calibration/fit.json": dumps(to_json(fitted))})
    kept = {"runs": len(runs), "folder": str(folder / "measured")}
    summary = say("overlays.kept", **kept)
    if added.replaced:
        summary = say("overlays.replaced", **kept, before=list(added.replaced))
    return [summary, say("overlays.off", before=before, now=_off(runs, fitted))]


def _fitted(folder: Path, overlays: Sequence[Path], files: Mapping[str, str], shipped: Calibration) -> Calibration:
    """The fit of the overlays as they will be with these files in `folder`."""
    there = [overlay for overlay in overlays if overlay.is_dir()]
    with TemporaryDirectory() as place:
        found: dict[str, list[Path]] = {"measured": [], FOLDER: []}
        for overlay in overlays:
            for kind, paths in found.items():
                own = {path.name: path for path in (overlay / kind).glob("*.csv")}
                for name, text in files.items() if overlay == folder else ():
                    if Path(name).parts[0] == kind:
                        own[Path(name).name] = Path(place) / kind / Path(name).name
                        own[Path(name).name].parent.mkdir(exist_ok=True)
                        own[Path(name).name].write_text(text, "utf-8", newline="")
                paths += [own[name] for name in sorted(own)]
        return fit_of([*measured_files(), *found["measured"]], shipped, there, found[FOLDER])


def _off(runs: Sequence[Run], calibration: Calibration) -> float:
    return float(np.median(np.abs(np.expm1(-log_errors(runs, calibration)))))
