"""Rows of measured runs (or of runs to predict): a table's columns into settings and layouts."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from planner.catalog import Catalog
from planner.performance.arrays import Layouts, Setting
from planner.performance.cells import MOST_OF_ANYTHING, MOST_TEXT, Cells
from planner.performance.columns import TOO_MANY
from planner.performance.conditions import stated_sequence_parallel
from planner.performance.framework_table import before_flash
from planner.performance.row_assumptions import assumptions
from planner.performance.row_settings import alike, check_network, stated_setting
from planner.performance.stacks import stack_of
from planner.spec.layout import RECOMPUTE, Layout
from planner.words import say

DEGREES = frozenset(("tp", "pp", "dp"))
MOST_TENSOR_PARALLEL = 8
STATED_RIGHT = ("n_layers", "hidden", "n_heads", "vpp", "ep", "micro_batch", "grad_accum")  # even if they go unused
#: Columns that say how a run was laid out: what one of them leaves open is predicted over (`mixture`).
LAYOUT_COLUMNS = (
    "tp", "pp", "dp", "cp", "ep", "zero_or_fsdp", "sequence_parallel", "recompute", "micro_batch", "grad_accum",
    "global_batch_samples",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what ran where, how it was laid out, and how fast it was (None: to be predicted)."""

    id: str
    source: str
    model_name: str  # as printed, recipe words included
    setting: Setting
    layout: Layout
    accumulation: float  # global batch / (micro-batch x dp): not a whole number where micro-batches are uneven
    tokens_per_s_per_gpu: float | None
    low_trust: bool = False  # its `weight` says that it should count for less
    assumed: tuple[str, ...] = ()  # what the row says that no table knows, and what it was taken for
    # What is stated of the layout.
    stated: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(LAYOUT_COLUMNS, ""), hash=False)
    year: int | None = None  # in which it ran, where the row says

    @property
    def gpus(self) -> int:
        return self.layout.gpus

    @property
    def step_s(self) -> float:
        """Seconds of one step as measured; nan where nothing was."""
        if not self.tokens_per_s_per_gpu:
            return float("nan")
        return self.step_tokens / self.gpus / self.tokens_per_s_per_gpu

    @property
    def step_tokens(self) -> float:
        return self.layout.micro_batch * self.layout.dp * self.accumulation * self.setting.seq_length

    @property
    def configuration(self) -> tuple[object, ...]:
        """What stays equal when only the software's release changes."""
        s = self.setting
        layout = replace(self.layout, sequence_parallel=False)
        shape = (s.model.name, s.accelerator.id, s.precision, s.seq_length, layout, self.accumulation)
        return shape if s.conditions.whole_layers is None else (*shape, s.model.layers)

    @property
    def group(self) -> tuple[str, str, str]:
        return (self.setting.model.name, self.setting.accelerator.id, self.setting.precision)


def layouts_as_run(runs: Sequence[Run]) -> Layouts:
    """The layouts of these runs, in their order; accumulation may be fractional."""
    return replace(Layouts.of([r.layout for r in runs]), grad_accum=np.array([r.accumulation for r in runs]))


def layouts_of(runs: Sequence[Run]) -> Layouts:
    """The same, accumulation rounded up."""
    return Layouts.of([r.layout for r in runs])


def read_run(row: Mapping[str, str], parts: Catalog, place: str, table: str = "") -> Run:
    """The run that a row states. Columns are those of the measured tables; empty means "not stated".

    A run without `source_id` is of its `table`, else of its `place`.

    Raises
    ------
    PlannerError
        Where a number is not one, or the row cannot be placed at all (no model shape, unknown accelerator, a batch
        that does not divide); the message starts with `place`.
    """
    return Reader(parts).read(row, place, table)


