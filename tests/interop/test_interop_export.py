"""Exported files are whole, are what their tools take, and import again as the plan they came from."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interop_plans import answer, without_plan

from planner.interop.export_slurm import time_limit
from planner.interop.exporting import TARGETS, export_files, write_files
from planner.interop.imported import Imported
from planner.interop.importing import import_files
from planner.interop.megatron_assumptions import pipeline_layout
from planner.interop.plans import read_plan
from planner.performance.framework_table import frameworks
from planner.results.answers import Optimization, Trained
from planner.tracking.progress import progress
from planner.tracking.state import TrackState
from planner.units import PlannerError
from planner.workload.counts import parameter_counts
from planner.workload.model_catalog import load_model

SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
STRANGE = [None, 0, -1, 1e308, float("nan"), float("inf"), "x", [], {}, True, 10**30, [1], 1e-320]
FIXTURES = Path(__file__).parents[1] / "fixtures" / "interop"
MEGATRON_MODELS = {
    "llama3-8b": {"tp": 4, "pp": 2, "vpp": 2, "dp": 4, "cp": 2, "sequence_parallel": True, "recompute": "selective"},
    "deepseekv3": {"tp": 1, "pp": 4, "dp": 64, "ep": 8, "zero_stage": 1, "recompute": "full"},
    "mixtral-8x7b": {"tp": 1, "pp": 4, "vpp": 4, "dp": 32, "ep": 8, "recompute": "none"},
    "qwen3-30b-a3b": {"tp": 2, "pp": 1, "dp": 8, "ep": 8, "sequence_parallel": True, "recompute": "none"},
    "gpt3-13b": {"tp": 2, "pp": 2, "dp": 16, "zero_stage": 0},
    "llama2-70b": {"tp": 4, "pp": 4, "vpp": 3, "dp": 2},  # 80 layers over twelve stages
    "llama3-70b": {"tp": 1, "pp": 1, "dp": 64, "zero_stage": 3, "recompute": "full"},
    "gpt-oss-20b": {"tp": 1, "pp": 2, "dp": 8, "ep": 4, "recompute": "none"},
}
NEOX_MODELS = {
    "gpt-neox-20b": {},
    "pythia-6.9b": {"tp": 2, "pp": 1, "dp": 16, "zero_stage": 1, "recompute": "none"},
    "pythia-1.4b": {"tp": 1, "pp": 1, "dp": 16, "zero_stage": 2},
    "llama2-7b": {"tp": 1, "pp": 1, "dp": 8, "zero_stage": 3},
    "llama3-70b": {"tp": 8, "pp": 4, "dp": 8, "zero_stage": 1, "sequence_parallel": True},
}
LAYOUT = ("tp", "pp", "dp", "micro_batch", "zero_stage", "sequence_parallel", "recompute")


def written(tmp_path: Path, saved: Optimization, target: str) -> dict[str, str]:
    files, _ = export_files(saved, target)
    write_files(tmp_path, files)
    return files


def same_run(found: Imported, saved: Optimization, keys: Iterable[str]) -> None:
    plan = saved.plan
    assert {k: found.value(f"layout.{k}") for k in keys} == {k: getattr(plan.layout, k) for k in keys}
    assert found.value("training.global_batch") == plan.global_batch
    assert found.value("training.iterations") == plan.iterations
    assert found.value("training.precision") == plan.precision
    assert found.value("data.seq_length") == plan.seq_length
    assert found.value("training.evaluation.interval") == 1000
    tp = plan.layout.tp
    assert parameter_counts(found.model, tp=tp) == parameter_counts(saved.trained.model, tp=tp)


@pytest.mark.parametrize("model", NEOX_MODELS)
def test_a_neox_export_imports_as_the_same_run(tmp_path, model):
    saved = answer(model, **NEOX_MODELS[model])
    written(tmp_path, saved, "neox")
    found = import_files([tmp_path / "run.yml", tmp_path / "paths.yml"])
    same_run(found, saved, LAYOUT)


@pytest.mark.parametrize("model", NEOX_MODELS)
def test_every_exported_key_is_one_that_neox_knows_with_its_type(tmp_path, model):
    known = json.loads((FIXTURES / "neox" / "keys.json").read_text())["keys"]
    written(tmp_path, answer(model, **NEOX_MODELS[model]), "neox")
    types = {"int": int, "bool": bool, "str": str, "list": list, "dict": dict}
    seen = set()
    for name in ("run.yml", "paths.yml"):
        for key, value in yaml.load((tmp_path / name).read_text(), Loader=yaml.SafeLoader).items():
            assert key in known
            assert key not in seen, "GPT-NeoX refuses a key that stands in both files"
            seen.add(key)
            kind = known[key]
            if kind == "float":
                assert isinstance(value, int | float)
            elif kind in types:
                assert type(value) is types[kind], key
            elif kind.startswith("Literal"):
                assert str(value).lower() in [v.lower() for v in re.findall(r"'([^']*)'", kind)], key
    assert {"num_layers", "hidden_size", "num_attention_heads", "max_position_embeddings", "optimizer"} <= seen


def test_floats_of_a_config_are_floats_to_yaml(tmp_path):
    written(tmp_path, answer(), "neox")
    config = yaml.safe_load((tmp_path / "run.yml").read_text())
    assert isinstance(config["optimizer"]["params"]["eps"], float)
    assert isinstance(config["min_lr"], float)


@pytest.mark.parametrize("model", MEGATRON_MODELS)
def test_a_megatron_export_imports_as_the_same_run(tmp_path, model):
    saved = answer(model, "megatron", **MEGATRON_MODELS[model])
    written(tmp_path, saved, "megatron")
    found = import_files([tmp_path / "train.sh"])
    same_run(found, saved, (*LAYOUT, "vpp", "cp", *(["ep"] if saved.trained.model.moe else [])))


@pytest.mark.parametrize("model", MEGATRON_MODELS)
def test_every_exported_argument_is_one_that_megatron_knows(tmp_path, model):
    known = json.loads((FIXTURES / "megatron" / "options.json").read_text())["options"]
    files = written(tmp_path, answer(model, "megatron", **MEGATRON_MODELS[model]), "megatron")
    arrays = re.findall(r"^(\w+_ARGS)=\((.*?)^\)", files["train.sh"], re.MULTILINE | re.DOTALL)
    options = [
        line.split() for name, body in arrays if name != "DISTRIBUTED_ARGS" for line in body.strip().splitlines()
    ]
    assert len(options) > 30
    for name, *values in options:
        assert known.get(name[2:]) == ("value" if values else "flag"), name


def test_ramps_and_weighted_data_reach_megatron(tmp_path):
    trained = Trained(load_model("gpt3-13b"), ("a/x", "b y"), (0.3, 0.7), "9,1,0", (32, 32, 6400), 1000, 10)
    files = written(tmp_path, answer("gpt3-13b", "megatron", trained=trained), "megatron")
    assert "--data-path 0.3 a/x 0.7 'b y' --split 9,1,0" in files["train.sh"]
    assert "--rampup-batch-size" not in files["train.sh"]  # releases since 0.18 ignore it without a word
    assert "--global-batch-size" not in files["train.sh"]  # Megatron-LM takes one of the two
    (schedule,) = re.findall(r"--step-batch-size-schedule '(.*)'", files["train.sh"])
    steps = [tuple(map(int, step.split(":"))) for step in schedule.split()]
    assert steps[0] == (0, 32)
    assert [after - before for (_, before), (_, after) in pairwise(steps)] == [32] * (len(steps) - 1)
    assert steps[-1] == (6400 * 2048, 1536)


@pytest.mark.parametrize(
    ("layers", "stages", "mtp", "layout"),
    [(32, 1, 0, "E,t*32,L"), (61, 4, 1, "E,t*16|t*15|t*15|t*15,m,L"), (5, 4, 0, "E,t*2|t*1|t*1|t*1,L")],
)
def test_uneven_stages_are_laid_out_in_megatrons_notation(layers, stages, mtp, layout):
    assert pipeline_layout(layers, stages, mtp) == layout


def test_what_megatrons_own_checks_demand_is_there():
    """Found by running validate_args of NVIDIA/Megatron-LM d98e8a6 on these files."""
    uneven = export_files(answer("llama2-70b", "megatron", **MEGATRON_MODELS["llama2-70b"]), "megatron")[0]["train.sh"]
    assert "--pipeline-model-parallel-layout" in uneven
    assert "--num-virtual-stages-per-pipeline-rank" not in uneven  # the two exclude each other
    saved = answer("llama3-70b", "megatron", **MEGATRON_MODELS["llama3-70b"])
    sharded = export_files(saved, "megatron")[0]["train.sh"]
    assert "--ckpt-format fsdp_dtensor" in sharded
    assert "export CUDA_DEVICE_MAX_CONNECTIONS" not in sharded  # its FSDP refuses one connection


@pytest.mark.parametrize(
    ("layout", "pp", "sentence"),
    [("E,t*2|t*2,L", 3, "has 2 stages"), ("E|(t|)*3,L", 1, "with 3 layers"), ("((t*99)*99)*99", 1, "stages with")],
)
def test_a_pipeline_layout_that_does_not_fit_is_said(tmp_path, layout, pp, sentence):
    path = tmp_path / "run.sh"
    path.write_text(
        "x --num-layers 4 --hidden-size 64 --num-attention-heads 4 --seq-length 8 --micro-batch-size 1 "
        f"--vocab-size 99 --pipeline-model-parallel-size {pp} --pipeline-model-parallel-layout '{layout}'"
    )
    with pytest.raises(PlannerError, match=sentence):
        import_files([path])


@pytest.mark.parametrize(
    ("model", "framework", "target", "layout", "sentence"),
    [
        ("llama3-8b", "gpt-neox", "neox", {"vpp": 2}, "no interleaved pipeline (vpp 2)"),
        ("llama3-8b", "gpt-neox", "neox", {"cp": 2}, "no context parallel size"),
        ("deepseekv3", "gpt-neox", "neox", {}, "no multi-head latent attention"),
        ("gpt-neox-20b", "gpt-neox", "neox", {"zero_stage": 3}, "no pipeline together with ZeRO 3"),
        ("gpt-neox-20b", "megatron", "megatron", {}, "no parallel residual"),
    ],
)
def test_what_a_tool_cannot_run_is_refused_and_named(model, framework, target, layout, sentence):
    with pytest.raises(PlannerError) as error:
        export_files(answer(model, framework, **layout), target)
    assert sentence in str(error.value)


def scripts_of(tmp_path: Path, framework: str, target: str) -> list[Path]:
    """The shell scripts of an export, those within a task's YAML too."""
    model = "gpt-neox-20b" if framework == "gpt-neox" else "llama3-8b"
    files = written(tmp_path, answer(model, framework), target)
    scripts = {tmp_path / name for name in files if name.endswith((".sh", ".sbatch"))}
    for key in ("setup", "run") if "task.yaml" in files else ():
        block = tmp_path / f"{key}.sh"
        block.write_text("#!/usr/bin/env bash\n" + yaml.safe_load(files["task.yaml"]).get(key, ""))
        scripts.add(block)
    assert scripts
    return sorted(scripts)


