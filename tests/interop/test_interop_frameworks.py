"""torchtitan, Megatron-Bridge, DeepSpeed under the Trainer, nanotron: exported, imported again, started."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interop_plans import answer
from test_interop_assumptions import exported, plans, same_memory
from test_interop_export_hostile import HOSTILE, STEERING, rewritten

from planner.interop.export_common import Export, export_of
from planner.interop.export_megatron import argument_groups
from planner.interop.export_megatron_bridge import bridge_fields
from planner.interop.exporting import LAUNCHERS, TARGETS, export_files, write_files
from planner.interop.importing import import_files
from planner.interop.launches import LAUNCHES
from planner.interop.megatron_bridge_fields import HOME, OTHERWISE
from planner.interop.torchtitan_models import flavour_of
from planner.performance.arrays import Conditions
from planner.performance.framework_table import frameworks, frameworks_for
from planner.report.frameworks import framework_page
from planner.results.answers import Optimization
from planner.scenario.sections import FRAMEWORKS
from planner.units import PlannerError
from planner.workload.counts import parameter_counts
from planner.workload.model_catalog import load_model

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"
SHELLCHECK = shutil.which("shellcheck")
RUNS: dict[str, dict[str, Any]] = {
    "torchtitan": {"tp": 2, "sequence_parallel": True, "zero_stage": 2, "vpp": 2, "recompute": "full"},
    "deepspeed": {"tp": 1, "pp": 1, "zero_stage": 3},
    "nanotron": {"sequence_parallel": True},
    "megatron": {"sequence_parallel": True, "vpp": 2},
}


def plan_of(framework: str, model: str = "llama3-8b", **changed: Any) -> Optimization:
    saved: Optimization = answer(model, framework, **{**RUNS[framework], **changed})
    return saved


# Readers of their own: no code of planner's exports or importers -----------------------------------------------------


def of_torchtitan(text: str, gpus: int) -> tuple[str, Conditions, dict[str, Any]]:
    """Precision, conditions and layout that a TOML means, by torchtitan's own defaults."""
    toml = tomllib.loads(text)
    p, t, ac = toml["parallelism"], toml["training"], toml["activation_checkpoint"]
    assert (t["dtype"], t["mixed_precision_param"], t["mixed_precision_reduce"]) == ("float32", "bfloat16", "float32")
    assert not t["enable_cpu_offload"]
    tp, pp, cp = p["tensor_parallel_degree"], p["pipeline_parallel_degree"], p["context_parallel_degree"]
    shard, replicate = p["data_parallel_shard_degree"], p["data_parallel_replicate_degree"]
    assert shard * replicate * tp * pp * cp == gpus
    parts = p.get("module_fqns_per_model_part", [[]])
    assert p.get("pipeline_parallel_schedule", "1F1B") == ("Interleaved1F1B" if len(parts) > pp else "1F1B")
    micro = p.get("pipeline_parallel_microbatch_size", t["local_batch_size"])
    option = ac.get("selective_ac_option", "")
    share = 1 / int(option) if option.isdigit() else None
    stage = {"never": 2, "always": 3}[p["fsdp_reshard_after_forward"]]
    layout = {
        "tp": tp, "pp": pp, "cp": cp, "vpp": len(parts) // pp if pp > 1 else 1, "dp": shard * replicate,
        "ep": p.get("expert_parallel_degree", 1), "zero_stage": stage,
        "sequence_parallel": tp > 1, "recompute": "full" if share else ac["mode"], "micro_batch": micro,
        "grad_accum": t["global_batch_size"] // (micro * shard * replicate),
    }  # fmt: skip
    converters = " ".join(toml["model"].get("converters", []))
    precision = "fp8" if "float8" in converters else "mxfp8" if "mx" in converters else "bf16"
    group = shard * cp if replicate > 1 else None
    fused = toml["compile"]["enable"]
    return precision, Conditions(flash_attention=True, fused=fused, recompute_share=share, shard_group=group), layout


