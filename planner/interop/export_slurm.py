"""Files for Slurm: an sbatch script around the launch files of the framework that was planned."""

from __future__ import annotations

import math

from planner.interop.assumptions import written
from planner.interop.export_common import Export
from planner.interop.export_neox import PATHS, RUN, neox_configs
from planner.interop.launches import LAUNCHES
from planner.interop.launching import TRAIN
from planner.interop.quoting import commented, shell_word
from planner.interop.script_assumptions import SCRIPT
from planner.words import say

SBATCH, SLURM_CONFIG = "train.sbatch", "slurm.yml"
#: What a user should know of the time limit; a short run that is measured has no checkpoint to go on from.
_ON_TIME = (
    "The time limit is the plan's slow case (p90). Where the partition allows less, submit it again when",
    "it ends: it goes on from its last checkpoint. Slurm itself queues it again when a node is lost.",
)
_ON_TIME_MEASURED = ("Logs of several starts are several runs: submit it anew, under a new job, where it did not end.",)
_NODES = 'scontrol show hostnames "$SLURM_JOB_NODELIST"'
_FIRST_NODE = (f'MASTER_ADDR="$({_NODES} | head -n 1)"', "export MASTER_ADDR")


def slurm_files(export: Export) -> dict[str, str]:
    """train.sbatch and what it starts.

    Raises
    ------
    PlannerError
        If the framework cannot run the plan.
    """
    framework = export.plan.framework
    if framework == "gpt-neox":
        config = '{\n  "launcher": "slurm",\n  "deepspeed_slurm": true,\n  "no_ssh_check": true,\n}\n'
        head = "\n".join(commented(["What GPT-NeoX needs to start through srun; merged with the other two."]))
        body = [
            *commented(["DeepSpeed counts the GPUs in a host file; the launch itself goes through srun."]),
            'here="${SLURM_SUBMIT_DIR:-$PWD}"',
            'export DLTS_HOSTFILE="$here/hosts-$SLURM_JOB_ID"',
            f'{_NODES} | sed "s/$/ slots=$SLURM_GPUS_ON_NODE/" > "$DLTS_HOSTFILE"',
            *_FIRST_NODE,
            'cd "${NEOX_DIR:?set it to your checkout of EleutherAI/gpt-neox}"',
            f'python deepy.py train.py "$here/{RUN}" "$here/{PATHS}" "$here/{SLURM_CONFIG}"',
        ]
        return {SBATCH: _sbatch(export, body), SLURM_CONFIG: f"{head}\n{config}", **neox_configs(export)}
    if framework in LAUNCHES:
        launch = LAUNCHES[framework](export)
        body = [
            _FIRST_NODE[0],
            'here="${SLURM_SUBMIT_DIR:-$PWD}"',
            'NNODES="$SLURM_JOB_NUM_NODES"',
            "export MASTER_ADDR NNODES",
            "# shellcheck disable=SC2016  # each node's own shell fills these in",
            f'srun --kill-on-bad-exit=1 bash -c \'NODE_RANK="$SLURM_NODEID" exec bash "$1/{TRAIN}"\' planner "$here"',
        ]
        return {SBATCH: _sbatch(export, body), **launch.files}
    return {SBATCH: _sbatch(export, torchrun_lines(export))}


def time_limit(seconds: float) -> str:
    """Slurm's days-hours:minutes:seconds, rounded up to a whole hour."""
    hours = max(1, math.ceil(seconds / 3600))
    return f"{hours // 24}-{hours % 24:02d}:00:00"


def _sbatch(export: Export, body: list[str]) -> str:
    plan = export.plan
    lines = [
        "#!/usr/bin/env bash",
        *commented(export.header("Slurm job of the planned run")),
        *commented(
            [
                "Submit it with: sbatch train.sbatch (from this folder). Add your account and partition below.",
                *(_ON_TIME_MEASURED if export.measures else _ON_TIME),
            ]
        ),
        f"#SBATCH --job-name={export.name}",
        f"#SBATCH --nodes={plan.nodes}",
        "#SBATCH --ntasks-per-node=1",
        f"#SBATCH --gpus-per-node={export.gpus_per_node}",
        f"#SBATCH --time={time_limit(plan.time_s.p90)}",
        "#SBATCH --exclusive",
        "#SBATCH --no-requeue" if export.measures else "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        f"#SBATCH --output={export.name}-%j.log",
        "##SBATCH --account=YOURS",
        "##SBATCH --partition=YOURS",
        "set -euo pipefail",
        "",
        *body,
        "",
    ]
    return "\n".join(lines)


def torchrun_lines(export: Export, ranks: str = "slurm") -> list[str]:
    """Torchrun around a training script of the user's own, which finds the plan in its environment.

    `ranks` says whose variables tell a node its place: slurm, sky, or node for NNODES and NODE_RANK.
    """
    export.notes.append(say("export_slurm.no_script", framework=export.plan.framework))
    exports = [f"export {key}={shell_word(value)}" for key, value in written(SCRIPT, export).items()]
    train = '"${TRAIN_SCRIPT:?set it to your training script}"'
    if ranks != "slurm":
        nodes, rank = ("SKYPILOT_NUM_NODES", "SKYPILOT_NODE_RANK") if ranks == "sky" else ("NNODES", "NODE_RANK")
        return [
            *exports,
            f'torchrun --nnodes "${nodes}" --nproc-per-node {export.gpus_per_node} \\',
            f'  --node-rank "${rank}" --master-addr "$MASTER_ADDR" --master-port 29500 {train}',
        ]
    return [
        *_FIRST_NODE,
        *exports,
        f": {train}",
        f'srun torchrun --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node {export.gpus_per_node} \\',
        '  --rdzv-id "$SLURM_JOB_ID" --rdzv-backend c10d --rdzv-endpoint "$MASTER_ADDR:29500" "$TRAIN_SCRIPT"',
    ]
