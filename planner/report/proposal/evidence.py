"""For the one who checks: assumptions and sources, the method in half a page, layout, memory and step of the plan."""

from __future__ import annotations

from planner.report.backtest import stored_backtest
from planner.report.evidence import MEMORY, large_terms
from planner.report.figures import age, energy_text
from planner.report.frontier import layout_words
from planner.report.proposal.case import Case
from planner.report.proposal.charts import Axes, Bar, bar_chart, stacked_chart
from planner.report.proposal.model import Block, Bullets, Cell, Facts, Figure, Paragraph, Section
from planner.results.answers import Default
from planner.results.plan import OfferRef
from planner.words import phrase, say, worded

LONG_SOURCE = 100  # characters: more would make a row of a table taller than a fifth of a page


def assumptions_section(case: Case) -> Section:
    """Prices with their dates and sources, and every default that was used."""
    w = case.words
    seen, rows, below = set(), [], []
    for option in case.options:
        if option.plan is None or option.plan.offer.id in seen:
            continue
        offer = option.plan.offer
        seen.add(offer.id)
        old = "" if case.stated(offer) else worded(age(offer, case.day), w.language)
        rows.append((offer.id, w.price_cell(offer.usd_per_gpu_hour), case.as_of(offer), old, _source(case, offer)))
        if len(offer.source) > LONG_SOURCE:
            below.append(w.say("source_below", offer=case.offer_words(offer), source=worded(offer.source, w.language)))
    prices = w.table("prices_caption", ("h_offer", "h_usd_hour", "h_as_of", "h_age", "h_source"), rows)
    blocks: list[Block] = [Paragraph(w.say("assumptions_intro", date=w.date(case.day))), prices]
    if below:
        blocks.append(Bullets(tuple(below)))
    given = [(each.key, taken_words(w.language, each)) for each in case.outcome.defaults]
    if case.start_assumed:
        given.append(("budget.start", w.say("default_start", date=w.date(case.day))))
    if given:
        blocks.append(w.table("defaults_caption", ("h_key", "h_taken"), given))
    return Section(f"assumptions-{case.number}", w.say("s_assumptions"), tuple(blocks))


def taken_words(language: str, default: Default) -> str:
    """What was taken for a value that the scenario does not give: a word of scenario files, or a sentence."""
    return worded(phrase("defaults", default.value), language)


def _source(case: Case, offer: OfferRef) -> str:
    """Where a price is from; what takes a paragraph stands below the table."""
    if len(offer.source) > LONG_SOURCE:
        return case.words.say("below")
    if not offer.quality:
        return worded(offer.source, case.words.language)
    if offer.quality == "user":
        return worded(say("offers.yours", source=offer.source), case.words.language)
    return worded(say("offers.graded", source=offer.source, quality=offer.quality), case.words.language)


def method_section(case: Case) -> Section:
    """How the figures came about, in half a page."""
    w, c = case.words, case.outcome.certificate
    pruned = w.count(sum(c.pruned.values()))
    first = w.say(
        "method_1",
        space=w.count(c.space),
        offers=w.count(case.outcome.provenance.offers or 0),
        pruned=pruned,
        evaluated=w.count(c.evaluated),
    )
    tried = stored_backtest()
    rest = (
        w.say("method_2"),
        w.say("method_3", sure=w.percent(case.confidence)),
        w.say(
            "method_backtest",
            runs=w.count(tried.runs),
            inside=w.count(tried.inside),
            error=w.percent(tried.median_error),
        ),
        w.say("method_4"),
    )
    blocks = [Paragraph(text) for text in (first, *rest)]
    return Section(f"method-{case.number}", w.say("s_method"), tuple(blocks))


def appendix_section(case: Case) -> Section:
    """Layout, memory and step-time breakdown, and what one can check by hand."""
    return Section(
        f"appendix-{case.number}",
        case.words.say("s_appendix"),
        (_layout(case), _memory(case), _step_figure(case), _checks(case)),
    )


