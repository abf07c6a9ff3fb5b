"""The answer of `planner optimize` on one screen: what to order, what could change that, and where the rest is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from planner.money import writing
from planner.report import plan_sections
from planner.report.buying import buying_of_answer, purchase_text
from planner.report.evidence import checks, memory_text
from planner.report.figures import age, range_text, rate_text, trained_words
from planner.report.frontier import columns_of, layout_words, plan_columns
from planner.report.layout import Page, display_width, hanging, labelled, screen, wrap
from planner.report.simplicity import given_up_lines
from planner.results.answers import Optimization
from planner.results.plan import Plan, Plausibility, Rented
from planner.units import format_bandwidth
from planner.words import Sentence, phrase, said, say, worded

LINES = 40  # of a terminal of 80 columns
_ENDS = " .,;:，。；：、"  # what three dots stand in the place of
#: Lines that warnings and what binds may take, and plans that say their layout: the first that fits a screen is used.
_ROOM = ((9, 8, 9), (7, 6, 9), (6, 4, 9), (6, 4, 3), (4, 3, 2), (4, 2, 1), (3, 2, 0), (2, 1, 0))
#: Defaults that decide what a plan may be, most telling first.
_TELLING = (
    "training.starts_from",
    "training.framework",
    "training.precision",
    "training.global_batch",
    "cluster.pricing",
    "cluster.max_gpus",
    "budget.confidence",
)


def on_a_screen(answer: Optimization, plan: Plan, today: date, page: Page) -> str:
    """The plan in at most `LINES` lines of 80 columns (names that cannot be broken excepted), ending in a newline."""
    text = ""
    binds = labelled("binds", answer.binding[0].text, page) if answer.binding else []
    for warned, bound, detailed in _ROOM:
        blocks = [
            plan_sections.headline(plan, answer, today, page) + _warnings(answer, warned, page),
            plan_sections.outcome(plan, answer.goal, page),
            _order(plan, answer, today, page) + _clipped(binds, bound, page.width),
            _alternatives(answer, plan, detailed, page),
            _trust(answer, plan, page),
        ]
        text = screen(blocks)
        if text.count("\n") <= LINES:
            break
    return text


def _clipped(lines: Sequence[str], most: int, width: int) -> list[str]:
    """The first lines; three dots where more follow, in place of the last word where they do not fit beside it."""
    if len(lines) <= most:
        return list(lines)
    last = lines[most - 1].rstrip(_ENDS)
    if display_width(last) > width - 2:
        *_, kept = wrap(last, width - 2) if " " not in last.strip() else [last.rpartition(" ")[0]]
        last = kept.rstrip(_ENDS)
    return [*lines[: most - 1], last + " …"]


def _warnings(answer: Optimization, most: int, page: Page) -> list[str]:
    """Whole warnings while there is room, then how many more there are."""
    out: list[str] = []
    for number, text in enumerate(answer.warnings):
        lines = [("! " if not i else "  ") + line for i, line in enumerate(wrap(text, page.width - 2))]
        left = len(answer.warnings) - number
        if out and len(out) + len(lines) > most - (left > 1):
            out.append(f"! {said('one_screen.more_warnings', left=left)}")
            break
        out += _clipped(lines, most, page.width - 2)
    return [page.styled(line, "warn") for line in out]


def _order(plan: Plan, answer: Optimization, today: date, page: Page) -> list[str]:
    """Machines and their price, what runs on them, and how it is cut up."""
    offer, layout = plan.offer, plan.layout
    spare = plan.reliability.spare_nodes if plan.reliability else 0
    each = offer.gpus_per_node or plan.gpus // plan.nodes
    shape = said("one_screen.machines", nodes=plan.nodes, each=each, gpu=offer.gpu)
    if offer.network_gbit_per_s:
        shape = said("plan_sections.network", machines=shape, rate=format_bandwidth(offer.network_gbit_per_s))
    shape = said("one_screen.and_spare", machines=shape, spare=spare) if spare else shape
    lines = labelled("machines", shape, page)
    if plan_sections.cost_shown(answer.goal):
        price = said("labels.beside", text=plan_sections.hour_price(offer), more=offer.price_kind)
        if offer.as_of or offer.as_of_latest:
            price = said("one_screen.aged", price=price, age=age(offer, today))
        if offer.pricing == "owned" and offer.source != "scenario" and not writing().hours:
            price = said("labels.beside", text=price, more=said("one_screen.assumed_cost"))
        if offer.quality not in ("", "user"):
            price = said("plan_sections.quality", price=price, quality=offer.quality)
        lines += labelled("counted" if writing().hours else "price", price, page)
        lines += labelled("rate", rate_text(writing()), page)
        lines += labelled("committed", plan_sections.commitment(plan), page) if offer.term_s else []
    found = buying_of_answer(answer)
    if found is not None:
        parts = [purchase_text(found), *map(_use, found.rented), "--show buy"]
        lines += labelled("to_buy", said("labels.in_row", items=parts), page)
    if offer.waiting_s:
        lines += labelled("waiting", said("one_screen.waiting", wait=offer.waiting_s), page)
    batch = said(
        "one_screen.batch",
        batch=plan.global_batch,
        length=plan.seq_length,
        micro_batch=layout.micro_batch,
        dp=layout.dp,
        accumulated=layout.grad_accum,
    )
    run = f"{plan.framework}, {plan.precision}{trained_words(plan)}, {worded(layout_words(plan))}"
    lines += labelled("run", run, page)
    lines += labelled("batch", batch, page) + given_up_lines(answer, page)
    steps = said("plan_sections.iterations", iterations=plan.iterations, tokens=plan.tokens)
    if plan.reliability and plan.reliability.checkpoint_interval_s:
        every = plan.reliability.checkpoint_interval_iterations
        code = "one_screen.checkpoint_iterations" if every else "one_screen.checkpoint"
        steps = said(code, steps=steps, interval=plan.reliability.checkpoint_interval_s, iterations=every)
    return lines + labelled("iterations", steps, page)


def _use(rented: Rented) -> str:
    pricing = phrase("pricing", rented.pricing.replace("_", " "))
    if rented.utilisation > 1:
        return said("one_screen.never_pays", pricing=pricing)
    return said("one_screen.pays_from", use=rented.utilisation, pricing=pricing)


def _alternatives(answer: Optimization, plan: Plan, detailed: int, page: Page) -> list[str]:
    """Plans under one another with kind of price; under the first ones their layout."""
    plans = [(said("labels.this_plan"), plan), *((other.why, other.plan) for other in answer.alternatives)]
    if len(plans) == 1:
        return []
    found = plan_columns([(_brief(why), each) for why, each in plans])
    kinds = {each.offer.price_kind for _, each in plans}
    if len(kinds) == 1:  # it is told once
        places = [
            said("one_screen.place", gpus=each.gpus, gpu=each.offer.gpu, place=plan_sections.place(each.offer))
            for _, each in plans
        ]
        found["cluster"] = [said("one_screen.cluster", pricing=kinds.pop()), *places]
    cost = ["cost"] if plan_sections.cost_shown(answer.goal) else []
    table = columns_of(found, ["name", "cluster", "time", *cost, "chance"], page, give=("name",), least=16)
    if not detailed:
        return table
    for number, (why, each) in enumerate(plans[1 : 1 + detailed]):
        values = {"why": _brief(why), "layout": layout_words(each), "batch": each.global_batch}
        table += hanging("" if number else said("labels.layouts"), said("one_screen.layout", **values), page)
    return table


def _brief(why: str) -> str:
    """What an alternative is preferred for, in as few words as a column of a table has room for."""
    if not isinstance(why, Sentence):
        return why
    if why.code == "optimum.several":
        return say("optimum.several", why=[_brief(each) for each in why.values["why"]])
    return say("one_screen.simplest") if why.code == "optimum.simplest" else why


def _trust(answer: Optimization, plan: Plan, page: Page) -> list[str]:
    """How sure, what it stands on, memory, plausibility and the telling defaults: a line each."""
    rate, memory = plan.tokens_per_s_per_gpu, plan.memory_gib
    between = range_text(rate.p10, rate.p90, 4)
    speed = said("one_screen.speed", rate=rate.p50, between=between, basis=phrase("basis", plan.basis))
    lines = labelled("prediction", speed, page)
    lines += labelled("memory", memory_text(memory), page)
    lines += labelled("plausible", _plausible(plan, plan.plausibility), page)
    defaults = {default.key: default.value for default in answer.defaults}
    named = [said("labels.valued", name=key, value=defaults[key]) for key in _TELLING if key in defaults]
    if named:
        row = said("labels.in_row", items=named)
        lines += _clipped(labelled("by_default", row, page), 2, page.width)
    return lines + labelled("more", said("one_screen.more", parts="proof, defaults, step, learning"), page)


def _plausible(plan: Plan, found: Plausibility | None) -> str:
    """The achieved rate, and which check by hand does not hold."""
    text = said("one_screen.rate", rate=plan.model_tflops_per_gpu, mfu=plan.mfu)
    if found is None:
        return text
    failed = [said(f"evidence.{name}") for name, holds in checks(plan, found).items() if not holds]
    return said("one_screen.look_at" if failed else "one_screen.checks_hold", text=text, checks=failed)
