"""What a row says that no table knows, and what it was taken for: a sentence each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from planner.catalog import is_gpu
from planner.catalog.catalog import without_framework
from planner.catalog.fabrics import fabric_of, names_no_network
from planner.performance.arrays import Setting
from planner.performance.cells import Cells
from planner.performance.columns import quoted
from planner.performance.framework_table import ANY, frameworks, memory_framework, stack_words
from planner.performance.gpu_names import Accelerators, is_memory_of, memory_written
from planner.performance.stacks import stack_of
from planner.words import say, say_from

_KNOWN_NETWORKS = ["InfiniBand", "RoCE", "EFA", "GPUDirect-TCPX", "Omni-Path", "Slingshot", "Ethernet"]
_UNMEASURED = {"omni-path": "Omni-Path", "slingshot": "Slingshot"}  # kinds whose collectives no catalog has


def assumptions(cell: Cells, setting: Setting, gpus: int, stage: int, accelerators: Accelerators) -> tuple[str, ...]:
    """What is predicted of a row under an assumption: GPU, framework, memory, shard group, network; () if nothing.

    Parameters
    ----------
    cell, setting, gpus, stage : the row, and what was read of it: its setting, number of GPUs and ZeRO stage
    accelerators : the catalog's parts by id
    """
    sentences = (
        _part(cell, setting, accelerators),
        _framework(cell, setting, stage),
        _port(setting),
        "" if is_gpu(setting.accelerator) else say("row_assumptions.no_memory", part=setting.accelerator.id),
        _group(cell, setting, gpus),
        *_network(cell, setting, gpus),
    )
    return tuple(sentence for sentence in sentences if sentence)


def counted(assumed: Iterable[Sequence[str]]) -> list[str]:
    """Each assumption of many rows once, behind how many rows it is of, in the order of their first rows."""
    rows = Counter(sentence for sentences in assumed for sentence in sentences)
    return [say("row_assumptions.rows", rows=n, said=sentence) for sentence, n in rows.items()]


def _part(cell: Cells, setting: Setting, accelerators: Accelerators) -> str:
    part = setting.accelerator
    if part.id in accelerators:
        stated = (memory_written(cell.text("gpu")), cell.number("gpu_mem_gb"))
        other_gb = next((gb for gb in stated if gb is not None and not is_memory_of(part, gb)), None)
        if other_gb is None:
            return ""
        return say("row_assumptions.memory", gpu=quoted(cell.text("gpu")), gb=other_gb, part=part.id)
    alike = (e for e in accelerators.values() if replace(e, id=part.id, memory_gib=part.memory_gib) == part)
    like = next(alike, None)
    if like is None:
        return ""
    taken = {"gpu": quoted(cell.text("gpu")), "part": like.id}
    if like.memory_gib == part.memory_gib:
        return say("row_assumptions.part", **taken)
    return say("row_assumptions.part_with", **taken, gb=part.memory_gib * 2**30 / 1e9)


def _framework(cell: Cells, setting: Setting, stage: int) -> str:
    name = setting.framework
    if name == ANY or stack_of(name, "") != name:
        return ""
    if all(name not in (row.name, *row.aliases) for row in frameworks().values()):
        own = say(
            "row_assumptions.own_memory" if memory_framework(name).name != ANY else "row_assumptions.memory_of_zero"
        )
        known = list(dict.fromkeys([*frameworks(), *(a for row in frameworks().values() for a in row.aliases)]))
        taken = {"framework": quoted(cell.text("framework")), "memory": own, "known": known}
        if cell.text("zero_or_fsdp"):
            return say("row_assumptions.framework", **taken)
        return say("row_assumptions.framework_as_zero", **taken, stage=stage)
    if stack_of(name, "") not in stack_words().values():
        return say("row_assumptions.unmeasured_framework", framework=name)
    return ""


def _port(setting: Setting) -> str:
    """That a framework of GPUs is asked for on what is none, of which no run was measured with it."""
    part = setting.accelerator
    if is_gpu(part) or stack_of(setting.framework, "") not in {ANY, *stack_words().values()}:
        return ""
    without = without_framework(part.id)
    if setting.framework == ANY:
        return say("row_assumptions.port", without=without)
    return say("row_assumptions.port_under", without=without, framework=setting.framework)


def _group(cell: Cells, setting: Setting, gpus: int) -> str:
    """Over how many GPUs states are taken to be sharded, where a row says a part of them and not how many."""
    node = setting.conditions.shard_group
    if not cell.names_no_group or node is None or gpus <= node:
        return ""
    return say("row_assumptions.shard_group", word=quoted(cell.text("zero_or_fsdp")), gpus=node)


def _network(cell: Cells, setting: Setting, gpus: int) -> tuple[str, ...]:
    """Of a network: its kind if that is not known or was never measured, and its rate if that is not stated."""
    text, node = cell.text("interconnect"), setting.hardware
    if not text:
        return ()
    crosses = gpus > max(node.gpus_per_node, node.scale_up_domain)
    no_rate = crosses and cell.network_gbit_per_s(node.gpus_per_node) is None
    taken = {"interconnect": quoted(text), "rate": node.network_gbit_per_s or 0.0}
    if names_no_network(text):
        code = "row_assumptions.unknown_network_at" if no_rate else "row_assumptions.unknown_network"
        return (say_from(code, {**taken, "known": _KNOWN_NETWORKS}),)
    kind = _UNMEASURED.get(fabric_of(text), "") if crosses else ""
    return (
        say("row_assumptions.unmeasured_network", kind=kind) if kind else "",
        say("row_assumptions.network_rate", **taken) if no_rate else "",
    )
