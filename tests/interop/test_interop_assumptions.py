"""What is planned is what is exported: options read back into the memory model give the plan's memory."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from interop_plans import answer

from planner.catalog import load_catalog
from planner.interop.accelerate_assumptions import ACCELERATE
from planner.interop.assumptions import OF_THE_MACHINE, TOPICS, Assumption, table_of
from planner.interop.deepspeed_assumptions import DEEPSPEED
from planner.interop.export_common import conditions_of, export_of
from planner.interop.exporting import export_files, write_files
from planner.interop.importing import import_files
from planner.interop.megatron_assumptions import MEGATRON
from planner.interop.nanotron_assumptions import NANOTRON
from planner.interop.neox_assumptions import NEOX
from planner.interop.script_assumptions import SCRIPT
from planner.interop.torchtitan_assumptions import TORCHTITAN
from planner.performance.arrays import Conditions, Layouts, Setting
from planner.performance.conditions import recompute_modules
from planner.performance.framework_table import MemoryConstants
from planner.performance.frameworks import framework, stages_run
from planner.performance.memory import memory
from planner.performance.memory_states import gradient_type
from planner.performance.vendor_recipes import Recipe
from planner.results.answers import Optimization
from planner.results.plan import MemoryGiB, RunConditions
from planner.spec.hardware import Hardware
from planner.spec.layout import RECOMPUTE
from planner.units import PlannerError
from planner.workload.model_catalog import load_model

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"
TABLES: dict[str, tuple[Assumption, ...]] = {
    "Megatron-LM": MEGATRON, "GPT-NeoX": NEOX, "torchtitan": TORCHTITAN, "DeepSpeed and the Trainer": DEEPSPEED,
    "FSDP through Accelerate": ACCELERATE, "nanotron": NANOTRON, "a script of yours": SCRIPT,
}  # fmt: skip
PART = load_catalog().accelerator("h100-sxm5-80gb")
MODELS = {
    "megatron": ("llama3-8b", "gpt3-13b", "mixtral-8x7b", "qwen3-30b-a3b", "deepseekv3"),
    "gpt-neox": ("pythia-6.9b", "llama2-7b", "gpt-neox-20b"),
    "fsdp": ("llama3-8b", "llama2-7b"),
    "torchtitan": ("llama3-8b", "llama2-7b", "qwen3-30b-a3b", "llama3-70b"),
    "deepspeed": ("llama3-8b", "mixtral-8x7b"),
    "nanotron": ("llama3-8b", "llama2-7b"),
}


def setting_of(name: str, model: Any, precision: str, conditions: Conditions) -> Setting:
    hardware = Hardware(PART.id, 8, 8, 3200.0, "ib", None)
    return Setting(model, 2048, precision, name, "", PART, hardware, conditions=conditions)


def total(setting: Setting, layout: dict[str, Any]) -> float:
    values = {**layout, "recompute": RECOMPUTE.index(layout["recompute"])}
    return float(memory(setting, Layouts(**{k: np.array([v]) for k, v in values.items()})).total[0])


def planned(name: str, model: str, precision: str, stated: Conditions, layout: dict[str, Any]) -> Optimization:
    """A plan of planner's own, with the memory of this setting and layout."""
    setting = setting_of(name, load_model(model), precision, stated)
    saved = answer(model, name, **layout)
    assert saved.plan is not None
    conditions = RunConditions(
        flash_attention=bool(stated.flash_attention),
        flash_generation=None,
        fused_or_compile=bool(stated.fused),
        comm_overlap=None,
        recompute_share=stated.recompute_share,
        shard_group=stated.shard_group,
        tuning=stated.tuning,
        optimizer=stated.optimizer,
        offload=stated.offload,
        gradients=gradient_type(setting),
        recompute_modules=recompute_modules(setting) if layout["recompute"] == "selective" else (),
    )
    gib = MemoryGiB(0.0, 0.0, 0.0, 0.0, 0.0, total(setting, layout), 79.0)
    return replace(saved, plan=replace(saved.plan, precision=precision, conditions=conditions, memory_gib=gib))