class Reader:
    """Reads the rows of a table: what rows state alike of their setting is read once, and is one object."""

    def __init__(self, parts: Catalog) -> None:
        self._parts = parts
        self._settings: dict[tuple[Hashable, ...], Setting] = {}
        self._assumed: dict[tuple[int, int, int], tuple[str, ...]] = {}  # by setting, GPUs, ZeRO stage

    def read(self, row: Mapping[str, str], place: str, table: str = "") -> Run:
        """As `read_run`."""
        cell = Cells(row, place)
        if TOO_MANY in row:
            raise cell.refused(say("rows.too_many_cells"))
        cell.check_text()
        for key in STATED_RIGHT:
            cell.count(key, 0)
        ranks = _ranks(cell)
        gpus = ranks.tp * ranks.pp * ranks.cp * ranks.dp
        setting = self._setting(cell, gpus)
        batch = cell.count("global_batch_samples", 0)
        pieces = cell.count("grad_accum", max(1, batch // ranks.dp))
        micro = cell.count("micro_batch", 0) or max(1, batch // (ranks.dp * pieces))
        accumulation = batch / (micro * ranks.dp) if batch else float(cell.count("grad_accum", 1))
        if accumulation < 1:
            raise cell.refused(say("rows.small_batch", batch=batch, micro_batch=micro, dp=ranks.dp))
        megatron = stack_of(setting.framework, "") == "megatron"
        stage = cell.zero_stage(setting.framework)
        stated = {name: text for name in LAYOUT_COLUMNS if (text := cell.text(name))}
        some = (cell.number("recompute_share", 1.0) or 0.0) > 0.0
        dated = re.search(r"(?<!\d)20[0-4]\d(?!\d)", cell.text("date")[:MOST_TEXT])  # a day, a month, words around one
        return Run(
            id=place,
            source=cell.text("source_id") or table or place,
            model_name=cell.text("model"),
            setting=setting,
            layout=Layout(
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
                # Layers of which some are recomputed are so whole, whatever the nearest word for it.
                recompute="full" if some and cell.recompute == 0 else RECOMPUTE[cell.recompute],
                micro_batch=micro,
                grad_accum=math.ceil(accumulation),
            ),
            accumulation=accumulation,
            tokens_per_s_per_gpu=cell.number("tokens_per_s_per_gpu"),
            low_trust=cell.text("weight").lower() == "low",
            assumed=self._assumptions(cell, setting, gpus, stage),
            stated=stated,
            year=int(dated[0]) if dated else None,
        )

    def _setting(self, cell: Cells, gpus: int) -> Setting:
        stated = alike(cell)
        known = self._settings.get(stated)
        if known is None:
            return self._settings.setdefault(stated, stated_setting(cell, self._parts, gpus))
        check_network(cell, known.hardware, gpus)
        return known

    def _assumptions(self, cell: Cells, setting: Setting, gpus: int, stage: int) -> tuple[str, ...]:
        key = (id(setting), gpus, stage)
        if key not in self._assumed:
            self._assumed[key] = assumptions(cell, setting, gpus, stage, self._parts.accelerators)
        return self._assumed[key]


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
        raise cell.refused(say("rows.no_gpus"))
    batch, left = cell.count("global_batch_samples", 0), gpus // cp
    if not any(cell.text(name) for name in DEGREES) and gpus % cp == 0:
        tp, pp = 1, 1
        if 0 < batch < left:  # fewer sequences than GPUs: the least that divides them shares each
            pairs = ((d, left // d) for d in range(1, math.isqrt(left) + 1) if left % d == 0)
            width = min(w for pair in pairs for w in pair if w * batch >= left)
            tp = math.gcd(width, MOST_TENSOR_PARALLEL)
            pp = width // tp
    if not dp:
        dp, rest = divmod(gpus, tp * pp * cp)
        if rest or not dp:
            raise cell.refused(say("rows.not_divided", tp=tp, pp=pp, cp=cp, gpus=gpus))
    elif gpus and gpus != tp * pp * cp * dp:
        raise cell.refused(say("rows.other_gpus", tp=tp, pp=pp, cp=cp, dp=dp, gpus=gpus))
    if tp * pp * cp * dp > MOST_OF_ANYTHING:
        raise cell.refused(say("rows.too_many_gpus", tp=tp, pp=pp, cp=cp, dp=dp, most=MOST_OF_ANYTHING))
    return _Ranks(tp, pp, cp, dp)


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
