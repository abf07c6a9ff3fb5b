"""Rows of measured runs (or of runs to predict): a table's columns into settings and layouts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from planner.catalog.fabrics import fabric_of, names_no_network
from planner.catalog.types import Accelerator, Hardware, joined_in
from planner.performance.arrays import RECOMPUTE, BoolArray, FloatArray, IntArray, Layouts, Setting
from planner.performance.assumed import assumptions
from planner.performance.cells import MOST_GBIT_PER_S, MOST_MEMORY_GB, MOST_OF_ANYTHING, MOST_TEXT, Cells
from planner.performance.columns import TOO_MANY, nearly, quoted
from planner.performance.conditions import stated_conditions, stated_sequence_parallel
from planner.performance.framework_table import ANY, before_flash, framework_names
from planner.performance.gpu_names import accelerator_written, chip_of, parts_of_chip
from planner.performance.recipes import stated_recipe
from planner.performance.stacks import stack_of
from planner.units import PlannerError
from planner.workload.adapters import targets
from planner.workload.counts import parameter_counts
from planner.workload.model import ModelSpec, MoESpec
from planner.workload.zoo import find_model, plain_name

DEGREES = frozenset(("tp", "pp", "dp"))
MOST_TENSOR_PARALLEL = 8
NAME_WORDS = ("tokendrop", "dropless", "w/o mtp")  # words that the published model names carry
STATED_RIGHT = ("n_layers", "hidden", "n_heads", "vpp", "ep", "micro_batch", "grad_accum")  # even if they go unused
MOST_PARAMETERS = 10**15
#: Columns that say how a run was laid out: what one of them leaves open is predicted over (`mixing`).
LAYOUT_COLUMNS = (
    "tp", "pp", "dp", "cp", "ep", "zero_or_fsdp", "sequence_parallel", "recompute", "micro_batch", "grad_accum",
    "global_batch_samples",
)  # fmt: skip
PCIE5_GBYTE_PER_S = 63.0
FAST_PORT, PLAIN_PORT = 400.0, 25.0  # Gbit/s of a GPU's share where nobody tells: NDR, as most clusters have; Ethernet


class Parts(Protocol):
    """What rows need of a catalog: parts by id."""

    def accelerator(self, name: str) -> Accelerator: ...

    @property
    def accelerators(self) -> Mapping[str, Accelerator]: ...

    @property
    def nodes(self) -> Mapping[str, Any]: ...

    @property
    def overlays(self) -> Sequence[Path]: ...


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what ran where, how it was laid out, and how fast it was (None: to be predicted)."""

    id: str
    source: str
    model_name: str  # as printed, recipe words included
    setting: Setting
    tp: int
    pp: int
    vpp: int
    dp: int
    cp: int
    ep: int
    zero_stage: int
    sequence_parallel: bool
    recompute: int
    micro_batch: int
    grad_accum: float  # global batch / (micro-batch x dp): not a whole number where micro-batches are uneven
    tokens_per_s_per_gpu: float | None
    low_trust: bool = False  # its `weight` says that it should count for less
    assumed: tuple[str, ...] = ()  # what the row says that no table knows, and what it was taken for
    stated: Mapping[str, str] = field(
        default_factory=lambda: dict.fromkeys(LAYOUT_COLUMNS, ""), hash=False
    )  # of the layout
    year: int | None = None  # in which it ran, where the row says

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.cp * self.dp

    @property
    def step_s(self) -> float:
        """Seconds of one step as measured; nan where nothing was."""
        if not self.tokens_per_s_per_gpu:
            return float("nan")
        return self.step_tokens / self.gpus / self.tokens_per_s_per_gpu

    @property
    def step_tokens(self) -> float:
        return self.micro_batch * self.dp * self.grad_accum * self.setting.seq_length

    @property
    def configuration(self) -> tuple[object, ...]:
        """What stays equal when only the software's release changes."""
        s = self.setting
        layout = (self.tp, self.pp, self.vpp, self.dp, self.cp, self.ep, self.zero_stage, self.recompute)
        shape = (s.model.name, s.accelerator.id, s.precision, s.seq_length, *layout, self.micro_batch, self.grad_accum)
        return shape if s.conditions.whole_layers is None else (*shape, s.model.layers)

    @property
    def group(self) -> tuple[str, str, str]:
        return (self.setting.model.name, self.setting.accelerator.id, self.setting.precision)


