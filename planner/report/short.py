"""The answer of `planner optimize` on one screen: what to order, what could change that, and where the rest is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from planner.money import writing
from planner.report import plan_sections
from planner.report.buying import buying_of_answer, purchase_text
from planner.report.evidence import checks
from planner.report.figures import age, range_text, time_text, trained_words
from planner.report.frontier import columns_of, layout_words, plan_columns
from planner.report.layout import Page, hanging, wrap
from planner.report.simplicity import given_up_lines
from planner.results.answers import Optimization
from planner.results.plan import Plan, Plausibility, Rented
from planner.units import format_count, format_number, format_percent, format_short
from planner.words import Sentence, say

LINES = 40  # of a terminal of 80 columns
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
    binds = hanging("binds", answer.binding[0].text, page) if answer.binding else []
    for warned, bound, detailed in _ROOM:
        blocks = [
            plan_sections.headline(plan, answer, today, page) + _warnings(answer, warned, page),
            plan_sections.outcome(plan, answer.goal, page),
            _order(plan, answer, today, page) + _clipped(binds, bound, page.width),
            _alternatives(answer, plan, detailed, page),
            _trust(answer, plan, page),
        ]
        text = "\n\n".join("\n".join(block) for block in blocks if block) + "\n"
        if text.count("\n") <= LINES:
            break
    return text


def _clipped(lines: Sequence[str], most: int, width: int) -> list[str]:
    """The first lines; three dots where more follow, in place of the last word where they do not fit beside it."""
    if len(lines) <= most:
        return list(lines)
    last = lines[most - 1].rstrip(" .,;:")
    if len(last) > width - 2 and " " in last.strip():
        last = last.rpartition(" ")[0].rstrip(" .,;:")
    return [*lines[: most - 1], last + " …"]


def _warnings(answer: Optimization, most: int, page: Page) -> list[str]:
    """Whole warnings while there is room, then how many more there are."""
    out: list[str] = []
    for number, text in enumerate(answer.warnings):
        lines = [("! " if not i else "  ") + line for i, line in enumerate(wrap(text, page.width - 2))]
        left = len(answer.warnings) - number
        if out and len(out) + len(lines) > most - (left > 1):
            out.append(f"! {left} more: --show warnings")
            break
        out += _clipped(lines, most, page.width - 2)
    return [page.styled(line, "warn") for line in out]


def _order(plan: Plan, answer: Optimization, today: date, page: Page) -> list[str]:
    """Machines and their price, what runs on them, and how it is cut up."""
    offer, layout = plan.offer, plan.layout
    network = f", {format_number(offer.network_gbit_per_s)} Gbit/s a node" if offer.network_gbit_per_s else ""
    spare = plan.reliability.spare_nodes if plan.reliability else 0
    shape = f"{format_count(plan.nodes)} × {offer.gpus_per_node or plan.gpus // plan.nodes} {offer.gpu}{network}"
    lines = hanging("machines", shape + (f", and {spare} spare" if spare else ""), page)
    if plan_sections.cost_shown(answer.goal):
        price = f"{plan_sections.hour_price(offer)}, {offer.price_kind}"
        if offer.as_of or offer.as_of_latest:
            price += f", {age(offer, today)}"
        if offer.pricing == "owned" and offer.source != "scenario" and not writing().hours:
            price += ", a cost of ownership that is assumed in part"
        shown = "" if offer.quality in ("", "user") else f", quality {offer.quality}"
        lines += hanging("counted" if writing().hours else "price", price + shown, page)
        rate = writing().rate_text
        lines += hanging("rate", rate, page) if rate else []
        lines += hanging("committed", plan_sections.commitment(plan), page) if offer.term_s else []
    found = buying_of_answer(answer)
    if found is not None:
        beside = [f"{_use(each)} against {each.pricing.replace('_', ' ')}" for each in found.rented]
        lines += hanging("to buy", "; ".join([purchase_text(found), *beside, "--show buy"]), page)
    if offer.waiting_s:
        lines += hanging("waiting", f"{time_text(offer.waiting_s)} until the machines are there", page)
    batch = f"{format_count(plan.global_batch)} sequences of {format_count(plan.seq_length)}"
    batch += f" = {layout.micro_batch} × dp {layout.dp} × {layout.grad_accum}"
    lines += hanging("run", f"{plan.framework}, {plan.precision}{trained_words(plan)}, {layout_words(plan)}", page)
    lines += hanging("batch", batch, page) + given_up_lines(answer, page)
    steps = f"{format_count(plan.iterations)} for {format_short(plan.tokens)} tokens"
    if plan.reliability and plan.reliability.checkpoint_interval_s:
        every = plan.reliability.checkpoint_interval_iterations
        steps += f"; a checkpoint every {time_text(plan.reliability.checkpoint_interval_s)}"
        steps += f" ({format_count(every)} iterations)" if every else ""
    return lines + hanging("iterations", steps, page)


def _use(rented: Rented) -> str:
    if rented.utilisation > 1:
        return "never pays"
    return f"pays from {format_percent(rented.utilisation)} use"


def _alternatives(answer: Optimization, plan: Plan, detailed: int, page: Page) -> list[str]:
    """Plans under one another with kind of price; under the first ones their layout."""
    plans = [("this plan", plan), *((other.why, other.plan) for other in answer.alternatives)]
    if len(plans) == 1:
        return []
    found = plan_columns([(_brief(why), each) for why, each in plans])
    kinds = {each.offer.price_kind for _, each in plans}
    if len(kinds) == 1:  # it is told once
        places = [
            f"{format_count(each.gpus)} × {each.offer.gpu}, {plan_sections.place(each.offer)}" for _, each in plans
        ]
        found["cluster"] = [f"cluster, {kinds.pop()}", *places]
    cost = ["cost"] if plan_sections.cost_shown(answer.goal) else []
    table = columns_of(found, ["name", "cluster", "time", *cost, "chance"], page, give=("name",), least=16)
    if not detailed:
        return table
    for number, (why, each) in enumerate(plans[1 : 1 + detailed]):
        text = f"{_brief(why)}: {layout_words(each)}, batch {format_count(each.global_batch)}"
        table += hanging("" if number else "layouts", text, page)
    return table


def _brief(why: str) -> str:
    """What an alternative is preferred for, in as few words as a column of a table has room for."""
    if not isinstance(why, Sentence):
        return why
    if why.code == "optimum.several":
        return say("optimum.several", why=[_brief(each) for each in why.values["why"]])
    return say("short.simplest") if why.code == "optimum.simplest" else why


def _trust(answer: Optimization, plan: Plan, page: Page) -> list[str]:
    """How sure, what it stands on, memory, plausibility and the telling defaults: a line each."""
    rate, memory = plan.tokens_per_s_per_gpu, plan.memory_gib
    speed = f"{format_number(rate.p50, 4)} tokens/s a GPU ({range_text(rate.p10, rate.p90, 4)})"
    lines = hanging("prediction", f"{speed}; {plan.basis}", page)
    share = format_percent(memory.total / memory.capacity)
    lines += hanging(
        "memory", f"{format_number(memory.total, 3)} of {format_number(memory.capacity, 3)} GiB ({share})", page
    )
    lines += hanging("plausible", _plausible(plan, plan.plausibility), page)
    told = {default.key: default.value for default in answer.defaults}
    named = [f"{key} {told[key]}" for key in _TELLING if key in told]
    if named:
        lines += _clipped(hanging("by default", "; ".join(named), page), 2, page.width)
    return lines + hanging("more", "--full, or --show " + ", ".join(("proof", "defaults", "step", "learning")), page)


def _plausible(plan: Plan, found: Plausibility | None) -> str:
    """The achieved rate, and which check by hand does not hold."""
    text = f"{format_number(plan.model_tflops_per_gpu, 3)} TFLOP/s a GPU, MFU {format_percent(plan.mfu)}"
    if found is None:
        return text
    failed = [name for name, holds in checks(plan, found).items() if not holds]
    return text + (f"; look at: {', '.join(failed)}" if failed else "; checks by hand hold")
