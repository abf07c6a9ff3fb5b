"""The grant annex: node-hours by stage, scaling as the model has it, storage, and where every figure comes from."""

from __future__ import annotations

from planner.report.proposal.model import Block, Cell, Paragraph, Row, Section, Table
from planner.report.proposal.programme_document import ProgrammeDocument
from planner.search.programme_answer import StageAnswer
from planner.words import worded


def annex_section(document: ProgrammeDocument) -> Section:
    """The annex, in the order in which grants ask for it."""
    blocks: list[Block] = [Paragraph(document.say("annex")), _hours(document)]
    if document.scaling:
        blocks += [_scaling(document), Paragraph(document.say("scaling_note"))]
    blocks += [_storage(document), Paragraph(document.say("storage_note")), _traced(document)]
    return Section("annex", document.say("s_annex"), tuple(blocks))


def _hours(document: ProgrammeDocument) -> Table:
    words, stages = document.words, document.answer.stages
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
    rows.append((document.say("total"), "", "", "", "", *totals))
    return document.table("hours", "stage runs nodes gpus wall gpu_hours node_hours", rows, {-1})


def _scaling(document: ProgrammeDocument) -> Table:
    words = document.words
    rows: list[Row] = [
        (
            row.stage,
            document.say(f"scaling_{row.kind}"),
            words.count_cell(row.nodes),
            words.count_cell(row.gpus),
            words.count_cell(row.global_batch),
            words.number_cell(row.tokens_per_s),
            words.number_cell(row.speedup),
            words.percent_cell(row.efficiency),
        )
        for row in document.scaling
    ]
    planned = [number for number, row in enumerate(document.scaling) if row.planned]
    return document.table("scaling", "stage kind nodes gpus batch speed speedup efficiency", rows, planned)


def _storage(document: ProgrammeDocument) -> Table:
    words = document.words
    rows: list[Row] = [(stage.name, words.whole_cell(stage.storage_gb)) for stage in document.answer.stages]
    return document.table("storage", "stage data_gb", rows)


def _traced(document: ProgrammeDocument) -> Table:
    rows: list[Row] = []
    for stage in document.answer.stages:
        rows += [
            (stage.name if n == 0 else "", document.say(f"q_{key}"), value, source)
            for n, (key, value, source) in enumerate(_figures(document, stage))
        ]
    return document.table("traced", "stage quantity value from", rows)


def _figures(document: ProgrammeDocument, stage: StageAnswer) -> list[tuple[str, Cell, str]]:
    """Each quantity of a stage with its source."""
    words, plan = document.words, stage.plan
    hours = plan.gpu_hours
    ids = f" ({', '.join(plan.measurements)})" if plan.measurements else ""
    basis, batch, step = document.say(f"basis_{plan.basis}"), words.count(plan.global_batch), plan.step_time_s.p50
    out = [
        ("tokens", words.big_cell(plan.tokens), document.say("w_tokens", name=stage.name)),
        (
            "steps",
            words.count_cell(plan.iterations),
            document.say("w_steps", batch=batch, seq=words.count(plan.seq_length)),
        ),
        (
            "step",
            Cell(words.forms.form("s").format(n=words.number(step, 4)), "number", step),
            document.say("w_step", basis=basis, ids=ids),
        ),
    ]
    if hours is not None:
        beside = hours.allocated - hours.productive
        source = worded(hours.overhead_source, words.language)
        out += [
            (
                "productive",
                words.whole_cell(hours.productive),
                document.say("w_productive", gpus=words.count(plan.gpus)),
            ),
            ("beside", words.whole_cell(beside), document.say("w_beside", source=source)),
        ]
    if stage.copies > 1:
        out.append(("runs", words.count_cell(stage.copies), document.say("w_runs", name=stage.name)))
    out.append(("hours", words.whole_cell(stage.gpu_hours), document.say("w_hours")))
    if not words.unit.hours and plan.offer.priced:
        day = worded(plan.offer.as_of, words.language) or "–"
        source = document.say("w_price", source=worded(plan.offer.source, words.language), day=day)
        out.append(("price", words.price_cell(plan.offer.usd_per_gpu_hour), source))
    return out
