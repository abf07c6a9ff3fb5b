"""A proposal as plain values: sections of sentences, facts, tables and figures. Renderers add nothing but form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from planner.money import USD, Money
from planner.report.gantt import BarChart
from planner.report.proposal.beside import requested_usd
from planner.report.proposal.svg import Picture
from planner.spec.scenario import AskLine

TEXT, MONEY, DAYS, COUNT, PERCENT, NUMBER = "text", "money", "days", "count", "percent", "number"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a reader sees, and the value behind it: USD, seconds, a count, a fraction (None: text alone)."""

    text: str
    kind: str = TEXT
    value: float | None = None

    @property
    def numeric(self) -> bool:
        """Whether it is set flush right."""
        return self.kind != TEXT


Row = tuple[Cell | str, ...]  # of a table; a text is a cell of text alone


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str
    lead: bool = False  # the sentence that a hurried reader reads


@dataclass(frozen=True, slots=True)
class Bullets:
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels and what they are, one a line."""

    rows: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`emphasis` numbers the rows that matter most; numeric columns are those whose first filled cell is numeric."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    emphasis: frozenset[int] = frozenset()

    def right(self, column: int) -> bool:
        """Whether a column holds numbers."""
        cells = [row[column] for row in self.rows if row[column].text]
        return bool(cells) and all(cell.numeric for cell in cells)


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing; what it shows stands under it, and in words for who cannot see it."""

    id: str
    picture: Picture

    @property
    def caption(self) -> str:
        return self.picture.title

    @property
    def description(self) -> str:
        return self.picture.description


@dataclass(frozen=True, slots=True)
class Explorer:
    """Where HTML has its controls; paper shows the figures around it instead. `run` numbers the run from 0."""

    run: int


Block = Paragraph | Bullets | Facts | Table | Figure | Explorer


@dataclass(frozen=True, slots=True)
class Section:
    id: str
    title: str
    blocks: tuple[Block, ...]
    level: int = 2
    alone: bool = False  # on pages of its own, where there are pages


@dataclass(frozen=True, slots=True)
class PriceCurve:
    """Prices of a plan whose offer's price is spread, by storage's share of an hour's bill at the middle price."""

    usd_per_hour: float  # of all machines, at the middle price
    shares: tuple[float, ...]  # ascending, from 0 to 1
    p50: tuple[float, ...]  # USD per GPU-hour at which the median time comes to the median cost
    sure: tuple[float, ...]  # and at the confidence

    def at(self, storage_usd_per_h: float, price: float) -> tuple[float, float]:
        """Both prices with so much storage beside, all prices scaled by `price`; between the shares on a line."""
        rate = self.usd_per_hour * price
        share = storage_usd_per_h / (storage_usd_per_h + rate) if storage_usd_per_h + rate > 0 else 0.0
        right = next((i for i in range(1, len(self.shares)) if share < self.shares[i]), len(self.shares) - 1)
        left = right - 1
        part = (share - self.shares[left]) / (self.shares[right] - self.shares[left])
        p50, sure = (each[left] + part * (each[right] - each[left]) for each in (self.p50, self.sure))
        return p50, sure


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One precomputed plan of the workbook. Times in seconds, money in USD; `confidence_*` at the run's confidence."""

    label: str  # begins with its number, which the workbook finds it by
    cluster: str
    offer: str
    gpu: str
    cloud: str
    gpus: int  # that are paid for: spare nodes included
    usd_per_gpu_hour: float
    time_p50_s: float
    time_confidence_s: float
    cost_p50_usd: float
    cost_confidence_usd: float
    work_s: float  # undisturbed training at the median
    own_s: float  # with checkpoints and failures, without overhead, at the median
    training_gpus: int  # without spare nodes
    batch: int
    layout: str
    minimum_s: float = 0.0  # least time that is paid
    step_s: float = 0.0  # time is paid in whole steps; 0: as used
    block_s: float = 0.0  # and in whole reserved blocks
    then: float = 0.0  # beyond the least, time is paid as used at so many times the price; 0: as within it
    waiting_s: float = 0.0  # before the run begins
    upfront: float = 0.0  # share of the least that is paid before the run
    kind: str = ""  # of its price, in words
    usd_per_gpu_hour_sure: float | None = None  # at the confidence, where the price is spread; None: the same
    curve: PriceCurve | None = None  # of both prices, where they depend on what else is paid

    @property
    def ends_sure_s(self) -> float:
        """Seconds from the start until it is done at the confidence, the wait for its machines in them."""
        return self.waiting_s + self.time_confidence_s

    @property
    def upfront_usd(self) -> float:
        """USD that are paid before the run."""
        return self.usd_per_gpu_hour * self.gpus * self.upfront * self.minimum_s / 3600

    @property
    def sure_price(self) -> float:
        """USD per GPU-hour at the confidence."""
        return self.usd_per_gpu_hour if self.usd_per_gpu_hour_sure is None else self.usd_per_gpu_hour_sure


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the workbook computes with, for one run."""

    name: str
    confidence: float
    start: date
    start_assumed: bool
    time_budget_s: float | None
    cost_budget_usd: float | None
    storage_usd_per_s: float
    egress_usd: float
    plans: tuple[PlanRow, ...]  # the first is the one asked for
    lines: tuple[AskLine, ...] = ()  # asked for beside the run; sums in the ledger's unit
    money: Money = USD  # the unit of all amounts here; its rate stands in one cell

    @property
    def requested(self) -> float:
        """What is asked for in all, in the ledger's unit."""
        return requested_usd(self.lines, self.plans[0].cost_confidence_usd)


@dataclass(frozen=True, slots=True)
class Proposal:
    """The whole document, in one language."""

    language: str
    title: str
    day: date
    day_text: str
    sections: tuple[Section, ...]
    colophon: tuple[tuple[str, str], ...]  # digests, version, command
    words: Mapping[str, str]  # the renderers' own labels
    explorers: tuple[Mapping[str, Any], ...] = ()
    ledgers: tuple[Ledger, ...] = field(default=())
    calendar: BarChart | None = None  # of a programme
    requests: tuple[Mapping[str, object], ...] = ()  # of a programme: as the ledgers' are told
