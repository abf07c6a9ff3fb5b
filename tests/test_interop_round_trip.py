"""A config that is imported, planned and exported says on the next import what it said on the first."""

from pathlib import Path

import pytest
import yaml

from planner.api import load_scenario, optimize
from planner.interop.exporting import export_files, write_files
from planner.interop.imported import scenario_yaml
from planner.interop.importing import import_files

GPUS = (("70m", 32), ("160m", 32), ("410m", 32), ("1b", 64), ("1.4b", 64), ("2.8b", 64), ("6.9b", 128), ("12b", 256))
NEOX = Path(__file__).parent / "fixtures" / "interop" / "neox"
#: Every GPT-NeoX config among the fixtures, with the GPUs that trained it.
CONFIGS = {
    "20B": ([NEOX / "20B.yml", NEOX / "20B_data.yml"], 96),
    **{
        path.stem: ([path], gpus)
        for path in sorted(NEOX.glob("pythia-*.yml"))
        for gpus in [next(n for size, n in GPUS if path.stem.endswith(size))]
    },
}


def scenario_of(found, tmp_path, more="budget: {time: 3650 days}\n"):
    path = tmp_path / "scenario.yaml"
    path.write_text(scenario_yaml(found) + more)
    return load_scenario(path)


def held(found):
    """What a scenario says, without where it was said and what the files are called."""
    return {row.key: row.value for row in found.taken if row.key not in ("name", "model.name", "data.samples")}


@pytest.mark.parametrize("name", CONFIGS)
def test_import_optimize_export_and_import_again_is_the_same_scenario(tmp_path, name):
    files, gpus = CONFIGS[name]
    first = import_files(files, gpus=gpus, tokens=300_000_000_000)
    answer = optimize(scenario_of(first, tmp_path))
    assert answer.plan is not None, answer.infeasibility
    written, _ = export_files(answer, "neox")
    write_files(tmp_path / "out", written)
    second = import_files([tmp_path / "out" / "run.yml", tmp_path / "out" / "paths.yml"], tokens=300_000_000_000)
    one, two = held(first), held(second)
    padded = two.pop("model.vocab"), two.pop("model.vocab_multiple", 128)
    vocab, multiple = one.pop("model.vocab"), one.pop("model.vocab_multiple", 128) * first.value("layout.tp")
    assert padded[0] == -(-vocab // multiple) * multiple
    assert two == one
    assert not [warning for warning in second.warnings if "says" not in warning]


def test_an_index_at_hand_and_the_plans_checkpoint_interval_reach_the_export(tmp_path):
    prefix = NEOX.parents[1] / "neox" / "uneven_u16"
    lines = [line for line in (NEOX / "pythia-70m.yml").read_text().splitlines() if "data-paths" not in line]
    config = "\n".join(lines).rstrip().removesuffix("}").rstrip().rstrip(",")
    path = tmp_path / "mine.yml"
    path.write_text(config + f',\n  "data_path": "{prefix}", "split": "900,90,10",\n}}\n')
    first = import_files([path], gpus=32)
    assert first.value("data.index") == str(prefix)
    answer = optimize(scenario_of(first, tmp_path, "budget: {time: 3650 days}\nrisk: {checkpoint_interval: 20 min}\n"))
    written, notes = export_files(answer, "neox")
    write_files(tmp_path / "out", written)
    paths, run = (yaml.safe_load(written[name]) for name in ("paths.yml", "run.yml"))
    assert (paths["data_path"], paths["split"]) == (str(prefix), "900,90,10")
    assert not any("placeholder" in note for note in notes)
    assert run["checkpoint_factor"] == answer.plan.reliability.checkpoint_interval_iterations
    second = import_files([tmp_path / "out" / "run.yml", tmp_path / "out" / "paths.yml"])
    assert second.value("data.index") == str(prefix)
    assert second.value("data.split") == first.value("data.split")
