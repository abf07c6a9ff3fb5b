"""One plan, section by section: what to order, when it ends, what it costs, how sure that is and why to believe it."""

from __future__ import annotations

from datetime import date, timedelta

from planner.catalog.price_ages import MARK_AFTER_DAYS, price_age
from planner.money import GPU_HOURS, writing
from planner.report.figures import (
    Scale,
    age,
    between,
    chance,
    energy_text,
    mass_text,
    money_scale,
    rate_text,
    time_scale,
    time_text,
    trained_words,
)
from planner.report.layout import Page, bullets, columns, heads, indented, labelled, wrap
from planner.results.answers import Optimization, StatedGoal
from planner.results.plan import EpochSchedule, OfferRef, Plan, Quantiles, Reliability
from planner.risk.failures import LONGEST_INTERVAL_S
from planner.units import format_bandwidth, format_count
from planner.words import Sentence, said, say

Section = tuple[str, list[str]]
_CAUSES = ("step_time", "failures", "overhead")  # what a reserve is for, as far as it has words
_AIMS = ("cost", "time", "usd_per_day", "epochs", "tokens")


def decision(plan: Plan, answer: Optimization, today: date, page: Page) -> list[Section]:
    """What one decides on: title and lines of outcome, cluster, run and schedule."""
    basis = indented(plan.probability_basis, page) if plan.probability_basis else []
    return [
        (said("plan_sections.time_and_cost"), [*outcome(plan, answer.goal, page), *basis]),
        (said("plan_sections.cluster"), _cluster(plan, answer.goal, today, page)),
        (said("plan_sections.run"), _run(plan, page)),
        (said("plan_sections.schedule"), _schedule(plan, answer.goal, page)),
        (said("plan_sections.learning"), bullets((sentence(text) for text in plan.learning), page)),
        (
            said("plan_sections.interruptions"),
            [] if plan.reliability is None else _reliability(plan, plan.reliability, page),
        ),
        (said("plan_sections.gpu_hours"), _hours(plan, page)),
    ]


def sentence(text: str) -> str:
    """A remark with a capital and a full stop."""
    return said("plan_sections.whole" if text.endswith(".") else "plan_sections.remark", text=text)


def place(offer: OfferRef) -> str:
    """Where the machines are: the cloud's name, or that they are the user's own."""
    return said("pricing.owned") if offer.pricing == "owned" else offer.cloud


def seller(offer: OfferRef) -> str:
    """Where the machines are and how they are paid: "nebius, on demand"."""
    if offer.pricing == "owned":
        return place(offer)
    return said("plan_sections.seller", cloud=offer.cloud, pricing=offer.price_kind)


def limits(goal: StatedGoal) -> list[str]:
    """The budgets in words."""
    found: list[str] = []
    if goal.time_s is not None:
        found.append(time_text(goal.time_s))
    if goal.cost_usd is not None:
        found.append(said("figures.money", cost=goal.cost_usd))
    if found and goal.confidence is not None:
        each = "plan_sections.each_confidence" if len(found) > 1 else "plan_sections.confidence"
        found.append(said(each, confidence=goal.confidence))
    return found


def headline(plan: Plan, answer: Optimization, today: date, page: Page) -> list[str]:
    """The plan in one sentence, what it was chosen for in another, and a mark where its price may be stale."""
    out = [page.heading(line) for line in wrap(_headline(plan, answer), page.width)]
    if answer.goal is not None:
        out += wrap(_chosen(answer.goal), page.width)
    if price_age(plan.offer, today).level == "stale":
        mark = said("plan_sections.stale", days=MARK_AFTER_DAYS)
        out += [page.styled(line, "warn") for line in wrap(mark, page.width)]
    return out


def _headline(plan: Plan, answer: Optimization) -> str:
    offer = plan.offer
    found = said("plan_sections.for_time", time=plan.time_s.p50)
    if offer.waiting_s:
        found = said("plan_sections.after_wait", found=found, wait=offer.waiting_s)
    if cost_shown(answer.goal):
        found = said("plan_sections.and_cost", found=found, cost=plan.cost_usd.p50)
    if plan.epochs is not None:
        found = said("plan_sections.of_epochs", found=found, epochs=plan.epochs)
    where = "plan_sections.of_own" if offer.pricing == "owned" else "plan_sections.at_cloud"
    return said(
        "plan_sections.headline",
        scenario=answer.provenance.scenario,
        gpus=plan.gpus,
        gpu=offer.gpu,
        nodes=nodes_text(plan.nodes),
        where=said(where, cloud=offer.cloud, pricing=offer.price_kind),
        found=found,
        batch=plan.global_batch,
    )