def of_deepspeed(files: dict[str, str], gpus: int) -> tuple[str, Conditions, dict[str, Any]]:
    """The same of DeepSpeed's JSON, Accelerate's YAML and the Trainer's arguments."""
    config, cluster = json.loads(files["ds_config.json"]), yaml.safe_load(files["accelerate.yaml"])
    assert cluster["num_processes"] == gpus
    words = dict(re.findall(r"^  (--\w+) (\S+) \\$", files["train.sh"], re.MULTILINE))
    zero = config["zero_optimization"]
    assert zero["reduce_bucket_size"] == zero["allgather_bucket_size"] == 500_000_000
    assert "offload_optimizer" not in zero
    layout = {
        "tp": 1, "pp": 1, "cp": 1, "vpp": 1, "ep": 1, "dp": gpus, "zero_stage": zero["stage"],
        "sequence_parallel": False, "recompute": "full" if "--gradient_checkpointing" in words else "none",
        "micro_batch": config["train_micro_batch_size_per_gpu"], "grad_accum": config["gradient_accumulation_steps"],
    }  # fmt: skip
    attention = re.search(r"ATTN_IMPLEMENTATION=(\w+)", files["train.sh"])
    assert attention is not None
    optimizer = config["optimizer"]["type"].lower()
    fused = "--torch_compile" in words
    conditions = Conditions(flash_attention=attention[1] != "eager", fused=fused, optimizer=optimizer)
    return ("fp16" if "fp16" in config else "bf16"), conditions, layout


def of_nanotron(text: str) -> tuple[str, Conditions, dict[str, Any]]:
    """The same of nanotron's YAML."""
    config = yaml.safe_load(text)
    p, t, o = config["parallelism"], config["tokens"], config["optimizer"]
    assert config["model"]["dtype"] == "bfloat16"
    assert o["accumulate_grad_in_fp32"] is True
    assert p["pp_engine"] == "1f1b"
    layout = {
        "tp": p["tp"], "pp": p["pp"], "cp": 1, "vpp": 1, "ep": 1, "dp": p["dp"], "zero_stage": o["zero_stage"],
        "sequence_parallel": p["tp_mode"] == "REDUCE_SCATTER", "recompute": "full" if p["recompute_layer"] else "none",
        "micro_batch": t["micro_batch_size"], "grad_accum": t["batch_accumulation_per_replica"],
    }  # fmt: skip
    fused = config["model"]["model_config"]["_fused_rms_norm"]
    return "bf16", Conditions(flash_attention=True, fused=fused), layout


@settings(max_examples=25, deadline=None)
@given(plans("torchtitan"))
def test_a_torchtitan_toml_read_back_gives_the_plans_memory(saved: Optimization) -> None:
    text = exported(saved, "torchtitan")["train.toml"]
    assert saved.plan is not None
    same_memory(saved, "torchtitan", of_torchtitan(text, saved.plan.gpus))


@settings(max_examples=15, deadline=None)
@given(plans("deepspeed"))
def test_deepspeeds_files_read_back_give_the_plans_memory(saved: Optimization) -> None:
    files = exported(saved, "deepspeed")
    assert saved.plan is not None
    same_memory(saved, "deepspeed", of_deepspeed(files, saved.plan.gpus))


@settings(max_examples=15, deadline=None)
@given(plans("nanotron"))
def test_a_nanotron_yaml_read_back_gives_the_plans_memory(saved: Optimization) -> None:
    same_memory(saved, "nanotron", of_nanotron(exported(saved, "nanotron")["train.yaml"]))


# Exported and imported again -----------------------------------------------------------------------------------------

KEYS = ("tp", "pp", "dp", "zero_stage", "sequence_parallel", "recompute", "micro_batch")