# Readers of their own: no code of planner's exports or importers ---------------------------------------------------


def megatron_options(script: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, body in re.findall(r"^(\w+_ARGS)=\((.*?)^\)", script, re.MULTILINE | re.DOTALL):
        for line in body.strip().splitlines() if name != "DISTRIBUTED_ARGS" else ():
            key, *values = shlex.split(line)
            found[key] = values
    return found


def of_megatron(o: dict[str, list[str]], gpus: int, stages: int) -> tuple[str, Conditions, dict[str, Any]]:
    """Precision, conditions and layout that arguments mean, by Megatron-LM's own defaults."""

    def number(key: str, default: int = 1) -> int:
        return int(o[key][0]) if key in o else default

    assert float(o["--hidden-dropout"][0]) == float(o["--attention-dropout"][0]) == 0.0  # the default is 0.1
    sharded = "--use-distributed-optimizer" in o
    fsdp = {"optim_grads": 2, "optim_grads_params": 3}[o["--data-parallel-sharding-strategy"][0]] if (
        "--use-megatron-fsdp" in o
    ) else 0  # fmt: skip
    precision = "fp16" if "--fp16" in o else "nvfp4" if "--fp4-format" in o else "bf16"
    if "--fp8-format" in o:
        recipe = o.get("--fp8-recipe", ["delayed"])[0]
        precision = "mxfp8" if recipe == "mxfp8" else "fp8"
        assert ("--fp8-param-gather" in o) == sharded
        assert precision == "fp8" or fsdp or ("--reuse-grad-buf-for-mxfp8-param-ag" in o) == sharded
    kept = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "auto": 2.0}
    if fsdp:
        gradients = kept[o.get("--megatron-fsdp-main-grads-dtype", ["auto"])[0]]
    else:
        gradients = 2.0 if "--grad-reduce-in-bf16" in o or precision == "fp16" else 4.0
    moments = {"adam": "adamw", "sgd": "sgd-momentum"}
    optimizer = o.get("--optimizer", ["adam"])[0]
    optimizer = "adamw-bf16" if o.get("--exp-avg-dtype") == ["bf16"] else moments.get(optimizer, optimizer)
    if "--exp-avg-dtype" in o or "--optimizer-cpu-offload" in o:
        assert "--use-precision-aware-optimizer" in o
        assert sharded
    granularity = o.get("--recompute-granularity", ["none"])[0]
    share = None
    if o.get("--recompute-method") == ["block"]:
        share = number("--recompute-num-layers") * stages / number("--num-layers")
    tp, pp, cp = (number(f"--{k}-parallel-size") for k in ("tensor-model", "pipeline-model", "context"))
    dp = gpus // (tp * pp * cp)
    instances = number("--num-distributed-optimizer-instances")
    micro = number("--micro-batch-size")
    layout = {
        "tp": tp, "pp": pp, "cp": cp, "vpp": stages // pp, "dp": dp, "ep": number("--expert-model-parallel-size"),
        "zero_stage": fsdp or int(sharded), "sequence_parallel": "--sequence-parallel" in o,
        "recompute": granularity, "micro_batch": micro, "grad_accum": number("--global-batch-size") // (micro * dp),
    }  # fmt: skip
    conditions = Conditions(
        flash_attention=o["--attention-backend"][0] != "unfused",
        fused=not {"--no-bias-swiglu-fusion", "--no-bias-gelu-fusion"} & set(o),
        recompute_share=share,
        recompute_modules=tuple(o.get("--recompute-modules", ["core_attn"])) if granularity == "selective" else None,
        gradient_bytes=gradients,
        shard_group=dp * cp // instances if instances > 1 else None,
        optimizer=optimizer,
        offload="optimizer" if "--optimizer-cpu-offload" in o else "none",
        expert_tp=number("--expert-tensor-parallel-size", tp) if "--num-experts" in o else 1,
    )
    return precision, conditions, layout