def _chosen(goal: StatedGoal) -> str:
    kind = goal.objective if goal.objective in _AIMS else "best"
    aim, within = said(f"plan_sections.aim_{kind}", rate=goal.usd_per_day or 0), limits(goal)
    if not within:
        return said("plan_sections.without_budget", aim=aim)
    return said("plan_sections.within", aim=aim, limits=within)


def nodes_text(count: int) -> Sentence:
    """2 -> "2 nodes"."""
    return say("figures.nodes", nodes=count)


def cost_shown(goal: StatedGoal | None) -> bool:
    """Whether an answer tells a cost: not where nothing was asked of it and no price of own machines is stated."""
    return goal is None or goal.cost_stated


def outcome(plan: Plan, goal: StatedGoal | None, page: Page) -> list[str]:
    """Time and cost with their budgets and chances, as a table."""
    confidence = goal.confidence if goal is not None else plan.confidence
    time_budget, cost_budget = (goal.time_s, goal.cost_usd) if goal is not None else (None, None)
    rows = [
        heads("", "p10", "p50", "p90", "budget", "chance"),
        _outcome_row("time", time_scale(plan.time_s.p50), plan.time_s, time_budget, plan.p_within_time),
    ]
    if cost_shown(goal):
        scale = money_scale(plan.cost_usd.p50)
        rows.append(_outcome_row("cost", scale, plan.cost_usd, cost_budget, plan.p_within_cost))
    if plan.p_within_time is not None and plan.p_within_cost is not None:
        rows.append([*heads("both"), "", "", "", "", chance(plan.p_within_both)])
    lines = columns(rows, "lrrrrr", page)
    for number, probability in ((1, plan.p_within_time), (2, plan.p_within_cost)):
        if probability is not None and confidence is not None and number < len(lines):
            lines[number] = page.styled(lines[number], "good" if probability >= confidence else "bad")
    return lines


def _outcome_row(
    name: str, scale: Scale, value: Quantiles, budget: float | None, probability: float | None
) -> list[str]:
    return [
        scale.heading(name),
        *map(scale.figure, value),
        scale.figure(budget),
        "" if probability is None else chance(probability),
    ]


def _cluster(plan: Plan, goal: StatedGoal | None, today: date, page: Page) -> list[str]:
    offer = plan.offer
    each = offer.gpus_per_node or plan.gpus // plan.nodes
    shape = said("plan_sections.machines", nodes=nodes_text(plan.nodes), each=each, gpu=offer.gpu)
    if offer.network_gbit_per_s is not None:
        rate = format_bandwidth(offer.network_gbit_per_s)
        shape = said("plan_sections.network", machines=shape, rate=rate)
    lines = labelled("offer", offer.id, page) + labelled("machines", shape, page)
    if cost_shown(goal):
        lines += labelled("counted" if writing().hours else "price", _price(offer, today), page)
        lines += labelled("rate", rate_text(writing()), page)
        lines += labelled("committed", commitment(plan), page) if offer.term_s else []
    if offer.waiting_s:
        lines += labelled("waiting", said("plan_sections.waiting", wait=offer.waiting_s), page)
    if offer.max_nodes is not None or offer.max_nodes_basis:
        most = said("plan_sections.no_limit") if offer.max_nodes is None else nodes_text(offer.max_nodes)
        if offer.max_nodes_basis:
            most = said("labels.with_reason", text=most, why=offer.max_nodes_basis)
        lines += labelled("at_most", most, page)
    if plan.energy_kwh is not None:
        energy = energy_text(plan.energy_kwh)
        if plan.co2_kg is not None:
            energy = said("plan_sections.energy", energy=energy, co2=mass_text(plan.co2_kg))
        lines += labelled("energy", energy, page)
    return lines


