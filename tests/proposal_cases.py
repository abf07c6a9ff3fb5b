"""Small scenarios for the proposals' tests, each built once a process, and programs that look at documents."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

from planner import api, search
from planner.catalog import Catalog
from planner.money import Money
from planner.performance.calibration import Calibration
from planner.report.proposal.content import build_proposal
from planner.report.proposal.model import Proposal
from planner.results.answers import Optimization
from planner.search.proposal_study import Study, study
from planner.spec.scenario import AskLine, Egress, Scenario, Storage, Terms

ROOT = Path(__file__).parents[1]
DAY = date(2026, 11, 24)
EUR = Money("EUR", 1 / 1.08, date(2026, 11, 20), "ECB reference rate")
COMMAND = "planner propose neox20b.yaml --date 2026-11-24 -o proposal"
# What HTML, templates, typst, spreadsheets and Markdown would each take for their own.
HOSTILE = "=1+1 <script>alert(1)</script> {{7*7}} #strong[x] $x^2$ **b** `c` |d| \\e & 'f\" </style> @SUM(A1) -->"


@cache
def facts() -> tuple[Catalog, Calibration]:
    return api.load_facts()


LLAMA = ["model=llama3-8b", "data={tokens: 300B tokens, seq_length: 8192}", "training={epochs: 1, global_batch: 512}"]
RESERVED = (
    "{pricing: reserved, cloud: aws, gpu: h100-sxm5-80gb, discount: {min: 45%, max: 55%}, term: 30 days, upfront: 50%,"
    " waiting: 2 weeks}"
)
PAID = {
    "reserved": [
        "budget={time: 60 days}",
        (
            "cluster={pricing: [on_demand, reserved], gpus: [h100-sxm5-80gb], clouds: [aws, gcp], max_gpus: 64,"
            f" prices: [{RESERVED}]}}"
        ),
    ],
    "buying": [
        "budget={time: 60 days, cost: 130k EUR}",
        "currency={code: EUR, usd: 1.08, as_of: 2026-11-20, source: ECB reference rate}",
        (
            "cluster={pricing: [on_demand, reserved], gpus: [h100-sxm5-80gb], max_gpus: 64,"
            " own: [{name: ours, gpu: h100-sxm5-80gb, gpus_per_node: 8, nodes: 8, network: 3200 Gbit/s}],"
            f" prices: [{RESERVED}]}}"
        ),
    ],
    "grant": [
        "budget={time: 60 days, cost: 9000 node-hours}",
        (
            "cluster={own_only: true, own: [{name: lab, gpu: a100-sxm4-40gb, gpus_per_node: 8, nodes: 24,"
            " network: 1600 Gbit/s}]}"
        ),
    ],
}


@cache
def scenario(kind: str = "plain") -> Scenario:
    if kind in PAID:
        return api.load_scenario(ROOT / "scenarios/neox20b.yaml", [*LLAMA, *PAID[kind]])
    found = api.load_scenario(
        ROOT / "scenarios/neox20b.yaml",
        [
            "cluster.gpus=[h100-sxm5-80gb]",
            "cluster.clouds=[nebius, crusoe]",
            "cluster.max_gpus=256",
            "budget.cost=120k USD",
            "simpler_within=0",  # what-ifs are the optimum's
        ],
    )
    if kind == "billed":
        return replace(
            found,
            storage=Storage(40e12, 0.02),
            egress=Egress(3e12, 0.05),
            terms=Terms(billing_step_s=3600.0, minimum_time_s=13 * 86400.0),
        )
    if kind == "spot":  # its price is spread over zones
        cluster = replace(found.cluster, clouds=("aws",), regions=("us-east-1",), pricing=("spot",))
        return replace(found, cluster=cluster, storage=Storage(40e12, 0.02)).with_budget(cost_usd=None)
    if kind == "euros":  # all that is paid, and lines beside the run
        lines = (AskLine("Two engineers", cost_usd=43_200.0), AskLine("Contingency", 0.1), AskLine("VAT", 0.19))
        return replace(scenario("billed"), ask=lines, money=EUR)
    if kind == "simple":  # the plan gives something up for its layout
        return replace(found, simpler_within=0.03)
    if kind == "hostile":
        return replace(found, name=HOSTILE, model=replace(found.model, name=HOSTILE))
    return found


@cache
def outcome(kind: str = "plain") -> Optimization:
    return search.optimize(scenario(kind), *facts())


@cache
def studied(kind: str = "plain") -> Study:
    return study(scenario(kind), outcome(kind), *facts())


@cache
def proposal(kind: str = "plain", language: str = "en") -> Proposal:
    kinds = kind.split("+")
    return build_proposal(
        [scenario(k) for k in kinds],
        [outcome(k) for k in kinds],
        *facts(),
        day=DAY,
        language=language,
        command=HOSTILE if "hostile" in kinds else COMMAND,
    )


def program(*names: str) -> str | None:
    """The first of these programs that is installed."""
    return next((found for found in map(shutil.which, names) if found), None)


def recalculated(content: bytes, folder: Path) -> Path:
    """A workbook calculated anew by LibreOffice: planner's own values are taken out of every formula first."""
    bare, made = folder / "bare.xlsx", folder / "made"
    (folder / "in.xlsx").write_bytes(content)
    with zipfile.ZipFile(folder / "in.xlsx") as source, zipfile.ZipFile(bare, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.startswith("xl/worksheets/sheet"):
                data = re.sub(rb"(</f>)<v>[^<]*</v>", rb"\1", data).replace(b' t="str"', b"")
            target.writestr(name, data)
    office = program("soffice", "libreoffice")
    assert office is not None
    command = [office, f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to"]
    command += ["xlsx:Calc MS Excel 2007 XML", "--outdir", str(made), str(bare)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return made / "bare.xlsx"
