"""`planner simulate` as a person reads it: stated against drawn, the spread as a picture, and worse worlds."""

from __future__ import annotations

from planner.money import in_its_money
from planner.report.figures import Scale, chance, money_scale, percent, time_scale, time_text
from planner.report.layout import Page, bar, columns, heads, indented, labelled, screen, section, wrap
from planner.risk.replay import Replay, Stress, World
from planner.words import said, worded

_BARS = 16  # lines of the picture


@in_its_money
def simulation_table(found: Replay, name: str, width: int = 80, colour: bool = False) -> str:
    """The whole answer, ending in a newline; no line is longer than `width`."""
    page = Page(width, colour)
    time, cost = time_scale(found.stated.time_s.p50), money_scale(found.stated.cost_usd.p50)
    opening = said("simulation.opening", name=name, worlds=found.worlds, seed=found.seed)
    blocks = [
        [page.heading(line) for line in wrap(opening, page.width)],
        section("simulation.check", _check(found, time, cost, page), page),
        [page.heading(said("simulation.picture", unit=time.unit)), *_picture(found.simulated, time, page)],
        section("simulation.on_the_way", _on_the_way(found.simulated, page), page),
        section("simulation.others", _others(found, time, cost, page), page),
        section("simulation.stress", _stressed(found, time, cost, page), page),
    ]
    return screen(blocks)


def _check(found: Replay, time: Scale, cost: Scale, page: Page) -> list[str]:
    rows = [heads("", "stated", "drawn")]
    for level in ("p10", "p50", "p90"):
        pair = (getattr(world.time_s, level) for world in (found.stated, found.simulated))
        rows.append([said("simulation.time_level", level=level, unit=time.unit), *map(time.figure, pair)])
    for level in ("p10", "p50", "p90") if found.priced else ():
        pair = (getattr(world.cost_usd, level) for world in (found.stated, found.simulated))
        rows.append([said("simulation.cost_level", level=level, unit=cost.unit), *map(cost.figure, pair)])
    for key, label in (("p_within_time", "within_the_time"), ("p_within_cost", "within_the_cost")):
        values = [getattr(world, key) for world in (found.stated, found.simulated)]
        if values[0] is not None:
            rows.append([*heads(label), *map(chance, values)])
    error = said("simulation.quantiles_differ", quantiles=found.largest_quantile_error)
    if found.largest_probability_error is not None:
        points = 100 * found.largest_probability_error
        error = said("simulation.both_differ", quantiles=found.largest_quantile_error, points=points)
    return [*columns(rows, "lrr", page), *indented(error, page)]


def _picture(world: World, time: Scale, page: Page) -> list[str]:
    """A histogram lying on its side, each line several of its bars."""
    edges, counts = zip(*world.histogram, strict=True)
    each = -(-len(counts) // _BARS)
    lines = [(edges[min(i + each, len(counts)) - 1], sum(counts[i : i + each])) for i in range(0, len(counts), each)]
    most = max(count for _, count in lines)
    room = max(10, min(50, page.width - 24))
    total = sum(counts)
    return [
        f"  {said('simulation.up_to', edge=f'{time.figure(edge):>7}')}"
        f"  {bar(count / most, room).replace('░', ' ').rstrip():{room}} {worded(percent(count / total))}"
        for edge, count in lines
    ]


def _on_the_way(world: World, page: Page) -> list[str]:
    overhead, waiting = world.overhead_s or 0.0, world.waiting_s
    interruptions = said("simulation.interruptions", interruptions=world.interruptions)
    return [
        *labelled("interruptions", interruptions, page),
        *labelled("done_twice", time_text(world.lost_s), page),
        *labelled("waiting", said("simulation.waiting", waiting=waiting), page),
        *(labelled("overhead", said("simulation.overhead", overhead=overhead), page) if overhead else []),
    ]


def _budgets(found: Replay) -> list[tuple[str, str]]:
    """The chances that are told: their names in a world, and their headings."""
    kinds = zip(("p_within_time", "p_within_cost"), heads("within_time", "within_cost"), strict=True)
    return [(key, label) for key, label in kinds if getattr(found.stated, key) is not None]


def _others(found: Replay, time: Scale, cost: Scale, page: Page) -> list[str]:
    budgets = _budgets(found)
    paid = (cost.heading("p90"),) if found.priced else ()
    rows = [("", time.heading("p50"), time.heading("p90"), *paid, *(label for _, label in budgets))]
    for world in (found.simulated, *found.other_worlds):
        chances = (chance(getattr(world, key)) for key, _ in budgets)
        figures = (time.figure(world.time_s.p50), time.figure(world.time_s.p90))
        paid = (cost.figure(world.cost_usd.p90),) if found.priced else ()
        rows.append((world.name, *figures, *paid, *chances))
    table = columns(rows, "l" + "r" * (len(rows[0]) - 1), page, flexible=0)
    return [*table, *indented(said("simulation.bursts"), page)]


def _stressed(found: Replay, time: Scale, cost: Scale, page: Page) -> list[str]:
    """What each stress does to the budgets, and what would have to be set aside, or asked for, to stand it."""
    budgets = _budgets(found)
    paid = (cost.heading("reserve"),) if found.priced else ()
    rows = [("", *(label for _, label in budgets), time.heading("reserve"), *paid, *heads("or_ask_at"))]
    for stress in found.stresses:
        kept = (chance(getattr(stress.world, key)) for key, _ in budgets)
        more = ("+" + time.figure(stress.more_time_s),)
        paid = ("+" + cost.figure(stress.more_cost_usd),) if found.priced else ()
        rows.append((stress.world.name, *kept, *more, *paid, chance(chance_needed(stress))))
    code = "simulation.reserve_of_both" if found.priced else "simulation.reserve_of_time"
    table = columns(rows, "l" + "r" * (len(rows[0]) - 1), page, flexible=0)
    return [*table, *indented(said(code, sure=found.stresses[0].confidence), page)]


def chance_needed(stress: Stress) -> float:
    """The confidence of the plan's own world at which time and cost would stand a stress."""
    if stress.cost_needed_usd <= 0.0:  # machines of one's own whose price nobody stated
        return stress.time_confidence
    return max(stress.time_confidence, stress.cost_confidence)
