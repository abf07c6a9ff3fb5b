"""A frontier as one HTML file: plans to point at, filters, axes to choose, a table; no network, dark, light, print."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib.resources import files

from planner.money import in_its_money
from planner.report.figures import Scale, chance, money_scale, range_text, time_scale
from planner.report.frontier import axes_words, layout_words
from planner.report.frontier_scene import FEW_OFFERS, Axis, Scene, aim_words, offer_words, scene_of
from planner.report.layout import clean
from planner.report.plan_sections import place
from planner.report.proposal.charts import Axes, Point
from planner.report.proposal.charts import frontier_chart as still
from planner.results.answers import Frontier
from planner.results.plan import Plan, Quantiles
from planner.units import format_count

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

_ORIGIN = (
    "Every plan of the stated space was searched, or proved to be beaten, in planner's model. "
    "Filters hide plans; they do not search again."
)


@in_its_money
def frontier_page(frontier: Frontier) -> str:
    """The document. Without scripts it shows a still chart and the whole table."""
    scene = scene_of(frontier)
    name = clean(frontier.provenance.scenario)
    title = f"{name}: plans that no other beats in {axes_words(frontier)}"
    body = f"<p>{html.escape('Nothing is feasible.')}</p>" if scene is None else _body(frontier, scene, title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{_asset("planner.report.proposal", "proposal.css")}{_asset("planner.report", "frontier.css")}</style>
</head>
<body>
<header><h1>{html.escape(name)}</h1>
<p class="kicker">{html.escape(_subtitle(frontier))}</p></header>
<main>
{body}</main>
</body>
</html>
"""


def _subtitle(frontier: Frontier) -> str:
    count = len(frontier.plans)
    return f"{count} plan{'' if count == 1 else 's'} that no other beats in {axes_words(frontier)}, by their medians"


def _body(frontier: Frontier, scene: Scene, title: str) -> str:
    lead = ""
    if scene.chosen is not None:
        words = f"{scene.chosen_text}; {aim_words(frontier.goal)}."
        lead = f'<p class="lead">{html.escape(words)}</p>\n'
    elif scene.budget_texts:
        lead = f'<p class="lead">No plan is within the {html.escape(scene.budget_texts[0])}.</p>\n'
    warnings = "".join(f"<li>{html.escape(clean(text))}</li>" for text in frontier.warnings)
    return f"""{lead}<section class="frontier">
<figure>{_still(scene, title)}</figure>
<div class="plane" id="plane"></div>
<h2>The plans</h2>
<div class="scroll"><table id="all">
{_table(frontier, scene)}</table></div>
{f"<h2>Warnings</h2><ul>{warnings}</ul>" if warnings else ""}</section>
<footer><p class="quiet">{html.escape(_ORIGIN)}</p></footer>
<script type="application/json" id="plans">{_data(frontier, scene, title)}</script>
<script>
{_asset("planner.report", "frontier.js")}</script>
"""


def _still(scene: Scene, title: str) -> str:
    """The chart for readers without scripts."""
    points = [Point(spot.x, spot.y, spot.offer) for spot in scene.stairs]
    chosen = scene.chosen or scene.stairs[-1]
    asked = Point(
        chosen.x, chosen.y, chosen.offer, f"{format_count(chosen.plan.gpus)} GPUs, {chosen.plan.offer.price_kind}"
    )
    axes = Axes(
        title,
        scene.chosen_text,
        scene.x.title,
        scene.y.title,
        scene.x.budget,
        scene.y.budget,
        "" if scene.x.budget is None else f"budget: {scene.x.scale.text(scene.x.budget * scene.x.scale.size)}",
        "" if scene.y.budget is None else f"budget: {scene.y.scale.text(scene.y.budget * scene.y.scale.size)}",
    )
    return still(points, asked, scene.offers, axes).svg()


def _table(frontier: Frontier, scene: Scene) -> str:
    header = [
        f"time, {scene.x.scale.unit}",
        f"cost, {scene.y.scale.unit}",
        "GPUs",
        "offer",
        "batch",
        "layout",
        "chance of both budgets",
    ]
    chances = any(plan.p_within_both is not None for plan in frontier.plans)
    header = header if chances else header[:-1]
    best, strong = frontier.best, ' class="strong"'
    lines = ["<thead><tr>" + "".join(f'<th scope="col">{html.escape(text)}</th>' for text in header) + "</tr></thead>"]
    lines.append("<tbody>")
    for plan in frontier.plans:
        cells = [
            scene.x.scale.figure(plan.time_s.p50),
            scene.y.scale.figure(plan.cost_usd.p50),
            format_count(plan.gpus),
            offer_words(plan.offer),
            format_count(plan.global_batch),
            layout_words(plan),
            _chance(plan),
        ]
        first, *rest = zip(header, cells, strict=False)
        row = f'<th scope="row" data-label="{html.escape(first[0])}">{html.escape(first[1])}</th>'
        row += "".join(f'<td data-label="{html.escape(label)}">{html.escape(text)}</td>' for label, text in rest)
        lines.append(f"<tr{strong if plan is best else ''}>{row}</tr>")
    return "\n".join([*lines, "</tbody>", ""])


def _chance(plan: Plan) -> str:
    if plan.p_within_both is None:
        return ""
    return chance(plan.p_within_both) + (" (over)" if plan.within_budget is False else "")


def _data(frontier: Frontier, scene: Scene, title: str) -> str:
    """Data for the script as JSON that no text in it can leave: `<`, `>` and `&` are written as escapes."""
    document = {
        "title": title,
        "gpus": "gpus" in frontier.axes,
        "x": _axis(scene.x),
        "y": _axis(scene.y),
        "budget": scene.budget_texts,
        "offers": scene.offers,
        "few": FEW_OFFERS,
        "plans": [
            {
                "t": spot.x,
                "c": spot.y,
                "gpus": spot.plan.gpus,
                "gpu": clean(spot.plan.offer.gpu),
                "cloud": clean(place(spot.plan.offer)),
                "where": "outside" if spot.over else "within",
                "offer": spot.offer,
                "over": spot.over,
                "chosen": spot is scene.chosen,
                "name": f"{format_count(spot.plan.gpus)} × {clean(offer_words(spot.plan.offer))}",
                "lines": _told(spot.plan),
            }
            for spot in scene.spots
        ],
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _axis(axis: Axis) -> dict[str, object]:
    return {"title": axis.title, "unit": axis.scale.unit, "log": axis.log, "budget": axis.budget}


def _told(plan: Plan) -> Sequence[str]:
    """What the page says of the plan that is pointed at."""
    time, cost = time_scale(plan.time_s.p50), money_scale(plan.cost_usd.p50)
    lines = [_range(plan.time_s, time), _range(plan.cost_usd, cost)]
    lines += [] if plan.p_within_both is None else [f"chance of keeping the budgets {chance(plan.p_within_both)}"]
    lines += ["outside the budgets"] if plan.within_budget is False else []
    return [*lines, f"batch {format_count(plan.global_batch)}, {layout_words(plan)}"]


def _range(value: Quantiles, scale: Scale) -> str:
    low, high = value.p10 / scale.size, value.p90 / scale.size
    return f"{scale.text(value.p50)} (p10 to p90: {range_text(low, high)})"


def _asset(package: str, name: str) -> str:
    return files(package).joinpath("templates", name).read_text(encoding="utf-8")
