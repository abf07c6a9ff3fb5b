"""Files for Kubernetes: a JobSet, or Kubeflow's PyTorchJob, with a pod a node around the framework's launch files.

Fields are those of kubernetes-sigs/jobset jobset.x-k8s.io/v1alpha2 and kubeflow/training-operator kubeflow.org/v1.
"""

from __future__ import annotations

from typing import Any

from planner.interop.export_common import Export
from planner.interop.export_slurm import torchrun_lines
from planner.interop.launches import LAUNCHES, Launch
from planner.interop.launching import TRAIN
from planner.interop.quoting import block, commented, dumped
from planner.units import PlannerError
from planner.words import say

JOBSET, PYTORCHJOB = "jobset.yaml", "pytorchjob.yaml"
IMAGE = "pytorch/pytorch:latest"
FOLDER = "/planner"  # where the files lie in a pod
DEVICE = "nvidia.com/gpu"
DEVICES = {"mi": "amd.com/gpu", "gaudi": "habana.ai/gaudi"}  # of other vendors' device plugins, by the catalog's ids


def jobset_files(export: Export) -> dict[str, str]:
    """jobset.yaml: a ConfigMap with the framework's files, and a JobSet that runs them on every node.

    Raises
    ------
    PlannerError
        If the framework cannot run the plan, or its files are not started node by node.
    """
    launch = _launch(export)
    place = [
        f'export NNODES={export.plan.nodes} NODE_RANK="$JOB_COMPLETION_INDEX"',
        f"export MASTER_ADDR={export.name}-node-0-0.{export.name}",
    ]
    job = {
        "parallelism": export.plan.nodes,
        "completions": export.plan.nodes,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "template": {"spec": _pod(export, launch, place, "Never")},
    }
    body = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": export.name},
        "spec": {
            "network": {"enableDNSHostnames": True},
            "failurePolicy": {"maxRestarts": 10},
            "replicatedJobs": [{"name": "node", "replicas": 1, "template": {"spec": job}}],
        },
    }
    return {JOBSET: _manifests(export, JOBSET, launch, body), **launch.files}


def pytorchjob_files(export: Export) -> dict[str, str]:
    """pytorchjob.yaml: the same for Kubeflow's training operator, with a master and workers.

    Errors: as `jobset_files`.
    """
    launch = _launch(export)
    # The operator sets MASTER_ADDR and MASTER_PORT, and RANK by pod, which torchrun sets by process.
    place = [f'export NNODES={export.plan.nodes} NODE_RANK="$RANK"', "unset RANK WORLD_SIZE"]

    def replicas(count: int) -> dict[str, Any]:
        pod = _pod(export, launch, place, "OnFailure", name="pytorch")
        del pod["restartPolicy"]
        return {"replicas": count, "restartPolicy": "OnFailure", "template": {"spec": pod}}

    kinds = {"Master": replicas(1)}
    if export.plan.nodes > 1:
        kinds["Worker"] = replicas(export.plan.nodes - 1)
    body = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": export.name},
        "spec": {"pytorchReplicaSpecs": kinds},
    }
    return {PYTORCHJOB: _manifests(export, PYTORCHJOB, launch, body), **launch.files}


def _launch(export: Export) -> Launch:
    framework = export.plan.framework
    if framework in LAUNCHES:
        return LAUNCHES[framework](export)
    if framework == "gpt-neox":
        raise PlannerError(say("export_kubernetes.neox"))
    script = ["#!/usr/bin/env bash", "set -euo pipefail", *torchrun_lines(export, "node"), ""]
    return Launch({TRAIN: "\n".join(script)}, ("TRAIN_SCRIPT",))


def _pod(export: Export, launch: Launch, place: list[str], restart: str, *, name: str = "node") -> dict[str, Any]:
    kind = next((device for part, device in DEVICES.items() if export.plan.offer.gpu.startswith(part)), DEVICE)
    return {
        "restartPolicy": restart,
        "containers": [
            {
                "name": name,
                "image": IMAGE,
                "command": ["bash", "-c"],
                "args": [block(["set -e", *place, *launch.setup, *launch.lines, f"exec bash {FOLDER}/{TRAIN}"])],
                "env": [{"name": need, "value": ""} for need in launch.needs],
                "resources": {"limits": {kind: export.gpus_per_node}},
                "volumeMounts": [
                    {"name": "plan", "mountPath": FOLDER},
                    {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108
                ],
            }
        ],
        "volumes": [
            {"name": "plan", "configMap": {"name": f"{export.name}-plan"}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
        ],
    }


def _manifests(export: Export, name: str, launch: Launch, body: dict[str, Any]) -> str:
    export.notes.append(say("export_kubernetes.set", file=name))
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{export.name}-plan"},
        "data": {file: block(text.rstrip("\n").split("\n")) for file, text in launch.files.items()},
    }
    head = commented(
        [
            *export.header(f"Kubernetes {body['kind']} of the planned run"),
            f"Start it with: kubectl apply -f {name}",
            "Fill in the variables under env; add volumes for data and checkpoints, and an image with git and PyTorch.",
        ]
    )
    return "\n".join([*head, dumped(config, printable=True) + "---", dumped(body)])
