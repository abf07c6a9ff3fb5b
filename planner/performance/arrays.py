"""The values that flow through predictions: one setting, many layouts as a struct of arrays, and what comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from planner.spec.adapter import Adapter
from planner.spec.arrays import BoolArray as BoolArray
from planner.spec.arrays import FloatArray as FloatArray
from planner.spec.arrays import IntArray as IntArray
from planner.spec.hardware import Accelerator, Hardware
from planner.spec.layout import RECOMPUTE, Layout
from planner.spec.model import ModelSpec

OWN_SITE = "own"  # where a user's runs take place, unless a row says otherwise


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is stated of how a run was set up, beyond its layout; None: not stated."""

    flash_attention: bool | None = None
    flash_generation: int | None = None  # of its kernels: 2 (also PyTorch's SDPA), 3 (also cuDNN's)
    fused: bool | None = None  # fused norms and activations, or a compiler that fuses them
    recompute_share: float | None = None  # of the layers that full recomputation covers, 0 to 1
    reduction_overlap: bool | None = None  # gradient reductions behind the backward pass
    shard_group: int | None = None  # GPUs over which optimizer or weights are sharded, where not over all ranks
    power_limit_w: float | None = None
    site: str = OWN_SITE  # whose cluster: what its network reaches, and whatever else its runs have in common
    optimizer: str = "adamw"  # a name of optimizers.OPTIMIZERS
    optimizer_bytes: float | None = None  # a parameter of its master weights and moments, where stated; else its own
    offload: str = "none"  # none | optimizer | activations | both: what host memory holds
    recompute_modules: tuple[str, ...] | None = None  # that selective recomputation covers, by Megatron's names
    gradient_bytes: float | None = None  # a parameter of its gradients, where stated; else as the framework has them
    loss: str = ""  # eager | fused | chunked: how logits become a loss; "": as the framework does
    expert_tp: int = 1  # tensor parallel ranks that share an expert
    schedule: str = ""  # dualpipe: micro-batches from both ends of the pipeline; "": 1F1B, interleaved where vpp > 1
    tuning: str = "field"  # field | vendor: vendors run their published recipes
    adapter: Adapter | None = None  # what alone is trained, on frozen weights; None: all of the model
    whole_layers: int | None = None  # of the model whose first layers ran as a probe; None: the model itself ran

    @property
    def moves_optimizer(self) -> bool:
        """Whether master weights and moments are on the host."""
        return self.offload in ("optimizer", "both")

    @property
    def both_ends(self) -> bool:
        """Whether each rank runs two stages, its own and the one as far from the other end."""
        return self.schedule == "dualpipe"

    @property
    def moves_activations(self) -> bool:
        """Whether each layer's input waits on the host for the backward pass."""
        return self.offload in ("activations", "both")


STATED_NOTHING = Conditions()


@dataclass(frozen=True, slots=True)
class Setting:
    """All that is equal for the layouts predicted together."""

    model: ModelSpec
    seq_length: int
    precision: str  # bf16 | fp16 | fp8 | mxfp8 | nvfp4
    framework: str  # gpt-neox | megatron | fsdp
    release: str  # "" or "latest": the newest known; else a release of the framework
    accelerator: Accelerator
    hardware: Hardware
    recipe: tuple[tuple[str, str], ...] = ()  # what is stated of it: columns of catalogs/recipes and their values
    conditions: Conditions = STATED_NOTHING


@dataclass(frozen=True, slots=True)
class Layouts:
    """Parallel layouts, one entry each. Every field is an array of one shape (n,); counts, except where said.

    gpus = tp x pp x cp x dp; ep divides dp x cp x tp / expert-tensor-parallel(1) as the framework lays experts out.
    grad_accum is m, the micro-batches a pipeline runs in one step; global batch = micro_batch x dp x grad_accum.
    """

    tp: IntArray
    pp: IntArray
    vpp: IntArray
    dp: IntArray
    cp: IntArray
    ep: IntArray
    zero_stage: IntArray  # 0-3
    sequence_parallel: BoolArray
    recompute: IntArray  # index into RECOMPUTE
    micro_batch: IntArray  # sequences
    grad_accum: IntArray  # of measured runs also floats: FSDP trainers cut the last micro-batch short

    @property
    def gpus(self) -> IntArray:
        return self.tp * self.pp * self.cp * self.dp

    @property
    def global_batch(self) -> IntArray:
        return self.micro_batch * self.dp * self.grad_accum

    def __len__(self) -> int:
        return len(self.tp)

    @classmethod
    def of(cls, layouts: Sequence[Layout]) -> Layouts:
        """These layouts, in their order."""
        columns = {name: [getattr(each, name) for each in layouts] for name in cls.__slots__}
        columns["recompute"] = [RECOMPUTE.index(word) for word in columns["recompute"]]
        return cls(**{name: np.array(column) for name, column in columns.items()})

    def at(self, i: int) -> Layout:
        """The layout at a place, its micro-batches rounded up."""
        values = {name: getattr(self, name)[i].item() for name in self.__slots__}
        values |= {"recompute": RECOMPUTE[values["recompute"]], "grad_accum": math.ceil(values["grad_accum"])}
        return Layout(**values | {"sequence_parallel": bool(values["sequence_parallel"])})

    def take(self, index: IntArray | BoolArray) -> Layouts:
        """The entries that `index` selects, in its order."""
        return Layouts(*(getattr(self, f.name)[index] for f in fields(self)))

    def whole(self) -> Layouts:
        """The same with micro-batches rounded up."""
        return replace(self, grad_accum=np.ceil(self.grad_accum).astype(np.int64))


@dataclass(frozen=True, slots=True)
class StepTime:
    """Seconds of one step, (n,), and the named terms that add up to it, each (n,), none negative.

    `least_s`: what its matmuls and attention alone would take at the best rates anybody measured, (n,).
    """

    total_s: FloatArray
    terms_s: Mapping[str, FloatArray]
    least_s: FloatArray

    def take(self, index: BoolArray) -> StepTime:
        """The steps that `index` selects of the n."""
        shape = self.total_s.shape
        terms = {name: np.broadcast_to(term, shape)[index] for name, term in self.terms_s.items()}
        return StepTime(self.total_s[index], terms, np.broadcast_to(self.least_s, shape)[index])

    def each(self) -> list[StepTime]:
        """The n steps one by one, as arrays of length one."""
        n = len(self.total_s)
        total, least = self.total_s, np.broadcast_to(self.least_s, (n,))
        terms = {name: np.broadcast_to(term, (n,)) for name, term in self.terms_s.items()}
        ones = (slice(i, i + 1) for i in range(n))
        return [StepTime(total[i], {name: term[i] for name, term in terms.items()}, least[i]) for i in ones]


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on the fullest GPU, in GiB, each (n,)."""

    weights: FloatArray
    gradients: FloatArray
    optimizer: FloatArray
    activations: FloatArray
    other: FloatArray
    cached: FloatArray  # beside these: freed blocks, given back once memory is short; nvidia-smi shows them

    @property
    def total(self) -> FloatArray:
        return self.weights + self.gradients + self.optimizer + self.activations + self.other
