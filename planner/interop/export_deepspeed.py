"""Files for DeepSpeed through Hugging Face's Trainer: its JSON, Accelerate's YAML, and a script that starts both."""

from __future__ import annotations

import json
from typing import Any

from planner.interop.assumptions import refuse_lacking, written
from planner.interop.deepspeed_assumptions import DEEPSPEED, betas
from planner.interop.export_common import NOT_PLANNED, Export
from planner.interop.launching import TRAIN, WANTED, script_head
from planner.interop.quoting import commented, shell_word
from planner.units import PlannerError

CONFIG, ACCELERATE = "ds_config.json", "accelerate.yaml"


def deepspeed_files(export: Export) -> dict[str, str]:
    """ds_config.json and accelerate.yaml (the plan), and train.sh for every node.

    Raises
    ------
    PlannerError
        If DeepSpeed through the Trainer cannot run the plan, naming what it lacks.
    """
    if export.trained.batch_ramp:
        raise PlannerError(
            "DeepSpeed under the Trainer cannot run this plan: it has no batch ramp; plan without training.batch_ramp."
        )
    refuse_lacking(DEEPSPEED, export, "DeepSpeed under the Trainer", "deepspeed")
    values = written(DEEPSPEED, export)
    config = {key: value for key, value in values.items() if not key.startswith("--")}
    arguments = {key: value for key, value in values.items() if key.startswith("--")}
    return {CONFIG: _json(export, config), ACCELERATE: _accelerate(export), TRAIN: _script(export, arguments)}


def _json(export: Export, values: dict[str, Any]) -> str:
    rate = export.learning_rate
    params = {"lr": rate, "betas": betas(export), "weight_decay": 0.1}
    if values["optimizer.type"] == "AdamW":
        params["eps"] = 1e-8
    tree: dict[str, Any] = {"gradient_clipping": 1.0, "steps_per_print": 10, "wall_clock_breakdown": False}
    for path, value in {**values, "optimizer.params": params}.items():
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return json.dumps(tree, indent=2) + "\n"


def _accelerate(export: Export) -> str:
    """Accelerate's cluster; rank, address and port of a machine come from train.sh."""
    lines = [
        *commented([*export.header("Accelerate's configuration"), f"ZeRO and the batch are in {CONFIG}."]),
        "compute_environment: LOCAL_MACHINE",
        "distributed_type: DEEPSPEED",
        "deepspeed_config:",
        f"  deepspeed_config_file: {CONFIG}",
        "  deepspeed_multinode_launcher: standard",
        f"  zero3_init_flag: {str(export.plan.layout.zero_stage == 3).lower()}",
        f"num_machines: {export.plan.nodes}",
        f"num_processes: {export.plan.gpus}",
        "machine_rank: 0",
        "main_training_function: main",
        "rdzv_backend: static",
        f"same_network: {str(export.plan.nodes > 1).lower()}",
        "use_cpu: false",
        "debug: false",
    ]
    return "\n".join([*lines, ""])


def _script(export: Export, arguments: dict[str, Any]) -> str:
    plan, trained = export.plan, export.trained
    first, second = betas(export)
    attention = arguments.pop("--attn_implementation")
    words = {
        **arguments,
        "--max_steps": plan.iterations,
        "--learning_rate": export.learning_rate,
        "--adam_beta1": first,
        "--adam_beta2": second,
        "--weight_decay": 0.1,
        "--max_grad_norm": 1.0,
        "--lr_scheduler_type": "cosine",
        "--warmup_steps": max(1, plan.iterations // 100),
        "--save_strategy": "no" if export.measures else "steps",
        "--save_steps": export.save_every,
        "--logging_steps": export.log_every,
    }
    if trained.evaluation_interval and trained.evaluation_iterations:
        words |= {"--eval_strategy": "steps", "--eval_steps": trained.evaluation_interval}
    export.notes.append(f"{TRAIN}: set TRAIN_SCRIPT, a script of the Trainer's; what it is told follows its name")
    lines = [
        "#!/usr/bin/env bash",
        *commented(export.header("Launch script of Accelerate")),
        *commented(
            [
                "Run it on every node, where transformers, accelerate and deepspeed are installed, with:",
                "  TRAIN_SCRIPT     a script of the Trainer's that reads TrainingArguments, as run_clm.py does",
                "  MODEL_PATH       folder or name on the Hub of the model's config.json",
                "  CHECKPOINTS      folder for checkpoints, the same on all nodes",
                "  MASTER_ADDR, NODE_RANK   the first node, and which node this is (0 to NNODES - 1)",
                f"Sequences have {plan.seq_length} tokens; the script cuts them so (--block_size of run_clm.py).",
                *NOT_PLANNED.split("\n"),
            ]
        ),
        *script_head(plan.nodes, export.gpus_per_node),
        *(f': "${{{name}:?{WANTED[name]}}}"' for name in ("TRAIN_SCRIPT", "MODEL_PATH", "CHECKPOINTS")),
        'TRAIN_SCRIPT="$(realpath "$TRAIN_SCRIPT")"',
        f"export ATTN_IMPLEMENTATION={shell_word(attention)}  # for from_config or from_pretrained",
        'cd "$here"',
        "exec accelerate launch \\",
        f'  --config_file {ACCELERATE} --num_machines "$NNODES" --num_processes "$((NNODES * GPUS_PER_NODE))" \\',
        '  --machine_rank "$NODE_RANK" --main_process_ip "$MASTER_ADDR" --main_process_port "$MASTER_PORT" \\',
        '  "$TRAIN_SCRIPT" \\',
        *(f"  {_argument(key, value)} \\" for key, value in words.items() if value is not False),
        '  --config_name "$MODEL_PATH" --output_dir "$CHECKPOINTS" "$@"',
        "",
    ]
    return "\n".join(lines)


def _argument(key: str, value: Any) -> str:
    return f"{key} True" if value is True else f"{key} {shell_word(value)}"
