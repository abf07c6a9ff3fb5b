"""One plan, section by section: what to order, when it ends, what it costs, how sure that is and why to believe it."""

from __future__ import annotations

from datetime import date, timedelta

from planner.plan import EpochSchedule, Goal, OfferRef, Optimization, Plan, Plausibility, Quantiles
from planner.report.figures import Scale, age, chance, money_scale, money_text, range_text, time_scale, time_text
from planner.report.layout import Page, bar, columns, hanging, wrap
from planner.units import format_bandwidth, format_count, format_number, format_percent, format_short, format_usd

Section = tuple[str, list[str]]
SMALL_TERM = 0.005  # of a step: smaller terms are printed as one


def decision(plan: Plan, answer: Optimization, today: date, page: Page) -> list[Section]:
    """What one decides on: title and lines of outcome, cluster, run and schedule."""
    return [
        ("Time and cost", _outcome(plan, answer.goal, page)),
        ("Cluster", _cluster(plan, today, page)),
        ("Run", _run(plan, page)),
        ("Schedule", _schedule(plan, answer.goal, page)),
    ]


def evidence(plan: Plan, page: Page) -> list[Section]:
    """Why to believe it: title and lines of the step, memory, basis and plausibility."""
    return [
        ("Step", _step(plan, page)),
        ("Memory", _memory(plan, page)),
        ("What the prediction stands on", _basis(plan, page)),
        ("Plausibility", _plausibility(plan, page)),
    ]


def place(offer: OfferRef) -> str:
    """Where the machines are: the cloud's name, or that they are the user's own."""
    return "your own" if offer.pricing == "owned" else offer.cloud


def limits(goal: Goal) -> list[str]:
    """The budgets in words."""
    found = []
    if goal.time_s is not None:
        found.append(f"{time_text(goal.time_s)}")
    if goal.cost_usd is not None:
        found.append(f"{money_text(goal.cost_usd)}")
    if found and goal.confidence is not None:
        found.append(f"each with {format_percent(goal.confidence)} confidence")
    return found


def headline(plan: Plan, answer: Optimization, page: Page) -> list[str]:
    """The plan in one sentence, and what it was chosen for in another."""
    epochs = "" if plan.epochs is None else f", {format_number(plan.epochs)} epoch{'' if plan.epochs == 1 else 's'}"
    where = f"{'of' if plan.offer.pricing == 'owned' else 'at'} {place(plan.offer)}"
    text = (
        f"{answer.provenance.scenario}: {format_count(plan.gpus)} × {plan.offer.gpu} ({_nodes(plan.nodes)}) "
        f"{where} for {time_text(plan.time_s.p50)} and {money_text(plan.cost_usd.p50)}"
        f"{epochs} with a batch of {format_count(plan.global_batch)}."
    )
    out = [page.heading(line) for line in wrap(text, page.width)]
    if answer.goal is not None:
        out += wrap(_chosen(answer.goal), page.width)
    return out


def _chosen(goal: Goal) -> str:
    aim = {
        "cost": "The cheapest plan",
        "time": "The fastest plan",
        "usd_per_day": f"The least cost plus {money_text(goal.usd_per_day or 0)} a day",
    }.get(goal.objective, "The best plan")
    within = limits(goal)
    return f"{aim} within {', '.join(within)}." if within else f"{aim}; no budget was given."


def _nodes(count: int) -> str:
    return f"{format_count(count)} node{'' if count == 1 else 's'}"


