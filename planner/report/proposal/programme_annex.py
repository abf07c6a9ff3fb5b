"""The grant annex: node-hours by stage, scaling as the model has it, storage, and where every figure comes from."""

from __future__ import annotations

from planner.report.proposal.model import Block, Cell, Paragraph, Row, Section, Table
from planner.report.proposal.programme_document import ProgrammeDocument
from planner.search.programme_answer import StageAnswer
from planner.words import worded


def annex_section(told: ProgrammeDocument) -> Section:
    """The annex, in the order in which grants ask for it."""
    blocks: list[Block] = [Paragraph(told.say("annex")), _hours(told)]
    if told.scaling:
        blocks += [_scaling(told), Paragraph(told.say("scaling_note"))]
    blocks += [_storage(told), Paragraph(told.say("storage_note")), _traced(told)]
    return Section("annex", told.say("s_annex"), tuple(blocks))


def _hours(told: ProgrammeDocument) -> Table:
    words, stages = told.words, told.answer.stages
    rows: list[Row] = [
        (
            stage.name,
            words.count_cell(stage.copies),
            words.count_cell(stage.plan.nodes),
            words.count_cell(stage.plan.gpus),
            words.days_cell(stage.plan.time_s.p50),
            words.whole_cell(stage.gpu_hours),
            words.whole_cell(stage.node_hours),
        )
        for stage in stages
    ]
    hours, nodes = sum(s.gpu_hours for s in stages), sum(s.node_hours for s in stages)
    totals = (words.whole_cell(total) for total in (hours, nodes))
    rows.append((told.say("total"), "", "", "", "", *totals))
    return told.table("hours", "stage runs nodes gpus wall gpu_hours node_hours", rows, {-1})


def _scaling(told: ProgrammeDocument) -> Table:
    words = told.words
    rows: list[Row] = [
        (
            row.stage,
            told.say(f"scaling_{row.kind}"),
            words.count_cell(row.nodes),
            words.count_cell(row.gpus),
            words.count_cell(row.global_batch),
            words.number_cell(row.tokens_per_s),
            words.number_cell(row.speedup),
            words.percent_cell(row.efficiency),
        )
        for row in told.scaling
    ]
    planned = [number for number, row in enumerate(told.scaling) if row.planned]
    return told.table("scaling", "stage kind nodes gpus batch speed speedup efficiency", rows, planned)


def _storage(told: ProgrammeDocument) -> Table:
    words = told.words
    rows: list[Row] = [(stage.name, words.whole_cell(stage.storage_gb)) for stage in told.answer.stages]
    return told.table("storage", "stage data_gb", rows)


def _traced(told: ProgrammeDocument) -> Table:
    rows: list[Row] = []
    for stage in told.answer.stages:
        rows += [
            (stage.name if n == 0 else "", told.say(f"q_{key}"), value, source)
            for n, (key, value, source) in enumerate(_figures(told, stage))
        ]
    return told.table("traced", "stage quantity value from", rows)


def _figures(told: ProgrammeDocument, stage: StageAnswer) -> list[tuple[str, Cell, str]]:
    """Each quantity of a stage with its source."""
    words, plan = told.words, stage.plan
    hours = plan.gpu_hours
    ids = f" ({', '.join(plan.measurements)})" if plan.measurements else ""
    basis, batch, step = told.say(f"basis_{plan.basis}"), words.count(plan.global_batch), plan.step_time_s.p50
    out = [
        ("tokens", words.big_cell(plan.tokens), told.say("w_tokens", name=stage.name)),
        (
            "steps",
            words.count_cell(plan.iterations),
            told.say("w_steps", batch=batch, seq=words.count(plan.seq_length)),
        ),
        (
            "step",
            Cell(words.forms.form("s").format(n=words.number(step, 4)), "number", step),
            told.say("w_step", basis=basis, ids=ids),
        ),
    ]
    if hours is not None:
        beside = hours.allocated - hours.productive
        source = worded(hours.overhead_source, words.language)
        out += [
            ("productive", words.whole_cell(hours.productive), told.say("w_productive", gpus=words.count(plan.gpus))),
            ("beside", words.whole_cell(beside), told.say("w_beside", source=source)),
        ]
    if stage.copies > 1:
        out.append(("runs", words.count_cell(stage.copies), told.say("w_runs", name=stage.name)))
    out.append(("hours", words.whole_cell(stage.gpu_hours), told.say("w_hours")))
    if not words.unit.hours and plan.offer.priced:
        day = worded(plan.offer.as_of, words.language) or "–"
        source = told.say("w_price", source=worded(plan.offer.source, words.language), day=day)
        out.append(("price", words.price_cell(plan.offer.usd_per_gpu_hour), source))
    return out