@pytest.mark.parametrize(
    ("framework", "target", "names", "keys"),
    [
        ("torchtitan", "torchtitan", ["train.toml"], (*KEYS, "vpp", "cp", "ep")),
        ("nanotron", "nanotron", ["train.yaml"], KEYS),
        ("megatron", "megatron-bridge", ["overrides.yaml"], (*KEYS, "vpp", "cp")),
    ],
)
def test_an_export_imports_as_the_same_run(
    tmp_path: Path, framework: str, target: str, names: list[str], keys: tuple[str, ...]
) -> None:
    saved = plan_of(framework)
    assert saved.plan is not None
    write_files(tmp_path, export_files(saved, target)[0])
    gpus = saved.plan.gpus if target == "megatron-bridge" else None
    found = import_files([tmp_path / name for name in names], gpus=gpus, strict=True)
    assert {key: found.value(f"layout.{key}") for key in keys} == {key: getattr(saved.plan.layout, key) for key in keys}
    assert found.value("training.global_batch") == saved.plan.global_batch
    assert found.value("training.iterations") == saved.plan.iterations
    assert found.value("data.seq_length") == saved.plan.seq_length
    assert found.value("training.framework") == framework
    assert saved.trained is not None
    tp = saved.plan.layout.tp
    assert parameter_counts(found.model, tp=tp) == parameter_counts(saved.trained.model, tp=tp)


@pytest.mark.parametrize("model", ["deepseekv3", "gpt-oss-20b", "mixtral-8x7b", "qwen3-30b-a3b", "gpt3-13b"])
def test_a_megatron_bridge_yaml_holds_the_whole_model(tmp_path: Path, model: str) -> None:
    saved = plan_of("megatron", model, vpp=1, pp=1)
    assert saved.plan is not None
    write_files(tmp_path, export_files(saved, "megatron-bridge")[0])
    found = import_files([tmp_path / "overrides.yaml"], gpus=saved.plan.gpus)
    assert parameter_counts(found.model, tp=2) == parameter_counts(load_model(model), tp=2)


def test_every_argument_of_megatron_has_a_field_of_megatron_bridges() -> None:
    seen = set()
    for model in ("deepseekv3", "gpt-oss-20b", "llama3-8b", "gpt3-13b"):
        for zero in (0, 1, 3):
            saved = plan_of("megatron", model, vpp=1, pp=1, zero_stage=zero)
            assert saved.plan is not None
            for precision in ("bf16", "fp16", "fp8", "mxfp8", "nvfp4"):
                export = export_of(replace(saved, plan=replace(saved.plan, precision=precision)))
                seen |= {name for *_, group in argument_groups(export) for name in group}
                assert all("." in path for path in bridge_fields(export))
    assert len(seen) > 60
    assert seen <= {*HOME, *OTHERWISE}


def test_deepspeeds_files_are_read_beside_a_config_json(tmp_path: Path) -> None:
    saved = plan_of("deepspeed")
    assert saved.plan is not None
    write_files(tmp_path, export_files(saved, "deepspeed")[0])
    config = {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
              "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = import_files(
        [tmp_path / name for name in ("config.json", "ds_config.json", "accelerate.yaml")], strict=True
    )
    assert found.value("training.framework") == "deepspeed"
    assert found.value("layout.zero_stage") == 3
    assert found.value("layout.dp") == saved.plan.gpus
    assert found.value("training.global_batch") == saved.plan.global_batch
    with pytest.raises(PlannerError, match=r"holds no model: name the model.s config\.json"):
        import_files([tmp_path / "ds_config.json"])


def test_what_the_trainer_fills_in_is_left_open(tmp_path: Path) -> None:
    auto = {"train_batch_size": "auto", "train_micro_batch_size_per_gpu": "auto", "zero_optimization": {"stage": 2},
            "bf16": {"enabled": "auto"}, "optimizer": {"type": "AdamW", "params": {"lr": "auto"}}}  # fmt: skip
    (tmp_path / "ds.json").write_text(json.dumps(auto))
    shape = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
             "intermediate_size": 128, "vocab_size": 256}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(shape))
    found = import_files([tmp_path / "config.json", tmp_path / "ds.json"])
    assert found.value("layout.zero_stage") == 2
    assert found.value("layout.micro_batch") is None
    assert found.value("training.global_batch") is None


