"""Files for GPT-NeoX: the run's config, the paths that only you know, a host list and the launch script."""

from __future__ import annotations

from typing import Any

from planner.interop.assumptions import refuse_lacking, values_of, written
from planner.interop.export_common import NOT_PLANNED, Export, cannot, unwritten_parts
from planner.interop.neox_assumptions import NEOX
from planner.interop.neox_fields import MODEL, PRECISIONS, activation_name
from planner.interop.quoting import commented, yaml_value
from planner.words import say

_EVERY = {True: "iteration", False: "ten iterations"}
RUN, PATHS, HOSTS, LAUNCH = "run.yml", "paths.yml", "hosts", "launch.sh"


def neox_files(export: Export) -> dict[str, str]:
    """run.yml, paths.yml, hosts and launch.sh.

    Raises
    ------
    PlannerError
        If GPT-NeoX cannot run the plan, naming what it lacks.
    """
    return {**neox_configs(export), HOSTS: _hosts(export), LAUNCH: _launch(export)}


def neox_configs(export: Export) -> dict[str, str]:
    """run.yml (the plan) and paths.yml (data, tokenizer, checkpoints)."""
    lacking = _lacking(export)
    if lacking:
        raise cannot("run", export, "GPT-NeoX", lacking[0], "megatron")
    refuse_lacking(NEOX, export, "GPT-NeoX", "gpt-neox")
    return {RUN: _run(export), PATHS: _paths(export)}


def _lacking(export: Export) -> list[str]:
    """What the plan or its model needs and GPT-NeoX has not (megatron/neox_arguments, megatron/model)."""
    plan, layout, model = export.plan, export.plan.layout, export.model
    moe = model.moe
    checks = [
        (layout.vpp > 1, say("export_neox.interleaved", vpp=layout.vpp)),
        (layout.cp > 1, say("export_neox.context", cp=layout.cp)),
        (layout.recompute == "selective", say("export_neox.selective")),
        (plan.precision not in ("", *PRECISIONS), say("export_common.training_in", precision=plan.precision)),
        (layout.pp > 1 and layout.zero_stage > 1, say("export_neox.pipeline_zero", stage=layout.zero_stage)),
        (bool(export.trained.batch_ramp), say("export_neox.batch_ramp")),
        (model.mla is not None, say("export_neox.mla")),
        (model.head_dim * model.heads != model.hidden, say("export_neox.head_dim", width=model.head_dim)),
        (model.attention_bias != model.attention_output_bias, say("export_neox.biases")),
        (model.attention_sinks, say("export_neox.sinks")),
        (model.full_attention_every > 0, say("export_neox.windows")),
        (model.head_bias, say("export_common.head_bias")),
        (not activation_name(model.activation, model.gated_mlp), export.mlp_words),
        (model.norms_per_layer != 2, say("export_common.single_norm")),
        (model.mtp_layers > 0, say("export_neox.mtp")),
        (not model.gated_mlp and model.ffn % 2 == 1, say("export_neox.odd_mlp", width=model.ffn)),
        (moe is not None and model.gated_mlp, say("export_neox.gated_experts")),
        (moe is not None and (moe.shared_experts > 0 or moe.shared_gate), say("export_neox.shared_experts")),
        (moe is not None and moe.first_dense_layers > 0, say("export_neox.dense_first")),
        (moe is not None and layout.zero_stage >= 2, say("export_neox.moe_zero")),
        (model.kv_heads % layout.tp > 0, say("export_neox.kv_heads", heads=model.kv_heads, tp=layout.tp)),
    ]
    return [words for missing, words in [*checks, *unwritten_parts(model)] if missing]


