"""A browser drives the frontier's page: what it draws, hides and tells of its plans is what the answer holds."""

from __future__ import annotations

import html
import json
import re
import subprocess
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from proposal_cases import program
from test_report_frontier_chart import FIVE

from planner.report.frontier_page import frontier_page

CHROMIUM = program("chromium", "chromium-browser", "google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

WATCH = """<script>
window.faults = [];
for (const kind of ["error", "unhandledrejection", "securitypolicyviolation"])
  addEventListener(kind, e => faults.push(kind + " " + (e.message || e.violatedDirective)), true);
</script>"""
DRIVE = """<script>
addEventListener("load", () => {
  const svg = document.querySelector("#plane svg"), rows = [...document.querySelectorAll("#all tbody tr")], found = {};
  const drawn = () => [...svg.querySelectorAll("[role=option]")].map(e => {
    const box = e.getBBox();
    return [+e.id.slice(5), box.x + box.width / 2, box.y + box.height / 2];
  });
  const note = what => { found[what] = {
    drawn: drawn(), rows: rows.map((row, i) => row.hidden ? -1 : i).filter(i => i >= 0),
    said: document.querySelector(".said").textContent,
  }; };
  note("start");
  for (const box of document.querySelectorAll("#plane input[type=checkbox]")) {
    box.click(); note("without " + box.name + " " + box.value); box.click();
  }
  const most = document.getElementById("most");
  for (let i = 0; i <= +most.max; i++) {
    most.value = i;
    most.dispatchEvent(new Event("input", {bubbles: true}));
    note("most " + document.querySelector("label[for=most]").textContent.match(/[0-9,]+/)[0].replace(",", ""));
  }
  for (const radio of document.querySelectorAll("#plane input[type=radio]")) {
    radio.click(); note("axis " + radio.name + " " + radio.value);
  }
  rows.forEach((row, i) => { row.dispatchEvent(new PointerEvent("pointerenter")); note("told " + i); });
  const place = document.createElement("pre");
  place.id = "found";
  place.textContent = JSON.stringify({found, faults, loaded: performance.getEntriesByType("resource").length});
  document.body.append(place);
});
</script>"""

FRONTIER = replace(FIVE, axes=("time", "cost", "gpus"))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("frontier")
    text = frontier_page(FRONTIER).replace("<style>", WATCH + "<style>", 1).replace("</body>", DRIVE + "</body>")
    (folder / "f.html").write_text(text)
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={folder}/profile", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += ["--window-size=1000,900", "--virtual-time-budget=4000", "--dump-dom", f"file://{folder}/f.html"]
    made = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', made.stdout, re.DOTALL)[1]))


def test_nothing_fails_and_nothing_is_fetched(result):
    assert result["faults"] == []
    assert result["loaded"] == 0


def test_a_filter_hides_the_plans_that_it_names_and_no_other(result):
    where = ["outside" if plan.within_budget is False else "within" for plan in FRONTIER.plans]
    for what, shown in result["found"].items():
        expected = list(range(len(FRONTIER.plans)))
        kind, _, rest = what.partition(" ")
        if kind == "without":
            name, _, value = rest.partition(" ")
            of = {"gpu": [p.offer.gpu for p in FRONTIER.plans], "cloud": [p.offer.cloud for p in FRONTIER.plans]}
            expected = [i for i in expected if (of | {"where": where})[name][i] != value]
        elif kind == "most":
            expected = [i for i in expected if FRONTIER.plans[i].gpus <= int(rest)]
        assert sorted(i for i, _, _ in shown["drawn"]) == shown["rows"] == expected, what
    assert {what.split()[0] for what in result["found"]} >= {"without", "most", "axis", "told"}


@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize("scale", ["linear", "logarithmic"])
def test_plans_stand_where_their_figures_are(result, name, scale):
    drawn = {i: (x, y)[name == "y"] for i, x, y in result["found"][f"axis {name} {scale}"]["drawn"]}
    figures = [p.time_s.p50 if name == "x" else p.cost_usd.p50 for p in FRONTIER.plans]
    value = np.array(figures if scale == "linear" else np.log(figures))[list(drawn)]
    line = np.polyfit(value, list(drawn.values()), 1)
    assert np.abs(np.polyval(line, value) - list(drawn.values())).max() < 1.0  # pixel
    assert (line[0] > 0) == (name == "x")


def test_what_is_told_of_a_plan_is_its_own(result):
    for i, plan in enumerate(FRONTIER.plans):
        said = result["found"][f"told {i}"]["said"]
        assert said.startswith(f"{plan.gpus:,} × {plan.offer.gpu}")
        assert f"batch {plan.global_batch:,}" in said
