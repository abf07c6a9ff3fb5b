"""The script that starts a trainer of Hugging Face through Accelerate, for DeepSpeed and for FSDP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from planner.interop.assumptions import Assumption, refuse_lacking, values_of, written
from planner.interop.deepspeed_assumptions import CLUSTER, betas
from planner.interop.export_common import NOT_PLANNED, Export, conditions_of
from planner.interop.fields import yaml_lines
from planner.interop.launching import TRAIN, WANTED, script_head
from planner.interop.quoting import commented, shell_word
from planner.units import PlannerError
from planner.words import say

ACCELERATE = "accelerate.yaml"
#: What the script is, and what of a model it takes, by whether it tunes adapters.
_SCRIPTS = {
    True: (
        "  TRAIN_SCRIPT     trl/scripts/sft.py of TRL, which needs peft, and bitsandbytes for 4 bits",
        "  MODEL_PATH       folder or name on the Hub of the model whose weights stay as they are",
        "                   (the data follow the script's name: train.sh --dataset_name NAME)",
    ),
    False: (
        "  TRAIN_SCRIPT     a script of the Trainer's that reads TrainingArguments, as run_clm.py does",
        "  MODEL_PATH       folder or name on the Hub of the model's config.json",
    ),
}


def config_and_arguments(
    table: Sequence[Assumption], export: Export, title: str, name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a plan's conditions make of a tool's files: values of its config, and arguments of the script.

    Raises
    ------
    PlannerError
        If the tool cannot run the plan, naming what it lacks.
    """
    if export.trained.batch_ramp:
        raise PlannerError(say("assumptions.cannot", tool=title, why=say("assumptions.batch_ramp")))
    refuse_lacking(table, export, title, name)
    values = written(table, export)
    return (
        {key: value for key, value in values.items() if not key.startswith("--")},
        {key: value for key, value in values.items() if key.startswith("--")},
    )


def accelerate_yaml(
    export: Export, where: str, first: Mapping[str, Any], last: Mapping[str, Any], word: Callable[[Any], str]
) -> str:
    """Accelerate's configuration of the cluster between a tool's own keys; `where` says what stands in other files.

    Rank, address and port of a machine come from train.sh.
    """
    kind, *size = CLUSTER
    tree = {
        "compute_environment": "LOCAL_MACHINE",
        **values_of([kind], export),
        **first,
        **values_of(size, export),
        "machine_rank": 0,
        "main_training_function": "main",
        "rdzv_backend": "static",
        "same_network": export.plan.nodes > 1,
        "use_cpu": False,
        "debug": False,
        **last,
    }
    head = commented([*export.header("Accelerate's configuration"), where])
    return "\n".join([*head, *yaml_lines(tree, word), ""])


def trainer_script(export: Export, arguments: dict[str, Any], installed: str) -> str:
    """train.sh: Accelerate starts a script of the Trainer's (or TRL's, for adapters) with these words.

    `installed` says what a node needs.
    """
    plan, trained = export.plan, export.trained
    first, second = betas(export)
    attention = arguments.pop("--attn_implementation")
    tuned = conditions_of(export).adapter is not None
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
    if tuned:
        words |= {"--attn_implementation": attention, "--max_length": plan.seq_length, "--packing": True}
    if trained.evaluation_interval and trained.evaluation_iterations:
        words |= {"--eval_strategy": "steps", "--eval_steps": trained.evaluation_interval}
    cut = "--max_length" if tuned else "--block_size of run_clm.py"
    export.notes.append(say("trainer_script.set_sft" if tuned else "trainer_script.set_script", file=TRAIN))
    lines = [
        "#!/usr/bin/env bash",
        *commented(export.header("Launch script of Accelerate")),
        *commented(
            [
                f"Run it on every node, where {installed} are installed, with:",
                *_SCRIPTS[tuned],
                "  CHECKPOINTS      folder for checkpoints, the same on all nodes",
                "  MASTER_ADDR, NODE_RANK   the first node, and which node this is (0 to NNODES - 1)",
                f"Sequences have {plan.seq_length} tokens; the script cuts them so ({cut}).",
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
        *(f"  {_argument(key, value)} \\" for key, value in words.items() if value is not False or tuned),
        f'  {"--model_name_or_path" if tuned else "--config_name"} "$MODEL_PATH" --output_dir "$CHECKPOINTS" "$@"',
        "",
    ]
    return "\n".join(lines)


def _argument(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"{key} {value}"
    return " ".join([key, *(shell_word(word) for word in (value if isinstance(value, list) else [value]))])
