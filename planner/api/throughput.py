"""Throughput: predicted of given runs, held against measured ones, and learnt from one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.api.inputs import Folders, PlanLike, RowsLike, folders, load_facts, load_plan, rows_of
from planner.results import json_form as plan_json
from planner.results.result import Document, Result
from planner.units import PlannerError
from planner.words import say

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.performance.arrays import Memory
    from planner.performance.calibration import Calibration
    from planner.performance.predict import Prediction
    from planner.performance.validation import Judged
    from planner.report.next_runs import Chosen

NUMBERS = ("pred_tokens_per_s_per_gpu", "pred_lo", "pred_hi", "pred_memory_gib")


@dataclass(frozen=True, slots=True, repr=False)
class Predictions(Result):
    """Runs with what is predicted of each; a sequence of maps, in the order of the rows given."""

    cells: tuple[Mapping[str, str], ...]  # every column as text, as a CSV file holds it
    header: tuple[str, ...] = ()  # the columns that were given
    notes: tuple[str, ...] = ()  # what a person should know of their reading
    given: tuple[Mapping[str, Any], ...] = ()  # the rows as they were given; (): as a file's texts
    name: str = "row"  # of the table, in messages

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Each row as given, and what was predicted as numbers, true or false; None is what is not known."""
        given = self.given or ({},) * len(self.cells)
        return [
            {
                **row,
                **values,
                **{key: float(row[key]) if row[key] else None for key in NUMBERS},
                "fits": {"true": True, "false": False}.get(row["fits"]),
                "why": row["why"] or None,
                "assumed": row["assumed"] or None,
            }
            for row, values in zip(self.cells, given, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self.rows[number]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def to_json(self) -> str:
        """All rows as text, ending in a newline."""
        return plan_json.dumps({"schema_version": 1, "rows": self.rows})


@dataclass(frozen=True, slots=True, repr=False)
class RunPrediction(Document):
    """What is predicted of one run: throughput with its 80 % interval, the step's terms, memory."""

    prediction: Prediction
    memory: Memory | None

    def __getitem__(self, key: str) -> Any:
        return self.document[key]

    def to_json(self) -> str:
        """The document as text, ending in a newline."""
        return plan_json.dumps(dict(self.document))


@dataclass(frozen=True, slots=True, repr=False)
class Validation(Result):
    """Predicted against measured: the figures of `report`, and each row in `judged`."""

    report: Mapping[str, Any]
    judged: Judged
    notes: tuple[str, ...] = ()  # what a person should know of their reading

    def __getitem__(self, key: str) -> Any:
        return self.report[key]

    def to_json(self) -> str:
        """The figures as text, ending in a newline."""
        return plan_json.dumps(dict(self.report))


@dataclass(frozen=True, slots=True, repr=False)
class Calibrated(Result):
    """What was learnt from measured rows, and how far off they are in the fit before and after (median of |error|)."""

    rows: int
    replaced_tokens_per_s_per_gpu: tuple[float, ...]  # of older rows that these stand in for
    mdape_before: float
    mdape_after: float
    notes: tuple[str, ...] = ()  # what a person should know

    def to_json(self) -> str:
        """The figures as text, ending in a newline."""
        figures = {key: value for key, value in asdict(self).items() if key != "notes"}
        return plan_json.dumps({"schema_version": 1, **figures})


@dataclass(frozen=True, slots=True, repr=False)
class NextRuns(Result):
    """The runs to measure first, out of so many candidates, beside so many that are known."""

    chosen: tuple[Chosen, ...]
    candidates: int
    known: int
    notes: tuple[str, ...] = ()  # what a person should know of their reading

    def to_json(self) -> str:
        """The runs as text, ending in a newline."""
        from planner.report.next_runs import next_runs_document

        return plan_json.dumps(next_runs_document(self.chosen, self.candidates, self.known))


def predict(rows: RowsLike, overlays: Folders = ()) -> Predictions:
    """Throughput, its 80 % interval and memory of runs.

    Parameters
    ----------
    rows : path, data frame, maps, or one map
        Columns as in catalogs/measured: model, gpu, gpus, seq_len, global_batch_samples, tp, ...; empty: not stated.
    overlays : folder or folders
        Catalogs laid over the shipped one.

    Returns
    -------
    Predictions
        The rows in their order with `pred_tokens_per_s_per_gpu`, `pred_lo`, `pred_hi`, `pred_memory_gib`, `fits`,
        `basis`, `why` (where one cannot be predicted) and `assumed` (what it was taken for).
    """
    from planner.performance.predict import predict_rows

    facts, given = load_facts(overlays), rows_of(rows)
    if (given.cells or given.of_file) and not {"model", "gpu"} <= set(given.header):
        found = list(given.header[:8]) or [say("csv.none")]
        raise PlannerError(say("throughput.columns", place=given.place, found=found))
    predicted = tuple(predict_rows(given.cells, *facts, given.name))
    return Predictions(predicted, given.header, given.remarks, given.values, given.name)


def predict_run(overlays: Folders = (), **columns: Any) -> RunPrediction:
    """One run in full, the step's terms and memory's parts among it; `columns` as those of `predict`'s rows.

    Raises
    ------
    PlannerError
        If it cannot be predicted, naming the column.
    """
    return detail(columns, *load_facts(overlays))


def detail(row: Mapping[str, object], facts: Catalog, calibration: Calibration) -> RunPrediction:
    """One run's prediction by facts that have been loaded."""
    from planner.performance.cells import unplaced
    from planner.performance.gpu_names import accelerator_id
    from planner.performance.memory import memory
    from planner.performance.predict import breakdown, predict_rows, predict_run
    from planner.performance.rows import layouts_of, read_run
    from planner.report.evidence import MEMORY

    (cells,) = rows_of(row).cells
    cells |= {"gpu": accelerator_id(str(row.get("gpu") or ""), facts)}
    (checked,) = predict_rows([cells], facts, calibration, "run")
    if not checked["pred_tokens_per_s_per_gpu"]:
        raise PlannerError(unplaced(checked["why"]))
    found = predict_run(read_run(cells, facts, "run"), calibration)
    parts = None if found.memory_gib is None else memory(found.run.setting, layouts_of([found.run]))
    document = {
        "schema_version": 1,
        **row,
        "pred_tokens_per_s_per_gpu": found.tokens_per_s_per_gpu,
        "pred_lo": found.low,
        "pred_hi": found.high,
        "pred_memory_gib": found.memory_gib,
        "fits": found.fits,
        "basis": found.basis,
        "why": found.why or None,
        "assumed": "; ".join(found.assumed) or None,
        "measurements": found.measurements,
        "step_time_s": float(found.step.total_s[0]),
        "step_breakdown_s": breakdown([found])[0],
        "memory_gib": None if parts is None else {name: float(getattr(parts, name)[0]) for name in (*MEMORY, "total")},
        "capacity_gib": found.capacity_gib,
    }
    return RunPrediction(document, found, parts)


def validate(
    rows: Sequence[str | Path] | str | Path,
    overlays: Folders = (),
    *,
    leave_out: str = "configuration",
    refit: bool = False,
) -> Validation:
    """Predictions held against measured rows; a row never helps to predict itself.

    Parameters
    ----------
    rows : path or paths
        Tables as in catalogs/measured.
    leave_out : {"configuration", "row", "group", "model", "source", "site", "stack", "part", "none"}
        What is kept from the fit that predicts a row; none: the calibration as shipped.
    refit : bool
        Fit anew for each that is left out (minutes), instead of solving the common fit without it.
    """
    from planner.performance.loading import load_calibration
    from planner.performance.row_assumptions import counted
    from planner.performance.tables import read_table
    from planner.performance.validation import judge, report

    paths = [Path(rows)] if isinstance(rows, str | Path) else [Path(path) for path in rows]
    judged = judge(paths, load_calibration(folders(overlays)), leave_out, folders(overlays), refit=refit)
    remarks = [
        say("reading.at", file=str(path), what=remark) for path in paths for remark in read_table(path).remarks()
    ]
    left = [say("throughput.left_out", why=why) for why in judged.unreadable.values()]
    notes = (*remarks, *left, *counted(run.assumed for run in judged.runs))
    return Validation(report(judged), judged, notes)


def calibrate(
    run: RowsLike, folder: str | Path | None = None, overlays: Folders = (), *, plan: PlanLike | None = None
) -> Calibrated:
    """Learn from measured runs: predictions near them sharpen.

    Rows go into FOLDER/measured, and the fit of all rows together beside it.

    Parameters
    ----------
    run : rows, or a training log's path with `plan`
        Rows as `predict` takes them, with `tokens_per_s_per_gpu`; or the log of a run.
    folder : path, optional
        One's own catalog folder, made if it is not there; default: that of the config folder.
    plan : path or Optimization, optional
        The plan that the log's run follows.

    Raises
    ------
    PlannerError
        If no measured row can be read; nothing is written then.
    """
    import numpy as np

    from planner.catalog.overlay import config_catalog
    from planner.catalog.paths import data_dir
    from planner.interop.files import naming
    from planner.interop.measurement import training_log_measurement
    from planner.performance.calibration import read_calibration
    from planner.performance.overlays import add_rows, refit
    from planner.performance.refit import log_errors
    from planner.performance.row_assumptions import counted

    own = Path(folder) if folder is not None else config_catalog()
    over = (*(each for each in folders(overlays) if each.resolve() != own.resolve()), own)
    notes: list[str] = []
    if plan is not None:
        log, answer = Path(str(run)), load_plan(plan)
        with naming(log, *([Path(plan)] if isinstance(plan, str | Path) else [])):
            rows: Sequence[Mapping[str, str]] = [training_log_measurement(log, answer)]
        name = Path(str(run)).stem
    else:
        rows, name, notes = _measured(run, over)
    added = add_rows(rows, name, own, over, of_log=plan is not None)
    lines = refit(own, over, added)
    fits = [read_calibration(root / "calibration" / "fit.json") for root in (data_dir(), own)]
    before, after = (float(np.median(np.abs(np.expm1(-log_errors(added.runs, fit))))) for fit in fits)
    return Calibrated(
        rows=len(added.runs),
        replaced_tokens_per_s_per_gpu=tuple(float(rate) for rate in added.replaced if rate != "?"),
        mdape_before=before,
        mdape_after=after,
        notes=(*notes, *counted(each.assumed for each in added.runs), *lines),
    )


def choose_runs(rows: RowsLike, count: int, overlays: Folders = ()) -> NextRuns:
    """Which of the rows without a measured throughput to measure first, so that predictions of all sharpen most.

    Raises
    ------
    PlannerError
        If there are fewer such rows than `count`.
    """
    from planner.performance.loading import load_calibration
    from planner.performance.next_runs import next_runs
    from planner.performance.overlays import known_runs, runs_of
    from planner.report.next_runs import Chosen

    given = rows_of(rows, (".csv", ".log"))
    cells, place = given.cells, given.place
    over = tuple(each for each in folders(overlays) if each.is_dir())
    if not cells or not {"model", "gpu"} <= set(cells[0]):
        raise PlannerError(say("throughput.no_table" if cells else "throughput.no_rows", place=place))
    runs = runs_of(cells, given.name, over)
    open_ = [row for row, run in enumerate(runs) if not run.tokens_per_s_per_gpu]
    if not open_:
        raise PlannerError(say("throughput.all_measured", place=place))
    if count > len(open_):
        raise PlannerError(say("throughput.too_few", count=count, place=place, n=len(open_)))
    known, calibration = known_runs(runs, over), load_calibration(over)
    picks = next_runs([runs[row] for row in open_], known, calibration, count)
    order = [open_[pick.index] for pick in picks]
    against = _objections([cells[row] for row in order], over, calibration)
    chosen = tuple(
        Chosen(row + 1, cells[row], runs[row], pick.left, why)
        for row, pick, why in zip(order, picks, against, strict=True)
    )
    return NextRuns(chosen, len(open_), len(known), given.remarks)


def _objections(rows: Sequence[Mapping[str, str]], overlays: Sequence[Path], calibration: Calibration) -> list[str]:
    """What `predict` has against each row, "" if nothing."""
    from planner.catalog import load_catalog
    from planner.performance.cells import unplaced
    from planner.performance.predict import predict_rows

    return [unplaced(row["why"]) for row in predict_rows(rows, load_catalog(tuple(overlays)), calibration)]


def _measured(run: RowsLike, overlays: Sequence[Path]) -> tuple[list[Mapping[str, str]], str, list[str]]:
    """The measured rows that can be read, what they are called, and what is to be said of the others."""
    from planner.performance.overlays import measured, readable

    given = rows_of(run, (".csv", ".log"))
    if not measured(given.cells):
        raise PlannerError(say("throughput.no_throughput", place=given.place))
    kept, refused = readable(given.cells, given.name, overlays)
    if refused and not measured(kept):
        raise PlannerError(refused[0])
    return kept, given.name, [*given.remarks, *(say("throughput.left_out", why=why) for why in refused)]