def _price(offer: OfferRef, today: date) -> str:
    """What an hour costs, of when, and who says so."""
    price = said("labels.with_reason", text=hour_price(offer), why=offer.price_kind)
    if offer.usd_per_gpu_hour_range is not None and len(set(offer.usd_per_gpu_hour_range)) > 1:
        low, high = offer.usd_per_gpu_hour_range
        code = "plan_sections.zones" if offer.pricing == "spot" else "plan_sections.middle"
        price = said(code, price=price, low=low, high=high)
    if offer.as_of or offer.as_of_latest:
        price = said("plan_sections.as_of", price=price, day=offer.as_of or offer.as_of_latest, age=age(offer, today))
        price = said("plan_sections.check", price=price) if price_age(offer, today).level == "old" else price
    if offer.source and not writing().hours:
        price = said("plan_sections.source", price=price, source=offer.source)
        if offer.quality not in ("", "user"):
            price = said("plan_sections.quality", price=price, quality=offer.quality)
    return price


def hour_price(offer: OfferRef) -> str:
    """What a GPU-hour costs: in money, or as what it counts where hours are counted."""
    money = writing()
    if not money.hours:
        return said("plan_sections.a_gpu_hour", price=offer.usd_per_gpu_hour)
    if money.unit == GPU_HOURS:
        return said("plan_sections.gpu_hours_count")
    return said("plan_sections.node_hours_count", gpus=offer.gpus_per_node or round(1.0 / offer.usd_per_gpu_hour))


def commitment(plan: Plan) -> str:
    """What is paid whatever becomes of the run, and how time beyond it is."""
    offer = plan.offer
    usd = offer.usd_per_gpu_hour * plan.paid_gpus * offer.term_s / 3600
    text = said("plan_sections.committed", term=offer.term_s, cost=usd)
    if offer.upfront:
        text = said("plan_sections.upfront", text=text, share=offer.upfront, cost=offer.upfront * usd)
    if offer.then_usd_per_gpu_hour is not None:
        return said("plan_sections.then_on_demand", text=text, price=offer.then_usd_per_gpu_hour)
    return said("plan_sections.then_in_steps", text=text, step=offer.increment_s)


def _run(plan: Plan, page: Page) -> list[str]:
    layout = plan.layout
    release = f" {plan.framework_release}" if plan.framework_release not in ("", "latest") else ""
    parts = [f"tp {layout.tp}", f"pp {layout.pp}"]
    parts += [f"vpp {layout.vpp}"] if layout.vpp > 1 else []
    parts += [f"dp {layout.dp}"]
    parts += [f"cp {layout.cp}"] if layout.cp > 1 else []
    parts += [f"ep {layout.ep}"] if layout.ep > 1 else []
    group = {"stage": layout.zero_stage, "gpus": plan.shard_group}
    parts += [said("comparing.zero_groups", **group) if plan.shard_group else f"ZeRO {layout.zero_stage}"]
    parts += [said("comparing.sequence_parallel")] if layout.sequence_parallel else []
    parts += [said("comparing.recompute", what=plan.recompute_words)]
    batch = said(
        "plan_sections.batch",
        batch=plan.global_batch,
        length=plan.seq_length,
        micro_batch=layout.micro_batch,
        dp=layout.dp,
        accumulated=layout.grad_accum,
    )
    precision = f", {plan.precision}" if plan.precision else ""
    lines = labelled("framework", f"{plan.framework}{release}{precision}{trained_words(plan)}", page)
    lines += labelled("layout", said("labels.listed", items=parts), page)
    lines += labelled("batch", batch, page) + labelled("iterations", _iterations(plan), page)
    critical = plan.critical_batch_remark
    if not critical and plan.critical_batch is not None:
        critical = said("plan_sections.critical_batch", sequences=plan.critical_batch)
    return lines + labelled("critical_batch", critical, page)


def _iterations(plan: Plan) -> str:
    text = said("plan_sections.iterations", iterations=plan.iterations, tokens=plan.tokens)
    if plan.iterations_per_epoch is not None:
        text = said("plan_sections.an_epoch", text=text, batches=plan.iterations_per_epoch)
        if plan.leftover_samples:
            text = said("plan_sections.left_over", text=text, sequences=plan.leftover_samples)
    return text


