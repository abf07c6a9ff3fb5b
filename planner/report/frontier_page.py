"""A frontier as one HTML file: plans to point at, filters, axes to choose, a table; no network, dark, light, print."""

from __future__ import annotations

import html
from collections.abc import Sequence

from planner.money import in_its_money
from planner.report.charts import asset, embedded
from planner.report.figures import Scale, chance, money_scale, range_text, time_scale
from planner.report.frontier import axes_words, layout_words
from planner.report.frontier_scene import FEW_OFFERS, Axis, Scene, aim_words, offer_words, scales_of, scene_of
from planner.report.layout import clean
from planner.report.plan_sections import place
from planner.report.proposal.charts import frontier_chart as still
from planner.results.answers import Frontier
from planner.results.plan import Plan, Quantiles
from planner.units import format_count
from planner.words import said, speaking, worded
from planner.words.languages import forms, templates

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
_CONTROLS = (  # what the script says, by the names that it has for it
    "gpu", "cloud", "budgets", "time_axis", "cost_axis", "linear", "logarithmic", "at_most", "gpus", "how",
    "all_shown", "some_shown", "chosen_label", "against",
)  # fmt: skip


@in_its_money
def frontier_page(frontier: Frontier) -> str:
    """The document. Without scripts it shows a still chart and the whole table."""
    scene = scene_of(frontier)
    name = clean(frontier.provenance.scenario)
    axes, count = axes_words(frontier), len(frontier.plans)
    title = said("frontier_page.title", name=name, axes=axes)
    nothing = f"<p>{html.escape(said('frontier_page.nothing'))}</p>"
    body = nothing if scene is None else _body(frontier, scene, title)
    kicker = said("frontier_page.kicker", count=count, axes=axes)
    return f"""<!doctype html>
<html lang="{forms(speaking()).form("lang")}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{asset("planner.report.proposal", "proposal.css")}{asset("planner.report", "frontier.css")}</style>
</head>
<body>
<header><h1>{html.escape(name)}</h1>
<p class="kicker">{html.escape(kicker)}</p></header>
<main>
{body}</main>
</body>
</html>
"""


def _body(frontier: Frontier, scene: Scene, title: str) -> str:
    lead = ""
    if scene.chosen is not None:
        lead = said("frontier_page.lead", plan=scene.chosen_text, aim=aim_words(frontier.goal))
    elif scene.budget_texts:
        lead = said("frontier_page.none_within", budget=scene.budget_texts[0])
    warnings = "".join(f"<li>{html.escape(clean(worded(text)))}</li>" for text in frontier.warnings)
    warned = f"<h2>{html.escape(said('frontier_page.warnings'))}</h2><ul>{warnings}</ul>" if warnings else ""
    best, named = frontier.best, ""
    if best is not None:
        named = said("frontier_page.chosen_still", gpus=best.gpus, kind=worded(best.offer.price_kind))
    return f"""{f'<p class="lead">{html.escape(lead)}</p>' + chr(10) if lead else ""}<section class="frontier">
<figure>{still(scene, title, scene.chosen_text, named).svg(speaking())}</figure>
<div class="plane" id="plane"></div>
<h2>{html.escape(said("frontier_page.plans"))}</h2>
<div class="scroll"><table id="all">
{_table(frontier, scene)}</table></div>
{warned}</section>
<footer><p class="quiet">{html.escape(said("frontier_page.origin"))}</p></footer>
<script type="application/json" id="plans">{embedded(_data(frontier, scene, title))}</script>
<script>
{asset("planner.report", "plane.js")}{asset("planner.report", "frontier.js")}</script>
"""


def _table(frontier: Frontier, scene: Scene) -> str:
    plans = frontier.plans
    time, cost = scales_of(plans)
    columns = {
        said("frontier_page.time", unit=time.unit): [time.figure(plan.time_s.p50) for plan in plans],
        said("frontier_page.cost", unit=cost.unit): [cost.figure(plan.cost_usd.p50) for plan in plans],
        said("frontier_page.gpus_head"): [format_count(plan.gpus) for plan in plans],
        said("frontier_page.offer"): [scene.offers[spot.offer] for spot in scene.spots],
        said("frontier_page.batch"): [format_count(plan.global_batch) for plan in plans],
        said("frontier_page.layout"): [worded(layout_words(plan)) for plan in plans],
    }
    if any(plan.p_within_both is not None for plan in plans):
        columns[said("frontier_page.chance_head")] = [_chance(plan) for plan in plans]
    best, strong = frontier.best, ' class="strong"'
    lines = ["<thead><tr>" + "".join(f'<th scope="col">{html.escape(text)}</th>' for text in columns) + "</tr></thead>"]
    lines.append("<tbody>")
    for plan, cells in zip(plans, zip(*columns.values(), strict=True), strict=True):
        first, *rest = zip(columns, cells, strict=True)
        row = f'<th scope="row" data-label="{html.escape(first[0])}">{html.escape(first[1])}</th>'
        row += "".join(f'<td data-label="{html.escape(label)}">{html.escape(text)}</td>' for label, text in rest)
        lines.append(f"<tr{strong if plan is best else ''}>{row}</tr>")
    return "\n".join([*lines, "</tbody>", ""])


def _chance(plan: Plan) -> str:
    if plan.p_within_both is None:
        return ""
    shown = worded(chance(plan.p_within_both))
    return said("frontier_page.over", chance=shown) if plan.within_budget is False else shown


def _data(frontier: Frontier, scene: Scene, title: str) -> dict[str, object]:
    """What the script draws."""
    time, cost = scales_of(frontier.plans)
    script_texts = {name: templates(speaking())[f"frontier_page.{name}"] for name in _CONTROLS}
    return {
        "title": title,
        "words": script_texts,
        "gpus": "gpus" in frontier.axes,
        "x": _axis(scene.x, time),
        "y": _axis(scene.y, cost),
        "budget": scene.budget_texts,
        "offers": scene.offers,
        "few": FEW_OFFERS,
        "plans": [
            {
                "t": spot.x,
                "c": spot.y,
                "gpus": spot.gpus,
                "gpu": clean(plan.offer.gpu),
                "cloud": clean(place(plan.offer)),
                "where": said("frontier_page.outside" if spot.over else "frontier_page.within"),
                "offer": spot.offer,
                "over": spot.over,
                "chosen": spot is scene.chosen,
                "name": said("frontier_scene.cluster", gpus=plan.gpus, offer=clean(offer_words(plan.offer))),
                "lines": _hover_lines(plan),
            }
            for plan, spot in zip(frontier.plans, scene.spots, strict=True)
        ],
    }


def _axis(axis: Axis, scale: Scale) -> dict[str, object]:
    return {
        "title": axis.title,
        "log_title": axis.log_title,
        "unit": scale.unit,
        "log": axis.log,
        "budget": axis.budget,
    }


def _hover_lines(plan: Plan) -> Sequence[str]:
    """What the page says of the plan that is pointed at."""
    time, cost = time_scale(plan.time_s.p50), money_scale(plan.cost_usd.p50)
    lines = [_range(plan.time_s, time), _range(plan.cost_usd, cost)]
    if plan.p_within_both is not None:
        lines.append(said("frontier_page.chance", chance=chance(plan.p_within_both)))
    if plan.within_budget is False:
        lines.append(said("frontier_page.outside_budgets"))
    return [*lines, said("frontier_page.run", batch=plan.global_batch, layout=layout_words(plan))]


def _range(value: Quantiles, scale: Scale) -> str:
    ends = range_text(value.p10 / scale.size, value.p90 / scale.size)
    return said("frontier_page.range", middle=scale.text(value.p50), ends=ends)