@dataclass(frozen=True, slots=True)
class LayoutArrays:
    """The runs' layouts as arrays, (n,); like Layouts, but accumulation may be fractional."""

    tp: IntArray
    pp: IntArray
    vpp: IntArray
    dp: IntArray
    cp: IntArray
    ep: IntArray
    zero_stage: IntArray
    sequence_parallel: BoolArray
    recompute: IntArray
    micro_batch: IntArray
    grad_accum: FloatArray

    @property
    def gpus(self) -> IntArray:
        return self.tp * self.pp * self.cp * self.dp


def layout_arrays(runs: Sequence[Run]) -> LayoutArrays:
    """The layouts of these runs, in their order."""
    return LayoutArrays(*(np.asarray([getattr(r, name) for r in runs]) for name in LayoutArrays.__slots__))


def layouts_of(runs: Sequence[Run]) -> Layouts:
    """The same as Layouts, accumulation rounded up."""
    a = layout_arrays(runs)
    values = {name: getattr(a, name) for name in LayoutArrays.__slots__}
    return Layouts(**(values | {"grad_accum": np.ceil(a.grad_accum).astype(np.int64)}))


def read_run(row: Mapping[str, str], parts: Parts, place: str) -> Run:
    """The run that a row states. Columns are those of the measured tables; empty means "not stated".

    Raises
    ------
    PlannerError
        Where a number is not one, or the row cannot be placed at all (no model shape, unknown accelerator, a batch
        that does not divide); the message starts with `place`.
    """
    cell = Cells(row, place)
    if TOO_MANY in row:
        raise PlannerError(
            f"{place}: has more cells than the table has columns; put cells that hold commas into quotes"
        )
    cell.check_text()
    for key in STATED_RIGHT:
        cell.count(key, 0)
    ranks = _ranks(cell)
    setting = _setting(cell, parts, gpus=ranks.tp * ranks.pp * ranks.cp * ranks.dp)
    micro, accumulation = _batch(cell, ranks.dp)
    megatron = stack_of(setting.framework, "") == "megatron"
    stage = cell.zero_stage(setting.framework)
    stated = {name: cell.text(name) for name in LAYOUT_COLUMNS if cell.text(name)}
    return Run(
        id=place,
        source=cell.text("source_id") or place.split(":", maxsplit=1)[0],
        model_name=cell.text("model"),
        setting=setting,
        tp=ranks.tp,
        pp=ranks.pp,
        vpp=cell.count("vpp", 1),
        dp=ranks.dp,
        cp=ranks.cp,
        ep=cell.count("ep", 1),
        zero_stage=_stage_that_fits(stage, setting, ranks) if megatron and stated.keys() & DEGREES else stage,
        sequence_parallel=stated_sequence_parallel(
            cell,
            ranks.tp,
            megatron and ranks.tp > 1 and not before_flash(setting.release),  # both came in 2022
        ),
        recompute=_recompute(cell),
        micro_batch=micro,
        grad_accum=accumulation,
        tokens_per_s_per_gpu=cell.number("tokens_per_s_per_gpu"),
        low_trust=cell.text("weight").lower() == "low",
        assumed=assumptions(cell, setting, ranks.tp * ranks.pp * ranks.cp * ranks.dp, stage, parts.accelerators),
        stated=stated,
        year=_year(cell),
    )


def _recompute(cell: Cells) -> int:
    """The code of RECOMPUTE; layers of which some are recomputed are so whole, whatever the nearest word for it."""
    some = (cell.number("recompute_share", 1.0) or 0.0) > 0.0
    return RECOMPUTE.index("full") if some and cell.recompute == 0 else cell.recompute


def _year(cell: Cells) -> int | None:
    """The year of `date`, which may be a year, a month, a day or words around one."""
    found = re.search(r"(?<!\d)20[0-4]\d(?!\d)", cell.text("date")[:MOST_TEXT])
    return int(found[0]) if found else None


