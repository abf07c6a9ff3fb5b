"""`planner simulate` as a person reads it: stated against drawn, the spread as a picture, and worse worlds."""

from __future__ import annotations

from planner.money import in_its_money
from planner.report.figures import Scale, chance, money_scale, time_scale, time_text
from planner.report.layout import Page, bar, columns, hanging, wrap
from planner.risk.replay import Replay, Stress, World
from planner.units import format_count, format_percent

BURSTS = (
    "Bursts can help: as many failures in fewer moments. Those of a burst strike while the first is being mended, when"
    " there is little work to lose."
)
_BARS = 16  # lines of the picture


@in_its_money
def simulation_table(found: Replay, name: str, width: int = 80, colour: bool = False) -> str:
    """The whole answer, ending in a newline; no line is longer than `width`."""
    page = Page(width, colour)
    time, cost = time_scale(found.stated.time_s.p50), money_scale(found.stated.cost_usd.p50)
    opening = wrap(f"{name}: the plan simulated {format_count(found.worlds)} times (seed {found.seed}).", page.width)
    blocks = [
        [page.heading(line) for line in opening],
        [page.heading("Stated and drawn"), *_check(found, time, cost, page)],
        [page.heading(f"How long the runs took, {time.unit}"), *_picture(found.simulated, time, page)],
        [page.heading("On the way"), *_on_the_way(found.simulated, page)],
        [page.heading("Had the world been another"), *_others(found, time, cost, page)],
        [page.heading("Under stress"), *_stressed(found, time, cost, page)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _check(found: Replay, time: Scale, cost: Scale, page: Page) -> list[str]:
    rows: list[tuple[str, ...]] = [("", "stated", "drawn")]
    for level in ("p10", "p50", "p90"):
        pair = (getattr(world.time_s, level) for world in (found.stated, found.simulated))
        rows.append((f"time {level}, {time.unit}", *map(time.figure, pair)))
    for level in ("p10", "p50", "p90") if found.priced else ():
        pair = (getattr(world.cost_usd, level) for world in (found.stated, found.simulated))
        rows.append((f"cost {level}, {cost.unit}", *map(cost.figure, pair)))
    for key, label in (("p_within_time", "within the time"), ("p_within_cost", "within the cost")):
        values = [getattr(world, key) for world in (found.stated, found.simulated)]
        if values[0] is not None:
            rows.append((label, *map(chance, values)))
    words = f"The quantiles differ by at most {format_percent(found.largest_quantile_error)}"
    if found.largest_probability_error is not None:
        words += f", the probabilities by at most {100 * found.largest_probability_error:.2g} points"
    return [*columns(rows, "lrr", page), *("  " + line for line in wrap(words + ".", page.width - 2))]


def _picture(world: World, time: Scale, page: Page) -> list[str]:
    """A histogram lying on its side, each line several of its bars."""
    edges, counts = zip(*world.histogram, strict=True)
    each = -(-len(counts) // _BARS)
    lines = [(edges[min(i + each, len(counts)) - 1], sum(counts[i : i + each])) for i in range(0, len(counts), each)]
    most = max(count for _, count in lines)
    room = max(10, min(50, page.width - 24))
    total = sum(counts)
    return [
        f"  to {time.figure(edge):>7}  {bar(count / most, room).replace('░', ' ').rstrip():{room}}"
        f" {format_percent(count / total)}".rstrip()
        for edge, count in lines
    ]


def _on_the_way(world: World, page: Page) -> list[str]:
    overhead = f"{time_text(world.overhead_s or 0.0)} for evaluation, rollbacks, idle nodes"
    return [
        *hanging("interruptions", f"{world.interruptions:.3g} a run on average", page),
        *hanging("work done twice", time_text(world.lost_s), page),
        *hanging("waiting", f"{time_text(world.waiting_s)} for detection, restart and nodes", page),
        *(hanging("overhead", overhead, page) if world.overhead_s else []),
    ]


def _budgets(found: Replay) -> list[tuple[str, str]]:
    """The chances that are told: their names in a world, and in words."""
    kinds = ("p_within_time", "within time"), ("p_within_cost", "within cost")
    return [(key, label) for key, label in kinds if getattr(found.stated, key) is not None]


def _others(found: Replay, time: Scale, cost: Scale, page: Page) -> list[str]:
    budgets = _budgets(found)
    paid = (f"p90, {cost.unit}",) if found.priced else ()
    rows = [("", f"p50, {time.unit}", f"p90, {time.unit}", *paid, *(label for _, label in budgets))]
    for world in (found.simulated, *found.other_worlds):
        chances = (chance(getattr(world, key)) for key, _ in budgets)
        figures = (time.figure(world.time_s.p50), time.figure(world.time_s.p90))
        paid = (cost.figure(world.cost_usd.p90),) if found.priced else ()
        rows.append((world.name, *figures, *paid, *chances))
    said = wrap(BURSTS, page.width - 2)
    return [*columns(rows, "l" + "r" * (len(rows[0]) - 1), page, flexible=0), *("  " + line for line in said)]


def _stressed(found: Replay, time: Scale, cost: Scale, page: Page) -> list[str]:
    """What each stress does to the budgets, and what would have to be set aside, or asked for, to stand it."""
    budgets = _budgets(found)
    paid = (f"reserve, {cost.unit}",) if found.priced else ()
    rows = [("", *(label for _, label in budgets), f"reserve, {time.unit}", *paid, "or ask at")]
    for stress in found.stresses:
        kept = (chance(getattr(stress.world, key)) for key, _ in budgets)
        more = ("+" + time.figure(stress.more_time_s),)
        paid = ("+" + cost.figure(stress.more_cost_usd),) if found.priced else ()
        rows.append((stress.world.name, *kept, *more, *paid, chance(asked_at(stress))))
    sure = format_percent(found.stresses[0].confidence)
    both = "time and cost" if found.priced else "time"
    note = (
        f"reserve: on top of {both} at {sure} confidence, what keeps that promise under the stress; or ask at:"
        " the confidence that would have asked for as much."
    )
    said = wrap(note, page.width - 2)
    return [*columns(rows, "l" + "r" * (len(rows[0]) - 1), page, flexible=0), *("  " + line for line in said)]


def asked_at(stress: Stress) -> float:
    """The confidence of the plan's own world at which time and cost would stand a stress."""
    if stress.cost_needed_usd <= 0.0:  # machines of one's own whose price nobody stated
        return stress.time_confidence
    return max(stress.time_confidence, stress.cost_confidence)
