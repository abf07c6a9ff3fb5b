"""The setting that a row of a table states: model, hardware, software and conditions, all but its layout."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path

from planner.catalog import Catalog
from planner.catalog.fabrics import fabric_of, names_no_network
from planner.performance.arrays import Setting
from planner.performance.cells import MOST_GBIT_PER_S, MOST_MEMORY_GB, Cells
from planner.performance.columns import COLUMNS, nearly, quoted
from planner.performance.conditions import stated_conditions
from planner.performance.framework_table import ANY, framework_names
from planner.performance.gpu_names import accelerator_written, chip_of, parts_of_chip
from planner.performance.stacks import stack_of
from planner.performance.vendor_recipes import stated_recipe
from planner.reading import wrong_at
from planner.spec.hardware import Accelerator, Hardware, joined_in
from planner.spec.model import ModelSpec, MoESpec
from planner.units import PlannerError
from planner.words import say
from planner.workload.adapters import targets
from planner.workload.counts import parameter_counts
from planner.workload.model_catalog import find_model, plain_name

NAME_WORDS = ("tokendrop", "dropless", "w/o mtp")  # words that the published model names carry
MOST_PARAMETERS = 10**15
PCIE5_GBYTE_PER_S = 63.0
FAST_PORT = 400.0  # Gbit/s of a GPU's share where nobody tells: NDR, as most clusters have
ETHERNET_PORT = 25.0  # the same of Ethernet
#: Columns that say nothing of a setting: of the layout alone, of the measurement, of the table.
NOT_OF_SETTING = frozenset((
    "gpus", "tp", "pp", "vpp", "dp", "cp", "ep", "sequence_parallel", "recompute", "micro_batch", "grad_accum",
    "global_batch_samples", "tokens_per_s_per_gpu", "source_id", "weight", "quality", "date", "notes",
))  # fmt: skip
_OF_SETTING = tuple(  # every other column that is read, by all its names
    name
    for column in COLUMNS
    if column.read and column.name not in NOT_OF_SETTING
    for name in (column.name, *column.aliases)
)


def alike(cell: Cells) -> tuple[Hashable, ...]:
    """What is equal for rows that state the same setting."""
    return (*map(cell.row.get, _OF_SETTING), _is_pure(cell))


def stated_setting(cell: Cells, parts: Catalog, gpus: int) -> Setting:
    """Model, hardware, stack and recipe. What the name and the notes say of the recipe is part of the release.

    Reads no more than `alike` holds; `gpus` of the run are checked against its network (`check_network`).
    """
    accelerator = _accelerator(cell, parts)
    name = cell.text("model")
    framework = _framework(cell)
    words = (
        cell.release(framework),
        "tokendrop" if "tokendrop" in name.lower() else "",
        "pure" if _is_pure(cell) else "",
    )
    hardware = _hardware(cell, accelerator, parts)
    check_network(cell, hardware, gpus)
    conditions = stated_conditions(cell)
    model = whole = _model(cell, name, parts.overlays)
    if run := cell.count("layers_run", 0):
        model = cut_model(whole, run, cell.place)
        conditions = replace(conditions, whole_layers=whole.layers)
    if cell.names_no_group:  # PyTorch's HSDP shards within a node where nothing else is stated
        conditions = replace(conditions, shard_group=hardware.gpus_per_node)
    if conditions.adapter is not None:
        try:
            targets(model, conditions.adapter)
        except PlannerError as error:
            raise cell.refused(say("row_settings.lora", error=error.args[0])) from None
    return Setting(
        model=model,
        seq_length=cell.needed("seq_len"),
        precision=cell.precision,
        framework=framework,
        release=" ".join(w for w in words if w),
        accelerator=accelerator,
        hardware=hardware,
        recipe=stated_recipe(cell),
        conditions=conditions,
    )


def _is_pure(cell: Cells) -> bool:
    """Whether the notes say that FSDP ran in pure 16 bits."""
    return "MP mode PURE" in cell.text("notes")


def check_network(cell: Cells, hardware: Hardware, gpus: int) -> None:
    """Raise PlannerError if a run of so many GPUs needs a network where the row says that there is none."""
    if hardware.network_gbit_per_s == 0 and gpus > max(hardware.gpus_per_node, hardware.scale_up_domain):
        found = cell.text("interconnect")
        raise cell.refused(
            say("row_settings.no_network", column="interconnect", found=found, gpus=gpus, node=hardware.gpus_per_node)
        )


def cut_model(model: ModelSpec, layers: int, place: str = "model") -> ModelSpec:
    """The model with its first layers alone, as a probe runs it.

    Raises
    ------
    PlannerError
        If it has fewer, or its layers follow a pattern that the first of them do not keep.
    """
    if layers > model.layers:
        why = say("row_settings.too_many_layers", run=layers, layers=model.layers, model=model.name)
        raise wrong_at(place, why)
    if model.layer_pattern and layers < model.layers:
        raise wrong_at(place, say("row_settings.layers_not_alike", model=model.name))
    return replace(model, layers=layers)


def _framework(cell: Cells) -> str:
    """The framework by its plain name; one that no table has is predicted, one that is nearly a table's is a slip."""
    name = plain_name(cell.text("framework")) or ANY
    known = framework_names()
    if name not in known and stack_of(name, "") == name and (meant := nearly(name, known)):
        raise cell.refused(
            say("row_settings.framework", column="framework", found=quoted(cell.text("framework")), meant=meant)
        )
    return name


