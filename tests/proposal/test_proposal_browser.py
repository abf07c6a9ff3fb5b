"""A browser drives the page: its controls answer what `optimize` answers, without an error and without the network."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from proposal_cases import facts, program, proposal, scenario, studied

from planner import search
from planner.report.proposal.page import page
from planner.search.building import build

CHROMIUM = program("chromium", "chromium-browser", "google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

# Time limit (days), cost limit (USD), price change (%), confidence; None: the control is emptied.
TERMS = [
    (14, 120_000, 0, 0.8),
    (6.5, 120_000, 0, 0.8),
    (30, None, 0, 0.95),
    (None, 95_000, -20, 0.5),
    (14, 101_000, 15, 0.8),
    (1, 30_000, 0, 0.8),
]
WATCH = """<script>
window.faults = [];
for (const kind of ["error", "unhandledrejection", "securitypolicyviolation"])
  addEventListener(kind, e => faults.push(kind + " " + (e.message || e.violatedDirective)), true);
for (const kind of ["error", "warn"]) console[kind] = (...said) => faults.push(kind + " " + said.join(" "));
</script>"""
DRIVE = """<script>
addEventListener("load", () => {
  const get = name => document.getElementById("what-if-" + name + "-0");
  const set = (input, value) => {
    input.value = value === null ? "" : value;
    input.dispatchEvent(new Event("input", {bubbles: true}));
  };
  const box = document.querySelector(".explorer"), answer = box.querySelector(".answer"), found = [];
  const read = () => ({...answer.dataset, said: answer.textContent, drawn: box.querySelectorAll("circle").length});
  for (const [time, cost, price, confidence] of TERMS) {
    set(get("time"), time); set(get("cost"), cost); set(get("price"), price);
    [...box.querySelectorAll("input[type=radio]")].find(r => +r.value === confidence).click();
    found.push(read());
  }
  box.querySelector("button").click();
  const again = read(), slider = box.querySelector("input[type=range]");
  set(slider, slider.min);
  const place = document.createElement("pre");
  place.id = "found";
  place.textContent = JSON.stringify({
    found, again, faults,
    slid: get("time").value === slider.value,
    wide: document.documentElement.scrollWidth > innerWidth + 1,
    loaded: performance.getEntriesByType("resource").length,
  });
  document.body.append(place);
});
</script>"""


def driven(text: str, folder: Path, width: int) -> dict:
    path = folder / "p.html"
    drive = DRIVE.replace("TERMS", json.dumps(TERMS))
    path.write_text(text.replace("<style>", WATCH + "<style>", 1).replace("</body>", drive + "</body>"))
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={folder}/profile",
    ]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--window-size={width},900", "--virtual-time-budget=4000"]
    made = subprocess.run(
        [*command, "--dump-dom", f"file://{path}"], check=True, capture_output=True, text=True, timeout=120
    )
    result = re.search(r'<pre id="found">(.*?)</pre>', made.stdout, re.DOTALL)
    assert result is not None, made.stderr
    return json.loads(result[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return driven(page(proposal()), tmp_path_factory.mktemp("browser"), 1000)


def test_the_controls_answer_what_optimize_answers(result):
    for (time, cost, price, confidence), shown in zip(TERMS, result["found"], strict=True):
        budget = {"time_s": time and time * 86400.0, "cost_usd": cost, "confidence": confidence}
        factor = 1 + price / 100
        offers = build(scenario(), *facts()).space.offers
        offers = [replace(o, usd_per_gpu_hour=o.usd_per_gpu_hour * factor) for o in offers]
        plan = search.optimize(scenario().with_budget(**budget), *facts(), offers=offers).plan
        if plan is None:
            assert shown["offer"] == ""
            assert "No plan keeps these limits" in shown["said"]
            continue
        assert (shown["offer"], int(shown["gpus"])) == (plan.offer.id, plan.gpus)
        assert float(shown["time"]) == pytest.approx(plan.time_s.p50, rel=1e-12)
        assert float(shown["cost"]) == pytest.approx(plan.cost_usd.p50, rel=1e-12)
        assert f"{plan.cost_usd.p50:,.0f}" in shown["said"]
        assert shown["drawn"] > 5


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("spot", 1e-3), ("billed", 1e-12), ("reserved", 1e-12), ("simple", 1e-12)]
)
def test_whatever_is_paid_the_controls_choose_what_the_search_chooses(kind, tolerance, tmp_path):
    """Spread prices, billing steps, storage, waits and a layout that was kept for its simplicity."""
    found, shown = studied(kind), driven(page(proposal(kind)), tmp_path, 1000)
    assert shown["faults"] == []
    for (time, cost, price, confidence), answer in zip(TERMS, shown["found"], strict=True):
        terms = {"time_s": time and time * 86400.0, "cost_usd": cost, "confidence": confidence}
        choice = found.best(replace(found.terms, price=1 + price / 100, **terms))
        assert (choice is None) == (answer["offer"] == "")
        if choice is not None:
            assert int(answer["gpus"]) == found.gpus(choice)
            assert float(answer["cost"]) == pytest.approx(choice.cost_p50_usd, rel=tolerance)


def test_nothing_fails_and_nothing_is_asked_of_the_network(result):
    assert result["faults"] == []
    assert result["loaded"] == 0


def test_a_button_leads_back_and_sliders_and_numbers_move_together(result):
    assert result["again"] == result["found"][0]
    assert result["slid"]


def test_a_phone_scrolls_down_only_even_with_hostile_names(tmp_path):
    shown = driven(page(proposal("hostile", "zh")), tmp_path, 500)
    assert not shown["wide"]
    assert shown["faults"] == []


def test_the_drawing_tells_kinds_of_price_apart_and_reaches_the_fastest(tmp_path):
    path = tmp_path / "p.html"
    path.write_text(page(proposal("reserved")))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=4000", "--dump-dom", f"file://{path}"]
    made = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    drawing = re.search(r'<div class="drawing">(.*?)</div>', made, re.DOTALL)
    assert drawing is not None
    texts = re.findall(r"<text[^>]*>([^<]*)<", drawing[1])
    assert {"on demand", "reserved (your quote)"} <= set(texts)
    assert "-0" not in texts
    titles = re.findall(r"<title>([^<]*)<", drawing[1])
    assert any("64 × " in title and "on demand" in title for title in titles)
