"""Files for SkyPilot: a task that asks for the planned cluster and starts the planned run on it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from planner.interop.export_common import Export
from planner.interop.export_neox import PATHS, RUN, neox_configs
from planner.interop.export_slurm import torchrun_lines
from planner.interop.key_kinds import table_of_keys
from planner.interop.launches import LAUNCHES, cloned
from planner.interop.launching import TRAIN
from planner.interop.quoting import block, commented, dumped
from planner.words import say

TASK = "task.yaml"
_FIRST_NODE = ('MASTER_ADDR="$(echo "$SKYPILOT_NODE_IPS" | head -n 1)"', "export MASTER_ADDR")
CLOUDS: frozenset[str] = table_of_keys("skypilot")["clouds"]
ACCELERATORS: Mapping[str, str] = table_of_keys("skypilot")["accelerators"]
NO_REGIONS = ("all", "any", "market", "global")  # how price lists write that the region does not matter
WITHOUT_REGIONS = ("verda",)  # whose regions the price lists do not name as the provider does
WITH_INSTANCES = ("aws", "azure", "gcp", "oci")  # where the catalog's instance names are the provider's own


def skypilot_files(export: Export) -> dict[str, str]:
    """task.yaml and the launch files of the framework, which SkyPilot copies to every node as the working folder.

    Raises
    ------
    PlannerError
        If the framework cannot run the plan.
    """
    framework = export.plan.framework
    if framework == "gpt-neox":
        setup = [
            *cloned("EleutherAI/gpt-neox", "~/gpt-neox"),
            "cd ~/gpt-neox",
            "pip install -r requirements/requirements.txt -r requirements/requirements-flashattention.txt",
        ]
        run = [
            "# GPT-NeoX starts all nodes from the first. The task ends when the commands of all nodes have.",
            'if [ "$SKYPILOT_NODE_RANK" -ne 0 ]; then exit 0; fi',
            'here="$PWD"',
            *_FIRST_NODE,
            'export DLTS_HOSTFILE="$here/hosts"',
            f'echo "$SKYPILOT_NODE_IPS" | sed "s/$/ slots={export.gpus_per_node}/" > "$DLTS_HOSTFILE"',
            "cd ~/gpt-neox",
            f'python deepy.py train.py "$here/{RUN}" "$here/{PATHS}"',
        ]
        return {TASK: _task(export, setup, run), **neox_configs(export)}
    if framework in LAUNCHES:
        launch = LAUNCHES[framework](export)
        place = 'export NNODES="$SKYPILOT_NUM_NODES" NODE_RANK="$SKYPILOT_NODE_RANK"'
        run = [*_FIRST_NODE, place, *launch.lines, f"bash {TRAIN}"]
        return {TASK: _task(export, launch.setup, run, launch.needs), **launch.files}
    run = [*_FIRST_NODE, *torchrun_lines(export, "sky")]
    return {TASK: _task(export, [], run, ("TRAIN_SCRIPT",))}


def _task(export: Export, setup: list[str], run: list[str], envs: Sequence[str] = ()) -> str:
    task: dict[str, Any] = {
        "name": export.name,
        "num_nodes": export.plan.nodes,
        "resources": resources(export),
        "workdir": ".",
        **({"envs": dict.fromkeys(envs, "")} if envs else {}),
        **({"setup": block(["set -e", *setup])} if setup else {}),
        "run": block(["set -e", *run]),
    }
    head = commented(
        [
            *export.header("SkyPilot task of the planned run"),
            "Start it with: sky launch task.yaml, or, to outlive lost nodes: sky jobs launch task.yaml",
        ]
    )
    return "\n".join([*head, dumped(task)])


def resources(export: Export) -> dict[str, Any]:
    """What each node has: cloud, region, instance, accelerators, spot or not."""
    offer = export.plan.offer
    accelerator = ACCELERATORS.get(offer.gpu, offer.gpu.split("-")[0].upper())
    values: dict[str, Any] = {}
    cloud = offer.cloud.lower()
    if cloud not in CLOUDS or offer.pricing == "owned":
        export.notes.append(say("export_skypilot.no_cloud", file=TASK, cloud=offer.cloud))
    else:
        named = re.fullmatch(r"[A-Za-z0-9-]+", offer.region) and offer.region.lower() not in NO_REGIONS
        region = offer.region if named and cloud not in WITHOUT_REGIONS else ""
        values["infra"] = f"{cloud}/{region}" if region else cloud
        if cloud in WITH_INSTANCES and re.fullmatch(r"[\w.-]+", offer.instance):
            values["instance_type"] = offer.instance
    values["accelerators"] = f"{accelerator}:{export.gpus_per_node}"
    values["use_spot"] = offer.pricing == "spot"
    if offer.pricing == "spot":
        values["job_recovery"] = {"strategy": "FAILOVER", "max_restarts_on_errors": 3}
    if export.plan.nodes > 1:
        values["network_tier"] = "best"
    values["disk_size"] = 512
    return values