class _Ranks(NamedTuple):
    tp: int
    pp: int
    cp: int
    dp: int


def _ranks(cell: Cells) -> _Ranks:
    """The degrees of parallelism; of gpus and dp one may be left to follow from the others."""
    tp, pp, cp = (cell.count(key, 1) for key in ("tp", "pp", "cp"))
    gpus, dp = cell.count("gpus", 0), cell.count("dp", 0)
    if not gpus and not dp:
        raise PlannerError(f"{cell.place}: states neither gpus nor dp; give one of them")
    if not any(cell.text(name) for name in DEGREES):
        tp, pp = _least_split(gpus // cp, cell.count("global_batch_samples", 0)) if gpus % cp == 0 else (tp, pp)
    if not dp:
        dp, left = divmod(gpus, tp * pp * cp)
        if left or not dp:
            raise PlannerError(f"{cell.place}: tp {tp} x pp {pp} x cp {cp} does not divide {gpus} GPUs")
    elif gpus and gpus != tp * pp * cp * dp:
        raise PlannerError(f"{cell.place}: tp {tp} x pp {pp} x cp {cp} x dp {dp} is not {gpus} GPUs")
    if tp * pp * cp * dp > MOST_OF_ANYTHING:
        raise PlannerError(
            f"{cell.place}: tp {tp} x pp {pp} x cp {cp} x dp {dp} is more than {MOST_OF_ANYTHING:,} GPUs"
        )
    return _Ranks(tp, pp, cp, dp)


def _least_split(gpus: int, batch: int) -> tuple[int, int]:
    """(tp, pp) of a run that states none: 1 each, unless its batch is of fewer sequences than GPUs."""
    if not batch or batch >= gpus:
        return 1, 1
    width = next(w for w in range(-(-gpus // batch), gpus + 1) if gpus % w == 0)
    tp = math.gcd(width, MOST_TENSOR_PARALLEL)
    return tp, width // tp


def _batch(cell: Cells, dp: int) -> tuple[int, float]:
    """Sequences of a micro-batch, and micro-batches a step on each of `dp` ranks."""
    batch = cell.count("global_batch_samples", 0)
    micro = cell.count("micro_batch", 0) or max(1, batch // (dp * cell.count("grad_accum", max(1, batch // dp))))
    accumulation = float(cell.count("grad_accum", 1)) if not batch else batch / (micro * dp)
    if accumulation < 1:
        raise PlannerError(f"{cell.place}: a global batch of {batch} is less than micro-batch {micro} x dp {dp}")
    return micro, accumulation


def _setting(cell: Cells, parts: Parts, gpus: int) -> Setting:
    """Model, hardware, stack and recipe. What the name and the notes say of the recipe is part of the release."""
    accelerator = _accelerator(cell, parts)
    name = cell.text("model")
    framework = _framework(cell)
    words = (
        cell.release(framework),
        "tokendrop" if "tokendrop" in name.lower() else "",
        "pure" if "MP mode PURE" in cell.text("notes") else "",
    )
    hardware = _hardware(cell, accelerator, parts)
    if hardware.network_gbit_per_s == 0 and gpus > max(hardware.gpus_per_node, hardware.scale_up_domain):
        raise PlannerError(
            f"{cell.place}: interconnect '{cell.text('interconnect')}' is no network, but {gpus} GPUs are more "
            f"than one node of {hardware.gpus_per_node}; state its rate, or leave it empty"
        )
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
            raise PlannerError(f"{cell.place}: lora_{error}") from None
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


def cut_model(model: ModelSpec, layers: int, place: str = "model") -> ModelSpec:
    """The model with its first layers alone, as a probe runs it.

    Raises
    ------
    PlannerError
        If it has fewer, or its layers follow a pattern that the first of them do not keep.
    """
    if layers > model.layers:
        raise PlannerError(f"{place}: layers_run {layers} is more than the {model.layers} layers of {model.name}")
    if model.layer_pattern and layers < model.layers:
        raise PlannerError(f"{place}: layers_run is of models whose layers are alike; those of {model.name} are not")
    return replace(model, layers=layers)


def _framework(cell: Cells) -> str:
    """The framework by its plain name; one that no table has is predicted, one that is nearly a table's is a slip."""
    name = plain_name(cell.text("framework")) or ANY
    known = framework_names()
    if name not in known and stack_of(name, "") == name and (meant := nearly(name, known)):
        raise PlannerError(
            f"{cell.place}: framework {quoted(cell.text('framework'))} is not known; did you mean {meant}?"
        )
    return name


def _accelerator(cell: Cells, parts: Parts) -> Accelerator:
    """The part by its id in the catalog, else what the row's words and memory mean."""
    name = cell.text("gpu")
    try:
        return parts.accelerator(name)
    except PlannerError as error:
        meant = accelerator_written(name, cell.number("gpu_mem_gb", MOST_MEMORY_GB), parts.accelerators)
        if meant is None:
            near = ", ".join(parts_of_chip(name, parts.accelerators))
            why = f"gpu {quoted(name)} is not in the catalog, which of its chip has {near}" if near else str(error)
            raise PlannerError(f"{cell.place}: {why}") from None
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
        raise PlannerError(
            f"{cell.place}: model {quoted(name)} is not in the catalog and n_layers, hidden, n_heads are not all stated"
        )
    gated = cell.text("gated_ffn") in ("1", "1.0", "true", "True")
    for column, most, of in (("n_kv_heads", heads, "n_heads"), ("n_heads", hidden, "hidden")):
        if cell.count(column, 1) > most:
            raise PlannerError(f"{cell.place}: {column} '{cell.text(column)}' must be at most {of}, {most}")
    kv_heads = cell.count("n_kv_heads", heads)
    ffn = cell.count("ffn", 8 * hidden // 3 if gated else 4 * hidden)
    experts, top_k = cell.count("experts", 0, least=0), cell.count("top_k", 0, least=0)
    if experts and top_k > experts:
        raise PlannerError(f"{cell.place}: top_k {top_k} must be at most experts, {experts}")
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
        raise PlannerError(
            f"{cell.place}: a model of {parameters:.0e} parameters; n_layers x hidden x ffn is too large"
        )
    return model


def _hardware(cell: Cells, accelerator: Accelerator, parts: Parts) -> Hardware:
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
    plain = fabric == "ethernet"  # nobody's Ethernet without a rate is as fast as the maker's network
    strange = names_no_network(written)
    if fabric == "unknown" and not strange:
        fabric = fabric_of(own.network) if own else "unknown"
        fabric = "infiniband" if fabric == "unknown" else fabric
    if network is None and own and own.network_gbit_per_s and not plain:
        network = own.network_gbit_per_s * gpus_per_node / own.gpus_per_node
    if network is None:
        fast = (
            accelerator.link_gbyte_per_s or 0.0
        ) > PCIE5_GBYTE_PER_S  # a workstation's parts have PCIe, or hardly more
        network = gpus_per_node * (FAST_PORT if fast and not plain else PLAIN_PORT)
    return Hardware(
        gpu=accelerator.id,
        gpus_per_node=gpus_per_node,
        scale_up_domain=domain if domain > usual else min(domain, gpus_per_node),  # of racks, it spans nodes
        link_gbyte_per_s=accelerator.link_gbyte_per_s,
        network_gbit_per_s=network,
        fabric=fabric,
    )


def _stage_that_fits(stage: int, setting: Setting, ranks: _Ranks) -> int:
    """ZeRO 3 where a distributed optimizer alone cannot be: published Megatron rows name FSDP runs so, too."""
    model = setting.model
    if stage != 1 or model.moe or ranks.pp > 1 or ranks.dp == 1:
        return stage
    weights = model.layers * (
        model.hidden * model.head_dim * (2 * model.heads + 2 * model.kv_heads)
        + (3 if model.gated_mlp else 2) * model.hidden * model.ffn
    )
    resident = weights / ranks.tp * (2 + 2 + 12 / (ranks.dp * ranks.cp)) / 2**30
    return 3 if resident > 0.9 * setting.accelerator.memory_gib else stage
