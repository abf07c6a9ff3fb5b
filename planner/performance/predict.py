"""Predictions of runs as tables state them: throughput with its range, memory, whether it fits, and why not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from planner.catalog import Catalog, is_gpu, supports
from planner.performance.arrays import FloatArray, Setting, StepTime
from planner.performance.calibration import Calibration
from planner.performance.columns import TOO_MANY, unread
from planner.performance.framework_table import memory_framework
from planner.performance.frameworks import why_each_illegal
from planner.performance.intervals import Spread, basis, spread
from planner.performance.machine import FORMATS, format_run
from planner.performance.memory import capacity_gib, least_of_states, least_recompute, memory
from planner.performance.memory_layout import GIB
from planner.performance.mixture import mix
from planner.performance.rows import Reader, Run, layouts_as_run, layouts_of
from planner.performance.steptime import step_time
from planner.reading import wrong_at
from planner.units import PlannerError
from planner.words import Sentence, say

NO_ROOM = ("predict.no_room", "predict.no_room_for_states")  # codes of sentences
TOGETHER = 1024  # runs that are computed at once: an array of sizes by measured runs stays below 100 MB
COLUMNS = ("pred_tokens_per_s_per_gpu", "pred_lo", "pred_hi", "pred_memory_gib", "fits", "basis", "why", "assumed")


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is predicted of one run. Throughput is tokens a second and GPU, low and high bound its 80 % interval."""

    run: Run
    step: StepTime
    tokens_per_s_per_gpu: float
    low: float
    high: float
    memory_gib: float | None
    capacity_gib: float
    basis: str
    measurements: tuple[str, ...]
    why: str  # what would stop it, "" if nothing is known to
    assumed: tuple[str, ...] = ()  # what the run was taken for, and what was mixed over

    @property
    def fits(self) -> bool | None:
        """None where its memory is not known; a TPU's is not, but that its states alone do not fit is."""
        if self.memory_gib is None:
            return False if _leads_with_no_room(self.why) else None
        return self.memory_gib <= self.capacity_gib


def _leads_with_no_room(why: str) -> bool:
    """Whether the first that would stop a run is that it does not fit."""
    if not isinstance(why, Sentence):
        return False
    return _leads_with_no_room(why.values["said"][0]) if why.code == "predict.all" else why.code in NO_ROOM


def predict_run(run: Run, calibration: Calibration) -> Prediction:
    """Throughput and memory of one run; a recompute that is not stated is the least with which it fits.

    What it leaves open of layout and conditions is mixed over (`mixture`); `run` is then the likeliest candidate.

    Raises
    ------
    PlannerError
        If the accelerator cannot run it at all.
    """
    (found,) = predict_runs([run], calibration)
    if isinstance(found, PlannerError):
        raise found
    return found


def predict_runs(runs: Sequence[Run], calibration: Calibration) -> list[Prediction | PlannerError]:
    """What `predict_run` gives or raises of each run. Those whose setting is one object are computed as arrays."""
    groups: dict[int, list[int]] = {}
    for i, run in enumerate(runs):
        groups.setdefault(id(run.setting), []).append(i)
    found: dict[int, Prediction | PlannerError] = {}
    for rows in groups.values():
        for start in range(0, len(rows), TOGETHER):
            some = rows[start : start + TOGETHER]
            found |= zip(some, _of_one_setting([runs[i] for i in some], calibration), strict=True)
    return [found[i] for i in range(len(runs))]


def _of_one_setting(runs: Sequence[Run], calibration: Calibration) -> list[Prediction | PlannerError]:
    setting = runs[0].setting
    if not setting.accelerator.peak_dense_tflops:
        return [wrong_at(run.id, say("predict.no_rate", gpu=setting.accelerator.id)) for run in runs]
    sizes = [run.gpus for run in runs]
    sigma = spread(setting, np.asarray(sizes), calibration).sigma
    bases = {gpus: basis(setting, gpus, calibration) for gpus in set(sizes)}
    found: dict[int, Prediction | PlannerError] = {}
    whole = []
    for i, run in enumerate(runs):
        try:
            mixture = mix(run, calibration)
            taken = run if mixture is None else mixture.nearest
            m, cut = taken.accumulation, taken.layout
            if abs(m - round(m)) >= 1e-9 and taken.setting.framework != "fsdp":  # FSDP trainers cut the last one short
                batch = round(m * cut.micro_batch * cut.dp)
                uneven = say("predict.uneven", batch=batch, micro_batch=cut.micro_batch, dp=cut.dp)
                raise wrong_at(run.id, uneven)
        except PlannerError as error:
            found[i] = error
            continue
        if mixture is None:
            whole.append(i)
            continue
        tokens, wider = math.exp(-mixture.mean), np.hypot(sigma[[i]], mixture.sigma)
        (found[i],) = _predictions([taken], mixture.step, [tokens], wider, [bases[run.gpus]], (mixture.basis,))
    if whole:
        closed = [runs[i] for i in whole]
        step = step_time(setting, layouts_as_run(closed), calibration)
        rates = [r.step_tokens / r.gpus / total for r, total in zip(closed, step.total_s.tolist(), strict=True)]
        of_each = _predictions(closed, step, rates, sigma[whole], [bases[run.gpus] for run in closed])
        found |= zip(whole, of_each, strict=True)
    return [found[i] for i in range(len(runs))]


