"""Many plans at a glance: one a line, and the frontier between time and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from operator import attrgetter

import numpy as np

from planner.files import csv_text
from planner.money import in_its_money, money_of
from planner.report.figures import chance, notes
from planner.report.frontier_plot import frontier_plot
from planner.report.frontier_scene import offer_words, scales_of
from planner.report.layout import Page, bullets, columns, wrap
from planner.results.answers import Frontier, GivenUp
from planner.results.json_form import hours_apart
from planner.results.plan import Layout, Plan
from planner.units import format_count
from planner.words import Sentence, said, say, worded

#: Columns of a frontier's CSV, each with where a plan has it.
CSV_COLUMNS = {
    **{f"{name}_{level}": f"{name}.{level}" for name in ("time_s", "cost_usd") for level in ("p10", "p50", "p90")},
    "offer": "offer.id",
    "gpu": "offer.gpu",
    **{name: name for name in ("gpus", "nodes", "global_batch", "framework")},
    **{field.name: f"layout.{field.name}" for field in fields(Layout)},
    **{name: name for name in ("p_within_time", "p_within_cost", "within_budget")},
    "pricing": "offer.pricing",
}
MOST_ROWS = 16  # with the drawing, what a person reads
WIDE = 100  # columns from which a table of plans also shows their layouts


def layout_words(plan: Plan | GivenUp) -> Sentence:
    """A plan's layout in one short line: "tp2 pp4 dp12 zero1 recompute full mb4"."""
    return layout_in_short(plan.layout, plan.shard_group, plan.recompute_words)


def layout_in_short(layout: Layout, group: int | None, recompute: str) -> Sentence:
    """A layout in one short line, its states over a `group` of GPUs, and what it recomputes in words."""
    parts = [f"tp{layout.tp}", f"pp{layout.pp}" + (f"×{layout.vpp}" if layout.vpp > 1 else ""), f"dp{layout.dp}"]
    parts += [f"cp{layout.cp}"] if layout.cp > 1 else []
    parts += [f"ep{layout.ep}"] if layout.ep > 1 else []
    parts += [f"zero{layout.zero_stage}" + (f"/{group}" if group else "")]
    text, size = " ".join(parts), layout.micro_batch
    if layout.recompute == "none":
        return say("frontier.layout_plain", layout=text, micro_batch=size)
    return say("frontier.layout_recomputing", layout=text, recompute=recompute, micro_batch=size)


def axes_words(frontier: Frontier) -> str:
    """What the plans are not beaten in."""
    return said("frontier.axes_gpus" if "gpus" in frontier.axes else "frontier.axes")


@in_its_money
def frontier_table(
    frontier: Frontier, width: int = 80, colour: bool = False, *, plain: bool = False, today: date | None = None
) -> str:
    """The plans that no other beats, drawn and fastest first; ends in a newline.

    `plain`: the drawing in ASCII. `today`: what ages of prices are relative to; None tells none.
    """
    page = Page(width, colour)
    name = frontier.provenance.scenario
    if not frontier.plans:
        return "\n".join(wrap(said("frontier.nothing", name=name), width)) + "\n"
    title = said("frontier.title", name=name, count=len(frontier.plans), axes=axes_words(frontier))
    lines = [*map(page.heading, wrap(title, width)), ""]
    drawing = frontier_plot(frontier, page, plain=plain)
    lines += [*drawing, ""] if drawing else []
    best = frontier.best
    shown = spread_out(frontier.plans, MOST_ROWS, best)
    lines += plans_table([("", plan) for plan in shown], page, best)
    if len(shown) < len(frontier.plans):
        lines += ["", *bullets([said("frontier.shown", shown=len(shown), count=len(frontier.plans))], page)]
    if any(plan.within_budget is False for plan in frontier.plans):
        lines += ["", *bullets([said("frontier.marked_over")], page)]
    for note in notes(frontier.plans, today):
        lines += ["", *bullets([note], page)]
    if frontier.warnings:
        lines += ["", page.heading(said("frontier.warnings")), *bullets(map(worded, frontier.warnings), page, "warn")]
    return "\n".join(lines) + "\n"