def _schedule(plan: Plan, goal: StatedGoal | None, page: Page) -> list[str]:
    if not plan.schedule:
        return []
    scale = time_scale(plan.time_s.p50)
    start = goal.start if goal is not None else None
    rows = [heads("epoch", "iterations", "starts", "ends")]
    shown = plan.schedule if len(plan.schedule) <= 8 else (*plan.schedule[:4], None, *plan.schedule[-3:])
    rows += [["…", "", "", ""] if part is None else _epoch(part, scale, start) for part in shown]
    return columns(rows, "rrrr", page)


def _epoch(part: EpochSchedule, scale: Scale, start: date | None) -> list[str]:
    span = between(format_count(part.first_iteration), format_count(part.last_iteration))
    if start is not None:
        first, last = (start + timedelta(seconds=second) for second in (part.start_s, part.finish_s))
        return [str(part.epoch), span, first.isoformat(), last.isoformat()]
    return [str(part.epoch), span, scale.text(part.start_s), scale.text(part.finish_s)]


def _hours(plan: Plan, page: Page) -> list[str]:
    """Productive and allocated GPU-hours of the median run, and what lies between."""
    found = plan.gpu_hours
    if found is None:
        return []
    parts = ("checkpoints", "failures", "overhead", "spare")
    hours = {name: round(getattr(found, name)) for name in parts}
    lost = [said(f"plan_sections.lost_{name}", hours=count) for name, count in hours.items() if count]
    kept = {"hours": round(found.productive), "share": found.productive / found.allocated}
    lines = labelled("allocated", said("plan_sections.allocated", hours=round(found.allocated)), page)
    lines += labelled("productive", said("plan_sections.productive", **kept), page)
    lines += labelled("rest", said("labels.listed", items=lost), page) if lost else []
    return lines + labelled("overhead", overhead_text(plan), page)


def overhead_text(plan: Plan) -> str:
    """The factor on time that stands for what is paid beside training and failures, and where it comes from."""
    found = plan.reliability and plan.reliability.overhead
    if not found:
        return said("plan_sections.overhead_unknown")
    if found.quantile(0.9) <= 1.0:
        return said("plan_sections.overhead_none", source=found.source)
    low, middle, high = map(found.quantile, (0.1, 0.5, 0.9))
    code = "plan_sections.overhead_range" if found.log_more else "plan_sections.overhead"
    return said(code, factor=middle, low=low, high=high, source=found.source)


def _reliability(plan: Plan, found: Reliability, page: Page) -> list[str]:
    if found.mean_time_between_s is None:
        return labelled("expected", said("labels.none"), page)
    expected = said(
        "plan_sections.expected",
        interruptions=found.interruptions,
        between=found.mean_time_between_s,
        restart=found.restart_s,
    )
    lines = labelled("expected", expected, page)
    if found.checkpoint_interval_s is not None:
        lines += labelled("checkpoints", _checkpoints(found, found.checkpoint_interval_s), page)
    if found.spare_nodes:
        spare = said("plan_sections.spare", nodes=nodes_text(found.spare_nodes))
        lines += labelled("spare", spare, page)
    lines += labelled("goodput", said("plan_sections.goodput", share=found.goodput), page)
    causes = [
        said(f"plan_sections.reserve_{cause}" if cause in _CAUSES else "plan_sections.reserve_other", share=share,
             cause=cause.replace("_", " "))
        for cause, share in sorted(found.reserve_by_cause.items(), key=lambda cause: (-cause[1], cause[0]))
        if share > 0
    ]  # fmt: skip
    reserve = said(
        "plan_sections.reserve",
        time=time_scale(plan.time_s.p50).text(found.reserve_s),
        cost=money_scale(plan.cost_usd.p50).text(found.reserve_usd),
    )
    if causes:
        reserve = said("labels.with_reason", text=reserve, why=said("labels.listed", items=causes))
    return lines + labelled("reserve", reserve, page)


def _checkpoints(found: Reliability, interval_s: float) -> str:
    every = said("plan_sections.every", interval=interval_s)
    if found.checkpoint_interval_iterations is not None:
        every = said("plan_sections.every_iterations", every=every, iterations=found.checkpoint_interval_iterations)
    if interval_s == LONGEST_INTERVAL_S:
        every = said("plan_sections.longest_interval", every=every)
    return said("plan_sections.checkpoints", every=every, size=found.checkpoint_gb, stall=found.checkpoint_s)
