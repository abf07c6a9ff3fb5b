"""Megatron-LM launch scripts into a scenario: layout, batch, data and length.

Names and defaults are those of Megatron-LM's megatron/training/arguments.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from planner.interop.files import read_text, shown, whole
from planner.interop.imported import Imported, Taken, model_taken
from planner.interop.indexed import indexed_data
from planner.interop.kinds import Kinds, sort_keys
from planner.interop.megatron_arguments import Arguments, read_arguments
from planner.interop.megatron_conditions import group_of, megatron_conditions, share_recomputed
from planner.interop.megatron_model import megatron_model
from planner.units import PlannerError
from planner.workload.model import ModelSpec

# What says how many stages each GPU has, the first that is there.
VIRTUAL = (
    "pipeline-model-parallel-layout",
    "num-virtual-stages-per-pipeline-rank",
    "num-layers-per-virtual-pipeline-stage",
)

# Options that decide what is trained, how it is laid out or how long, and that are not read.
DECIDING = {
    **dict.fromkeys(
        (
            "heterogeneous-layers-config-path", "experimental-attention-variant", "linear-attention-freq",
            "moe-latent-size", "attention-output-gate", "retro-add-retriever", "yaml-cfg", "use-checkpoint-args",
            "use-mp-args-from-checkpoint-args", "noop-layers", "first-k-dense-replace", "n-shared-experts",
            "num-shared-experts", "shared-moe-ffn-hidden-size", "glu-activation", "parallel-attn",
            "attention-head-type", "sliding-window-size", "mlp-type", "expert-interval", "topk", "use-rms-norm",
            "squared-relu", "intermediate-size", "n-head-kv", "post-norm", "lora-r",
        ),
        "the model",
    ),
    **dict.fromkeys(
        (
            "zero-stage", "ds-sequence-parallel-size", "virtual-pipeline-model-parallel-size", "no-pipeline-parallel",
            "decoder-first-pipeline-num-layers", "decoder-last-pipeline-num-layers", "num-layer-list",
            "expert-tensor-parallel-size", "use-torch-fsdp2", "use-megatron-fsdp", "use-custom-fsdp", "tp-2d",
            "optimizer-cpu-offload", "cpu-optimizer",
        ),
        "the layout",
    ),
    **dict.fromkeys(("train-tokens", "epochs", "step-batch-size-schedule", "skip-train"), "the length"),
}  # fmt: skip


def import_megatron(
    path: Path,
    *,
    gpus: int | None = None,
    vocab: int | None = None,
    samples: int | None = None,
    tokens: int | None = None,
    arguments: Sequence[str] = (),
) -> Imported:
    """A scenario from the arguments in a shell script (or a file that holds nothing but the arguments).

    Parameters are those of `import_neox`.

    Raises
    ------
    PlannerError
        Where Megatron-LM itself would stop, in its terms, or where something needed is not in the script.
    """
    read = read_arguments(read_text(path), path.name, arguments)
    model, origins = megatron_model(read, path.stem, vocab)
    world = _world(read, gpus)
    taken = [Taken("name", shown(path.stem, 80), ""), *model_taken(model, origins, "Megatron-LM's own")]
    layout = _layout(read, model, world)
    taken += _data(read, samples, tokens)
    taken += _training(read)
    taken += megatron_conditions(read, model)
    taken += layout
    kept = dict.fromkeys(read.values, read.name)
    rest = frozenset(name for name in kept if name not in DECIDING)
    said = sort_keys(kept, read.used, Kinds("Megatron-LM", rest, DECIDING, "--"))
    return Imported(
        tool="megatron",
        files=(path.name,),
        model=model,
        taken=tuple(taken),
        unused=said.unused,
        warnings=said.warnings,
        remarks=tuple(dict.fromkeys(read.remarks)),
        extras={"world": world},
    )


def _world(a: Arguments, gpus: int | None) -> int | None:
    if gpus is not None:
        return whole(gpus, "--gpus")
    if a.launch.gpus is not None:
        return a.launch.gpus
    a.remarks.append("how many GPUs train this only running the script would tell: add --gpus N")
    return None


def _layout(a: Arguments, model: ModelSpec, world: int | None) -> list[Taken]:
    tp, pp = a.number("tensor-model-parallel-size", 1), a.number("pipeline-model-parallel-size", 1)
    cp, ep = a.number("context-parallel-size", 1), a.number("expert-model-parallel-size", 1)
    micro = a.number("micro-batch-size")
    if model.heads % tp:
        raise PlannerError(
            f"--num-attention-heads {model.heads} is not divisible by --tensor-model-parallel-size {tp}."
        )
    vpp = _virtual(a, model, pp)
    split = a.flag("sequence-parallel")
    alone = "; it does nothing at tp 1" if split and tp == 1 else ""
    rows = [
        Taken("layout.tp", tp, a.origin("tensor-model-parallel-size")),
        Taken("layout.pp", pp, a.origin("pipeline-model-parallel-size")),
        Taken("layout.vpp", vpp, a.origin(next((n for n in VIRTUAL if n in a.values), VIRTUAL[-1]))),
        Taken("layout.cp", cp, a.origin("context-parallel-size")),
        Taken("layout.ep", ep, a.origin("expert-model-parallel-size")),
    ]
    if world is not None:
        if world % (tp * pp * cp):
            raise PlannerError(
                f"world size ({world}) is not divisible by total_model_size "
                f"({tp} x {pp} x {cp}: tensor, pipeline, context)."
            )
        dp = world // (tp * pp * cp)
        batch = a.number("global-batch-size", micro * dp)
        if batch % (micro * dp):
            raise PlannerError(
                f"global batch size ({batch}) is not divisible by micro batch size ({micro}) "
                f"times data parallel size ({dp})."
            )
        rows.append(Taken("layout.dp", dp, f"{world} GPUs / ({tp} x {pp} x {cp})"))
        if not a.values.get("global-batch-size"):
            rows.insert(
                0, Taken("training.global_batch", batch, "micro-batch-size x data parallel size: Megatron-LM's default")
            )
    rows += [
        Taken("layout.micro_batch", micro, a.origin("micro-batch-size")),
        Taken("layout.zero_stage", *_zero(a)),
        Taken("layout.sequence_parallel", split and tp > 1, f"{a.origin('sequence-parallel')}{alone}"),
        Taken("layout.recompute", *_recompute(a)),
    ]
    if rows[-1].value == "full":
        rows += share_recomputed(a, model.layers, pp * vpp)
    a.used |= {"recompute-method", "recompute-num-layers"}
    return [*rows, *group_of(a, None if world is None else world // (tp * pp))]


def _virtual(a: Arguments, model: ModelSpec, pp: int) -> int:
    stages = a.optional("num-virtual-stages-per-pipeline-rank")
    if a.flag("pipeline-model-parallel-layout"):
        return _laid_out(a, model.layers, pp)
    each = a.optional("num-layers-per-virtual-pipeline-stage")
    if stages is not None or each is None:
        return stages or 1
    if model.layers % pp or (model.layers // pp) % each:
        raise PlannerError(
            "number of layers per pipeline stage must be divisible by number of layers per virtual pipeline stage: "
            f"{model.layers} / {pp} by {each}."
        )
    return model.layers // pp // each


def _laid_out(a: Arguments, layers: int, pp: int) -> int:
    """Virtual stages of `--pipeline-model-parallel-layout`: `|` ends a stage, t is a layer, `*n` repeats."""
    text = a.text("pipeline-model-parallel-layout", "").replace(" ", "").replace(",", "")
    for pattern in (r"\(([^()]{1,2000})\)\*(\d{1,4})", r"([A-Za-z|])\*(\d{1,4})"):
        while (found := re.search(pattern, text)) and len(found[1]) * int(found[2]) + len(text) < 20_000:
            text = text[: found.start()] + found[1] * int(found[2]) + text[found.end() :]
    stages = text.count("|") + 1
    if stages % pp or text.count("t") != layers:
        raise PlannerError(
            f"--pipeline-model-parallel-layout has {stages} stages with {text.count('t')} layers, where "
            f"--num-layers is {layers} and --pipeline-model-parallel-size {pp}."
        )
    return stages // pp


def _zero(a: Arguments) -> tuple[int, str]:
    if a.flag("use-distributed-optimizer"):
        strategy = a.text("data-parallel-sharding-strategy", "no_shard")
        stage = {"optim": 1, "optim_grads": 2, "optim_grads_params": 3}.get(strategy, 1)
        return stage, a.origin("use-distributed-optimizer")
    return 0, a.origin("use-distributed-optimizer")


def _recompute(a: Arguments) -> tuple[str, str]:
    granularity = a.text("recompute-granularity", "")
    selective = a.flag("recompute-activations")
    for old in ("checkpoint-activations", "activations-checkpoint-method"):  # before 2022, and Megatron-DeepSpeed
        if a.flag(old):
            return "full", a.origin(old)
    if granularity == "full":
        return "full", a.origin("recompute-granularity")
    if granularity == "selective" or selective:
        return "selective", a.origin("recompute-granularity" if granularity else "recompute-activations")
    return "none", a.origin("recompute-granularity")


def _data(a: Arguments, samples: int | None, tokens: int | None) -> list[Taken]:
    seq = a.number("seq-length")
    length = Taken("data.seq_length", seq, a.origin("seq-length"))
    if samples is not None:
        return [Taken("data.samples", whole(samples, "--samples"), "--samples"), length]
    if tokens is not None:
        return [Taken("data.tokens", whole(tokens, "--tokens"), "--tokens"), length]
    paths = a.values.get("data-path") or a.values.get("train-data-path") or []
    a.used |= {"data-path", "train-data-path"} & set(a.values)
    shares = [p for p in paths if re.fullmatch(r"[\d.]+", p)]
    prefixes = [p for p in paths if p not in shares]
    split = a.text("split", "") if a.values.get("data-path") else ""
    found = indexed_data(prefixes, shares, split, length, a.origin("data-path"))
    if found is not None:
        return found
    needed = _samples_needed(a)
    if needed is None:
        return [length]
    a.remarks.append("the data set's index is not at hand: samples are those that the run reads")
    return [Taken("data.samples", needed, "what the run reads"), length]


def _samples_needed(a: Arguments) -> int | None:
    samples, iterations, batch = a.optional("train-samples"), a.optional("train-iters"), a.optional("global-batch-size")
    if samples is not None:
        return samples
    return iterations * batch if iterations is not None and batch is not None else None


def _training(a: Arguments) -> list[Taken]:
    rows: list[Taken] = []
    iterations, samples, batch = a.optional("train-iters"), a.optional("train-samples"), a.optional("global-batch-size")
    if iterations is not None and samples is not None:
        raise PlannerError("Expected either --train-iters or --train-samples, not both.")
    if iterations is not None:
        rows.append(Taken("training.iterations", iterations, a.origin("train-iters")))
    elif samples is not None and batch is not None:
        count = _iterations(samples, batch, a.values.get("rampup-batch-size") or [])
        rows.append(Taken("training.iterations", count, f"{a.origin('train-samples')} / global-batch-size"))
    if batch is not None:
        rows.append(Taken("training.global_batch", batch, a.origin("global-batch-size")))
    ramp = a.values.get("rampup-batch-size")
    a.used.add("rampup-batch-size")
    if ramp:
        if len(ramp) != 3:
            raise PlannerError(
                "expected the following format: --rampup-batch-size <start batch size> <increment> <samples>."
            )
        values = [whole(v, f"--rampup-batch-size ({a.name})") for v in ramp]
        for key, value in zip(("start", "increment", "samples"), values, strict=True):
            rows.append(Taken(f"training.batch_ramp.{key}", value, a.origin("rampup-batch-size")))
    rows.append(Taken("training.precision", *_precision(a)))
    rows.append(Taken("training.framework", "megatron", "the tool this script is for"))
    interval, count = a.number("eval-interval", 1000, 0), a.number("eval-iters", 100, 0)
    if interval and count:
        rows.append(Taken("training.evaluation.interval", interval, a.origin("eval-interval")))
        rows.append(Taken("training.evaluation.iterations", count, a.origin("eval-iters")))
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
    a.remarks.append("Megatron-LM would train this in fp32, which planner does not price: bf16 is written instead")
    return "bf16", "assumed; the script says neither --bf16 nor --fp16"
