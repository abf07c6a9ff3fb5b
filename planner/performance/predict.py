"""Predictions of runs as tables state them: throughput with its range, memory, whether it fits, and why not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.catalog import is_gpu, supports
from planner.performance.arrays import FloatArray, Layouts, Setting, StepTime
from planner.performance.calibration import Calibration
from planner.performance.columns import TOO_MANY, unread
from planner.performance.framework_table import memory_framework
from planner.performance.frameworks import why_illegal
from planner.performance.intervals import Spread, basis, spread
from planner.performance.kernels import kernels_of
from planner.performance.machine import FORMATS, format_run
from planner.performance.memory import capacity_gib, least_of_states, least_recompute, memory
from planner.performance.memory_layout import GIB
from planner.performance.mixing import mix
from planner.performance.rows import Parts, Run, layout_arrays, layouts_of, read_run
from planner.performance.steptime import scope, step_of
from planner.units import PlannerError
from planner.words import Sentence, say

NO_ROOM = ("predict.no_room", "predict.no_room_for_states")  # codes of sentences
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

    What it leaves open of layout and conditions is mixed over (`mixing`); `run` is then the likeliest candidate.

    Raises
    ------
    PlannerError
        If the accelerator cannot run it at all.
    """
    setting = run.setting
    if not setting.accelerator.peak_dense_tflops:
        raise PlannerError(f"{run.id}: no matmul rate of {setting.accelerator.id} is known")
    gpus = np.asarray([run.gpus])
    bounds = spread(setting, gpus, calibration)
    stands_on, ids = basis(setting, run.gpus, calibration)
    mixture, assumed = mix(run, calibration), run.assumed
    run = run if mixture is None else mixture.nearest
    if uneven := _uneven(run):
        raise PlannerError(f"{run.id}: {uneven}")
    if mixture is None:
        step = _step(run, calibration)
        tokens = run.step_tokens / run.gpus / float(step.total_s[0])
    else:
        step, tokens = mixture.step, math.exp(-mixture.mean)
        bounds = Spread(np.hypot(bounds.sigma, mixture.sigma))
        assumed = (*assumed, mixture.said)
    needed, why = _memory_and_objections(run, stated_recompute="recompute" in run.stated)
    return Prediction(
        run=run,
        step=step,
        tokens_per_s_per_gpu=tokens,
        low=tokens / float(bounds.quantile(0.9)[0]),
        high=max(
            tokens, min(tokens / float(bounds.quantile(0.1)[0]), tokens * float(step.total_s[0] / step.least_s[0]))
        ),
        memory_gib=needed,
        capacity_gib=capacity_gib(setting),
        basis=stands_on,
        measurements=tuple(ids),
        why=why,
        assumed=assumed,
    )


def _step(run: Run, calibration: Calibration) -> StepTime:
    s, a = scope(run.setting, calibration), layout_arrays([run])
    kernels = kernels_of(s, a.tp, a.cp, a.ep, a.sequence_parallel, a.recompute, a.micro_batch, gpus=a.gpus, parts=True)
    factor = calibration.correction(run.setting, np.asarray([run.gpus]))
    return step_of(s, kernels, a.pp, a.vpp, a.dp, a.zero_stage, a.grad_accum, factor)


def predict_rows(
    rows: Iterable[Mapping[str, str]], parts: Parts, calibration: Calibration, name: str = "row"
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
    unread(list(dict.fromkeys(name for row in rows for name in row)), name)
    out = []
    for number, row in enumerate(rows, 1):
        place = f"{name}:{number}"
        cells = dict.fromkeys(COLUMNS, "")
        try:
            run = read_run(row, parts, place)
            found = predict_run(run, calibration)
        except PlannerError as error:
            cells["why"] = str(error)
        else:
            cells |= {
                "pred_tokens_per_s_per_gpu": _number(found.tokens_per_s_per_gpu),
                "pred_lo": _number(found.low),
                "pred_hi": _number(found.high),
                "pred_memory_gib": "" if found.memory_gib is None else f"{found.memory_gib:.2f}",
                "fits": "" if found.fits is None else str(found.fits).lower(),
                "basis": found.basis,
                "why": found.why,
                "assumed": "; ".join(found.assumed),
            }
        out.append({key: value for key, value in row.items() if key != TOO_MANY} | cells)
    return out


def breakdown(predictions: Sequence[Prediction]) -> list[dict[str, float]]:
    """Seconds of a step by term, one map a prediction."""
    return [{name: float(term[0]) for name, term in p.step.terms_s.items()} for p in predictions]


def _memory_and_objections(run: Run, *, stated_recompute: bool) -> tuple[float | None, str]:
    """GiB on the fullest GPU, and what speaks against the run: the framework's rules or memory, and the precision."""
    setting = run.setting
    narrower = lacking(setting)
    if not is_gpu(setting.accelerator):
        return None, _joined(_states_alone(run), narrower)
    table = memory_framework(setting.framework)
    layouts: Layouts = layouts_of([run])
    try:
        if not stated_recompute:
            layouts = replace(layouts, recompute=least_recompute(setting, layouts))
        needed: FloatArray = memory(setting, layouts).total
    except PlannerError as error:
        return None, _joined(str(error), narrower)
    why = why_illegal(table.name, setting.model, layouts, setting.seq_length, setting.release) if table.bound else ""
    limit = capacity_gib(setting)
    if needed[0] > limit:
        why = say("predict.no_room", needed=float(needed[0]), limit=limit)
    return float(needed[0]), _joined(why, narrower)


def _states_alone(run: Run) -> str:
    """That a TPU's weights and optimizer alone do not fit; "" if they do, or if what its program keeps is not known."""
    setting = run.setting
    if setting.accelerator.family != "tpu":
        return ""
    chips = setting.conditions.shard_group or run.gpus
    least, limit = least_of_states(setting, chips), setting.accelerator.memory_gib * GIB / 1e9
    if least <= limit:
        return ""
    return say("predict.no_room_for_states", least=least, limit=limit)


def _joined(*sentences: str) -> str:
    said = [sentence for sentence in sentences if sentence]
    return said[0] if len(said) == 1 else say("predict.all", said=said) if said else ""


def lacking(setting: Setting) -> str:
    """That the accelerator has no units for the precision, and in what it is taken to compute instead; "" if it has."""
    part, precision = setting.accelerator, setting.precision
    measured = FORMATS[precision] in part.matmul_tflops and precision == FORMATS[precision]
    if supports(part, precision) or measured:
        return ""
    instead = format_run(part, precision)
    if instead not in part.peak_dense_tflops:  # V100s have 16-bit units for fp16 alone
        instead = "fp16"
    return say("predict.no_units", gpu=part.id, precision=precision, instead=instead)


def _uneven(run: Run) -> str:
    """Why the batch cannot be cut so; FSDP trainers cut the last micro-batch short, others refuse."""
    whole = abs(run.grad_accum - round(run.grad_accum)) < 1e-9
    if whole or run.setting.framework == "fsdp":
        return ""
    batch = round(run.grad_accum * run.micro_batch * run.dp)
    return say("predict.uneven", batch=batch, micro_batch=run.micro_batch, dp=run.dp)


def _number(value: float) -> str:
    return f"{value:.6g}"