def _run(export: Export) -> str:
    plan, layout, model = export.plan, export.plan.layout, export.model
    lines = commented(
        [*export.header("GPT-NeoX config of the planned run"), f"Start it with {LAUNCH}; your paths are in {PATHS}."]
    )
    sections: list[tuple[str, dict[str, Any]]] = [
        (
            f"Layout: {plan.gpus} GPUs = pipe {layout.pp} x model {layout.tp} x data {layout.dp}",
            {
                **written(NEOX, export, "layout", "sequence parallel"),
                "global_num_gpus": plan.gpus,
            },
        ),
        (
            f"Batch: {layout.micro_batch} x {layout.grad_accum} x data {layout.dp} = {plan.global_batch} sequences",
            written(NEOX, export, "batch"),
        ),
        ("Model", _model(export)),
        (
            "Precision, memory and overlap",
            written(NEOX, export, "weights", "gradients", "sharding", "recompute", "fused kernels", "loss")
            | {"distributed_backend": "nccl"},
        ),
        (
            f"Length: {plan.iterations_per_epoch or 'unknown'} full iterations a pass; evaluation as planned",
            {"train_iters": plan.iterations, "lr_decay_iters": plan.iterations, **_evaluation(export)},
        ),
        (
            NOT_PLANNED,
            {
                # 20B's and Pythia's configs; who has a parallel residual in GPT-NeoX descends from them
                **({"rotary_pct": 0.25} if model.parallel_residual and not model.learned_positions else {}),
                **written(NEOX, export, "optimizer"),
                "min_lr": export.learning_rate / 10,
                "lr_decay_style": "cosine",
                "warmup": 0.01,
                "weight_decay": 0.1,
                "gradient_clipping": 1.0,
                **written(NEOX, export, "dropout"),
                "init_method": "small_init",
                "output_layer_init_method": "wang_init",
            },
        ),
        (
            f"{export.saving}; a log line that `planner track` reads every {_EVERY[export.measures]}",
            {
                **({} if export.measures else {"checkpoint_factor": export.save_every}),
                "log_interval": export.log_every,
                "steps_per_print": 10,
                "wall_clock_breakdown": False,
            },
        ),
    ]
    lines.append("{")
    for title, values in sections:
        lines.append("")
        lines += [f"  {line}" for line in commented(title.split("\n"))]
        lines += [f"  {yaml_value(key)}: {yaml_value(value)}," for key, value in values.items()]
    return "\n".join([*lines, "}", ""])


def _model(export: Export) -> dict[str, Any]:
    if export.model.qk_norm:
        export.notes.append(say("export_neox.qk_norm"))
    return values_of(MODEL, export)


def _evaluation(export: Export) -> dict[str, Any]:
    interval, iterations = export.trained.evaluation_interval, export.trained.evaluation_iterations
    if not interval or not iterations:
        return {"eval_interval": export.plan.iterations, "eval_iters": 0}
    return {"eval_interval": interval, "eval_iters": iterations}


def _paths(export: Export) -> str:
    trained = export.trained
    indices = list(trained.data_index)
    lines = commented(
        [
            "Paths of yours: data, tokenizer, checkpoints, logs. Merged with run.yml; no key may stand in both.",
            "data_path is the prefix of the .bin and .idx files that tools/datasets/preprocess_data.py writes.",
        ]
    )
    values: dict[str, Any] = {}
    if len(indices) == 1:
        values["data_path"] = indices[0]
    elif indices:
        for split in ("train", "valid", "test"):
            values[f"{split}_data_paths"] = indices
            values[f"{split}_data_weights"] = list(trained.data_weights) or [1.0] * len(indices)
    else:
        values["data_path"] = "data/my_text_document"
        export.notes.append(say("export_neox.placeholder", file=PATHS))
    values |= {
        "data_impl": "mmap",
        "split": trained.data_split or "995,4,1",
        "tokenizer_type": "HFTokenizer",
        "vocab_file": "data/tokenizer.json",
        **({} if export.measures else {"save": "checkpoints", "load": "checkpoints"}),
        "log_dir": "logs",
        "tensorboard_dir": "tensorboard",
    }
    export.notes.append(say("export_neox.vocab", file=PATHS, entries=export.model.vocab))
    return "\n".join([*lines, "{", *(f"  {yaml_value(k)}: {yaml_value(v)}," for k, v in values.items()), "}", ""])


def _hosts(export: Export) -> str:
    nodes, each = export.plan.nodes, export.gpus_per_node
    lines = commented([f"DeepSpeed host file: one line a node, {nodes} of them; put your host names here."])
    return "\n".join([*lines, *(f"node-{i + 1:03d} slots={each}" for i in range(nodes)), ""])


def _launch(export: Export) -> str:
    lines = [
        "#!/usr/bin/env bash",
        *commented(export.header("Launch script of GPT-NeoX")),
        *commented(["Run it on the first node, in a checkout of EleutherAI/gpt-neox (or set NEOX_DIR to one)."]),
        "set -euo pipefail",
        'here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"',
        'cd "${NEOX_DIR:-.}"',
        f'export DLTS_HOSTFILE="${{DLTS_HOSTFILE:-$here/{HOSTS}}}"',
        'slots="$(awk -F "slots=" \'NF > 1 { sum += $2 } END { print sum + 0 }\' "$DLTS_HOSTFILE")"',
        f'if [ "$slots" -ne {export.plan.gpus} ]; then',
        f'  echo "$DLTS_HOSTFILE offers $slots GPUs, the plan needs {export.plan.gpus}" >&2',
        "  exit 1",
        "fi",
        f'exec python deepy.py train.py "$here/{RUN}" "$here/{PATHS}" "$@"',
        "",
    ]
    return "\n".join(lines)