def of_neox(config: dict[str, Any], gpus: int) -> tuple[str, Conditions, dict[str, Any]]:
    """The same of a GPT-NeoX config, by its own defaults and DeepSpeed's."""
    assert config["hidden_dropout"] == config["attention_dropout"] == 0.0
    zero, fp16 = config["zero_optimization"], config["precision"] == "fp16"
    assert zero["reduce_bucket_size"] == zero["allgather_bucket_size"] == 500_000_000
    assert fp16 or (config["data_types"]["grad_accum_dtype"] == "fp32" and zero["stage"] > 0)
    if zero["stage"] == 3:  # two layers gathered at once; the default is 1e9 parameters
        assert zero["stage3_max_live_parameters"] > 2 * zero["stage3_prefetch_bucket_size"]
    kind = config["optimizer"]["type"].lower()
    optimizer = "adamw-8bit" if config.get("use_bnb_optimizer") else {"adam": "adamw"}.get(kind, kind)
    tp, pp = config["model_parallel_size"], max(1, config["pipe_parallel_size"])
    layout = {
        "tp": tp, "pp": pp, "cp": 1, "vpp": 1, "dp": gpus // (tp * pp), "ep": 1, "zero_stage": zero["stage"],
        "sequence_parallel": config.get("sequence_parallel", False),
        "recompute": "full" if config["checkpoint_activations"] else "none",
        "micro_batch": config["train_micro_batch_size_per_gpu"], "grad_accum": config["gradient_accumulation_steps"],
    }  # fmt: skip
    fused = any(config.get(k) for k in ("bias_gelu_fusion", "layernorm_fusion", "rmsnorm_fusion"))
    flash = config["attention_config"][0][0] == ["flash"]
    conditions = Conditions(flash_attention=flash, fused=fused, optimizer=optimizer)
    return ("fp16" if fp16 else "bf16"), conditions, layout


def of_script(script: str, gpus: int) -> tuple[str, Conditions, dict[str, Any]]:
    """The same of the PLAN_… variables of a job."""
    v = {key: shlex.split(value)[0] for key, value in re.findall(r"^ *export PLAN_(\w+)=(.*)$", script, re.MULTILINE)}
    assert (v["REDUCE_TYPE"], v["MIXED_PRECISION"], v["DROPOUT"]) == ("fp32", "DEFAULT", "0")
    hybrid = "HYBRID" in v["SHARDING_STRATEGY"]
    layout = {
        "tp": int(v["TP"]), "pp": 1, "cp": int(v["CP"]), "vpp": 1, "dp": gpus, "ep": 1,
        "zero_stage": 2 if v["SHARDING_STRATEGY"] in ("SHARD_GRAD_OP", "_HYBRID_SHARD_ZERO2") else 3,
        "sequence_parallel": False, "recompute": v["RECOMPUTE"], "micro_batch": int(v["MICRO_BATCH"]),
        "grad_accum": int(v["GRAD_ACCUM"]),
    }  # fmt: skip
    conditions = Conditions(
        flash_attention=v["FLASH_ATTENTION"] != "0", fused=v["FUSED"] == "1", optimizer=v["OPTIMIZER"],
        offload=v["OFFLOAD"], recompute_share=float(v["RECOMPUTE_SHARE"]),
        shard_group=int(v["SHARD_GROUP"]) if hybrid else None,
    )  # fmt: skip
    return v["PRECISION"], conditions, layout