@pytest.mark.parametrize(
    ("toml", "gpus", "sentence"),
    [
        ('[model]\nname = "llama3"\nflavor = "9B"\n', 8, "is none whose shape planner knows"),
        ('[model]\nname = "llama3"\nflavor = "8B"\n', None, "add --gpus N"),
        ('[model]\nflavor = "8B"\n[parallelism]\ntensor_parallel_degree = 3\n', 8, "8 GPUs are not divisible by"),
        ('[model]\nflavor = "8B"\n[training]\nglobal_batch_size = 9\n', 8, "must be multiple of local batch size"),
        ('[model]\nflavor = "8B"\n[model', 8, "is not valid TOML"),
        ('[model]\nflavor = "8B"\n[activation_checkpoint]\nmode = "some"\n', 8, "must be none, selective, full"),
    ],
)
def test_what_a_toml_gets_wrong_is_one_sentence(tmp_path: Path, toml: str, gpus: int | None, sentence: str) -> None:
    (tmp_path / "run.toml").write_text(toml)
    with pytest.raises(PlannerError, match=sentence):
        import_files([tmp_path / "run.toml"], gpus=gpus)


def test_torchtitans_defaults_are_its_own(tmp_path: Path) -> None:
    """Selective checkpointing of every second block, sharded again after the forward pass but with a pipeline."""
    path = tmp_path / "run.toml"
    path.write_text('[model]\nname = "llama3"\nflavor = "8B"\n[training]\nbatch_size = 2\n')
    found = import_files([path], gpus=16)
    assert (found.value("layout.recompute"), found.value("layout.recompute_share")) == ("full", 0.5)
    assert (found.value("layout.zero_stage"), found.value("layout.micro_batch")) == (3, 2)
    path.write_text('[model]\nname = "llama3"\nflavor = "8B"\n[parallelism]\npipeline_parallel_degree = 2\n')
    found = import_files([path], gpus=16)
    assert (found.value("layout.zero_stage"), found.value("layout.micro_batch")) == (2, 1)


def test_a_key_that_torchtitan_does_not_have_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('[model]\nname = "llama3"\nflavor = "8B"\n[parallelism]\ntensor_paralel_degree = 2\n')
    with pytest.raises(PlannerError, match=r"did you mean parallelism\.tensor_parallel_degree"):
        import_files([path], gpus=8, strict=True)


@pytest.mark.parametrize("name", frameworks()["torchtitan"].models)
def test_torchtitans_flavours_are_models_of_the_catalog(name: str) -> None:
    known = frameworks()["torchtitan"].models[name]
    model = replace(load_model(known), mtp_layers=0)
    found = flavour_of(model)
    assert f"{found.name}/{found.flavour}" == name


def test_another_shape_of_llamas_is_registered_with_its_very_width() -> None:
    for hidden, ffn in ((4096, 11008), (5120, 13824), (2048, 5632), (3584, 9999)):
        model = replace(load_model("llama2-7b"), hidden=hidden, ffn=ffn, heads=hidden // 128, kv_heads=hidden // 128,
                        head_dim=128)  # fmt: skip
        found = re.search(r"ffn_dim_multiplier=([\d.]+), multiple_of=1", flavour_of(model).module)
        assert found is not None
        assert int(float(found[1]) * int(2 * (4 * hidden) / 3)) == ffn  # as torchtitan's FeedForward computes it


# What starts them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("framework", ["fsdp", *frameworks()])
def test_a_plan_goes_to_its_own_frameworks_files_and_to_no_other(framework: str, target: str) -> None:
    row = frameworks()[framework]
    if framework in RUNS:
        saved = plan_of(framework)
    else:
        model, stage = ("pythia-6.9b", 1) if framework == "gpt-neox" else ("llama3-8b", 3)
        saved = answer(model, framework, tp=1, pp=1, zero_stage=stage)
    own = target in row.exports or (target in LAUNCHERS and not (framework == "gpt-neox" and "j" in target))
    if own:
        assert export_files(saved, target)[0]
        return
    with pytest.raises(PlannerError) as error:
        export_files(saved, target)
    assert "or plan with training.framework" in str(error.value) or "Kubernetes starts a plan node by node" in str(
        error.value
    )