def _outcome(plan: Plan, goal: Goal | None, page: Page) -> list[str]:
    confidence = goal.confidence if goal is not None else plan.confidence
    time_budget, cost_budget = (goal.time_s, goal.cost_usd) if goal is not None else (None, None)
    rows = [
        ("", "p10", "p50", "p90", "budget", "chance"),
        _outcome_row("time", time_scale(plan.time_s.p50), plan.time_s, time_budget, plan.p_within_time),
        _outcome_row("cost", money_scale(plan.cost_usd.p50), plan.cost_usd, cost_budget, plan.p_within_cost),
    ]
    if plan.p_within_both is not None:
        rows.append(("both", "", "", "", "", chance(plan.p_within_both)))
    lines = columns(rows, "lrrrrr", page)
    for number, probability in ((1, plan.p_within_time), (2, plan.p_within_cost)):
        if probability is not None and confidence is not None:
            lines[number] = page.styled(lines[number], "good" if probability >= confidence else "bad")
    if plan.probability_basis:
        lines += [f"  {line}" for line in wrap(plan.probability_basis, page.width - 2)]
    return lines


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


def _cluster(plan: Plan, today: date, page: Page) -> list[str]:
    offer = plan.offer
    shape = f"{_nodes(plan.nodes)} of {offer.gpus_per_node or plan.gpus // plan.nodes} {offer.gpu}"
    if offer.network_gbit_per_s is not None:
        shape += f", {format_bandwidth(offer.network_gbit_per_s)} a node"
    price = f"{format_usd(offer.usd_per_gpu_hour)} a GPU-hour ({offer.pricing.replace('_', ' ')})"
    if offer.as_of or offer.as_of_latest:
        price += f", as of {offer.as_of or offer.as_of_latest}, {age(offer, today)}"
    if offer.source:
        price += f"; {offer.source}" + (f", quality {offer.quality}" if offer.quality else "")
    lines = hanging("offer", offer.id, page) + hanging("machines", shape, page) + hanging("price", price, page)
    if offer.max_nodes is not None or offer.max_nodes_basis:
        most = "no limit is known" if offer.max_nodes is None else _nodes(offer.max_nodes)
        why = f" ({offer.max_nodes_basis})" if offer.max_nodes_basis else ""
        lines += hanging("at most", most + why, page)
    if plan.energy_kwh is not None:
        carbon = "" if plan.co2_kg is None else f", {format_number(plan.co2_kg / 1000, 3)} t of CO2"
        lines += hanging("energy", f"{format_number(plan.energy_kwh / 1000, 3)} MWh{carbon}", page)
    return lines


def _run(plan: Plan, page: Page) -> list[str]:
    layout = plan.layout
    release = f" {plan.framework_release}" if plan.framework_release not in ("", "latest") else ""
    parts = [f"tp {layout.tp}", f"pp {layout.pp}"]
    parts += [f"vpp {layout.vpp}"] if layout.vpp > 1 else []
    parts += [f"dp {layout.dp}"]
    parts += [f"cp {layout.cp}"] if layout.cp > 1 else []
    parts += [f"ep {layout.ep}"] if layout.ep > 1 else []
    parts += [f"ZeRO {layout.zero_stage}"]
    parts += ["sequence parallel"] if layout.sequence_parallel else []
    parts += [f"recompute {layout.recompute}"]
    batch = (
        f"{format_count(plan.global_batch)} sequences of {format_count(plan.seq_length)} "
        f"= micro-batch {layout.micro_batch} × dp {layout.dp} × {layout.grad_accum} accumulated"
    )
    lines = hanging("framework", f"{plan.framework}{release}{', ' + plan.precision if plan.precision else ''}", page)
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


def _schedule(plan: Plan, goal: Goal | None, page: Page) -> list[str]:
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


def _step(plan: Plan, page: Page) -> list[str]:
    step, rate = plan.step_time_s, plan.tokens_per_s_per_gpu
    text = (
        f"{format_number(step.p50)} s ({range_text(step.p10, step.p90)}); "
        f"{format_number(rate.p50)} tokens/s a GPU ({range_text(rate.p10, rate.p90)})"
    )
    terms = sorted(plan.step_breakdown_s.items(), key=lambda term: (-term[1], term[0]))
    total = sum(plan.step_breakdown_s.values())
    if not total > 0:
        return hanging("a step", text, page)
    large = [(name, value) for name, value in terms if value >= SMALL_TERM * total]
    rest = total - sum(value for _, value in large)
    if rest > 0:
        large.append(("all else", rest))
    rows = [
        (name.replace("_", " "), f"{format_number(value, 3)} s", format_percent(value / total), bar(value / total, 20))
        for name, value in large
    ]
    return hanging("a step", text, page) + columns(rows, "lrrl", page, header=False)