@st.composite
def plans(draw: st.DrawFn, name: str) -> Optimization:
    """A plan that the framework runs: layout, precision, optimizer, offload, recompute, shard group."""
    row, pick = framework(name), lambda values: draw(st.sampled_from(list(values)))
    model = load_model(pick(MODELS[name]))
    precision, optimizer = pick(row.precisions), pick(row.optimizers)
    offload = pick(("none", "none", *row.offloads)) if optimizer == "adamw" or name == "fsdp" else "none"
    vendor = name == "megatron" and draw(st.booleans()) and not model.moe
    zero = pick(stages_run(row, precision, Conditions(optimizer=optimizer, offload=offload)) or (-1,))
    assume(zero >= 0)
    tp = pick((1, 2)) if row.tensor_parallel and not (name == "gpt-neox" and zero > 1) else 1
    pp = pick((1, 2, 4)) if row.pipeline_parallel and zero in row.zero_stages_with_pipeline else 1
    vpp = pick((1, 2)) if row.interleaving and pp > 1 else 1
    recompute, dp = pick(row.recompute), pick((8, 16))
    grouped = "shard_group" not in row.lacks and zero >= 1 and optimizer not in ("muon", "lion")
    group = 4 if grouped and draw(st.booleans()) else None
    share = None
    if (
        recompute == "full"
        and "recompute_share" not in row.lacks
        and model.layers % (2 * pp * vpp) == 0
        and draw(st.booleans())
    ):
        share = 0.5
    experts = model.moe is not None
    layout = {
        "tp": tp, "pp": pp, "vpp": vpp, "dp": dp, "cp": pick((1, 2)) if row.context_parallel else 1,
        "ep": pick((1, 8)) if experts and row.expert_parallel == "any" else 1, "zero_stage": zero,
        "sequence_parallel": tp > 1 and (experts or row.sequence_parallel == "with_tensor" or draw(st.booleans())),
        "recompute": recompute,
        "micro_batch": pick((1, 2)), "grad_accum": 4 * pp,
    }  # fmt: skip
    stated = Conditions(
        flash_attention=name in ("torchtitan", "nanotron") or draw(st.booleans()),
        fused=draw(st.booleans()), recompute_share=share, shard_group=group,
        optimizer=optimizer, offload=offload, tuning="vendor" if vendor else "field",
    )  # fmt: skip
    return planned(name, model.name, precision, stated, layout)


def exported(saved: Optimization, target: str) -> dict[str, str]:
    """The files, or no example where the tool has no such combination, which it must say."""
    try:
        return export_files(saved, target)[0]
    except PlannerError as error:
        said = str(error)
    if "it has no" not in said or "plan with" not in said:
        raise AssertionError(said)
    assume(False)
    return {}


def same_memory(saved: Optimization, name: str, read: tuple[str, Conditions, dict[str, Any]]) -> None:
    precision, conditions, layout = read
    assert saved.plan is not None
    assert saved.trained is not None
    found = total(setting_of(name, saved.trained.model, precision, conditions), layout)
    assert found == pytest.approx(saved.plan.memory_gib.total, rel=1e-9)


@settings(max_examples=150, deadline=None)
@given(plans("megatron"))
def test_megatrons_arguments_read_back_give_the_plans_memory(saved: Optimization) -> None:
    options, plan = megatron_options(exported(saved, "megatron")["train.sh"]), saved.plan
    assert plan is not None
    same_memory(saved, "megatron", of_megatron(options, plan.gpus, plan.layout.pp * plan.layout.vpp))


@settings(max_examples=80, deadline=None)
@given(plans("gpt-neox"))
def test_neox_configs_read_back_give_the_plans_memory(saved: Optimization) -> None:
    config = yaml.safe_load(exported(saved, "neox")["run.yml"])
    assert saved.plan is not None
    same_memory(saved, "gpt-neox", of_neox(config, saved.plan.gpus))


@settings(max_examples=60, deadline=None)
@given(plans("fsdp"), st.sampled_from(["slurm", "skypilot"]))
def test_a_scripts_variables_read_back_give_the_plans_memory(saved: Optimization, target: str) -> None:
    (script,) = exported(saved, target).values()
    assert saved.plan is not None
    same_memory(saved, "fsdp", of_script(script, saved.plan.gpus))