@pytest.mark.parametrize("framework", LAUNCHES)
def test_launch_files_pass_the_shells_own_check(tmp_path: Path, framework: str) -> None:
    scripts: list[Path] = []
    targets = (
        ("megatron-bridge", *LAUNCHERS) if framework == "megatron" else (*frameworks()[framework].exports, *LAUNCHERS)
    )
    for target in targets:
        folder = tmp_path / target
        written = write_files(folder, export_files(plan_of(framework), target)[0])
        scripts += [path for path in written if path.suffix in (".sh", ".sbatch")]
    for number, document in enumerate(yaml.safe_load_all((tmp_path / "jobset" / "jobset.yaml").read_text())):
        if document["kind"] == "JobSet":
            job = document["spec"]["replicatedJobs"][0]["template"]["spec"]
            (text,) = job["template"]["spec"]["containers"][0]["args"]
            script = tmp_path / f"pod-{number}.sh"
            script.write_text(f"#!/usr/bin/env bash\n{text}")
            scripts.append(script)
    for script in scripts:
        subprocess.run(["bash", "-n", script], check=True)
    if SHELLCHECK:
        done = subprocess.run([SHELLCHECK, "-S", "info", *scripts], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("framework", [*LAUNCHES, "fsdp"])
def test_kubernetes_manifests_ask_for_the_planned_cluster_and_hold_the_files(framework: str) -> None:
    saved = plan_of(framework) if framework in RUNS else answer("llama3-8b", "fsdp", tp=1, pp=1, dp=96, zero_stage=3)
    assert saved.plan is not None
    nodes = saved.plan.nodes
    files = export_files(saved, "jobset")[0]
    config, job = yaml.safe_load_all(files["jobset.yaml"])
    spec = job["spec"]["replicatedJobs"][0]["template"]["spec"]
    assert (spec["parallelism"], spec["completions"], spec["completionMode"]) == (nodes, nodes, "Indexed")
    (container,) = spec["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": saved.plan.gpus // nodes}
    held = {name: text.rstrip("\n") for name, text in config["data"].items()}
    assert held == {name: text.rstrip("\n") for name, text in files.items() if name != "jobset.yaml"}
    assert config["metadata"]["name"] == spec["template"]["spec"]["volumes"][0]["configMap"]["name"]
    _, job = yaml.safe_load_all(export_files(saved, "pytorchjob")[0]["pytorchjob.yaml"])
    replicas = job["spec"]["pytorchReplicaSpecs"]
    assert sum(part["replicas"] for part in replicas.values()) == nodes
    assert replicas["Master"]["template"]["spec"]["containers"][0]["name"] == "pytorch"  # the operator looks for it


@pytest.mark.parametrize(
    ("framework", "model", "layout", "sentence"),
    [
        ("torchtitan", "qwen3-8b", {"vpp": 1}, "it has no pipeline for qwen3; plan with layout.pp: 1"),
        ("torchtitan", "llama3-8b", {"dp": 1}, "without sharding; plan with layout.dp"),
        ("torchtitan", "gpt3-13b", {}, "it has no biases"),
        ("torchtitan", "deepseekv3", {}, "it has no multi-token prediction"),
        ("deepspeed", "llama3-8b", {"tp": 2}, "it has no tp 2; plan with layout.tp: 1"),
        ("deepspeed", "llama3-8b", {"recompute": "selective"}, "plan with layout.recompute: full"),
        ("nanotron", "mixtral-8x7b", {}, "it has no experts that planner plans"),
        ("nanotron", "llama3-8b", {"vpp": 2}, "it has no vpp 2; plan with layout.vpp: 1"),
    ],
)
def test_what_a_framework_cannot_run_is_refused_and_named(
    framework: str, model: str, layout: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(PlannerError) as error:
        export_files(plan_of(framework, model, **layout), framework)
    assert sentence in str(error.value)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("framework", LAUNCHES)
def test_hostile_texts_stay_within_their_words_and_comments(framework: str, kind: str) -> None:
    saved = plan_of(framework)
    assert saved.plan is not None
    assert saved.trained is not None
    text, usual_data = HOSTILE[kind], replace(saved.trained, data_split="995,4,1")
    plan, trained = (rewritten(part, text, STEERING | {"optimizer", "offload"}) for part in (saved.plan, usual_data))
    targets = [*frameworks()[framework].exports, "jobset", "pytorchjob"]
    for target in targets:
        usual = TARGETS[target](Export(saved.plan, usual_data, "x"))
        files = TARGETS[target](Export(plan, trained, text))
        assert files.keys() == usual.keys()
        for name, content in files.items():
            assert content.replace("\n", "").isprintable(), name
            if not name.endswith(".py"):
                assert content.count("\n") == usual[name].count("\n"), name
            if name.endswith(".toml"):
                assert tomllib.loads(content).keys() == tomllib.loads(usual[name]).keys()
            if name.endswith((".yaml", ".json")):
                assert [*yaml.safe_load_all(content)][-1].keys() == [*yaml.safe_load_all(usual[name])][-1].keys()
            if name.endswith(".sh"):
                assert subprocess.run(["bash", "-n"], input=content, text=True, check=False).returncode == 0


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 10**18), st.floats(), st.text(max_size=9), st.just([[]]), st.just({})
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["torchtitan", "nanotron", "megatron", "deepspeed"]), st.integers(0, 10**6), ODD)
def test_a_file_with_any_value_is_imported_or_refused_in_a_sentence(
    tmp_path: Path, framework: str, at: int, value: Any
) -> None:
    files = export_files(plan_of(framework), "megatron-bridge" if framework == "megatron" else framework)[0]
    name = {"torchtitan": "train.toml", "nanotron": "train.yaml", "megatron": "overrides.yaml"}.get(
        framework, "ds_config.json"
    )
    if framework == "torchtitan":
        tree = tomllib.loads(files[name])
        value = value if isinstance(value, str | int | float | bool) else 0
    else:
        tree = yaml.safe_load(files[name])
    leaves = [(part, key) for part in tree.values() if isinstance(part, dict) for key in part]
    part, key = leaves[at % len(leaves)]
    part[key] = value
    path = tmp_path / name
    if framework == "torchtitan":
        lines = []
        for section, keys in tree.items():
            lines += [f"[{section}]", *(f"{k} = {json.dumps(v)}" for k, v in keys.items() if not isinstance(v, dict))]
        path.write_text("\n".join(lines).replace("NaN", "nan").replace("Infinity", "inf"))
    else:
        path.write_text(json.dumps(tree) if name.endswith("json") else yaml.safe_dump(tree))
    config = tmp_path / "config.json"
    config.write_text('{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,'
                      ' "intermediate_size": 128, "vocab_size": 256}')  # fmt: skip
    said = ""
    try:
        assert import_files([path] if framework != "deepspeed" else [config, path], gpus=96).to_yaml()
    except PlannerError as error:
        said = str(error)
    assert "\n" not in said


# The table of frameworks ---------------------------------------------------------------------------------------------


def test_a_scenario_may_name_every_framework_of_the_table() -> None:
    assert set(FRAMEWORKS) == set(frameworks())
    assert frameworks_for("any") == ("fsdp", "gpt-neox", "megatron")
    assert frameworks_for("torchtitan") == ("torchtitan",)


def test_every_export_is_a_frameworks_or_a_launchers() -> None:
    named = [target for row in frameworks().values() for target in row.exports]
    assert sorted([*named, *LAUNCHERS]) == sorted(TARGETS)


def test_the_page_has_the_table_of_frameworks() -> None:
    written = framework_page()
    if os.environ.get("PLANNER_REFRESH_DOCS"):
        PAGE.write_text(written, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == written
