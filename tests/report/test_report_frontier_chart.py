"""A frontier drawn: on a terminal, as a chart, and as a page to explore."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from proposal_cases import program
from test_plan_json import FRONTIER, OFFER, PLAN, PROVENANCE

from planner.report.frontier import frontier_table, spread_out
from planner.report.frontier_chart import frontier_chart
from planner.report.frontier_page import frontier_page
from planner.report.frontier_plot import frontier_plot
from planner.report.frontier_scene import axis_of, scene_of
from planner.report.layout import Page, display_width
from planner.results.answers import StatedGoal
from planner.results.plan import Plan, Quantiles
from planner.words import speak

CHROMIUM = program("chromium", "chromium-browser", "google-chrome")
DAY = 86400.0


def plan(
    days: float,
    k_usd: float,
    gpus: int,
    gpu: str = "h100-sxm5-80gb",
    cloud: str = "nebius",
    within: bool = True,
) -> Plan:
    return replace(
        PLAN,
        gpus=gpus,
        time_s=Quantiles(0.9 * days * DAY, days * DAY, 1.1 * days * DAY),
        cost_usd=Quantiles(900 * k_usd, 1000 * k_usd, 1100 * k_usd),
        offer=replace(OFFER, gpu=gpu, cloud=cloud, pricing="on_demand"),
        within_budget=within,
    )


PLANS = (
    plan(0.5, 90, 1024, "gb200-nvl72", "oci"),
    plan(1, 70, 512),
    plan(2, 60, 256),
    plan(9, 50, 64),
    plan(30, 45, 16, "a100-sxm4-80gb", "lambda", within=False),
)
GOAL = StatedGoal("cost", time_s=14 * DAY, cost_usd=95e3, confidence=0.8)
FIVE = replace(FRONTIER, plans=PLANS, goal=GOAL)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("plain", [False, True])
def test_a_drawing_fits_the_terminal(width, plain):
    lines = frontier_plot(FIVE, Page(width), plain=plain)
    assert max(map(display_width, lines)) <= width
    assert "".join(lines).isascii() is plain


def test_a_drawing_marks_each_offer_the_chosen_plan_and_the_budget_box():
    text = "\n".join(frontier_plot(FIVE, Page(80)))
    plot, key = text.split("└")
    assert plot.count("●") == 1
    assert plot.count("▲") == 2  # the third is the chosen one
    assert plot.count("■") == plot.count("◉") == plot.count("╮") == 1
    assert all(words in key for words in ("● gb200-nvl72, oci", "▲ h100-sxm5-80gb, nebius", "■ a100-sxm4-80gb, lambda"))
    assert "◉ chosen: 64 × h100-sxm5-80gb, nebius, on demand: 9 days, 50 k USD" in key
    rows = plot.splitlines()
    corner = next(row for row in rows if "╮" in row).index("╮")
    assert all(row[corner] == "╎" for row in rows[-10:-1])
    assert any(row.find("◉") != -1 and row.index("◉") < corner < row.index("╎") + 1 for row in rows)


def test_without_colour_no_escape_is_written_and_with_it_the_same_words_are():
    bare, coloured = (frontier_plot(FIVE, Page(80, colour)) for colour in (False, True))
    assert "\x1b" not in "".join(bare)
    assert "\x1b" in "".join(coloured)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == bare


@pytest.mark.parametrize(
    "goal", [None, StatedGoal("time"), StatedGoal("cost", time_s=1.0), StatedGoal("time", cost_usd=1e12)]
)
@pytest.mark.parametrize("plans", [PLANS[:1], PLANS[1:2] * 3, PLANS])
@pytest.mark.parametrize("axes", [("time", "cost"), ("time", "cost", "gpus")])
def test_any_frontier_can_be_drawn(goal, plans, axes, tmp_path):
    frontier = replace(FRONTIER, plans=plans, goal=goal, axes=axes)
    frontier_plot(frontier, Page(80))
    assert len(frontier_page(frontier)) > 1000
    if goal is None or goal.time_s is None:
        frontier_chart(frontier, tmp_path / "f.svg")


def test_an_empty_frontier_can_be_drawn(tmp_path):
    nothing = replace(FRONTIER, plans=(), status="infeasible")
    assert frontier_plot(nothing, Page(80)) == []
    assert "Nothing is feasible" in frontier_page(nothing)
    frontier_chart(nothing, tmp_path / "f.svg")


def test_axes_are_logarithmic_where_the_range_asks_for_it():
    scene = scene_of(FIVE)
    assert scene.x.log
    assert not scene.y.log
    ends = [scene.x.share(spot.x) for spot in scene.spots]
    assert 0 < ends[0] < ends[-1] < 1
    assert all(a < b for a, b in pairwise(scene.x.ticks(8)))


def test_a_budget_far_beyond_the_plans_does_not_press_them_into_a_corner():
    far = scene_of(replace(FIVE, goal=replace(GOAL, cost_usd=1e9)))
    assert not far.y.drawn
    assert far.y.high < 120
    assert scene_of(FIVE).y.drawn


def test_with_gpus_as_an_axis_the_stairs_are_those_of_time_and_cost_alone():
    small = plan(12, 55, 8)
    scene = scene_of(replace(FIVE, plans=(*PLANS[:4], small, PLANS[4]), axes=("time", "cost", "gpus")))
    assert list(scene.stairs) == [*scene.spots[:4], scene.spots[5]]
    assert list(scene.stairs) == list(scene_of(FIVE).spots)


def test_the_rows_shown_of_many_keep_the_ends_and_the_chosen_plan_and_differ_most():
    crowd = [plan(2 + 0.001 * i, 60 - 0.001 * i, 256) for i in range(100)]
    plans = [PLANS[0], PLANS[1], *crowd, PLANS[3], PLANS[4]]
    shown = spread_out(plans, 6, crowd[50])
    assert len(shown) == 6
    assert {0.5, 1, 9, 30} <= {found.time_s.p50 / DAY for found in shown}
    assert crowd[50] in shown
    assert shown == sorted(shown, key=lambda found: found.time_s.p50)


def test_a_page_is_whole_in_itself_and_no_name_in_it_can_become_markup():
    bad = "</script><script>alert(1)</script>"
    page = frontier_page(
        replace(
            FIVE,
            plans=(*PLANS, plan(40, 40, 8, gpu=bad, cloud=bad)),
            provenance=replace(PROVENANCE, scenario=bad),
            warnings=(bad,),
        )
    )
    assert "alert(1)</script>" not in page
    assert "default-src 'none'" in page
    links = set(re.findall(r"https?://[^\s\"'<]+", page))
    assert links == {"http://www.w3.org/2000/svg"}  # a namespace, which nothing fetches
    assert not re.search(r"@import|url\(|<link (?!rel=\"icon\" href=\"data:,\")", page)


def test_a_page_shows_every_plan_without_scripts():
    page = frontier_page(FIVE)
    table = page[page.index('<table id="all">') : page.index("</table>")]
    assert table.count("<tr") == 1 + len(PLANS)
    assert table.count('class="strong"') == 1
    assert "<figure><svg" in page


def test_many_offers_are_named_in_a_key_and_marked_differently(tmp_path):
    plans = tuple(plan(1 + n, 90 - n, 64, f"gpu-{n}") for n in range(12))
    frontier_chart(replace(FIVE, plans=plans), tmp_path / "f.svg")
    text = (tmp_path / "f.svg").read_text()
    assert all(f">gpu-{n}, nebius, on demand<" in text for n in range(12))
    assert '"few":5' in frontier_page(replace(FIVE, plans=plans))


def test_what_the_chosen_plan_is_best_in_is_told():
    assert "the cheapest within the budgets." in frontier_page(FIVE)
    assert "the fastest within the budget." in frontier_page(replace(FIVE, goal=StatedGoal("time", cost_usd=95e3)))
    assert "the cheapest." in frontier_page(replace(FIVE, goal=StatedGoal("cost")))
    assert "by cost and days within" in frontier_page(replace(FIVE, goal=replace(GOAL, objective="usd_per_day")))


def test_the_same_frontier_gives_the_same_page():
    assert frontier_page(FIVE) == frontier_page(replace(FIVE))


CASES = [
    ([1.0, 2.0, 30.0], 14.0),
    ([1.0, 2.0, 30.0], None),
    ([60.0, 70.0, 90.0], 95.0),
    ([60.0, 70.0, 90.0], 1e6),
    ([60.0, 70.0, 90.0], 1.0),
    ([10.0, 40.0], 45.0),
    ([0.3, 0.4, 2.9], 0.1),
    ([7.0], None),
    ([7.0], 8.0),
]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_pages_scripts_have_the_axes_of_the_scene(tmp_path):
    script = files("planner.report").joinpath("templates", "plane.js").read_text()
    page = f"""<pre id="found"></pre><script>{script}
    const found = {json.dumps(CASES)}.map(([values, budget]) => {{
      const axis = plane.axis(values, budget);
      return {{ ...axis, ticks: [plane.ticks(axis, 5), plane.ticks(axis, 8)] }};
    }});
    document.getElementById("found").textContent = JSON.stringify(found);</script>"""
    shown = driven(page, tmp_path)
    for (values, budget), there in zip(CASES, shown, strict=True):
        axis = axis_of(values, budget, ("", ""))
        assert (there["log"], there["limit"]) == (axis.log, budget if axis.drawn else None)
        assert [there["low"], there["high"], there["end"]] == pytest.approx([axis.low, axis.high, axis.end])
        assert there["ticks"] == [pytest.approx(axis.ticks(most)) for most in (5, 8)]


def test_a_budget_that_every_plan_exceeds_is_named_and_nothing_is_within_it(tmp_path):
    tight = replace(FIVE, goal=StatedGoal("cost", time_s=60.0, cost_usd=1.0))
    scene = scene_of(tight)
    assert (scene.x.end, scene.y.end, scene.x.drawn, scene.y.drawn) == (0.0, 0.0, False, False)
    frontier_chart(tight, tmp_path / "f.svg")
    assert "budget: 60 s, 1 USD" in (tmp_path / "f.svg").read_text()


def test_a_frontier_is_told_in_the_language_that_is_shown(tmp_path):
    with speak("zh"):
        table, page = frontier_table(FIVE, 80), frontier_page(FIVE)
        frontier_chart(FIVE, tmp_path / "f.svg")
    assert max(map(display_width, table.splitlines())) <= 80
    assert all(words in table for words in ("不被其他方案超过", "预算：", "◉ 所选：", "超出"))
    assert '<html lang="zh' in page
    assert "预算之内最便宜" in page
    assert "对数刻度" in (tmp_path / "f.svg").read_text()
    assert not re.search("[\u4e00-\u9fff]", frontier_table(FIVE, 80) + frontier_page(FIVE))


DRIVE = """<script>
addEventListener("load", () => {
  const svg = document.querySelector(".frame svg"), find = s => document.querySelector(s), found = {};
  const tip = () => find(".tip").hidden ? null : find(".tip strong").textContent;
  const dots = () => svg.querySelectorAll("[role=option]").length;
  const key = k => svg.dispatchEvent(new KeyboardEvent("keydown", {key: k, bubbles: true}));
  const walk = ["Home", "ArrowRight", "End", "ArrowLeft", "Escape"];
  found.walk = walk.map(k => { key(k); return tip(); });
  const option = svg.querySelector("#plan-2").getBoundingClientRect();
  const at = {clientX: option.x + option.width / 2, clientY: option.y + option.height / 2};
  svg.dispatchEvent(new PointerEvent("pointermove", {...at, pointerType: "mouse"}));
  found.pointed = tip();
  found.said = find(".said").textContent;
  found.all = dots();
  find("input[name=cloud][value=nebius]").click(); found.filtered = dots();
  found.rows = [...document.querySelectorAll("#all tbody tr")].filter(r => !r.hidden).length;
  find("input[name=cloud][value=nebius]").click();
  const slider = find("#most"); slider.value = 1; slider.dispatchEvent(new Event("input")); found.few = dots();
  slider.value = 99; slider.dispatchEvent(new Event("input"));
  const place = () => svg.querySelector("#plan-1").getAttribute("d");
  const before = place(); find("input[name=x][value=linear]").click(); found.moved = place() !== before;
  found.box = svg.querySelectorAll(".budget").length; found.ring = svg.querySelectorAll("circle.ink-line").length;
  found.faults = faults; found.loaded = performance.getEntriesByType("resource").length;
  found.wide = document.documentElement.scrollWidth > innerWidth + 1;
  const out = document.createElement("pre"); out.id = "found"; out.textContent = JSON.stringify(found);
  document.body.append(out);
});
</script>"""
WATCH = """<script>window.faults = [];
for (const kind of ["error", "unhandledrejection", "securitypolicyviolation"])
  addEventListener(kind, e => faults.push(kind + " " + (e.message || e.violatedDirective)), true);</script>"""


def driven(page: str, folder: Path) -> Any:
    """What a page's scripts found, as a browser has it."""
    path = folder / "driven.html"
    path.write_text(page)
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=700,900", "--virtual-time-budget=2000"]
    ran = subprocess.run(
        [CHROMIUM, *switches, f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    text = re.search(r'<pre id="found">(.*?)</pre>', ran.stdout, re.DOTALL)
    assert text is not None, ran.stderr
    return json.loads(text[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_walks_filters_and_changes_axes(tmp_path):
    page = frontier_page(replace(FIVE, axes=("time", "cost", "gpus")))
    found = driven(page.replace("<head>", "<head>" + WATCH, 1).replace("</body>", DRIVE + "</body>"), tmp_path)
    names = [f"{p.gpus:,} × {p.offer.gpu}, {p.offer.cloud}, on demand" for p in PLANS]
    assert found["walk"] == [names[0], names[1], names[4], names[3], None]
    assert found["pointed"] == names[2]
    assert "2 days (p10 to p90: 1.8 to 2.2)" in found["said"]
    assert "Against the chosen plan: −7 days, +10 k USD" in found["said"]
    assert (found["all"], found["filtered"], found["rows"], found["few"]) == (5, 2, 2, 2)
    assert found["moved"]
    assert (found["box"], found["ring"]) == (1, 1)
    assert (found["faults"], found["loaded"], found["wide"]) == ([], 0, False)


@pytest.mark.parametrize("kind", ["svg", "png"])
@pytest.mark.parametrize("command", ["frontier", "simulate", "compare"])
def test_dollar_signs_of_a_name_are_no_formula(command, kind, planner, tmp_path):
    path = tmp_path / "dollar.yaml"
    path.write_text(
        'name: "from $50k to $80k, x $a^$"\nmodel: pythia-1b\ndata: {samples: 100k, seq_length: 2048}\n'
        "training: {epochs: 1}\nbudget: {time: 10 days}\ncluster: {gpus: [h100-sxm5-80gb], max_gpus: 16}\n"
    )
    more = ["--by", "cloud"] if command == "compare" else []
    ran = planner(command, path, *more, "--chart", tmp_path / f"chart.{kind}")
    assert ran.code == 0, ran.err
    if kind == "svg" and command != "compare":
        assert "from $50k to $80k, x $a^$" in (tmp_path / "chart.svg").read_text()


@pytest.mark.parametrize("character", ["\\u202e", "\\u2066", "\\u200b", "\\ufffe", "\\x07", "\\x1b[31m"])
@pytest.mark.parametrize("command", ["frontier", "simulate", "compare", "sweep", "propose"])
def test_a_name_with_characters_that_turn_or_hide_text_comes_into_no_drawing(command, character, planner, tmp_path):
    path, out = tmp_path / "turned.yaml", tmp_path / "chart.svg"
    path.write_text(
        f'name: "50 {character}DSU"\nmodel: pythia-1b\ndata: {{samples: 100k, seq_length: 2048}}\n'
        "training: {epochs: 1}\nbudget: {time: 10 days}\ncluster: {gpus: [h100-sxm5-80gb], max_gpus: 16}\n"
    )
    more = {"compare": ["--by", "cloud"], "sweep": ["--over", "training.epochs=1,2"]}.get(command, [])
    where = ["-o", tmp_path / "documents"] if command == "propose" else ["--chart", out]
    ran = planner(command, path, *more, *where)
    assert ran.code == 2
    assert "control character" in ran.err or "printable characters" in ran.err
    assert all(c.isprintable() or c == "\n" for c in ran.err)
    assert [each.name for each in tmp_path.iterdir()] == ["turned.yaml"]
