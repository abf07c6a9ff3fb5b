"""How long Megatron-LM's arguments train, in which batches and formats."""

from __future__ import annotations

import re

from planner.interop.files import whole
from planner.interop.imported import Taken
from planner.interop.megatron_arguments import Arguments
from planner.interop.megatron_forks import offloads
from planner.units import PlannerError
from planner.words import say

_OPTIMIZERS = {"sgd": "sgd-momentum", "muon": "muon", "dist_muon": "muon", "lion": "lion"}  # Megatron-LM's, planner's
_SUFFIXES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def samples_needed(a: Arguments, default_batch: int | None) -> int | None:
    """Sequences that the run reads, if its arguments say so; `default_batch` is the batch where they state none."""
    samples, iterations, batch = a.optional("train-samples"), a.optional("train-iters"), _batch(a, default_batch)
    tokens = a.optional("train-tokens")
    if tokens is not None:
        least = -(-tokens // a.number("seq-length"))
        samples = least if samples is None else min(samples, least)
    read = iterations * batch if iterations is not None and batch is not None else None
    return read if samples is None else samples if read is None else min(samples, read)


def _batch(a: Arguments, default: int | None) -> int | None:
    steps = _schedule(a)
    return steps[-1][1] if steps else a.optional("global-batch-size") or default


def megatron_training(a: Arguments, default_batch: int | None) -> list[Taken]:
    """Length, batch, ramp, formats, optimizer and evaluation, as keys of a scenario.

    `default_batch` is the global batch, in sequences, where the arguments state none; it is among the scenario's keys.
    """
    rows: list[Taken] = []
    iterations, samples, batch = a.optional("train-iters"), a.optional("train-samples"), _batch(a, default_batch)
    tokens, steps = a.optional("train-tokens"), _schedule(a)
    if iterations is not None and samples is not None:
        raise PlannerError(say("megatron_length.both_lengths"))
    if tokens is not None and iterations is not None and batch is not None:
        iterations = min(iterations, -(-tokens // (batch * a.number("seq-length"))))
    name = "train-samples" if tokens is None else "train-tokens"
    if iterations is not None:
        rows.append(Taken("training.iterations", iterations, a.origin("train-iters" if tokens is None else name)))
    elif (needed := samples_needed(a, default_batch)) is not None and batch is not None:
        count = (
            _scheduled(needed, steps) if steps else _iterations(needed, batch, a.values.get("rampup-batch-size") or [])
        )
        rows.append(Taken("training.iterations", count, f"{a.origin(name)} / global-batch-size"))
    if batch is not None and batch != default_batch:
        origin = a.origin("step-batch-size-schedule" if steps else "global-batch-size")
        rows.append(Taken("training.global_batch", batch, origin))
    rows += _ramp(a, steps)
    rows.append(Taken("training.precision", *_precision(a)))
    rows.append(Taken("training.framework", "megatron", "the tool this script is for"))
    rows += _optimizer(a)
    interval, count = a.number("eval-interval", 1000, 0), a.number("eval-iters", 100, 0)
    if interval and count:
        rows.append(Taken("training.evaluation.interval", interval, a.origin("eval-interval")))
        rows.append(Taken("training.evaluation.iterations", count, a.origin("eval-iters")))
    if a.flag("exit-interval") or a.flag("exit-duration-in-mins"):
        a.remarks.append(say("megatron_length.jobs"))
    return rows


def _ramp(a: Arguments, steps: list[tuple[int, int]]) -> list[Taken]:
    ramp = a.values.get("rampup-batch-size")
    a.used.add("rampup-batch-size")
    name = "rampup-batch-size"
    if steps:
        name = "step-batch-size-schedule"
        values = _evenly(steps)
        if values is None and len(steps) > 1:
            a.uncertain.append(say("megatron_length.uneven_ramp", name=name))
        if values is None:
            return []
    elif not ramp:
        return []
    elif len(ramp) != 3:
        raise PlannerError(say("megatron_length.ramp_format"))
    else:
        values = [whole(v, f"--rampup-batch-size ({a.name})") for v in ramp]
    keys = ("start", "increment", "samples")
    return [Taken(f"training.batch_ramp.{key}", value, a.origin(name)) for key, value in zip(keys, values, strict=True)]


def _schedule(a: Arguments) -> list[tuple[int, int]]:
    """`--step-batch-size-schedule "0:256 1B:512"`: sequences read, and the batch from there on (release 0.18)."""
    text = " ".join(a.values.get("step-batch-size-schedule") or []).replace(",", " ")
    a.used.add("step-batch-size-schedule")
    seq = a.number("seq-length") if text else 1
    steps: list[tuple[int, int]] = []
    for entry in text.split():
        found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,6})?)([KMBT]?):(\d{1,9})", entry.upper())
        if found is None or not int(found[3]):
            raise PlannerError(say("megatron_length.schedule", file=a.name, entry=entry[:40]))
        steps.append((int(float(found[1]) * _SUFFIXES[found[2]]) // seq, int(found[3])))
    steps.sort()
    if steps and steps[0][0]:
        raise PlannerError(say("megatron_length.schedule_start", file=a.name))
    return steps


def _evenly(steps: list[tuple[int, int]]) -> list[int] | None:
    """Start, increment and samples of a ramp in equal steps, or None for any other."""
    if len(steps) < 2:
        return None
    increment, width = steps[1][1] - steps[0][1], steps[1][0]
    even = all(abs(at - number * width) <= number for number, (at, _) in enumerate(steps))
    grows = all(batch == steps[0][1] + number * increment for number, (_, batch) in enumerate(steps))
    return [steps[0][1], increment, steps[-1][0]] if increment > 0 and even and grows else None


def _scheduled(samples: int, steps: list[tuple[int, int]]) -> int:
    """Iterations that read `samples` sequences (megatron/training/training.py, update_train_iters)."""
    iterations = consumed = 0
    for number, (_, batch) in enumerate(steps):
        end = min(samples, steps[number + 1][0] if number + 1 < len(steps) else samples)
        needed = max(0, -(-(end - consumed) // batch))
        iterations, consumed = iterations + needed, consumed + needed * batch
    return iterations


def _optimizer(a: Arguments) -> list[Taken]:
    """What the optimizer keeps, and where."""
    rows: list[Taken] = []
    name = a.text("optimizer", "adam")
    halves = [a.text(key, "fp32") == "bf16" for key in ("exp-avg-dtype", "exp-avg-sq-dtype")]
    if name in _OPTIMIZERS:
        a.used.add("sgd-momentum")
        rows.append(Taken("training.optimizer", _OPTIMIZERS[name], a.origin("optimizer")))
    elif name != "adam":
        a.uncertain.append(say("megatron_length.as_adam", name=name[:40]))
    elif a.flag("use-precision-aware-optimizer") and all(halves):
        rows.append(Taken("training.optimizer", "adamw-bf16", a.origin("exp-avg-dtype")))
    if offloads(a):
        rows.append(Taken("training.offload", "optimizer", "the optimizer's states wait in host memory"))
    return rows


def _iterations(samples: int, batch: int, ramp: list[str]) -> int:
    """Iterations that read `samples` sequences, the ramp's counted as Megatron-LM does (update_train_iters)."""
    start, increment, over = (int(v) if v.isdigit() and len(v) < 13 else 0 for v in (ramp if len(ramp) == 3 else "000"))
    if not start or not increment or start >= batch or (batch - start) % increment:
        return samples // batch
    steps = (batch - start) // increment
    if not over or over / steps < 1 or steps > 100_000:
        return samples // batch
    iterations = consumed = 0
    for step in range(steps + 1):  # `step` holds until its share of the ramp is read
        size, end = start + step * increment, min((step + 1) * over / steps, over + 1)
        end = over + 1 if step >= steps else min(end, samples + 1)
        needed = max(0, -int(-(end - consumed) // size))
        iterations, consumed = iterations + needed, consumed + needed * size
    return iterations + max(0, samples - consumed) // batch


def _precision(a: Arguments) -> tuple[str, str]:
    fp8 = a.flag("fp8-format") or a.flag("fp8")
    recipe = a.text("fp8-recipe", "delayed")
    if a.flag("fp4-format"):
        return "nvfp4", a.origin("fp4-format")
    if fp8:
        return ("mxfp8" if recipe == "mxfp8" else "fp8"), a.origin("fp8-format")
    if a.flag("bf16"):
        return "bf16", a.origin("bf16")
    if a.flag("fp16"):
        return "fp16", a.origin("fp16")
    a.remarks.append(say("megatron_length.fp32"))
    return "bf16", "assumed; the script says neither --bf16 nor --fp16"