def _accelerator(cell: Cells, parts: Catalog) -> Accelerator:
    """The part by its id in the catalog, else what the row's words and memory mean."""
    name = cell.text("gpu")
    try:
        return parts.accelerator(name)
    except PlannerError as error:
        meant = accelerator_written(name, cell.number("gpu_mem_gb", MOST_MEMORY_GB), parts.accelerators)
        if meant is None:
            near = parts_of_chip(name, parts.accelerators)
            why = say("row_settings.gpu", column="gpu", found=quoted(name), near=near) if near else error.args[0]
            raise cell.refused(why) from None
        return meant


def _model(cell: Cells, name: str, overlays: Sequence[Path]) -> ModelSpec:
    """The model of this name in the catalog or an overlay, however it is spelled; else the shape the columns state."""
    base = name
    for word in NAME_WORDS:
        base = re.sub(re.escape(word), "", base, flags=re.IGNORECASE).strip()
    try:
        model = find_model("/".join(base.strip("/").split("/")[-2:]), overlays)
    except PlannerError:
        model = None
    if model is None:
        return _model_from_columns(cell, base)
    model = replace(model, name=plain_name(model.name))
    return replace(model, mtp_layers=0) if "w/o mtp" in name.lower() else model


def _model_from_columns(cell: Cells, name: str) -> ModelSpec:
    layers, hidden, heads = (cell.count(key, 0) for key in ("n_layers", "hidden", "n_heads"))
    if not (layers and hidden and heads):
        raise cell.refused(say("row_settings.model", found=quoted(name)))
    gated = cell.text("gated_ffn") in ("1", "1.0", "true", "True")
    for column, most, of in (("n_kv_heads", heads, "n_heads"), ("n_heads", hidden, "hidden")):
        if cell.count(column, 1) > most:
            why = say("row_settings.too_large", column=column, found=cell.text(column), of=of, most=most)
            raise cell.refused(why)
    kv_heads = cell.count("n_kv_heads", heads)
    ffn = cell.count("ffn", 8 * hidden // 3 if gated else 4 * hidden)
    experts, top_k = cell.count("experts", 0, least=0), cell.count("top_k", 0, least=0)
    if experts and top_k > experts:
        raise cell.refused(say("row_settings.top_k", top_k=top_k, experts=experts))
    model = ModelSpec(
        name=plain_name(name) or "unnamed",
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=cell.count("head_dim", hidden // heads),
        ffn=ffn,
        vocab=cell.count("vocab", 50304),
        gated_mlp=gated,
        moe=MoESpec(experts=experts, top_k=max(1, top_k), expert_ffn=ffn) if experts else None,
    )
    if (parameters := parameter_counts(model).total) > MOST_PARAMETERS:
        raise cell.refused(say("row_settings.parameters", parameters=parameters))
    return model


def _hardware(cell: Cells, accelerator: Accelerator, parts: Catalog) -> Hardware:
    """The node: its size and network as the row states them, else those of the maker's own machine with this GPU."""
    alike = {each.id for each in parts.accelerators.values() if chip_of(each.id) == chip_of(accelerator.id)}
    if accelerator.unusual:  # a module of several devices is no device of the maker's node
        alike = {accelerator.id}
    makers = [n for n in parts.nodes.values() if n.cloud == "onprem" and n.gpu in alike]
    own = min(makers, key=lambda n: n.gpu != accelerator.id, default=None)
    domain = accelerator.scale_up_domain
    usual = own.gpus_per_node if own else min(8, domain if domain > 1 else 8)
    gpus_per_node = cell.count("gpus_per_node", usual)
    domain = joined_in(accelerator, gpus_per_node)
    network = cell.number("network_gbit_per_s_per_node", MOST_GBIT_PER_S) or cell.network_gbit_per_s(gpus_per_node)
    written = cell.text("interconnect")
    fabric = fabric_of(written)
    ethernet = fabric == "ethernet"  # nobody's Ethernet without a rate is as fast as the maker's network
    no_network = names_no_network(written)
    if fabric == "unknown" and not no_network:
        fabric = fabric_of(own.network) if own else "unknown"
        fabric = "infiniband" if fabric == "unknown" else fabric
    if network is None and own and own.network_gbit_per_s and not ethernet:
        network = own.network_gbit_per_s * gpus_per_node / own.gpus_per_node
    if network is None:
        fast = (
            accelerator.link_gbyte_per_s or 0.0
        ) > PCIE5_GBYTE_PER_S  # a workstation's parts have PCIe, or hardly more
        network = gpus_per_node * (FAST_PORT if fast and not ethernet else ETHERNET_PORT)
    return Hardware(
        gpu=accelerator.id,
        gpus_per_node=gpus_per_node,
        scale_up_domain=domain if domain > usual else min(domain, gpus_per_node),  # of racks, it spans nodes
        link_gbyte_per_s=accelerator.link_gbyte_per_s,
        network_gbit_per_s=network,
        fabric=fabric,
    )