def _memory(plan: Plan, page: Page) -> list[str]:
    memory = plan.memory_gib
    share = memory.total / memory.capacity
    text = f"{format_number(memory.total, 3)} of {format_number(memory.capacity, 3)} GiB ({format_percent(share)})"
    parts = ("weights", "gradients", "optimizer", "activations", "other")
    listed = ", ".join(f"{part} {format_number(getattr(memory, part), 3)}" for part in parts)
    drawn = page.styled(bar(share, 30), "bad" if share > 1 else "good")
    return [f"  {drawn}  {text}", *hanging("fullest GPU", listed, page)]


def _basis(plan: Plan, page: Page) -> list[str]:
    said = {
        "user": "your own measurement",
        "measured": "a measurement of this configuration",
        "interpolated": "measurements nearby, carried over by the model",
        "modelled": "the model alone: nobody measured near this",
    }.get(plan.basis, plan.basis)
    lines = hanging("basis", f"{plan.basis}: {said}", page)
    if plan.throughput_basis:
        lines += hanging("in detail", plan.throughput_basis, page)
    if plan.measurements:
        shown = list(plan.measurements[:6])
        more = len(plan.measurements) - len(shown)
        lines += hanging("measurements", ", ".join(shown) + (f" and {more} more" if more else ""), page)
    return lines


def _plausibility(plan: Plan, page: Page) -> list[str]:
    found = plan.plausibility
    model = f"{format_number(plan.model_tflops_per_gpu, 3)} TFLOP/s a GPU (MFU {format_percent(plan.mfu)})"
    hardware = f"{format_number(plan.hardware_tflops_per_gpu, 3)} with recompute (HFU {format_percent(plan.hfu)})"
    lines = hanging("model FLOPs", f"{model}; {hardware}", page)
    if plan.flops_convention:
        lines += hanging("counted as", plan.flops_convention, page)
    if found is None:
        return lines
    return lines + _checks(plan, found, page)


def _checks(plan: Plan, found: Plausibility, page: Page) -> list[str]:
    lines: list[str] = []
    share = found.utilization_of_measured_peak
    if share is not None and found.measured_peak_tflops is not None:
        text = (
            f"{_verdict(share <= 1)}: {format_percent(share)} of {format_number(found.measured_peak_tflops, 3)} "
            "TFLOP/s, the best matrix multiply measured"
        )
        lines += _check("under the peak", text, share <= 1, page)
    lines += _check(
        "memory fits",
        f"{_verdict(found.memory_share <= 1)}: {format_percent(found.memory_share)} of what a GPU has",
        found.memory_share <= 1,
        page,
    )
    if found.six_nd_time_s is not None and found.six_nd_parameters is not None:
        ratio = plan.time_s.p50 / found.six_nd_time_s
        near = 0.75 <= ratio <= 1.33
        text = (
            f"{_verdict(near)}: 6 × {format_short(found.six_nd_parameters)} parameters × "
            f"{format_short(plan.tokens)} tokens at that rate take {time_text(found.six_nd_time_s)}; "
            f"the plan takes {format_number(ratio, 3)} times that"
        )
        lines += _check("6ND", text, near, page)
    return lines


def _verdict(holds: bool) -> str:
    return "yes" if holds else "look"


def _check(label: str, text: str, holds: bool, page: Page) -> list[str]:
    lines = hanging(label, text, page)
    return lines if holds else [page.styled(line, "warn") for line in lines]
