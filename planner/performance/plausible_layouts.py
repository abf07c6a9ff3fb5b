"""The layouts that a run could have had, where its row does not state them: legal, fitting, as people choose them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner.performance.arrays import Layouts, Setting
from planner.performance.framework_table import before_flash, framework, known_framework
from planner.performance.layout_choices import layout_choices
from planner.performance.memory import fits, least_recompute, memory
from planner.performance.rows import DEGREES, Run, layouts_as_run
from planner.performance.stacks import stack_of
from planner.spec.layout import RECOMPUTE
from planner.spec.scenario import IntChoice, LayoutBounds
from planner.units import PlannerError

TIGHT = 1.1  # times the least memory: where nothing fits by these formulas, what comes nearest is what ran
MOST_MICRO_BATCH = 64  # sequences
FREE_MICRO_BATCHES = (1, 2, 4, 8, 16)  # where the batch is not stated either
FREE_ACCUMULATION = 4  # micro-batches a pipeline stage, there
LONG = 16384  # tokens from which people cut sequences (context parallel), and
LEAST_TOKENS_A_RANK = 1024  # what they leave each rank


def open_layout(run: Run) -> tuple[str, ...]:
    """What of the layout is not stated: all degrees of parallelism, or the micro-batch."""
    open_degrees = run.gpus > 1 and not run.stated.keys() & DEGREES
    open_batch = not run.stated.keys() & {"micro_batch", "grad_accum"}
    return ("degrees",) * open_degrees + ("micro_batch",) * open_batch


def layouts_that_fit(run: Run, setting: Setting) -> Layouts | None:
    """The layouts that the run may have had and that fit in memory; None where the rules know of none."""
    ruled = _ruled(run, setting)
    shapes = _degrees(run, ruled) if "degrees" in open_layout(run) else layouts_as_run([run])
    if shapes is None:
        return None
    x = _with_batches(run, shapes)
    if x is None:
        return None
    whole = x.whole()
    try:
        if "recompute" not in run.stated:
            whole = replace(whole, recompute=least_recompute(ruled, whole))
            x = replace(x, recompute=whole.recompute)
        ok = fits(ruled, whole)
        if not ok.any():
            needed = memory(ruled, whole).total
            ok = needed <= TIGHT * needed.min()
    except PlannerError:  # the framework does not train in this precision: its memory is not known
        return x
    return x.take(ok)


def _ruled(run: Run, setting: Setting) -> Setting:
    """The setting under a framework whose rules are known: its own, else that of its kind."""
    alike = {"megatron": "megatron", "megatron-deepspeed": "gpt-neox", "fsdp": "fsdp", "llm-foundry": "fsdp"}
    row = known_framework(setting.framework)
    if row is not None and row.bound:
        name = row.name
    else:
        name = alike.get(stack_of(setting.framework, ""), "fsdp" if run.layout.zero_stage >= 3 else "megatron")
    if setting.precision not in framework(name).precisions:
        name = "megatron"
    return replace(setting, framework=name)


def _degrees(run: Run, ruled: Setting) -> Layouts | None:
    """The degrees of parallelism that the framework's rules allow, as people choose them; without their batch.

    Tensor parallel is kept inside the fast link, context parallel to powers of two.
    """
    gpus_per_node = ruled.hardware.gpus_per_node
    link = max(ruled.hardware.scale_up_domain, gpus_per_node)
    inside = (n for n in range(1, link + 1) if link % n == 0 or gpus_per_node % n == 0)
    tensor = tuple(n for n in inside if ruled.model.heads % n == 0)
    context = tuple(2**n for n in range(max(ruled.seq_length // LEAST_TOKENS_A_RANK, 1).bit_length()))
    for short in (True, False):  # sequences are cut where they are long, or where nothing else is possible
        stated = "cp" in run.stated or (short and ruled.seq_length < LONG)
        cp = (run.layout.cp,) if stated else context
        for zero in ((run.layout.zero_stage,), () if "zero_or_fsdp" not in run.stated else (run.layout.zero_stage,)):
            found = layout_choices(
                ruled.framework, ruled.model, ruled.seq_length, [run.gpus],
                LayoutBounds(
                    tp=IntChoice(values=tensor),
                    cp=IntChoice(values=cp),
                    vpp=IntChoice(values=(run.layout.vpp,)),
                    ep=IntChoice(values=(run.layout.ep,) if "ep" in run.stated else ()),
                    zero_stage=IntChoice(values=zero),
                    recompute=("none", "selective", "full") if "recompute" in run.stated else ("none",),
                ),
                ruled.release,
            )  # fmt: skip
            parallel = found.tp > 1
            if "sequence_parallel" in run.stated:
                parallel &= run.layout.sequence_parallel
            else:
                parallel &= ruled.framework == "megatron" and not before_flash(ruled.release)
            keep = found.sequence_parallel == parallel
            if "recompute" in run.stated:
                keep &= found.recompute == RECOMPUTE.index(run.layout.recompute)
            if keep.any():
                found = found.take(keep)
                one = np.ones(len(found), dtype=np.int64)
                return found.layouts(one, one)
    return None


def _with_batches(run: Run, x: Layouts) -> Layouts | None:
    """Every layout with every way to cut the batch that the run states into micro-batches; None where there is none."""
    batched = "global_batch_samples" in run.stated
    sizes = np.arange(1, MOST_MICRO_BATCH + 1) if batched else np.array(FREE_MICRO_BATCHES)
    if "micro_batch" in run.stated or not (batched or "micro_batch" in open_layout(run)):
        sizes = np.array([run.layout.micro_batch])
    at, micro = (axis.ravel() for axis in np.meshgrid(np.arange(len(x.tp)), sizes, indexing="ij"))
    dp, pp = x.dp[at], x.pp[at]
    pieces = float(run.stated.get("grad_accum") or 0)
    if batched:
        batch = round(run.step_tokens / run.setting.seq_length)
        accumulation = batch / (micro * dp)
        uneven = run.setting.framework == "fsdp" and not any(batch % d == 0 for d in set(x.dp.tolist()))
        ok = (accumulation >= 1) & ((accumulation == np.floor(accumulation)) | uneven)
        ok &= (accumulation == pieces) | (pieces == 0)
    else:
        ok = np.ones(len(at), dtype=bool)
        accumulation = np.full(len(at), pieces or run.accumulation)
        if "micro_batch" in open_layout(run):
            accumulation = np.where(pp > 1, FREE_ACCUMULATION * pp, 1).astype(np.float64)
    ok &= (x.vpp[at] == 1) | (accumulation % pp == 0)
    if not ok.any():
        return None
    return replace(x.take(at[ok]), micro_batch=micro[ok], grad_accum=accumulation[ok])