def _predictions(
    runs: Sequence[Run],
    step: StepTime,
    tokens: Sequence[float],
    sigma: FloatArray,
    bases: Sequence[tuple[str, Sequence[str]]],
    mixed: tuple[str, ...] = (),
) -> list[Prediction]:
    """Predictions of runs of one setting.

    Parameters
    ----------
    step, tokens, sigma, bases : of each run, (n,): tokens a second and GPU, the log spread and what it stands on
    mixed : what is said of what they leave open
    """
    setting, between = runs[0].setting, Spread(sigma)
    slow, fast = (between.quantile(p).tolist() for p in (0.9, 0.1))
    ceiling = (step.total_s / step.least_s).tolist()
    needed, why = _memory_and_objections(runs)
    return [
        Prediction(
            run=run,
            step=one,
            tokens_per_s_per_gpu=tokens[i],
            low=tokens[i] / slow[i],
            high=max(tokens[i], min(tokens[i] / fast[i], tokens[i] * ceiling[i])),
            memory_gib=needed[i],
            capacity_gib=capacity_gib(setting),
            basis=bases[i][0],
            measurements=tuple(bases[i][1]),
            why=why[i],
            assumed=(*run.assumed, *mixed),
        )
        for i, (run, one) in enumerate(zip(runs, step.each(), strict=True))
    ]


def predict_rows(
    rows: Iterable[Mapping[str, str]], parts: Catalog, calibration: Calibration, name: str = "row"
) -> list[dict[str, str]]:
    """The rows with `COLUMNS` added, in their order.

    What cannot be predicted has its reason in `why`; what was predicted of something that no table knows has in
    `assumed` what it was taken for.

    Raises
    ------
    PlannerError
        If a column is misnamed (`columns.unread`).
    """
    rows = list(rows)
    unread(list(dict.fromkeys(chain.from_iterable(rows))), name)
    reader = Reader(parts)
    runs: list[Run] = []
    refused: dict[int, PlannerError] = {}
    for i, row in enumerate(rows):
        try:
            runs.append(reader.read(row, f"{name}:{i + 1}", name))
        except PlannerError as error:
            refused[i] = error
    predicted = iter(predict_runs(runs, calibration))
    answers = (refused[i] if i in refused else next(predicted) for i in range(len(rows)))
    return [
        {key: value for key, value in row.items() if key != TOO_MANY} | _cells(found)
        for row, found in zip(rows, answers, strict=True)
    ]


def _cells(found: Prediction | PlannerError) -> dict[str, str]:
    """The columns that are added to a row, as text."""
    if isinstance(found, PlannerError):
        return dict.fromkeys(COLUMNS, "") | {"why": found.args[0]}
    return {
        "pred_tokens_per_s_per_gpu": _number(found.tokens_per_s_per_gpu),
        "pred_lo": _number(found.low),
        "pred_hi": _number(found.high),
        "pred_memory_gib": "" if found.memory_gib is None else f"{found.memory_gib:.2f}",
        "fits": "" if found.fits is None else str(found.fits).lower(),
        "basis": found.basis,
        "why": found.why,
        "assumed": _joined(*found.assumed),
    }


def breakdown(predictions: Sequence[Prediction]) -> list[dict[str, float]]:
    """Seconds of a step by term, one map a prediction."""
    return [{name: float(term[0]) for name, term in p.step.terms_s.items()} for p in predictions]


def _memory_and_objections(runs: Sequence[Run]) -> tuple[list[float | None], list[str]]:
    """GiB on the fullest GPU, and what speaks against each run: the framework's rules or memory, and the precision.

    The runs are of one setting.
    """
    setting = runs[0].setting
    narrower = no_units_for(setting)
    if not is_gpu(setting.accelerator):
        # What a TPU's program keeps is not known, but that its weights and optimizer alone do not fit is.
        limit, large = setting.accelerator.memory_gib * GIB / 1e9, {}
        for gpus in {run.gpus for run in runs} if setting.accelerator.family == "tpu" else ():
            states = least_of_states(setting, setting.conditions.shard_group or gpus)
            if states > limit:
                large[gpus] = say("predict.no_room_for_states", least=states, limit=limit)
        return [None] * len(runs), [_joined(large.get(run.gpus, ""), narrower) for run in runs]
    table = memory_framework(setting.framework)
    layouts = layouts_of(runs)
    stated = np.asarray(["recompute" in run.stated for run in runs])
    try:
        if not stated.all():
            least = least_recompute(setting, layouts)
            layouts = replace(layouts, recompute=np.where(stated, layouts.recompute, least))
        needed: list[float] = memory(setting, layouts).total.tolist()
    except PlannerError as error:
        return [None] * len(runs), [_joined(error.args[0], narrower)] * len(runs)
    why = [""] * len(runs)
    if table.bound:
        why = why_each_illegal(table.name, setting.model, layouts, setting.seq_length, setting.release)
    limit = capacity_gib(setting)
    rooms = (say("predict.no_room", needed=gib, limit=limit) if gib > limit else "" for gib in needed)
    return [*needed], [_joined(room or rule, narrower) for room, rule in zip(rooms, why, strict=True)]


def _joined(*sentences: str) -> str:
    given = [sentence for sentence in sentences if sentence]
    return given[0] if len(given) == 1 else say("predict.all", said=given) if given else ""


def no_units_for(setting: Setting) -> str:
    """That the accelerator has no units for the precision, and in what it is taken to compute instead; "" if it has."""
    part, precision = setting.accelerator, setting.precision
    measured = FORMATS[precision] in part.matmul_tflops and precision == FORMATS[precision]
    if supports(part, precision) or measured:
        return ""
    instead = format_run(part, precision)
    if instead not in part.peak_dense_tflops:  # V100s have 16-bit units for fp16 alone
        instead = "fp16"
    return say("predict.no_units", gpu=part.id, precision=precision, instead=instead)


def _number(value: float) -> str:
    return f"{value:.6g}"
