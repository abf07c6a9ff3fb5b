"""What the sections of a programme's proposal share: the programme, its answer, and the words they are told in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from planner.report.proposal.locale import Locale
from planner.report.proposal.model import Row, Table
from planner.search.programme_answer import ProgrammeAnswer, ProgrammeAsk, StageAnswer
from planner.search.programme_scaling import ScalingRow
from planner.spec.programme import Programme

GROUP = "programme_document"  # of sentences


@dataclass(frozen=True)
class ProgrammeDocument:
    """A programme, its answer, and the language it is told in."""

    programme: Programme
    answer: ProgrammeAnswer
    words: Locale
    scaling: Sequence[ScalingRow]

    @property
    def ask(self) -> ProgrammeAsk:
        """What is asked for, of an answer with a calendar."""
        assert self.answer.ask is not None  # noqa: S101 - only such answers are proposed
        return self.answer.ask

    @property
    def sure(self) -> str:
        """The confidence, as written."""
        return self.words.percent(self.ask.confidence)

    def say(self, key: str, **values: object) -> str:
        """A sentence of a programme."""
        return self.words.say(f"{GROUP}.{key}", **values)

    def table(self, caption: str, heads: str, rows: Iterable[Row], strong: Iterable[int] = (), **values: str) -> Table:
        """A table by its caption and the names of its columns."""
        codes = (f"t_{caption}", *(f"h_{head}" for head in heads.split()))
        caption, *headings = (f"{GROUP}.{code}" for code in codes)
        return self.words.table(caption, headings, rows, strong, **values)

    def day(self, day: int) -> str:
        """A day as its date, or as its number."""
        start = self.answer.goal.start
        return self.say("day", day=day) if start is None else self.words.short_date(start + timedelta(days=day))

    def cluster(self, stage: StageAnswer) -> str:
        """A stage's machines."""
        plan = stage.plan
        times = self.say("n_runs", copies=stage.copies, beside=stage.beside) if stage.copies > 1 else ""
        where = stage.reservation or f"{plan.offer.cloud}/{plan.offer.region}"
        return times + self.words.say("cluster", gpus=self.words.count(plan.gpus), gpu=plan.offer.gpu, place=where)