SCRIPTS = [
    ("gpt-neox", "neox"),
    ("megatron", "megatron"),
    *((framework, target) for framework in ("gpt-neox", "megatron", "fsdp") for target in ("slurm", "skypilot")),
]


@pytest.mark.parametrize(("framework", "target"), SCRIPTS)
def test_scripts_pass_the_shells_own_check(tmp_path, framework, target):
    for script in scripts_of(tmp_path, framework, target):
        subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize(("framework", "target"), SCRIPTS)
@pytest.mark.skipif(not SHELLCHECK, reason="ShellCheck is not installed; requirements-dev.lock has it")
def test_scripts_pass_shellcheck(tmp_path, framework, target):
    scripts = scripts_of(tmp_path, framework, target)
    result = subprocess.run([SHELLCHECK, "-S", "info", *scripts], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("framework", ["gpt-neox", "megatron", "fsdp"])
def test_a_slurm_job_asks_for_the_planned_cluster(tmp_path, framework):
    model = "gpt-neox-20b" if framework == "gpt-neox" else "llama3-8b"
    script = written(tmp_path, answer(model, framework), "slurm")["train.sbatch"]
    directives = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", script, re.MULTILINE))
    assert (directives["nodes"], directives["gpus-per-node"]) == ("12", "8")
    assert directives["time"] == time_limit(47.66 * 150_000 * 1.1)


@pytest.mark.parametrize(("seconds", "limit"), [(1, "0-01:00:00"), (3600, "0-01:00:00"), (90_001, "1-02:00:00")])
def test_slurm_limits_are_whole_hours_rounded_up(seconds, limit):
    assert time_limit(seconds) == limit


# Keys of SkyPilot 0.14 tasks (sky/utils/schemas.py: get_task_schema, get_resources_schema).
TASK_KEYS = {"name", "num_nodes", "envs", "resources", "workdir", "setup", "run"}
RESOURCE_KEYS = {"infra", "instance_type", "accelerators", "use_spot", "job_recovery", "network_tier", "disk_size"}


@pytest.mark.parametrize(
    ("offer", "gpu", "infra", "accelerators"),
    [
        ("aws/p4d.24xlarge/us-east-1/on_demand", "a100-sxm4-40gb", "aws/us-east-1", "A100:8"),
        ("gcp/a3-highgpu-8g/us-central1/spot", "h100-sxm5-80gb", "gcp/us-central1", "H100:8"),
        ("lambda/gpu_8x_h100_sxm5/any/on_demand", "h100-sxm5-80gb", "lambda", "H100:8"),
        ("vast/A100 SXM (per GPU)/market/on_demand", "a100-sxm4-80gb", "vast", "A100-80GB:8"),
        ("oci/BM.GPU.H100.8/all/on_demand", "h100-sxm5-80gb", "oci", "H100:8"),
        ("coreweave/hgx/us/on_demand", "h200-sxm5-141gb", None, "H200:8"),
        ("own/lab/here/owned", "a100-sxm4-80gb", None, "A100-80GB:8"),
    ],
)
def test_a_skypilot_task_asks_for_the_planned_cluster(tmp_path, offer, gpu, infra, accelerators):
    saved = answer(offer=offer, gpu=gpu)
    task = yaml.safe_load(written(tmp_path, saved, "skypilot")["task.yaml"])
    assert set(task) <= TASK_KEYS
    assert set(task["resources"]) <= RESOURCE_KEYS
    assert (task["num_nodes"], task["resources"].get("infra")) == (12, infra)
    assert task["resources"]["accelerators"] == accelerators
    assert task["resources"]["use_spot"] is offer.endswith("spot")


def test_a_finished_run_ends_a_skypilot_task():
    """SkyPilot waits for the commands of all nodes, so that one that sleeps would keep the cluster for ever."""
    run = yaml.safe_load(export_files(answer(), "skypilot")[0]["task.yaml"])["run"]
    done = subprocess.run(
        ["bash", "-c", run], env={"SKYPILOT_NODE_RANK": "3", "PATH": os.environ["PATH"]}, timeout=120, check=False
    )
    assert done.returncode == 0


def test_equal_plans_give_equal_bytes():
    for target in TARGETS:
        own = {"neox": "gpt-neox", "megatron-bridge": "megatron", "accelerate": "fsdp"}.get(target, target)
        saved = answer("llama2-7b", own if own in frameworks() else "megatron", tp=1, pp=1)
        if own == "torchtitan":
            saved = answer("llama2-7b", own, tp=1, pp=1, zero_stage=3)
        assert export_files(saved, target) == export_files(saved, target)


def test_hostile_names_cannot_leave_their_comment_or_word(tmp_path):
    saved = answer(trained=Trained(load_model("gpt3-13b"), ("$(touch x)'\n",)), framework="megatron")
    saved = replace(saved, provenance=replace(saved.provenance, scenario="a\n#SBATCH --nodes=9\n$(x)"))
    for target in ("megatron", "slurm", "skypilot"):
        for text in export_files(saved, target)[0].values():
            assert "\n#SBATCH --nodes=9" not in text
            assert "\n$(" not in text


def test_nothing_is_written_when_something_cannot_be(tmp_path):
    (tmp_path / "run.yml").write_text("old")
    (tmp_path / "paths.yml").mkdir()
    with pytest.raises(PlannerError, match=r"paths\.yml: it is a folder, a device or protected"):
        write_files(tmp_path, export_files(answer(), "neox")[0])
    assert (tmp_path / "run.yml").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["paths.yml", "run.yml"]


def test_saved_plans_are_read_back_whole(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(answer().to_json())
    assert read_plan(path) == answer()
    path.write_text(without_plan(answer()).to_json())
    with pytest.raises(PlannerError, match="holds no plan"):
        read_plan(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_plan_is_read_whole_or_refused_in_a_sentence(tmp_path, data):
    """Whatever is read can be tracked and exported."""
    document = json.loads(answer().to_json())
    part = document[data.draw(st.sampled_from(["plan", "trained", "goal"]))]
    while isinstance(part, dict) and part:
        inner, key = part, data.draw(st.sampled_from(sorted(part)))
        part = inner[key]
        inner[key] = part if isinstance(part, dict) and part else data.draw(st.sampled_from(STRANGE))
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document)[: data.draw(st.sampled_from([None, None, None, 500]))])
    try:
        saved = read_plan(path)
        progress(TrackState(), saved.plan, saved.goal).to_json()
        export_files(saved, "neox")
    except PlannerError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said


def test_a_plan_that_does_not_say_its_model_asks_for_the_scenario():
    saved = replace(answer(), trained=None)
    with pytest.raises(PlannerError, match="--scenario FILE"):
        export_files(saved, "neox")
    assert export_files(saved, "neox", answer().trained) == export_files(answer(), "neox")


DIVISORS = st.sampled_from([1, 2, 4])


@settings(max_examples=40)
@given(
    model=st.sampled_from(["gpt3-13b", "llama2-7b", "llama3-8b", "pythia-2.8b"]),
    tp=DIVISORS,
    pp=DIVISORS,
    dp=st.sampled_from([8, 16, 24]),
    micro_batch=st.integers(1, 8),
    grad_accum=st.integers(1, 64),
    zero_stage=st.integers(0, 3),
    recompute=st.sampled_from(["none", "full"]),
    target=st.sampled_from(["neox", "megatron"]),
    vpp=DIVISORS,
    cp=DIVISORS,
)
def test_any_plan_is_exported_as_itself_or_refused(tmp_path_factory, model, target, vpp, cp, **layout):
    """Either the tool cannot run it, and that is said, or the files mean the plan."""
    if target == "megatron":
        layout |= {"vpp": vpp if layout["pp"] > 1 else 1, "cp": cp}
    saved = answer(model, {"neox": "gpt-neox"}.get(target, target), **layout)
    try:
        files, _ = export_files(saved, target)
    except PlannerError as error:
        if "has no" in str(error):
            return
        raise
    folder = tmp_path_factory.mktemp("out")
    write_files(folder, files)
    names = ["train.sh"] if target == "megatron" else ["run.yml", "paths.yml"]
    same_run(import_files([folder / name for name in names]), saved, tuple(layout.keys() - {"grad_accum"}))


@pytest.mark.parametrize("framework", ["gpt-neox", "megatron", "fsdp"])
def test_skypilot_itself_takes_the_task(tmp_path, framework, monkeypatch):
    sky = pytest.importorskip("sky", reason="SkyPilot is too heavy to be installed for every test run")
    written(tmp_path, answer("gpt-neox-20b" if framework == "gpt-neox" else "llama3-8b", framework), "skypilot")
    monkeypatch.chdir(tmp_path)
    task = sky.Task.from_yaml("task.yaml")
    (resources,) = task.resources
    assert (task.num_nodes, resources.accelerators) == (12, {"A100": 8})


# Keys of NeoXArgsDeepspeedConfig (megatron/neox_arguments/deepspeed_args.py) that an export can hold: GPT-NeoX hands
# them to DeepSpeed as they are, and `precision` as its block.
DEEPSPEED_KEYS = (
    "train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "optimizer", "fp16",
    "zero_optimization", "gradient_clipping", "steps_per_print", "wall_clock_breakdown", "data_types",
)  # fmt: skip


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("model", NEOX_MODELS)
def test_deepspeed_itself_takes_the_config(tmp_path, model, precision, monkeypatch):
    runtime = pytest.importorskip("deepspeed.runtime.config", reason="DeepSpeed is too heavy for every test run")
    saved = answer(model, **NEOX_MODELS[model])
    saved = replace(saved, plan=replace(saved.plan, precision=precision))
    written(tmp_path, saved, "neox")
    config = yaml.safe_load((tmp_path / "run.yml").read_text())
    handed = {key: config[key] for key in DEEPSPEED_KEYS if key in config}
    if config["precision"] == "bfloat16":
        handed["bf16"] = {"enabled": True}
    layout = saved.plan.layout
    monkeypatch.setattr(runtime.dist, "get_rank", lambda: 0)
    monkeypatch.setattr(runtime.dist, "get_world_size", lambda: layout.dp)
    taken = runtime.DeepSpeedConfig(handed)
    assert taken.train_batch_size == saved.plan.global_batch
    assert (taken.train_micro_batch_size_per_gpu, taken.gradient_accumulation_steps) == (
        layout.micro_batch,
        layout.grad_accum,
    )
    assert taken.zero_optimization_stage == layout.zero_stage
    with pytest.raises(AssertionError, match="train_batch_size"):  # the check is a real one
        runtime.DeepSpeedConfig({**handed, "train_batch_size": saved.plan.global_batch + 1})
