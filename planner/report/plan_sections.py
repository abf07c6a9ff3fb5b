"""One plan, section by section: what to order, when it ends, what it costs, how sure that is and why to believe it."""

from __future__ import annotations

from datetime import date, timedelta

from planner.catalog.ages import MARK_AFTER_DAYS, price_age
from planner.money import GPU_HOURS, writing
from planner.report.figures import (
    Scale,
    age,
    chance,
    energy_text,
    mass_text,
    money_scale,
    money_text,
    time_scale,
    time_text,
    trained_words,
)
from planner.report.layout import Page, bullets, columns, hanging, wrap
from planner.results.answers import Optimization, StatedGoal
from planner.results.plan import EpochSchedule, OfferRef, Plan, Quantiles, Reliability
from planner.risk.failures import LONGEST_INTERVAL_S
from planner.units import format_bandwidth, format_count, format_number, format_percent, format_short, format_usd

Section = tuple[str, list[str]]
_CAUSES = {  # what a reserve is for
    "step_time": "from the prediction's spread",
    "failures": "from failures",
    "overhead": "from overhead",
}


def decision(plan: Plan, answer: Optimization, today: date, page: Page) -> list[Section]:
    """What one decides on: title and lines of outcome, cluster, run and schedule."""
    return [
        ("Time and cost", [*outcome(plan, answer.goal, page), *_basis(plan, page)]),
        ("Cluster", _cluster(plan, answer.goal, today, page)),
        ("Run", _run(plan, page)),
        ("Schedule", _schedule(plan, answer.goal, page)),
        ("Learning", bullets((sentence(text) for text in plan.learning), page)),
        ("Interruptions", [] if plan.reliability is None else _reliability(plan, plan.reliability, page)),
        ("GPU-hours", _hours(plan, page)),
    ]