def _layout(case: Case) -> Facts:
    w, plan, layout = case.words, case.plan, case.plan.layout
    cut = w.say(
        "batch_cut",
        batch=w.count(plan.global_batch),
        micro=w.count(layout.micro_batch),
        dp=w.count(layout.dp),
        accum=w.count(layout.grad_accum),
    )
    recomputed = w.known(f"recompute_{layout.recompute}") or layout.recompute
    if 0.0 < plan.recompute_share < 1.0:
        recomputed = w.say("recompute_part", share=w.percent(plan.recompute_share))
    stage, group = str(layout.zero_stage), plan.shard_group
    if group is not None:
        stage = w.say("zero_in_groups", stage=stage, gpus=w.count(group))
    facts: dict[str, Cell | str] = {
        "f_layout": worded(layout_words(case.plan), w.language) + (" sp" if layout.sequence_parallel else ""),
        "f_tp": w.count_cell(layout.tp),
        "f_pp": w.count(layout.pp) + (f" × {layout.vpp}" if layout.vpp > 1 else ""),
        "f_dp": w.count_cell(layout.dp),
        "f_cp_ep": f"{layout.cp} / {layout.ep}",
        "f_zero": stage,
        "f_recompute": recomputed,
        "f_batch": cut,
        "f_iterations": w.say("iterations_text", iterations=w.count(plan.iterations), tokens=w.big(plan.tokens)),
    }
    if plan.iterations_per_epoch is not None:
        full, left = w.count(plan.iterations_per_epoch), w.count(plan.leftover_samples or 0)
        facts["f_per_epoch"] = w.say("per_epoch_text", full=full, left=left)
    return w.facts(facts)


def _memory(case: Case) -> Figure:
    w, memory = case.words, case.plan.memory_gib
    parts = [Bar(w.say(f"memory_{part}"), getattr(memory, part), w.number(getattr(memory, part))) for part in MEMORY]
    capacity = w.say("memory_capacity", total=w.number(memory.total), capacity=w.number(memory.capacity))
    each = w.listed((f"{part.label} {part.text}" for part in parts), "semicolons")
    described = w.say("memory_figure", parts=each, capacity=capacity)
    axes = Axes(w.say("fig_memory"), described, w.say("axis_gib"))
    return Figure(f"fig-memory-{case.number}", stacked_chart(parts, memory.capacity, capacity, axes))


def _terms(case: Case) -> list[tuple[str, float]]:
    w = case.words
    names = {key: w.known(f"term_{key}") or key.replace("_", " ") for key in case.plan.step_breakdown_s}
    return [(names.get(key) or w.say("term_rest"), value) for key, value in large_terms(case.plan)]


def _step_figure(case: Case) -> Figure:
    w = case.words
    terms = _terms(case)
    total = sum(value for _, value in terms)
    bars = [
        Bar(label, value, w.say("seconds", value=w.number(value), share=w.percent(value / total)))
        for label, value in terms
    ]
    title = w.say("fig_step", step=w.number(case.plan.step_time_s.p50, 4))
    described = w.listed((w.say("labelled", label=bar.label, text=bar.text) for bar in bars), "semicolons")
    return Figure(f"fig-step-{case.number}", bar_chart(bars, Axes(title, described, w.say("axis_seconds"))))


def _checks(case: Case) -> Facts:
    w, plan = case.words, case.plan
    tflops, mfu, hfu = w.number(plan.model_tflops_per_gpu), w.percent(plan.mfu), w.percent(plan.hfu)
    facts = {"f_mfu": w.say("mfu_text", tflops=tflops, mfu=mfu, hfu=hfu)}
    found = plan.plausibility
    if found is not None:
        if found.measured_peak_tflops is not None and found.utilization_of_measured_peak is not None:
            share, peak = w.percent(found.utilization_of_measured_peak), w.number(found.measured_peak_tflops)
            facts["f_peak"] = w.say("peak_text", share=share, peak=peak)
        if found.six_nd_time_s is not None and found.six_nd_parameters is not None:
            facts["f_six_nd"] = w.say(
                "six_nd_text",
                each=str(found.flops_a_parameter),
                parameters=w.big(found.six_nd_parameters),
                tokens=w.big(plan.tokens),
                time=w.time(found.six_nd_time_s),
                plan=w.time(plan.time_s.p50),
            )
    c = case.outcome.certificate
    if c.best is not None:
        gap = w.percent(c.gap or 0.0)
        facts["f_proof"] = w.say("proof_text", space=w.count(c.space), evaluated=w.count(c.evaluated), gap=gap)
    if plan.energy_kwh is not None:
        carbon = "" if plan.co2_kg is None else w.say("co2_text", mass=w.mass(plan.co2_kg))
        spare = plan.reliability.spare_nodes if plan.reliability is not None else 0
        left_out = w.say("energy_spare", count=w.count(spare)) if spare else ""
        facts["f_energy"] = energy_text(plan.energy_kwh) + left_out + carbon
    return w.facts(facts)
