"""What catalogs, data, layouts and defaults say, in Chinese as in English: by code, with the same figures."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

import planner
from planner.catalog import load_catalog
from planner.catalog.own_machines import owned_offers
from planner.catalog.price_ages import price_age
from planner.catalog.prices import read_prices, said_date
from planner.catalog.risk_facts import load_risk_facts
from planner.performance.framework_table import frameworks
from planner.report.catalog import listed, listing_table
from planner.results.answers import Optimization
from planner.words import Sentence, phrase, restored, speak, worded
from planner.words.languages import phrases
from planner.words.sentence import table
from planner.workload.learning import batch_remark, critical_batch, default_global_batch, optimality_remark

ROOT = Path(__file__).parents[2]
ENGLISH = re.compile(r"[a-z]{3,} [a-z]{3,} [a-z]{3,}")
HEADER = (
    "cloud,instance,region,gpu,gpus,pricing,usd_per_machine_hour_low,as_of,as_of_earliest,as_of_latest,date_kind,source"
)


def chinese(text: str) -> str:
    said = worded(text, "zh")
    assert re.search("[一-鿿]", said), text
    assert not ENGLISH.search(said), said
    return said


def test_every_phrase_of_the_catalogs_stands_in_them_and_what_answers_quote_of_them_has_one():
    texts = "\n".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "catalogs").rglob("*")) if p.is_file())
    joined = {"commercial/industrial US average", "typical modern AI site global"}  # an item and its region
    for group in ("catalog", "parts"):
        for text in phrases(group):
            assert text in texts or text in joined, text
    for row in load_risk_facts().rates:
        chinese(row.source)
    for row in frameworks().values():
        for text in (*row.without.values(), *row.approximates.values()):
            chinese(phrase("parts", text))


def test_a_cost_of_ownership_says_each_part_and_each_assumption_in_the_language_of_the_reader():
    overrides = ["cluster={own_only: true, own: [{name: ours, gpu: h100-sxm5-80gb, gpus_per_node: 8, nodes: 2}]}"]
    cluster = planner.load_scenario(ROOT / "scenarios/smallest.yaml", overrides).cluster
    (offer,) = owned_offers(load_catalog(), cluster)
    assert offer.source.startswith("cost of ownership, ")
    assert "; assumed: capex_usd_per_gpu " in offer.source
    said = chinese(offer.source)
    assert sorted(re.findall(r"\d+\.\d\d\b", said)) == sorted(re.findall(r"\d+\.\d\d\b", offer.source))


def test_the_date_of_a_price_tells_what_it_is_of(tmp_path: Path):
    dates = "2026-07-01,2026-12-31,half_year_estimate"
    path = tmp_path / "p.csv"
    path.write_text(f"{HEADER}\nacme,x,r,h100-sxm5-80gb,8,on_demand,20,2026-H2 est.,{dates},us\n", encoding="utf-8")
    (row,) = read_prices(path)
    assert said_date(row.as_of) == row.as_of == "2026-H2 est."
    assert worded(said_date(row.as_of), "zh") == "2026-H2 估计"
    with speak("zh"):
        table = listing_table("prices", listed(load_catalog(), "prices"), 120)
    assert " 估计" in table
    assert not re.search(r"est\.|-\d\d file\b|undated", table)
    assert price_age(row, date(2026, 11, 24)).sentence.startswith("price as of 2026-H2 est., up to 146 days old")


@pytest.mark.parametrize("tokens", [1e8, 3.5e11])
def test_remarks_on_learning_have_the_same_figures_in_every_language(tokens: float):
    batch = default_global_batch(tokens, 2048)[2]
    for text in (batch, optimality_remark(7e9, tokens), batch_remark(4e6, critical_batch(tokens))):
        said = chinese(text)
        numbers = re.compile(r"\d[\d.,]*\d|\d")
        assert sorted(numbers.findall(said)) == sorted(numbers.findall(text))


def test_reasons_that_count_offers_are_saved_by_code_though_they_are_keys():
    answer = planner.optimize(ROOT / "scenarios/smallest.yaml")
    again = Optimization.from_json(answer.to_json())
    left_out = again.provenance.offers_left_out
    assert left_out == answer.provenance.offers_left_out
    said = {reason: chinese(reason) for reason in left_out if isinstance(reason, Sentence)}
    assert said["kept as history"] == "仅作历史保留"
    assert again.to_json() == answer.to_json()


def test_saved_sentences_stand_in_the_order_of_their_texts_wherever_they_are():
    said = [phrase("defaults", "latest"), phrase("defaults", "any")]
    saved = table({"b": said, "a": {said[0]: "any"}})
    assert [each["text"] for each in saved] == ["any", "latest"]
    assert table(restored({"a": {"latest": "any"}}, saved)) == saved
