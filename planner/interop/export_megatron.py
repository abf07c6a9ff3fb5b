"""Files for Megatron-LM: one script with the run's arguments, for torchrun on every node."""

from __future__ import annotations

from typing import Any

from planner.interop.assumptions import refuse_lacking, values_of, written
from planner.interop.export_common import NOT_PLANNED, Export, cannot, unwritten_parts
from planner.interop.launching import TRAIN
from planner.interop.megatron_assumptions import MEGATRON
from planner.interop.megatron_fields import EXPERTS, LATENT, MODEL
from planner.interop.quoting import commented, shell_path, shell_word
from planner.words import say

MOST_INCREMENTS = 2000  # one argument holds no more than 128 KiB


def megatron_files(export: Export) -> dict[str, str]:
    """train.sh, to be started once on every node.

    Raises
    ------
    PlannerError
        If Megatron-LM cannot train the model as planned, naming what it lacks.
    """
    refuse_unknown(export, "Megatron-LM")
    plan = export.plan
    groups = argument_groups(export)
    indices = export.trained.data_index
    unset = [] if indices else [': "${DATA_PATH:?set it to the prefix of the .bin and .idx files}"']
    if not indices:
        export.notes.append(say("export_megatron.data_path", file=TRAIN))
    lines = [
        "#!/usr/bin/env bash",
        *commented(export.header("Launch script of Megatron-LM")),
        *commented(
            [
                "Run it on every node, in a checkout of NVIDIA/Megatron-LM (or set MEGATRON_DIR to one), with:",
                "  DATA_PATH        prefix of the .bin and .idx files",
                "  TOKENIZER_MODEL  tokenizer of the data (a Hugging Face name or folder)",
                *([] if export.measures else ["  CHECKPOINTS      folder for checkpoints, the same on all nodes"]),
                "  MASTER_ADDR, NODE_RANK   the first node, and which node this is (0 to NNODES - 1)",
            ]
        ),
        "set -euo pipefail",
        f'NNODES="${{NNODES:-{plan.nodes}}}"',
        f"GPUS_PER_NODE={export.gpus_per_node}",
        *unset,
        ': "${TOKENIZER_MODEL:?set it to the tokenizer of the data}"',
        *([] if export.measures else [': "${CHECKPOINTS:?set it to a folder that all nodes see}"']),
        connections(export),
        "",
        "DISTRIBUTED_ARGS=(",
        '  --nproc-per-node "$GPUS_PER_NODE"',
        '  --nnodes "$NNODES"',
        '  --node-rank "${NODE_RANK:-0}"',
        '  --master-addr "${MASTER_ADDR:-localhost}"',
        '  --master-port "${MASTER_PORT:-29500}"',
        ")",
    ]
    for title, name, values in groups:
        lines += ["", *commented(title.split("\n")), f"{name}=(", *_argument_lines(values), ")"]
    lines += [
        "",
        'cd "${MEGATRON_DIR:-.}"',
        'exec torchrun "${DISTRIBUTED_ARGS[@]}" pretrain_gpt.py \\',
        *(f'  "${{{name}[@]}}" \\' for _, name, _ in groups),
        '  --tokenizer-type HuggingFaceTokenizer --tokenizer-model "$TOKENIZER_MODEL" \\',
        f"  --data-path {_data_words(export)} --split {shell_word(export.trained.data_split or '995,4,1')} \\",
        '  "$@"' if export.measures else '  --save "$CHECKPOINTS" --load "$CHECKPOINTS" "$@"',
        "",
    ]
    return {TRAIN: "\n".join(lines)}


def refuse_unknown(export: Export, tool: str) -> None:
    """Refuse a model or a plan that Megatron-Core has no options for; errors as `megatron_files`."""
    lacking = _lacking(export)
    if lacking:
        raise cannot("train", export, tool, lacking[0], "gpt-neox")
    refuse_lacking(MEGATRON, export, tool, "megatron")


def _lacking(export: Export) -> list[str]:
    model, plan = export.model, export.plan
    moe = model.moe
    biases = (model.attention_bias, model.attention_output_bias, model.mlp_bias)
    known_biases = {(True, True, True), (False, False, False), (True, False, False)}
    ramp = export.trained.batch_ramp
    increments = (plan.global_batch - ramp[0]) // max(1, ramp[1]) if len(ramp) == 3 else 0
    checks = [
        (model.parallel_residual, say("export_megatron.parallel_residual")),
        (model.norms_per_layer != 2, say("export_common.single_norm")),
        (model.head_bias, say("export_common.head_bias")),
        (model.norm == "layernorm_nobias", say("export_megatron.layernorm_nobias")),
        (model.activation not in ("", "silu" if model.gated_mlp else "gelu"), export.mlp_words),
        (model.position_embedding not in ("", "none"), say("export_megatron.position", kind=model.position_embedding)),
        (biases not in known_biases, say("export_megatron.biases")),
        (moe is not None and moe.shared_experts > 0 and moe.shared_ffn == 0, say("export_megatron.no_width")),
        (
            plan.precision not in ("", "bf16", "fp16", "fp8", "mxfp8", "nvfp4"),
            say("export_common.training_in", precision=plan.precision),
        ),
        (increments > MOST_INCREMENTS, say("export_megatron.ramp_steps", steps=MOST_INCREMENTS)),
    ]
    return [words for missing, words in [*checks, *unwritten_parts(model)] if missing]


