"""What CONTRIBUTING says to copy is a catalog that checks clean, is offered, and predicts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from planner.catalog import load_catalog
from planner.catalog.checks import check_catalog
from planner.catalog.eligible import eligible_offers
from planner.catalog.paths import data_dir
from planner.performance.arrays import Conditions, Layouts, Setting
from planner.performance.loading import load_calibration
from planner.performance.steptime import step_time
from planner.spec.hardware import Hardware
from planner.spec.scenario import Cluster
from planner.words.languages import phrases, spoken, templates
from planner.workload import load_model

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


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


SCENARIO = """\
model: pythia-1b
data: {samples: 1M, seq_length: 2048}
training: {epochs: 1, framework: acme, global_batch: 256}
budget: {time: 30 days}
cluster: {gpus: [h100-sxm5-80gb], max_gpus: 16, pricing: [on_demand]}
"""
#: The command line with its shipped catalog in another folder.
ELSEWHERE = """\
import sys
from pathlib import Path
import planner.catalog.paths as paths
paths._PACKAGE = Path(sys.argv[1])
from planner.cli.run import run
for line in sys.argv[2:]:
    if code := run(line.split()):
        sys.exit(code)
"""


def catalog_with(folder: Path, framework: str) -> Path:
    """The shipped catalog and one framework more."""
    ours = folder / "_catalogs"
    (ours / "frameworks").mkdir(parents=True)
    for path in data_dir().iterdir():
        if path.name != "frameworks":
            (ours / path.name).symlink_to(path)
    for path in (data_dir() / "frameworks").iterdir():
        (ours / "frameworks" / path.name).symlink_to(path)
    (ours / "frameworks" / "acme-lm.yaml").write_text(framework, encoding="utf-8")
    return folder


def test_the_framework_that_is_copied_is_planned_predicted_and_started_by_its_file_alone(tmp_path):
    block = re.search(r"(?m)^```yaml\n(name: acme-lm\n.*?)^```", TEXT, re.DOTALL)
    assert block is not None
    folder, plan, script = catalog_with(tmp_path / "planner", block[1]), tmp_path / "plan.json", tmp_path / "script"
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    lines = (
        f"optimize {scenario} -o {plan}",
        f"export {plan} --to slurm -o {script}",
        "predict --framework acme-lm --model qwen3-8b --gpu h100-sxm5-80gb --gpus 8 --seq-length 4096 --global-batch 8",
    )
    ran = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(folder), *lines], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(plan.read_text(encoding="utf-8"))["plan"]
    assert (found["framework"], found["layout"]["zero_stage"], found["layout"]["cp"]) == ("acme-lm", 1, 1)
    assert "TRAIN_SCRIPT" in (script / "train.sbatch").read_text(encoding="utf-8")
    assert "no run of acme-lm is in the catalog" in " ".join(ran.stdout.split())


def test_a_family_that_nobody_knows_is_planned_from_its_data_alone(tmp_path, planner):
    folder = copied(tmp_path)
    part = folder / "accelerators" / "h100-sxm5-96gb.yaml"
    text = part.read_text(encoding="utf-8").replace("h100-sxm5-96gb", "acme-x1").replace("hopper", "acme-one")
    part.rename(part.with_name("acme-x1.yaml")).write_text(text, encoding="utf-8")
    for other in (folder / "nodes" / "acme-8x-h100-96.yaml", folder / "prices" / "2026-11-24" / "acme.csv"):
        other.write_text(other.read_text(encoding="utf-8").replace("h100-sxm5-96gb", "acme-x1"), encoding="utf-8")
    (folder / "measured" / "acme.csv").unlink()
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO.replace("acme", "any").replace("h100-sxm5-80gb", "acme-x1"), encoding="utf-8")
    assert planner("catalog", "check", "--catalog", folder).code == 0
    ran = planner("optimize", scenario, "--catalog", folder, "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["plan"]["offer"]["gpu"] == "acme-x1"


@pytest.mark.parametrize("offload", ["none", "activations"])
def test_every_term_of_a_step_has_a_name_in_every_language(offload):
    hardware = Hardware("h100-sxm5-80gb", 8, 8, 450.0, 3200.0, "infiniband")
    part, how = load_catalog().accelerator("h100-sxm5-80gb"), Conditions(offload=offload)
    setting = Setting(load_model("deepseekv3"), 4096, "bf16", "megatron", "", part, hardware, conditions=how)
    one, two, eight = (np.array([n]) for n in (1, 2, 8))
    layout = Layouts(two, two, one, eight, two, eight, one, np.array([True]), one, one, eight)
    terms = step_time(setting, layout, load_calibration()).terms_s
    assert {name.replace("_", " ") for name in terms} <= set(phrases("terms"))
    for language in spoken():
        assert not [name for name in terms if not any(key.endswith(f".term_{name}") for key in templates(language))]
