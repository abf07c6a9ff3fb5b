"""What `compare` reads of each plan, and the factors by which its time and its cost are another's."""

from __future__ import annotations

import math
from collections.abc import Callable

from planner.money import writing
from planner.results.plan import Buying, Plan, Rented, pricing_words
from planner.words import say

Reading = tuple[str, Callable[[Plan], str]]


def _chance(probability: float | None) -> str:
    """No figure says that something is certain."""
    if probability is None:
        return ""
    if 0.001 <= probability <= 0.999:
        return say("comparing.chance", chance=probability)
    return say("comparing.chance_high" if probability > 0.999 else "comparing.chance_low")


def _cost(usd: float) -> str:
    return say("comparing.amount", cost=usd)


def _pays(found: Buying | None) -> str:
    """From which use on, and after how many months, buying pays against each kind of renting."""
    rented = [] if found is None else [_against(found, each) for each in found.rented]
    return say("comparing.rented", told=rented) if rented else ""


def _against(found: Buying, each: Rented) -> str:
    against = {"pricing": pricing_words(each.pricing), "use": each.utilisation, "months": each.months}
    if each.utilisation > 1:
        return say("comparing.never_pays", **against)
    late = each.months is None or each.months > found.written_off_months
    return say("comparing.not_paid_back" if late else "comparing.paid_back", **against)


def _layout(plan: Plan) -> str:
    """A layout in one line."""
    x, group = plan.layout, plan.shard_group
    axes = (("tp", x.tp), ("pp", x.pp), ("vpp", x.vpp), ("cp", x.cp), ("ep", x.ep))
    parts = [f"{name} {n}" for name, n in axes if n > 1] + [f"dp {x.dp}"]
    parts += [say("comparing.zero_groups", stage=x.zero_stage, gpus=group) if group else f"ZeRO {x.zero_stage}"]
    parts += [say("comparing.micro_batch", size=x.micro_batch)]
    parts += [say("comparing.sequence_parallel")] if x.sequence_parallel else []
    parts += [say("comparing.recompute", what=plan.recompute_words)] if x.recompute != "none" else []
    return say("comparing.parts", parts=parts)


#: What is read of each plan, by the code of its name.
READINGS: tuple[Reading, ...] = (
    ("comparing.time", lambda p: say("comparing.duration", time=p.time_s.p50)),
    ("comparing.cost", lambda p: _cost(p.cost_usd.p50) if p.offer.priced else ""),
    ("comparing.chances", lambda p: _chance(p.p_within_both)),
    ("comparing.of_gpus", lambda p: say("comparing.machines", gpus=p.gpus, gpu=p.offer.gpu)),
    ("comparing.offer", lambda p: p.offer.id),
    ("comparing.pricing", lambda p: p.offer.price_kind),
    ("comparing.price", lambda p: _cost(p.offer.usd_per_gpu_hour) if p.offer.priced and not writing().hours else ""),
    ("comparing.purchase", lambda p: "" if p.buying is None else _cost(p.buying.purchase_usd)),
    ("comparing.pays", lambda p: _pays(p.buying)),
    ("comparing.framework", lambda p: p.framework),
    ("comparing.layout", _layout),
    ("comparing.batch", lambda p: f"{p.global_batch:,}"),
    ("comparing.throughput", lambda p: say("comparing.number", number=p.tokens_per_s_per_gpu.p50)),
    ("comparing.memory", lambda p: say("comparing.used", used=p.memory_gib.total, capacity=p.memory_gib.capacity)),
)


def gpu_hours(plan: Plan) -> float:
    """GPU-hours that are paid for at p50, before billing rounds them up."""
    return plan.paid_gpus * plan.time_s.p50 / 3600


def time_factors(plan: Plan, first: Plan) -> tuple[float, dict[str, float]]:
    """A plan's time in the first one's, and the factors of that by their codes."""
    hours, gpus = gpu_hours(plan) / gpu_hours(first), first.paid_gpus / plan.paid_gpus
    return plan.time_s.p50 / first.time_s.p50, {"comparing.by_hours": hours, "comparing.by_gpus": gpus}


def cost_factors(plan: Plan, first: Plan) -> tuple[float, dict[str, float]]:
    """A plan's cost in the first one's, and the factors of that by their codes; 1 and none where either has none."""
    if first.cost_usd.p50 <= 0 or not plan.offer.priced:
        return 1.0, {}
    ratio, factors = plan.cost_usd.p50 / first.cost_usd.p50, {}
    price, price_first = (p.offer.usd_per_gpu_hour for p in (plan, first))
    if price_first and price:
        factors["comparing.by_price"] = price / price_first
    factors["comparing.by_hours"] = gpu_hours(plan) / gpu_hours(first)
    rest = ratio / math.prod(factors.values())
    if abs(rest - 1.0) >= 5e-4:  # what is not the machines' own time at their own price
        factors["comparing.by_rest"] = rest
    return ratio, factors