def argument_groups(export: Export) -> list[tuple[str, str, dict[str, Any]]]:
    """All arguments of a run but its paths: words that head a group, the name of its array, options and values."""
    plan, layout = export.plan, export.plan.layout
    topics = ("layout", "expert ranks", "sequence parallel", "sharding", "reductions", "recompute", "CUDA graphs")
    experts = {**values_of(EXPERTS, export), **written(MEGATRON, export, "routing", "expert exchange")}
    return [
        (f"Layout: {plan.gpus} GPUs", "PARALLEL_ARGS", written(MEGATRON, export, *topics)),
        (f"Batch: {layout.micro_batch} x {layout.grad_accum} x data {layout.dp}", "BATCH_ARGS", _batch(export)),
        (
            "Model",
            "MODEL_ARGS",
            {
                **values_of(MODEL, export),
                **written(MEGATRON, export, "attention", "fused kernels", "dropout", "loss"),
                **(values_of(LATENT, export) if export.model.mla is not None else {}),
                **(experts if export.model.moe is not None else {}),
            },
        ),
        (
            "Precision, gradients and the optimizer's states",
            "PRECISION_ARGS",
            written(MEGATRON, export, "buckets", "weights", "gradients", "optimizer", "offload"),
        ),
        ("Length and evaluation", "LENGTH_ARGS", _length(export)),
        (
            NOT_PLANNED,
            "OPTIMIZER_ARGS",
            {
                "lr": export.learning_rate,
                "min-lr": export.learning_rate / 10,
                "lr-decay-style": "cosine",
                "lr-warmup-fraction": 0.01,
                "weight-decay": 0.1,
                "clip-grad": 1.0,
                "adam-beta1": 0.9,
                "adam-beta2": 0.95,
                "init-method-std": 0.02,
            },
        ),
        (
            f"{export.saving}; log lines that `planner track` reads",
            "LOG_ARGS",
            {
                **({} if export.measures else {"save-interval": export.save_every}),
                "log-interval": export.log_every,
                "log-throughput": True,
            },
        ),
    ]


def connections(export: Export) -> str:
    """What Megatron-LM demands: one connection for its overlaps, more for its FSDP (arguments.py, validate_args)."""
    fsdp = export.plan.layout.zero_stage >= 2
    return "unset CUDA_DEVICE_MAX_CONNECTIONS" if fsdp else "export CUDA_DEVICE_MAX_CONNECTIONS=1"


def _data_words(export: Export) -> str:
    indices, weights = export.trained.data_index, export.trained.data_weights
    if not indices:
        return '"$DATA_PATH"'
    if len(indices) == 1:
        return shell_path(indices[0])
    shares = weights if len(weights) == len(indices) else (1.0,) * len(indices)
    return " ".join(f"{share:g} {shell_path(index)}" for share, index in zip(shares, indices, strict=True))


def _argument_lines(values: dict[str, Any]) -> list[str]:
    """Arguments a line each: `--key` for True, nothing for False or None, `--key value …` otherwise."""
    lines: list[str] = []
    for key, value in values.items():
        if value is not None and value is not False:
            words = [] if value is True else map(shell_word, value if isinstance(value, list) else [value])
            lines.append(" ".join([f"  --{key}", *words]))
    return lines


def _batch(export: Export) -> dict[str, Any]:
    plan, ramp = export.plan, export.trained.batch_ramp
    values = written(MEGATRON, export, "batch")
    if len(ramp) != 3:
        return values
    # Since 0.18 Megatron-LM ignores --rampup-batch-size without stopping; releases before it stop at the schedule.
    export.notes.append(say("export_megatron.batch_schedule", file=TRAIN))
    del values["global-batch-size"]
    return {**values, "step-batch-size-schedule": batch_schedule(ramp, plan.global_batch, plan.seq_length)}


def batch_schedule(ramp: tuple[int, ...], batch: int, seq_length: int) -> str:
    """`--step-batch-size-schedule` of a ramp (start, increment, samples): tokens read, and the batch from there on."""
    start, increment, samples = ramp
    steps = (batch - start) // increment
    return " ".join(
        f"{-(-step * samples // max(1, steps)) * seq_length}:{start + step * increment}" for step in range(steps + 1)
    )


def _length(export: Export) -> dict[str, Any]:
    plan, trained = export.plan, export.trained
    length: dict[str, Any] = {"train-iters": plan.iterations, "lr-decay-iters": plan.iterations}
    if trained.batch_ramp:  # Megatron-LM ramps by samples, and then wants the length in samples too
        length = {"train-samples": plan.tokens // plan.seq_length, "lr-decay-samples": plan.tokens // plan.seq_length}
    if trained.evaluation_interval and trained.evaluation_iterations:
        return {**length, "eval-interval": trained.evaluation_interval, "eval-iters": trained.evaluation_iterations}
    return {**length, "eval-interval": plan.iterations, "eval-iters": 0}
