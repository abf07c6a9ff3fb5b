"""Files for nanotron: the YAML of the run and a script that starts it on every node."""

from __future__ import annotations

from typing import Any

from planner.interop.assumptions import refuse_lacking, values_of, written
from planner.interop.export_common import NOT_PLANNED, Export, cannot
from planner.interop.fields import nested, yaml_lines
from planner.interop.launching import TRAIN, torchrun_script
from planner.interop.nanotron_assumptions import MODEL, NANOTRON
from planner.interop.quoting import commented
from planner.performance.frameworks import framework
from planner.performance.model_parts import missing_part
from planner.words import say

CONFIG = "train.yaml"


def nanotron_files(export: Export) -> dict[str, str]:
    """train.yaml (the plan) and train.sh for every node.

    Raises
    ------
    PlannerError
        If nanotron cannot train the model as planned, naming what it lacks.
    """
    no_ramp = say("export_common.batch_ramp_without") if export.trained.batch_ramp else ""
    # Its Qwen2 class is Llama's shape with or without biases on q, k and v.
    if lacking := no_ramp or missing_part(framework("nanotron"), export.model):
        raise cannot("train", export, "nanotron", lacking)
    refuse_lacking(NANOTRON, export, "nanotron", "nanotron")
    tree = nested(dict(sorted({**_run(export), **values_of(MODEL, export), **written(NANOTRON, export)}.items())))
    head = commented([*export.header("Configuration of nanotron"), f"{export.saving}.", *NOT_PLANNED.split("\n")])
    export.notes.append(say("export_nanotron.made_up", file=CONFIG))
    if export.trained.evaluation_interval:
        export.notes.append(say("export_nanotron.no_evaluation", file=CONFIG))
    return {
        CONFIG: "\n".join([*head, *yaml_lines(tree), *_DATA, ""]),
        TRAIN: torchrun_script(
            export,
            "nanotron",
            [
                "Run it on every node, with nanotron installed from a checkout of huggingface/nanotron, and with:",
                "  NANOTRON_DIR     that checkout",
                "  CHECKPOINTS      folder for checkpoints, the same on all nodes",
            ],
            ("NANOTRON_DIR", "CHECKPOINTS"),
            ["export CUDA_DEVICE_MAX_CONNECTIONS=1", 'mkdir -p "$CHECKPOINTS"', 'cd "$CHECKPOINTS"'],
            [f'"$NANOTRON_DIR/run_train.py" --config-file "$here/{CONFIG}" "$@"'],
        ),
    }


#: Made-up data until a folder is named: `dataset: {dataset_folder: …}` of tokenized files (nanotron's Nanoset).
_DATA = [
    "data_stages:  # made-up data; for your own: dataset: {dataset_folder: FOLDER} of nanotron's tokenized files",
    "- name: planned",
    "  start_training_step: 1",
    "  data:",
    "    dataset: null",
    "    seed: 42",
    "    num_loading_workers: 1",
]


def _run(export: Export) -> dict[str, Any]:
    plan, rate = export.plan, export.learning_rate
    return {
        "general.project": "planned",
        "general.run": export.name,
        "general.seed": 42,
        "checkpoints.checkpoints_path": "checkpoints",
        **({} if export.measures else {"checkpoints.resume_checkpoint_path": "checkpoints"}),  # its latest, if any
        "checkpoints.checkpoint_interval": plan.iterations + 1 if export.measures else export.save_every,
        "checkpoints.save_initial_state": False,
        "checkpoints.checkpoints_path_is_shared_file_system": True,
        "logging.iteration_step_info_interval": export.log_every,
        "logging.log_level": "info",
        "logging.log_level_replica": "info",
        "tokens.train_steps": plan.iterations,
        "tokens.val_check_interval": -1,
        "tokens.limit_val_batches": 0,
        "optimizer.clip_grad": 1.0,
        "optimizer.weight_decay": 0.1,
        "optimizer.optimizer_factory.adam_beta1": 0.9,
        "optimizer.optimizer_factory.adam_beta2": 0.95,
        "optimizer.optimizer_factory.adam_eps": 1e-8,
        "optimizer.optimizer_factory.torch_adam_is_fused": True,
        "optimizer.learning_rate_scheduler.learning_rate": rate,
        "optimizer.learning_rate_scheduler.lr_warmup_steps": max(1, plan.iterations // 100),
        "optimizer.learning_rate_scheduler.lr_warmup_style": "linear",
        "optimizer.learning_rate_scheduler.lr_decay_style": "cosine",
        "optimizer.learning_rate_scheduler.min_decay_lr": rate / 10,
    }
