"""Small random problems for the search's tests: tiny models, made-up machines, a handful of offers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from enumeration import batches, size_of

from planner.catalog import load_catalog
from planner.performance.arrays import FloatArray, IntArray, Setting
from planner.performance.calibration import Calibration
from planner.performance.loading import load_calibration
from planner.spec.hardware import Accelerator, Hardware, Node, Offer
from planner.spec.layout import RECOMPUTE
from planner.spec.model import ModelSpec, MoESpec
from planner.spec.scenario import (
    BatchRamp,
    Budget,
    Cluster,
    DataSource,
    IntChoice,
    LayoutBounds,
    Objective,
    Scenario,
    Training,
)

ANY = IntChoice()


@dataclass(frozen=True)
class MadeUpCatalog:
    """Accelerators that nobody sells, small enough for memory to matter."""

    accelerators: dict[str, Accelerator]
    digest: str = "made up"
    nodes: dict[str, Node] = field(default_factory=dict)

    def accelerator(self, name: str) -> Accelerator:
        return self.accelerators[name]

    def table(self, path: str) -> list[dict[str, str]]:
        return load_catalog().table(path)


class Wavy(Calibration):
    """A calibration whose correction depends on the GPU count, up and down."""

    def correction(self, setting: Setting, gpus: IntArray) -> FloatArray:
        return 1.1 + 0.1 * np.sin(np.asarray(gpus, dtype=np.float64)) + 0.0 * setting.seq_length


def wavy() -> Wavy:
    shipped = load_calibration()
    return Wavy(**{name: getattr(shipped, name) for name in shipped.__dataclass_fields__})


@dataclass(frozen=True)
class Case:
    scenario: Scenario
    offers: tuple[Offer, ...]
    catalog: MadeUpCatalog


def accelerator(name: str, memory_gib: float, tflops: float) -> Accelerator:
    """An accelerator with the rates that matter."""
    return Accelerator(
        id=name,
        name=name,
        vendor="nobody",
        form_factor="SXM",
        family="hopper" if "h" in name else "ampere",
        memory_gib=memory_gib,
        memory_bw_gbyte_per_s=2000.0,
        peak_dense_tflops={"bf16": tflops, "fp16": tflops},
        matmul_tflops={"bf16": 0.75 * tflops},
        link_gbyte_per_s=300.0,
        scale_up_domain=8,
        tdp_w=500.0,
    )


def case(seed: int) -> Case:
    """The problem of a seed: every kind of pin, bound, budget and objective turns up among a few hundred."""
    rng = random.Random(seed)  # noqa: S311 - nobody's secret hangs on it
    model = _model(rng)
    catalog = MadeUpCatalog(
        {a.id: a for a in (accelerator("h", rng.choice([3.0, 6.0, 40.0]), 900.0), accelerator("a", 5.0, 300.0))}
    )
    offers = tuple(_offer(rng, i) for i in range(rng.randint(1, 3)))
    size = max(o.hardware.gpus_per_node for o in offers)
    training = _training(rng)
    scenario = Scenario(
        name=f"case {seed}",
        model=model,
        data=(DataSource("data", samples=rng.randint(500, 40_000)),),
        seq_length=rng.choice([256, 512, 2048]),
        training=training,
        layout=_ends(_bounds(rng), training.framework, random.Random(seed + 1_000_000)),  # noqa: S311
        throughput=(),
        budget=Budget(time_s=1e9, confidence=rng.choice([0.5, 0.8, 0.95])),
        objective=rng.choice([Objective("cost"), Objective("time"), Objective("usd_per_day", 300.0)]),
        cluster=Cluster(max_gpus=size * rng.choice([1, 1, 2, 3])),
        simpler_within=0.0,  # the plan is the optimum, to be held against an enumeration's
    )
    return Case(scenario, offers, catalog)


def narrowed(given: Case, most: int) -> Case:
    """The case with axes halved one after another, in an order and to halves of its own, to `most` candidates or so."""
    rng = random.Random(given.scenario.name)  # noqa: S311 - nobody's secret hangs on it
    axes, size = list(_HALVES), size_of(given.scenario, given.offers, given.catalog)
    for _ in range(3):
        rng.shuffle(axes)
        for axis in axes:
            if size <= most:
                return given
            less = _HALVES[axis](given.scenario, rng)
            if left := size_of(less, given.offers, given.catalog):
                given, size = replace(given, scenario=less), left
    return given


def _half_the_batches(scenario: Scenario, rng: random.Random) -> Scenario:
    every = batches(scenario.training.global_batch)
    some = tuple(sorted(rng.sample(every, (len(every) + 1) // 2)))
    return replace(scenario, training=replace(scenario.training, global_batch=IntChoice(values=some)))


def _fewer(name: str, sizes: tuple[int, ...]) -> Halve:
    """A dimension at half of the sizes that it may be, these where it may be anything."""

    def halve(scenario: Scenario, rng: random.Random) -> Scenario:
        bound = getattr(scenario.layout, name)
        if bound != ANY and (not bound.values or len(bound.values) < 2):
            return scenario
        known = bound.values or sizes
        some = tuple(sorted(rng.sample(known, (len(known) + 1) // 2)))
        return replace(scenario, layout=replace(scenario.layout, **{name: IntChoice(values=some)}))

    return halve


def _one_way_of_sequence_parallel(scenario: Scenario, rng: random.Random) -> Scenario:
    if scenario.layout.sequence_parallel is not None:
        return scenario
    return replace(scenario, layout=replace(scenario.layout, sequence_parallel=rng.random() < 0.5))


def _fewer_ways_to_recompute(scenario: Scenario, rng: random.Random) -> Scenario:
    known = scenario.layout.recompute or RECOMPUTE
    some = tuple(rng.sample(known, (len(known) + 1) // 2))
    return replace(scenario, layout=replace(scenario.layout, recompute=some))


Halve = Callable[[Scenario, random.Random], Scenario]
_HALVES: dict[str, Halve] = {
    "global_batch": _half_the_batches,
    "tp": _fewer("tp", (1, 2, 3, 4, 6)),
    "pp": _fewer("pp", (1, 2, 3, 4, 5, 6)),
    "vpp": _fewer("vpp", (1, 2, 3, 4)),
    "cp": _fewer("cp", (1, 2, 4, 8, 16)),
    "ep": _fewer("ep", (1, 2, 4)),
    "zero_stage": _fewer("zero_stage", (0, 1, 2, 3)),
    "sequence_parallel": _one_way_of_sequence_parallel,
    "recompute": _fewer_ways_to_recompute,
}


def with_budget(scenario: Scenario, time_s: float | None, cost_usd: float | None) -> Scenario:
    """The same scenario with these budgets."""
    return replace(scenario, budget=replace(scenario.budget, time_s=time_s, cost_usd=cost_usd))


def _model(rng: random.Random) -> ModelSpec:
    heads = rng.choice([2, 4, 6])
    hidden = heads * rng.choice([64, 128])
    moe = MoESpec(4, 2, hidden) if rng.random() < 0.3 else None
    return ModelSpec(
        name="tiny",
        layers=rng.choice([2, 3, 4, 6]),
        hidden=hidden,
        heads=heads,
        kv_heads=rng.choice([heads, 2]),
        head_dim=hidden // heads,
        ffn=4 * hidden,
        vocab=rng.choice([8_000, 50_000]),
        gated_mlp=rng.random() < 0.5,
        tied_embeddings=rng.random() < 0.5,
        moe=moe,
    )


def _offer(rng: random.Random, number: int) -> Offer:
    gpu = rng.choice(["h", "a"])
    size = rng.choice([1, 2, 4, 8])
    network = rng.choice([None, 200.0, 3200.0]) if size > 1 else None
    hardware = Hardware(gpu, size, min(size, 8), 300.0, network, "infiniband" if network else "unknown")
    return Offer(
        cloud=rng.choice(["north", "south"]),
        instance=f"m{number}",
        region=rng.choice(["east", "west"]),
        pricing="on_demand",
        gpu=gpu,
        hardware=hardware,
        usd_per_gpu_hour=rng.choice([1.0, 1.0, 2.0, 3.5]),
        usd_per_gpu_hour_range=None,
        as_of_earliest=None,
        as_of_latest=None,
        date_kind="exact",
        as_of="2026-11-01",
        source="made up",
        quality="A",
        max_nodes=1 if network is None else rng.choice([None, None, 2]),
        max_nodes_basis="unknown fabric" if network is None else "assumption",
    )


def _training(rng: random.Random) -> Training:
    low = rng.choice([1, 4, 8])
    batch = rng.choice(
        [IntChoice(low, low + rng.randint(0, 12)), IntChoice(values=(8, 12, 24)), IntChoice(4, 24, multiple_of=6)]
    )
    ramp = None
    if rng.random() < 0.15:
        ramp, batch = BatchRamp(4, rng.choice([2, 4]), rng.randint(50, 400)), IntChoice(8, 16)
    length = {"epochs": rng.choice([0.5, 1, 2.3])} if rng.random() < 0.8 else {"iterations": rng.randint(5, 3000)}
    evaluated = {"evaluation_interval": 50, "evaluation_iterations": 5} if rng.random() < 0.3 else {}
    return Training(
        global_batch=batch,
        batch_ramp=ramp,
        framework=rng.choice(["any", "megatron", "gpt-neox", "fsdp"]),
        **length,
        **evaluated,
    )


def _ends(bounds: LayoutBounds, framework: str, rng: random.Random) -> LayoutBounds:
    """The bounds with, in some cases, a share of the layers recomputed and a shard group stated."""
    if framework == "gpt-neox":  # which has neither
        return bounds
    return replace(
        bounds,
        recompute_share=rng.choice([0.0, 0.3, 0.5, 1.0]) if rng.random() < 0.15 else None,
        shard_group=rng.choice([1, 2, 3, 4, 64]) if rng.random() < 0.15 else None,
    )


def _bounds(rng: random.Random) -> LayoutBounds:
    def maybe(*choices: IntChoice) -> IntChoice:
        return rng.choice(choices) if rng.random() < 0.2 else ANY

    return LayoutBounds(
        tp=maybe(IntChoice(values=(2,)), IntChoice(maximum=2)),
        pp=maybe(IntChoice(values=(1,)), IntChoice(minimum=2)),
        vpp=maybe(IntChoice(values=(1,))),
        dp=maybe(IntChoice(minimum=2), IntChoice(values=(1, 2))),
        zero_stage=maybe(IntChoice(values=(1,)), IntChoice(maximum=2)),
        micro_batch=maybe(IntChoice(maximum=2), IntChoice(values=(1, 4)), IntChoice(multiple_of=2)),
        sequence_parallel=rng.choice([None, None, None, True, False]),
        recompute=rng.choice([(), (), (), ("none",), ("selective", "full")]),
    )