def sentence(text: str) -> str:
    """A remark with a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def place(offer: OfferRef) -> str:
    """Where the machines are: the cloud's name, or that they are the user's own."""
    return "your own" if offer.pricing == "owned" else offer.cloud


def seller(offer: OfferRef) -> str:
    """Where the machines are and how they are paid: "nebius, on demand"."""
    return place(offer) if offer.pricing == "owned" else f"{place(offer)}, {offer.price_kind}"


def limits(goal: StatedGoal) -> list[str]:
    """The budgets in words."""
    found = []
    if goal.time_s is not None:
        found.append(f"{time_text(goal.time_s)}")
    if goal.cost_usd is not None:
        found.append(f"{money_text(goal.cost_usd)}")
    if found and goal.confidence is not None:
        found.append(f"{'each ' if len(found) > 1 else ''}with {format_percent(goal.confidence)} confidence")
    return found


def headline(plan: Plan, answer: Optimization, today: date, page: Page) -> list[str]:
    """The plan in one sentence, what it was chosen for in another, and a mark where its price may be stale."""
    epochs = "" if plan.epochs is None else f", {format_number(plan.epochs)} epoch{'' if plan.epochs == 1 else 's'}"
    own = plan.offer.pricing == "owned"
    where = f"of {place(plan.offer)}" if own else f"at {place(plan.offer)} ({plan.offer.price_kind})"
    cost = f" and {money_text(plan.cost_usd.p50)}" if cost_shown(answer.goal) else ""
    wait = f" after a wait of {time_text(plan.offer.waiting_s)}" if plan.offer.waiting_s else ""
    text = (
        f"{answer.provenance.scenario}: {format_count(plan.gpus)} × {plan.offer.gpu} ({_nodes(plan.nodes)}) "
        f"{where} for {time_text(plan.time_s.p50)}{wait}{cost}"
        f"{epochs} with a batch of {format_count(plan.global_batch)}."
    )
    out = [page.heading(line) for line in wrap(text, page.width)]
    if answer.goal is not None:
        out += wrap(_chosen(answer.goal), page.width)
    if price_age(plan.offer, today).level == "stale":
        mark = f"Its price may be over {MARK_AFTER_DAYS} days old: ask for a new quote before you order."
        out += [page.styled(line, "warn") for line in wrap(mark, page.width)]
    return out


def _chosen(goal: StatedGoal) -> str:
    aim = {
        "cost": "The cheapest plan",
        "time": "The fastest plan",
        "usd_per_day": f"The least cost plus {money_text(goal.usd_per_day or 0)} a day",
        "epochs": "The most epochs",
        "tokens": "The most tokens",
    }.get(goal.objective, "The best plan")
    within = limits(goal)
    return f"{aim} within {', '.join(within)}." if within else f"{aim}; no budget was given."


def _nodes(count: int) -> str:
    return f"{format_count(count)} node{'' if count == 1 else 's'}"


def cost_shown(goal: StatedGoal | None) -> bool:
    """Whether an answer tells a cost: not where nothing was asked of it and no price of own machines is stated."""
    return goal is None or goal.cost_stated


def outcome(plan: Plan, goal: StatedGoal | None, page: Page) -> list[str]:
    """Time and cost with their budgets and chances, as a table."""
    confidence = goal.confidence if goal is not None else plan.confidence
    time_budget, cost_budget = (goal.time_s, goal.cost_usd) if goal is not None else (None, None)
    rows = [
        ("", "p10", "p50", "p90", "budget", "chance"),
        _outcome_row("time", time_scale(plan.time_s.p50), plan.time_s, time_budget, plan.p_within_time),
    ]
    if cost_shown(goal):
        scale = money_scale(plan.cost_usd.p50)
        rows.append(_outcome_row("cost", scale, plan.cost_usd, cost_budget, plan.p_within_cost))
    if plan.p_within_time is not None and plan.p_within_cost is not None:
        rows.append(("both", "", "", "", "", chance(plan.p_within_both)))
    lines = columns(rows, "lrrrrr", page)
    for number, probability in ((1, plan.p_within_time), (2, plan.p_within_cost)):
        if probability is not None and confidence is not None and number < len(lines):
            lines[number] = page.styled(lines[number], "good" if probability >= confidence else "bad")
    return lines


def _basis(plan: Plan, page: Page) -> list[str]:
    return [f"  {line}" for line in wrap(plan.probability_basis, page.width - 2)] if plan.probability_basis else []


def _outcome_row(
    name: str, scale: Scale, value: Quantiles, budget: float | None, probability: float | None
) -> tuple[str, ...]:
    return (
        f"{name}, {scale.unit}",
        scale.figure(value.p10),
        scale.figure(value.p50),
        scale.figure(value.p90),
        scale.figure(budget),
        "" if probability is None else chance(probability),
    )


def _cluster(plan: Plan, goal: StatedGoal | None, today: date, page: Page) -> list[str]:
    offer = plan.offer
    shape = f"{_nodes(plan.nodes)} of {offer.gpus_per_node or plan.gpus // plan.nodes} {offer.gpu}"
    if offer.network_gbit_per_s is not None:
        shape += f", {format_bandwidth(offer.network_gbit_per_s)} a node"
    price = f"{hour_price(offer)} ({offer.price_kind})"
    if offer.usd_per_gpu_hour_range is not None and len(set(offer.usd_per_gpu_hour_range)) > 1:
        ends = " to ".join(map(format_usd, offer.usd_per_gpu_hour_range))
        price += f", zones from {ends}" if offer.pricing == "spot" else f", the middle of your {ends}"
    if offer.as_of or offer.as_of_latest:
        price += f", as of {offer.as_of or offer.as_of_latest}, {age(offer, today)}"
        price += " (check it before you decide)" if price_age(offer, today).level == "old" else ""
    if offer.source and not writing().hours:
        shown = "" if offer.quality in ("", "user") else f", quality {offer.quality}"
        price += f"; {offer.source}{shown}"
    lines = hanging("offer", offer.id, page) + hanging("machines", shape, page)
    lines += hanging("counted" if writing().hours else "price", price, page) if cost_shown(goal) else []
    lines += hanging("rate", writing().rate_text, page) if writing().foreign and cost_shown(goal) else []
    if offer.term_s and cost_shown(goal):
        lines += hanging("committed", commitment(plan), page)
    if offer.waiting_s:
        wait = f"{time_text(offer.waiting_s)} until the machines are there; it counts against the time budget"
        lines += hanging("waiting", wait, page)
    if offer.max_nodes is not None or offer.max_nodes_basis:
        most = "no limit is known" if offer.max_nodes is None else _nodes(offer.max_nodes)
        why = f" ({offer.max_nodes_basis})" if offer.max_nodes_basis else ""
        lines += hanging("at most", most + why, page)
    if plan.energy_kwh is not None:
        energy = energy_text(plan.energy_kwh)
        if plan.co2_kg is not None:
            energy += f", {mass_text(plan.co2_kg)} of CO2 of the electricity alone"
        lines += hanging("energy", energy, page)
    return lines


def hour_price(offer: OfferRef) -> str:
    """What a GPU-hour costs: in money, or as what it counts where hours are counted."""
    money = writing()
    if not money.hours:
        return f"{format_usd(offer.usd_per_gpu_hour)} a GPU-hour"
    if money.unit == GPU_HOURS:
        return "every allocated GPU-hour counts, spare nodes' too"
    size = offer.gpus_per_node or round(1.0 / offer.usd_per_gpu_hour)
    return f"every allocated hour of a node of {size} counts, spare nodes' too"


def commitment(plan: Plan) -> str:
    """What is paid whatever becomes of the run, and how time beyond it is."""
    offer = plan.offer
    usd = offer.usd_per_gpu_hour * plan.paid_gpus * offer.term_s / 3600
    text = f"{time_text(offer.term_s)}, {money_text(usd)}, paid whether used or not"
    if offer.upfront:
        text += f", {format_percent(offer.upfront)} of it ({money_text(offer.upfront * usd)}) before it begins"
    if offer.then_usd_per_gpu_hour is not None:
        return f"{text}; beyond it on demand at {format_usd(offer.then_usd_per_gpu_hour)} a GPU-hour"
    return f"{text}; beyond it {time_text(offer.increment_s)} at a time"


def _run(plan: Plan, page: Page) -> list[str]:
    layout = plan.layout
    release = f" {plan.framework_release}" if plan.framework_release not in ("", "latest") else ""
    parts = [f"tp {layout.tp}", f"pp {layout.pp}"]
    parts += [f"vpp {layout.vpp}"] if layout.vpp > 1 else []
    parts += [f"dp {layout.dp}"]
    parts += [f"cp {layout.cp}"] if layout.cp > 1 else []
    parts += [f"ep {layout.ep}"] if layout.ep > 1 else []
    parts += [f"ZeRO {layout.zero_stage}" + (f" over groups of {plan.shard_group} GPUs" if plan.shard_group else "")]
    parts += ["sequence parallel"] if layout.sequence_parallel else []
    parts += [f"recompute {plan.recompute_words}"]
    batch = (
        f"{format_count(plan.global_batch)} sequences of {format_count(plan.seq_length)} "
        f"= micro-batch {layout.micro_batch} × dp {layout.dp} × {layout.grad_accum} accumulated"
    )
    precision = f", {plan.precision}" if plan.precision else ""
    lines = hanging("framework", f"{plan.framework}{release}{precision}{trained_words(plan)}", page)
    lines += hanging("layout", ", ".join(parts), page) + hanging("batch", batch, page)
    lines += hanging("iterations", _iterations(plan), page)
    critical = plan.critical_batch_remark
    if not critical and plan.critical_batch is not None:
        critical = f"{format_number(plan.critical_batch)} sequences"
    return lines + (hanging("critical batch", critical, page) if critical else [])


def _iterations(plan: Plan) -> str:
    text = f"{format_count(plan.iterations)} for {format_short(plan.tokens)} tokens"
    if plan.iterations_per_epoch is not None:
        text += f"; {format_count(plan.iterations_per_epoch)} full batches an epoch"
        if plan.leftover_samples:
            text += f", {format_count(plan.leftover_samples)} sequences left over"
    return text


def _schedule(plan: Plan, goal: StatedGoal | None, page: Page) -> list[str]:
    if not plan.schedule:
        return []
    scale = time_scale(plan.time_s.p50)
    start = goal.start if goal is not None else None
    rows = [("epoch", "iterations", "starts", "ends")]
    shown = plan.schedule if len(plan.schedule) <= 8 else (*plan.schedule[:4], None, *plan.schedule[-3:])
    rows += [("…", "", "", "") if part is None else _epoch(part, scale, start) for part in shown]
    return columns(rows, "rrrr", page)


def _epoch(part: EpochSchedule, scale: Scale, start: date | None) -> tuple[str, str, str, str]:
    span = f"{format_count(part.first_iteration)} to {format_count(part.last_iteration)}"
    if start is not None:
        first, last = (start + timedelta(seconds=second) for second in (part.start_s, part.finish_s))
        return str(part.epoch), span, first.isoformat(), last.isoformat()
    return str(part.epoch), span, scale.text(part.start_s), scale.text(part.finish_s)


def _hours(plan: Plan, page: Page) -> list[str]:
    """Productive and allocated GPU-hours of the median run, and what lies between."""
    found = plan.gpu_hours
    if found is None:
        return []
    parts = [
        (found.checkpoints, "checkpoints"),
        (found.failures, "failures"),
        (found.overhead, "overhead (evaluation, rollbacks, idle nodes)"),
        (found.spare, "spare nodes"),
    ]
    share = format_percent(found.productive / found.allocated)
    lost = ", ".join(f"{format_count(round(hours))} {name}" for hours, name in parts if round(hours))
    lines = hanging("allocated", format_count(round(found.allocated)) + " at p50", page)
    lines += hanging("productive", f"{format_count(round(found.productive))} ({share})", page)
    lines += hanging("the rest", lost, page) if lost else []
    return lines + hanging("overhead", overhead_text(plan), page)


def overhead_text(plan: Plan) -> str:
    """The factor on time that stands for what is paid beside training and failures, and where it comes from."""
    found = plan.reliability and plan.reliability.overhead
    if not found:
        return "not known: an older planner saved this plan"
    if found.quantile(0.9) <= 1.0:
        return f"none; {found.source}"
    factor = f"× {found.quantile(0.5):.2f}"
    if found.log_more:
        factor += f" ({found.quantile(0.1):.2f} to {found.quantile(0.9):.2f})"
    return f"{factor} on the time; {found.source}"


def _reliability(plan: Plan, found: Reliability, page: Page) -> list[str]:
    if found.mean_time_between_s is None:
        return hanging("expected", "none", page)
    expected = f"{format_number(found.interruptions, 2)} in the run, one in {time_text(found.mean_time_between_s)}; "
    expected += f"{time_text(found.restart_s)} until training goes on"
    lines = hanging("expected", expected, page)
    if found.checkpoint_interval_s is not None:
        every = f"every {time_text(found.checkpoint_interval_s)}"
        if found.checkpoint_interval_iterations is not None:
            every += f" ({format_count(found.checkpoint_interval_iterations)} iterations)"
        if found.checkpoint_interval_s == LONGEST_INTERVAL_S:
            every += ", the most where risk.checkpoint_interval states none"
        size = f"{format_number(found.checkpoint_gb, 3)} GB, training stalls for {time_text(found.checkpoint_s)}"
        lines += hanging("checkpoints", f"{every}; {size}", page)
    if found.spare_nodes:
        beside = f"{_nodes(found.spare_nodes)} beside the plan's, paid in its cost, not counted in its energy"
        lines += hanging("spare", beside, page)
    lines += hanging(
        "goodput", f"{format_percent(found.goodput)} of the time is training that is kept, overhead apart", page
    )
    causes = ", ".join(
        f"{format_percent(share)} {_CAUSES.get(name, name.replace('_', ' '))}"
        for name, share in sorted(found.reserve_by_cause.items(), key=lambda cause: (-cause[1], cause[0]))
        if share > 0
    )
    time, cost = time_scale(plan.time_s.p50), money_scale(plan.cost_usd.p50)
    reserve = f"{time.text(found.reserve_s)} and {cost.text(found.reserve_usd)} between p50 and p90"
    return lines + hanging("reserve", reserve + (f" ({causes})" if causes else ""), page)
