"""Hostile inputs for every command of the command line: found from its functions, so that a new one takes part."""

from __future__ import annotations

import inspect
import json
import os
import tempfile
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer
import yaml
from hypothesis import strategies as st
from interop_plans import answer
from programme_cases import programme, stage

from planner import optimize, optimize_programme, probe
from planner.cli.app import app
from planner.results.answers import StatedGoal

ROOT = Path(__file__).parents[1]
NUMBERS = ("1.2.3", "1e999", "-1", "0", "9" * 400, "9" * 5000, "1e308", "NaN", "-0.0", "1_0", "٣", "1e-320", str(2**70))
TEXTS = ("=HYPERLINK(1)", "@x", "$\\frac{1}{", "\x1b[2J", "\u202egpj", "x" * 140_000, "\udcff", '"', "a,b", "'", "{{}}")
OVERLAY = (
    "energy/pue.csv", "energy/regions.csv", "costs/capex.csv", "costs/egress.csv", "fabrics/collectives.csv",
    "fabrics/in_box_widths.csv", "import/skypilot_names.csv", "accelerators/h100-sxm5-80gb.yaml",
    "nodes/aws-p4d.24xlarge.yaml", "models/llama3-8b.yaml", "sources.yaml",
)  # fmt: skip


def planned() -> bytes:
    """What `planner probe` writes of a saved plan."""
    return probe(answer(goal=StatedGoal("cost", time_s=1e7, confidence=0.8), spread=1.2)).to_json().encode()


PROGRAMME = yaml.safe_dump(programme(stage("main"), stage("long"))).encode()


def programme_planned() -> bytes:
    """A programme's saved answer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "programme.yaml"
        file.write_bytes(PROGRAMME)
        return optimize_programme(file).to_json().encode()


FOCUS = (
    b"BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity,"
    b"ConsumedUnit,ServiceCategory,SkuId,Tags\n"
    b'12.50,12.50,USD,Usage,2026-11-02T00:00:00Z,2026-11-03T00:00:00Z,5,GPU-Hours,Compute,h8,"{""run"": ""neox""}"\n'
    b"1.25,1.25,USD,Tax,2026-11-02T00:00:00Z,2026-11-03T00:00:00Z,,,Other,,\n"
)
SACCT = (
    b"JobID|JobName|State|Start|End|ElapsedRaw|NNodes|AllocTRES\n"
    b"7|neox|COMPLETED|2026-11-02T22:00:00|2026-11-03T02:00:00|14400|1|cpu=96,gres/gpu=8,node=1\n"
    b"8|neox|NODE_FAIL|2026-11-03T02:00:00|2026-11-03T03:00:00|3600|1|cpu=96,gres/gpu:h100=8,node=1\n"
    b"8.batch|batch|NODE_FAIL|2026-11-03T02:00:00|2026-11-03T03:00:00|3600|1|cpu=96,gres/gpu=8,node=1\n"
)
OBSERVED = (
    b"date,collected_at,source,provider,segment,pricing,gpu_model,sku,region,geo,gpu_count,usd_per_hour,"
    b"usd_per_gpu_hour,sample_size\n"
    b"2026-12-01,2026-12-01T06:17:00+00:00,x,Nebius,neocloud,on_demand,H100,NVIDIA HGX H100,global,Global,1,4.75,4.75,1"
    b"\n2026-12-01,2026-12-01T06:17:00+00:00,x,aws,hyper,spot,H100,p5.48xlarge,us-east-1,US,8,20,2.5,1\n"
)
OFFERED = json.dumps(
    {
        "date": "2026-12-01",
        "offers": [
            {"provider": "nebius", "gpu": "h100", "usd_hr": 4.75, "kind": "on-demand", "vram_gb": 80,
             "fetched_at": "2026-12-01T08:47:03.1Z"},
            {"provider": "hyperstack", "gpu": "b200", "usd_hr": 5.1, "kind": "reserved", "vram_gb": 180, "min_gpus": 8,
             "commitment": {"type": "term", "months": 12}, "fetched_at": "2026-12-01T08:47:03.1Z"},
        ],
        "providers": {"nebius": {"ok": True}},
    }
).encode()  # fmt: skip
NCCL = b"""\
# nThread 1 nGpus 1 minBytes 8 maxBytes 8589934592 step: 2(factor) warmup iters: 5 iters: 20 agg iters: 1
# Using devices
#  Rank  0 Group  0 Pid   1887 on        a device  0 [0x8d] NVIDIA A100-SXM4-40GB
#  Rank  1 Group  0 Pid   1888 on        b device  0 [0x8d] NVIDIA A100-SXM4-40GB
#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong
  4294967296    1073741824     float     sum      -1  23860.0  180.00  180.00      0  23860.0  180.00  180.00      0
  8589934592    2147483648     float     sum      -1  47720.0  180.00  180.00      0  47720.0  180.00  180.00      0
