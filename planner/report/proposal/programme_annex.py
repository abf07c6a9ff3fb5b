"""The grant annex: node-hours by stage, scaling as the model has it, storage, and where every figure comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.report.proposal.model import Block, Cell, Paragraph, Section, Table
from planner.search.programme_answer import StageAnswer
from planner.words import worded

if TYPE_CHECKING:
    from planner.report.proposal.programme import ProgrammeDocument

Row = tuple[Cell, ...]


def annex_section(told: ProgrammeDocument) -> Section:
    """The annex, in the order in which grants ask for it."""
    blocks: list[Block] = [Paragraph(told.say("annex")), _hours(told)]
    if told.scaling:
        blocks += [_scaling(told), Paragraph(told.say("scaling_note"))]
    blocks += [_storage(told), Paragraph(told.say("storage_note")), _traced(told)]
    return Section("annex", told.say("s_annex"), tuple(blocks))


def _header(told: ProgrammeDocument, *keys: str) -> tuple[str, ...]:
    return tuple(told.say(f"h_{key}") for key in keys)


def _hours(told: ProgrammeDocument) -> Table:
    words, stages = told.words, told.answer.stages
    rows: list[Row] = [
        (
            Cell(stage.name),
            words.count_cell(stage.copies),
            words.count_cell(stage.plan.nodes),
            words.count_cell(stage.plan.gpus),
            words.days_cell(stage.plan.time_s.p50),
            Cell(words.count(stage.gpu_hours), "number", stage.gpu_hours),
            Cell(words.count(stage.node_hours), "number", stage.node_hours),
        )
        for stage in stages
    ]
    hours, nodes = sum(s.gpu_hours for s in stages), sum(s.node_hours for s in stages)
    blank = Cell("")
    rows.append(
        (
            Cell(told.say("total")), blank, blank, blank, blank,
            Cell(words.count(hours), "number", hours), Cell(words.count(nodes), "number", nodes),
        )
    )  # fmt: skip
    header = _header(told, "stage", "runs", "nodes", "gpus", "wall", "gpu_hours", "node_hours")
    return Table(told.say("t_hours"), header, tuple(rows), frozenset({len(rows) - 1}))


def _scaling(told: ProgrammeDocument) -> Table:
    words = told.words
    rows: list[Row] = [
        (
            Cell(row.stage),
            Cell(told.say(f"scaling_{row.kind}")),
            words.count_cell(row.nodes),
            words.count_cell(row.gpus),
            words.count_cell(row.global_batch),
            words.number_cell(row.tokens_per_s),
            words.number_cell(row.speedup),
            words.percent_cell(row.efficiency),
        )
        for row in told.scaling
    ]
    planned = frozenset(i for i, row in enumerate(told.scaling) if row.planned)
    header = _header(told, "stage", "kind", "nodes", "gpus", "batch", "speed", "speedup", "efficiency")
    return Table(told.say("t_scaling"), header, tuple(rows), planned)


def _storage(told: ProgrammeDocument) -> Table:
    words = told.words
    rows: list[Row] = [
        (Cell(stage.name), Cell(words.count(stage.storage_gb), "number", stage.storage_gb))
        for stage in told.answer.stages
    ]
    return Table(told.say("t_storage"), _header(told, "stage", "data_gb"), tuple(rows))


def _traced(told: ProgrammeDocument) -> Table:
    rows: list[Row] = []
    for stage in told.answer.stages:
        rows += [
            (Cell(stage.name if n == 0 else ""), Cell(told.say(f"q_{key}")), value, Cell(source))
            for n, (key, value, source) in enumerate(_figures(told, stage))
        ]
    return Table(told.say("t_traced"), _header(told, "stage", "quantity", "value", "from"), tuple(rows))


def _figures(told: ProgrammeDocument, stage: StageAnswer) -> list[tuple[str, Cell, str]]:
    """Each quantity of a stage with its source."""
    words, plan = told.words, stage.plan
    hours = plan.gpu_hours
    ids = f" ({', '.join(plan.measurements)})" if plan.measurements else ""
    basis = told.say(f"basis_{plan.basis}")
    out = [
        ("tokens", Cell(words.big(plan.tokens), "number", float(plan.tokens)), told.say("w_tokens", name=stage.name)),
        (
            "steps",
            words.count_cell(plan.iterations),
            told.say("w_steps", batch=words.count(plan.global_batch), seq=words.count(plan.seq_length)),
        ),
        (
            "step",
            Cell(f"{words.number(plan.step_time_s.p50, 4)} s", "number", plan.step_time_s.p50),
            told.say("w_step", basis=basis, ids=ids),
        ),
    ]
    if hours is not None:
        beside = hours.allocated - hours.productive
        out += [
            (
                "productive",
                Cell(words.count(hours.productive), "number", hours.productive),
                told.say("w_productive", gpus=words.count(plan.gpus)),
            ),
            (
                "beside",
                Cell(words.count(beside), "number", beside),
                told.say("w_beside", source=worded(hours.overhead_source, words.language)),
            ),
        ]
    if stage.copies > 1:
        out.append(("runs", words.count_cell(stage.copies), told.say("w_runs", name=stage.name)))
    out.append(("hours", Cell(words.count(stage.gpu_hours), "number", stage.gpu_hours), told.say("w_hours")))
    if not words.unit.hours and plan.offer.priced:
        day = worded(plan.offer.as_of, words.language) or "–"
        source = told.say("w_price", source=worded(plan.offer.source, words.language), day=day)
        out.append(("price", words.price_cell(plan.offer.usd_per_gpu_hour), source))
    return out