@pytest.mark.parametrize(("name", "rows"), TABLES.items())
def test_every_table_has_every_topic_and_writes_only_what_it_names(name: str, rows: tuple[Assumption, ...]) -> None:
    assert [row.topic for row in rows] == list(TOPICS)
    saved = answer("llama3-8b" if name != "GPT-NeoX" else "pythia-6.9b", tp=1, pp=1, zero_stage=3)
    for row in rows:
        assert row.options or row.otherwise
        named = {re.split(r"[.]", option.removeprefix("--").removeprefix("PLAN_"))[0] for option in row.options}
        assert set(row.write(export_of(saved))) <= named | set(row.options), row.topic


def test_whatever_memory_and_time_read_of_a_run_is_a_topic() -> None:
    read = {f.name for kind in (Layouts, Conditions, MemoryConstants, Recipe) for f in fields(kind)}
    covered = {name for names in TOPICS.values() for name in names} | set(OF_THE_MACHINE)
    assert read == covered


def test_the_page_has_the_tables() -> None:
    start, end = "tests/interop/test_interop_assumptions.py` -->\n", "<!-- end of assumptions -->"
    text = PAGE.read_text(encoding="utf-8")
    tables = "\n" + "\n\n".join(table_of(rows, name) for name, rows in TABLES.items()) + "\n\n"
    before, rest = text.split(start)
    shown, after = rest.split(end)
    if shown != tables and os.environ.get("PLANNER_REFRESH_DOCS"):
        PAGE.write_text(f"{before}{start}{tables}{end}{after}", encoding="utf-8")
    assert shown == tables


@pytest.mark.parametrize(
    ("name", "target", "changed", "layout", "sentence"),
    [
        ("megatron", "megatron", {"optimizer": "adafactor"}, {}, "training.optimizer may be adamw, adamw-bf16"),
        ("megatron", "megatron", {"optimizer": "sgd-momentum"}, {}, "plan with layout.zero_stage: 0"),
        ("megatron", "megatron", {"recompute_share": 0.3}, {}, "plan with layout.recompute_share: 0.25"),
        ("megatron", "megatron", {"shard_group": 5}, {}, "plan with a layout.shard_group that divides"),
        ("megatron", "megatron", {"recipe": {"fp8_attention": "yes"}}, {}, "plan with training.tuning: field"),
        ("gpt-neox", "neox", {"optimizer": "muon"}, {}, "training.optimizer may be adamw, adamw-8bit, lion"),
        ("gpt-neox", "neox", {"offload": "optimizer"}, {}, "training.offload may be none"),
    ],
)
def test_what_a_tool_cannot_be_told_names_the_key_to_change(
    name: str, target: str, changed: dict[str, Any], layout: dict[str, Any], sentence: str
) -> None:
    saved = answer("pythia-6.9b" if name == "gpt-neox" else "llama3-8b", name, **layout)
    assert saved.plan is not None
    conditions = replace(conditions_of(export_of(saved)), **changed)
    with pytest.raises(PlannerError) as error:
        export_files(replace(saved, plan=replace(saved.plan, conditions=conditions)), target)
    assert sentence in str(error.value)


def test_gradients_in_16_bits_go_into_megatrons_arguments(tmp_path: Path) -> None:
    layout = {"tp": 1, "pp": 1, "vpp": 1, "dp": 8, "cp": 1, "ep": 1, "zero_stage": 1, "sequence_parallel": False,
              "recompute": "none", "micro_batch": 1, "grad_accum": 4}  # fmt: skip
    vendor = planned("megatron", "llama3-8b", "bf16", Conditions(flash_attention=True, tuning="vendor"), layout)
    files = export_files(vendor, "megatron")[0]
    assert "--grad-reduce-in-bf16" in files["train.sh"]
    write_files(tmp_path, files)
    assert import_files([tmp_path / "train.sh"]).value("layout.zero_stage") == 1