"""
PEFT = {
    "peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": ["v_proj", "q_proj"], "bias": "none",
    "base_model_name_or_path": "meta-llama/Meta-Llama-3-8B", "task_type": "CAUSAL_LM",
}  # fmt: skip
LLAMA = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "hidden_act": "silu",
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-5,
}  # fmt: skip
AXOLOTL = b"""\
base_model: meta-llama/Llama-3.2-1B
load_in_4bit: true
adapter: qlora
lora_r: 32
lora_target_linear: true
sequence_len: 2048
micro_batch_size: 2
gradient_accumulation_steps: 4
num_epochs: 1
optimizer: adamw_bnb_8bit
bf16: auto
gradient_checkpointing: true
deepspeed: deepspeed_configs/zero2.json
"""
SAMPLES: Mapping[str, bytes] = {
    "scenario.yaml": (ROOT / "scenarios/neox20b.yaml").read_bytes(),
    "scenario.small.yaml": (ROOT / "scenarios/smallest.yaml").read_bytes(),
    "scenario.programme.yaml": PROGRAMME,
    "scenario.stages.yaml": (ROOT / "scenarios/flm-101b.yaml").read_bytes(),
    "scenario.adapter.yaml": (ROOT / "scenarios/qlora-llama3-8b.yaml").read_bytes(),
    "plan.json": answer().to_json().encode(),
    "rows.csv": b"model,gpu,gpus,framework,precision,seq_len,global_batch_samples,micro_batch,tp,pp,dp,recompute,"
    b"tokens_per_s_per_gpu\nllama3-8b,h100-sxm5-80gb,64,megatron,bf16,4096,512,2,1,1,64,none,12000\n",
    "rows.adapter.csv": b"model,gpu,gpus,framework,precision,seq_len,global_batch_samples,micro_batch,tp,pp,dp,"
    b"zero_or_fsdp,recompute,adapter,lora_r,lora_targets,tokens_per_s_per_gpu\n"
    b"llama3-8b,a100-sxm4-80gb,4,deepspeed,bf16,2048,64,2,1,1,4,zero1,full,qlora,16,all-linear,3000\n",
    "quotes.csv": b"cloud,instance,gpu,gpus,pricing,usd_per_gpu_hour\nacme,h8,h100-sxm5-80gb,8,on_demand,2.5\n",
    "sky/aws/vms.csv": b"InstanceType,AcceleratorName,AcceleratorCount,Price,SpotPrice,Region,GpuInfo\n"
    b"p4d.24xlarge,A100,8,32.77,9.8,us-east-1,\nm5.large,,,0.1,,us-east-1,\n",
    "train.log": b"".join(
        b" samples/sec: 322.3 | iteration %d/ 100 | elapsed time per iteration (ms): 4766.0 | global batch size: 1536 |"
        b" lm loss: 2.5E+00 |\n" % iteration
        for iteration in range(1, 31)
    ),
    "train.short.log": b"".join(
        b" samples/sec: 107.4 | iteration %d/ 30 | elapsed time per iteration (ms): 4766.0 | global batch size: 512 |\n"
        % iteration
        for iteration in range(1, 31)
    ),
    "config.yml": b'{"num_layers": 4, "hidden_size": 64, "num_attention_heads": 4, "seq_length": 32}\n',
    "bench.nccl.txt": NCCL,
    "bench.matmul.csv": b"m,n,k,dtype,tflops,node\n8192,8192,8192,bf16,690,a\n4096,4096,4096,BF16,600,b\n",
    "sacct.txt": SACCT,
    "focus.csv": FOCUS,
    "day.csv": OBSERVED,
    "day.json": OFFERED,
    "adapter_config.json": json.dumps(PEFT).encode(),
    "axolotl.yml": AXOLOTL,
    "model.json": json.dumps(LLAMA).encode(),
    "fleet.yaml": b"budget: {cost: 500k USD}\nruns: [{name: scenario.small, priority: 2}]\n",
    **{f"overlay/{name}": (ROOT / "catalogs" / name).read_bytes() for name in OVERLAY},
}
#: Those that take a moment to make, made when first asked for.
MADE: Mapping[str, Callable[[], bytes]] = {
    "probe/probe.json": planned,
    "plan.programme.json": programme_planned,
    "plan.whole.json": lambda: optimize(ROOT / "scenarios/qlora-llama3-8b.yaml").to_json().encode(),
}
NAMES = (*SAMPLES, *MADE)
#: Which of them a parameter takes, by its name.
KINDS = {
    "plan": "plan", "scenario": "scenario", "scenarios": "scenario", "sides": "scenario", "replan": "scenario",
    "rows": "rows", "table": "rows", "run": "rows", "log": "train", "fleet": "fleet", "files": "config",
    "sources": "scenario", "read": "probe",
    "source": "plan", "catalog": "overlay", "before": "overlay", "after": "overlay", "sacct": "sacct", "focus": "focus",
}  # fmt: skip
#: Ways to call a command in which several words go together, by parameter: of a file its kind (several with spaces;
#: `STAGE=` before it is written before the file), of another option the word itself, or None where it cannot be given.
FORMS: Mapping[tuple[str, ...], tuple[Mapping[str, str | None], ...]] = {
    ("init",): ({"model": "llama3-8b", "data": "1B tokens", "budget": "14 days", "gpus": "8 x h100", "file": "out"},),
    ("optimize",): ({}, {"fleet": "fleet", "scenarios": "scenario.small"}, {"scenarios": "scenario.programme"}),
    ("explain",): ({}, {"scenario": "scenario.programme"}),
    ("propose",): ({"scenarios": "scenario.small"}, {"scenarios": "scenario.programme"}),
    ("compare",): ({"files": "plan.json scenario.small"}, {"files": "scenario.adapter scenario.small"}),
    ("predict",): ({"rows": "rows"}, {"table": "rows"}),
    ("calibrate",): ({"run": "rows"}, {"run": "train", "plan": "plan.json"}),
    ("iterations",): ({"scenario": "scenario.adapter"}, {"log": "train", "set_": None}),
    ("probe",): (
        {"sources": "scenario.small"},
        {"sources": "plan.json", "set_": None},
        {"read": "probe", "sources": "bench", "set_": None, "catalog": "overlay"},
        {"read": "probe", "sources": "train.short", "set_": None, "catalog": "overlay"},
    ),
    ("import",): (
        {"files": "config"},
        {"files": "adapter_config"},
        {"files": "axolotl"},
        {"files": "model adapter_config"},
    ),
    ("export",): (
        {"plan": "plan.json"},
        {"plan": "plan.programme"},
        {"plan": "plan.json", "to": "focus", "start": "2027-02-01"},
    ),
    ("track",): (
        {"plan": "plan.json", "log": "train", "jobs": "*"},
        {"plan": "plan.json", "sacct": "sacct", "jobs": "*"},
        {"plan": "plan.json", "focus": "focus", "jobs": "*"},
        {"plan": "plan.json", "log": "train", "sacct": "sacct", "jobs": "*"},
        {"plan": "plan.programme", "log": "main=train", "jobs": None},
        {"plan": "plan.programme", "log": "main=train", "replan": "scenario.programme", "jobs": None},
    ),
    ("simulate",): ({"source": "plan.whole", "set_": None}, {"source": "scenario.small"}, {"source": "scenario.prog"}),
    ("catalog", "import"): (
        {"source": "quotes", "as_of": "2026-01-01", "to": "out"},
        {"source": "sky", "as_of": "2026-01-01", "to": "out"},
        {"source": "day.csv", "to": "out"},
        {"source": "day.json", "to": "out"},
    ),
}
#: What a command needs besides files, by parameter; others are left out.
WORDS = {"to": "neox", "as_of": "2026-01-01", "name": "h100-sxm5-80gb", "before": "2026-11-24", "after": "2026-11-24"}
PLACES = ("output", "chart", "to", "file")  # what is written
OUT = ("out", "out", "/dev/null", "/dev/full", "n" * 300, "a/b/c")
CHARTS = ("c.svg", "c.png", "c.html", "c.svg", "/dev/full", "c")
#: So that a sound input is answered soon.
QUICK = {"worlds": "100", "set_": "cluster.max_gpus=32", "jobs": "1", "over": "budget.time=9d"}


@dataclass(frozen=True)
class Command:
    """One command: its words, and its parameters as (name, option or "", takes a path, must be given)."""

    words: tuple[str, ...]
    takes: tuple[tuple[str, str, bool, bool], ...]


def commands(group: typer.Typer = app, before: tuple[str, ...] = ()) -> Iterator[Command]:
    """Every command that is registered, those of groups among them."""
    for info in group.registered_commands:
        function = typing.cast("Callable[..., Any]", info.callback)
        yield Command((*before, info.name or function.__name__), tuple(_parameters(function)))
    for inner in group.registered_groups:
        yield from commands(typing.cast("typer.Typer", inner.typer_instance), (*before, str(inner.name)))


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[str, str, bool, bool]]:
    for name, hint in typing.get_type_hints(function, include_extras=True).items():
        if name == "return":
            continue
        kind, info = typing.get_args(hint)[:2]
        option = "--" + name.strip("_").replace("_", "-")
        declared = [word for word in getattr(info, "param_decls", None) or () if word.startswith("-")]
        option = "" if isinstance(info, typer.models.ArgumentInfo) else (declared or [option])[-1]
        needed = inspect.signature(function).parameters[name].default is inspect.Parameter.empty
        yield name, option, "Path" in str(kind), needed


@cache
def sample(name: str) -> bytes:
    """The sound bytes of a file."""
    return MADE[name]() if name in MADE else SAMPLES[name]


@st.composite
def calls(draw: st.DrawFn, command: Command, changed: Callable[..., Any]) -> list[str | bytes | Path]:
    """The words of a call; bytes stand for a file with them, a path for a place to write to."""
    words: list[str | bytes | Path] = list(command.words)
    form = draw(st.sampled_from(FORMS.get(command.words, ({},))))
    read = [name for name, _, is_path, _ in command.takes if is_path and name not in PLACES]
    hostile = draw(st.sampled_from([*form, *form, *read] or [""]))
    for name, option, is_path, needed in command.takes:
        found: list[str | bytes | Path] = []
        if is_path and name in PLACES:
            if needed or name in form or (name == "chart" and draw(st.booleans())):
                found = [Path(draw(st.sampled_from(CHARTS if name == "chart" else OUT)))]
        elif is_path and (name == hostile or needed or form.get(name)):
            kinds = (form.get(name) or KINDS.get(name, "")).split(" ")
            found = [draw(_file(kind, changed if name == hostile else None)) for kind in kinds]
        elif needed or name in QUICK or name in form:
            word = form.get(name, WORDS.get(name, QUICK.get(name, "")))
            found = [] if word is None else [word or draw(st.sampled_from([*NUMBERS, *TEXTS]))]
        for value in found:
            words += [option, value] if option else [value]
    return words


def sound_calls(command: Command) -> Iterator[list[str | bytes | Path]]:
    """A call of a command in each of its forms, with files that nothing is wrong with."""
    for form in FORMS.get(command.words, ({},)):
        words: list[str | bytes | Path] = list(command.words)
        for name, option, is_path, needed in command.takes:
            found: list[str | bytes | Path] = []
            if is_path and name in PLACES:
                found = [Path("out")] if needed or name in form else []
            elif is_path and (needed or form.get(name)):
                found = [_named(kind) for kind in (form.get(name) or KINDS.get(name, "")).split(" ")]
            elif needed or name in QUICK or name in form:
                word = form.get(name, WORDS.get(name, QUICK.get(name, "1")))
                found = [] if word is None else [word]
            for value in found:
                words += [option, value] if option else [value]
        yield words


def _named(kind: str) -> bytes:
    """The first file of a kind, with its name before it."""
    before, equals, start = kind.rpartition("=")
    file = next(each for each in NAMES if each.startswith(start))
    return (before + equals + file).encode() + b"\0" + sample(file)


@st.composite
def _file(draw: st.DrawFn, kind: str, changed: Callable[..., Any] | None) -> bytes:
    """A file of a kind, mostly, with its name before it: sound, or changed."""
    before, equals, start = kind.rpartition("=")
    fitting = [each for each in NAMES if each.startswith(start)]
    file = draw(st.sampled_from(fitting if draw(st.integers(0, 9)) else sorted(NAMES)))
    return (before + equals + file).encode() + b"\0" + (draw(changed(file)) if changed else sample(file))


@st.composite
def broken(draw: st.DrawFn, name: str) -> bytes:
    """The bytes of a file that cannot be meant."""
    sound = sample(name)
    at = draw(st.integers(0, len(sound)))
    extra = draw(st.sampled_from([b"\xff\xfe", b"\0", b"\x1b[31m", b'"', b"," * 20, b"[" * 9000, b"\xe2\x80\xae", b""]))
    whole = draw(st.sampled_from([sound[:at], sound[:at] + extra + sound[at:], sound.decode().encode("utf-16")]))
    found = draw(st.sampled_from([whole, whole, b"", b"\0" * 5000, b'"' + b"a" * 140_000, sound[at:]]))
    return b"\0" if found == sound else found


@st.composite
def bent(draw: st.DrawFn, name: str) -> bytes:
    """A file with one value that nobody has: a number without end, a formula, a name that turns the text round."""
    sound, value = sample(name), draw(st.sampled_from([*NUMBERS, *TEXTS]))
    if name.endswith(".json"):
        document = json.loads(sound)
        _bend(document, draw, value)
        return json.dumps(document).encode()
    cut = draw(st.sampled_from([", ", ",", "\n", ": ", " "]))
    parts = sound.decode().split(cut)
    parts[draw(st.integers(0, len(parts) - 1))] = value
    return cut.join(parts).encode("utf-8", "surrogateescape")


def _bend(document: Any, draw: st.DrawFn, value: str) -> None:
    """One leaf of a document replaced."""
    while True:
        keys = list(document) if isinstance(document, dict) else list(range(len(document)))
        key = draw(st.sampled_from(keys))
        inner = document[key]
        if isinstance(inner, dict | list) and inner:
            document = inner
            continue
        number = draw(st.sampled_from([10**18, 10**400, -1, 0, 2**63, 1e308, 1e-300]))
        document[key] = value if draw(st.booleans()) else number
        return


def written(words: list[str | bytes | Path], folder: Path) -> list[str]:
    """The words with their files in a folder."""
    found = []
    for number, word in enumerate(words):
        if isinstance(word, bytes):
            name, _, content = word.partition(b"\0")
            before, equals, name = name.rpartition(b"=")
            path = folder / str(number) / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            inside = name.startswith((b"overlay", b"sky", b"probe"))  # a folder is given, not its file
            word = folder / str(number) / os.fsdecode(name).partition("/")[0] if inside else path
            word = os.fsdecode(before + equals) + str(word)
        elif isinstance(word, Path):
            word = folder / word
        found.append(str(word))
    return found
