"""What CONTRIBUTING says to copy is a catalog that checks clean, is offered, and predicts."""

from __future__ import annotations

import json
import re
from pathlib import Path

from planner.catalog import load_catalog
from planner.catalog.checks import check_catalog
from planner.catalog.eligible import eligible_offers
from planner.spec.scenario import Cluster

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def copied(folder: Path) -> Path:
    """The blocks of CONTRIBUTING, each in its place of an overlay."""
    gpu, node, price, run = (
        re.sub(r"(?m)^  ", "", block) for block in re.findall(r"  ```(?:yaml|csv)\n(.*?)  ```", TEXT, re.DOTALL)
    )
    source = re.search(r"`(acme-quote: \{.*?\})`", TEXT)
    assert source is not None
    for path, content in {
        "accelerators/h100-sxm5-96gb.yaml": gpu,
        "nodes/acme-8x-h100-96.yaml": node,
        "prices/2026-11-24/acme.csv": price,
        "measured/acme.csv": run,
        "sources.yaml": source[1] + "\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    return folder


def test_what_is_copied_checks_clean_and_is_offered(tmp_path):
    catalog = load_catalog([copied(tmp_path)])
    assert not check_catalog(catalog)
    offers = [offer for offer in eligible_offers(catalog, Cluster()).offers if offer.cloud == "acme"]
    assert [(offer.gpus_per_node, offer.usd_per_gpu_hour, offer.max_nodes) for offer in offers] == [(8, 2.5, None)]


def test_the_measurement_that_is_copied_is_predicted(tmp_path, planner):
    folder = copied(tmp_path)
    ran = planner("predict", "--rows", str(folder / "measured" / "acme.csv"), "--catalog", str(folder), "--json")
    assert ran.code == 0
    row = json.loads(ran.out)["rows"][0]
    assert float(row["pred_tokens_per_s_per_gpu"]) > 0