def frontier_csv(frontier: Frontier) -> str:
    """One plan a row, for spreadsheets: seconds, USD, counts and shares as in the JSON."""
    rows: list[dict[str, object]] = [
        {
            name: attrgetter(place)(plan) if plan.offer.priced or "usd" not in name else None
            for name, place in CSV_COLUMNS.items()
        }
        for plan in frontier.plans
    ]
    if money_of(frontier).hours:
        rows = hours_apart(rows)
    names = list(rows[0]) if rows else list(CSV_COLUMNS)
    return csv_text([names, *([row[name] for name in names] for row in rows)])


def spread_out(plans: Sequence[Plan], most: int, kept: Plan | None = None) -> list[Plan]:
    """At most `most` of the plans, the two ends and `kept` among them: those that differ most from one another.

    How far two plans are apart is the sum of the logarithms of their ratios in time and in cost; time and time again
    the plan furthest from all that were taken is taken next. The order stays.
    """
    if len(plans) <= most:
        return list(plans)
    place = np.log([[plan.time_s.p50, plan.cost_usd.p50] for plan in plans])
    taken = [0, len(plans) - 1]
    taken += [i for i, plan in enumerate(plans) if plan is kept and i not in taken]
    apart = np.min([np.abs(place - place[i]).sum(axis=1) for i in taken], axis=0)
    apart[taken] = -1.0
    while len(taken) < most:
        furthest = int(np.argmax(apart))
        taken.append(furthest)
        apart = np.minimum(apart, np.abs(place - place[furthest]).sum(axis=1))
        apart[taken] = -1.0
    return [plans[i] for i in sorted(taken)]


def plan_columns(named: Sequence[tuple[str, Plan]]) -> dict[str, list[str]]:
    """What tables of plans choose their columns from, each below its heading: medians in the units of the largest."""
    plans = [plan for _, plan in named]
    time, cost = scales_of(plans)
    return {
        "name": ["", *(name for name, _ in named)],
        "time": [time.unit, *(time.figure(plan.time_s.p50) for plan in plans)],
        "cost": [cost.unit, *(cost.figure(plan.cost_usd.p50) if plan.offer.priced else "" for plan in plans)],
        "cluster": [
            said("frontier.cluster"),
            *(said("frontier_scene.cluster", gpus=plan.gpus, offer=offer_words(plan.offer)) for plan in plans),
        ],
        "batch": [said("frontier.batch"), *(format_count(plan.global_batch) for plan in plans)],
        "layout": [said("frontier.layout"), *map(layout_words, plans)],
        "chance": [
            said("frontier.chance"),
            *("" if plan.p_within_both is None else chance(plan.p_within_both) for plan in plans),
        ],
    }


def columns_of(
    found: Mapping[str, Sequence[str]], names: Sequence[str], page: Page, *, give: Sequence[str], least: int = 8
) -> list[str]:
    """These columns but for those that say nothing; on a narrow page the first there is of `give` gives way."""
    kept = [name for name in names if any(found[name][1:])]
    align = "".join("l" if name in ("name", "cluster", "layout", "mark") else "r" for name in kept)
    flexible = kept.index(next(name for name in give if name in kept))
    return columns(list(zip(*(found[name] for name in kept), strict=True)), align, page, flexible=flexible, least=least)


def plans_table(plans: Sequence[tuple[str, Plan]], page: Page, chosen: Plan | None = None) -> list[str]:
    """One plan a line, in the units of the largest; columns that say nothing are left out. `chosen` is marked."""
    if not plans:
        return []
    found = plan_columns(plans)
    over, marked = said("frontier.over"), said("frontier.chosen")
    found["mark"] = ["", *(over if p.within_budget is False else marked if p is chosen else "" for _, p in plans)]
    layout = ["layout"] if page.width >= WIDE else []
    names = ["name", "time", "cost", "cluster", "batch", *layout, "chance", "mark"]
    return columns_of(found, names, page, give=("layout", "name", "cluster"))
