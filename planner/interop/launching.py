"""train.sh: how a framework is started, once a node, by a script that finds its place in the environment."""

from __future__ import annotations

from planner.interop.export_common import Export
from planner.interop.quoting import commented

TRAIN = "train.sh"


def torchrun_script(
    export: Export, tool: str, how: list[str], needs: tuple[str, ...], before: list[str], command: list[str]
) -> str:
    """train.sh: torchrun (or another launcher that `command` begins with) on every node.

    Parameters
    ----------
    how : lines on what to set
    needs : variables without which it stops
    before : lines before the launch
    command : what torchrun starts, a line each
    """
    plan = export.plan
    lines = [
        "#!/usr/bin/env bash",
        *commented(export.header(f"Launch script of {tool}")),
        *commented([*how, "  MASTER_ADDR, NODE_RANK   the first node, and which node this is (0 to NNODES - 1)"]),
        *script_head(plan.nodes, export.gpus_per_node),
        *(f': "${{{name}:?{WANTED.get(name, "set it")}}}"' for name in needs),
        *before,
        "exec torchrun \\",
        '  --nproc-per-node "$GPUS_PER_NODE" --nnodes "$NNODES" --node-rank "$NODE_RANK" \\',
        '  --master-addr "$MASTER_ADDR" --master-port "$MASTER_PORT" \\',
        *(f"  {line} \\" for line in command[:-1]),
        f"  {command[-1]}",
        "",
    ]
    return "\n".join(lines)


WANTED = {
    "HF_ASSETS": "set it to the folder of the tokenizer",
    "CHECKPOINTS": "set it to a folder that all nodes see",
    "TOKENIZER_MODEL": "set it to the tokenizer of the data",
    "DATA_PATH": "set it to the prefix of the .bin and .idx files",
    "TRAIN_SCRIPT": "set it to your training script",
    "MODEL_PATH": "set it to a folder or a name of the Hub that has config.json of the model",
    "NANOTRON_DIR": "set it to your checkout of huggingface/nanotron",
}


def script_head(nodes: int, gpus_per_node: int) -> list[str]:
    """Where the script is, and its place among the nodes."""
    return [
        "set -euo pipefail",
        'here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"',
        f'NNODES="${{NNODES:-{nodes}}}"',
        f"GPUS_PER_NODE={gpus_per_node}",
        'NODE_RANK="${NODE_RANK:-0}"',
        'MASTER_ADDR="${MASTER_ADDR:-localhost}"',
        'MASTER_PORT="${MASTER_PORT:-29500}"',
    ]
