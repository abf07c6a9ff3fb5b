"""Hostile inputs for every command of the command line: found from its functions, so that a new one takes part."""

from __future__ import annotations

import inspect
import json
import os
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from hypothesis import strategies as st
from interop_plans import answer

from planner import probe
from planner.cli.app import app
from planner.plan import Goal

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
    return probe(answer(goal=Goal("cost", time_s=1e7, confidence=0.8))).to_json().encode()


SAMPLES: Mapping[str, bytes] = {
    "scenario.yaml": (ROOT / "scenarios/neox20b.yaml").read_bytes(),
    "scenario.programme.yaml": (ROOT / "scenarios/flm-101b.yaml").read_bytes(),
    "plan.json": answer().to_json().encode(),
    "rows.csv": b"model,gpu,gpus,framework,precision,seq_len,global_batch_samples,micro_batch,tp,pp,dp,recompute,"
    b"tokens_per_s_per_gpu\nllama3-8b,h100-sxm5-80gb,64,megatron,bf16,4096,512,2,1,1,64,none,12000\n",
    "quotes.csv": b"cloud,instance,gpu,gpus,pricing,usd_per_gpu_hour\nacme,h8,h100-sxm5-80gb,8,on_demand,2.5\n",
    "sky/aws/vms.csv": b"InstanceType,AcceleratorName,AcceleratorCount,Price,SpotPrice,Region,GpuInfo\n"
    b"p4d.24xlarge,A100,8,32.77,9.8,us-east-1,\nm5.large,,,0.1,,us-east-1,\n",
    "train.log": b" iteration 10/ 100 | elapsed time per iteration (ms): 4766.0 | global batch size: 1536 |\n" * 9,
    "config.yml": b'{"num_layers": 4, "hidden_size": 64, "num_attention_heads": 4, "seq_length": 32}\n',
    "probe/probe.json": planned(),
    "fleet.yaml": b"budget: {cost: 500k USD}\nruns: [{name: x, priority: 2}]\n",
    **{f"overlay/{name}": (ROOT / "catalogs" / name).read_bytes() for name in OVERLAY},
}
#: Which of them a parameter takes, by its name.
KINDS = {
    "plan": "plan", "scenario": "scenario", "scenarios": "scenario", "sides": "scenario", "replan": "scenario",
    "rows": "rows", "table": "rows", "run": "rows", "log": "train", "fleet": "fleet", "files": "config",
    "sources": "scenario", "read": "probe",
    "source": "quotes", "catalog": "overlay", "before": "overlay", "after": "overlay",
}  # fmt: skip
#: What a command needs besides files, by parameter; others are left out.
WORDS = {"to": "neox", "as_of": "2026-01-01", "name": "h100-sxm5-80gb", "before": "2026-11-24", "after": "2026-11-24"}
PLACES = ("output", "chart")  # what is written
#: So that a sound input is answered soon.
QUICK = {"worlds": "50", "set_": "cluster.max_gpus=16", "jobs": "1", "over": "budget.time=9d"}


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


@st.composite
def calls(draw: st.DrawFn, command: Command, changed: Callable[..., Any]) -> list[str | bytes | Path]:
    """The words of a call; bytes stand for a file with them, a path for a place to write to."""
    words: list[str | bytes | Path] = list(command.words)
    hostile = draw(st.sampled_from([name for name, _, path, _ in command.takes if path and name not in PLACES] or [""]))
    for name, option, is_path, needed in command.takes:
        value: str | bytes | Path | None = None
        if is_path and name in PLACES and needed:
            value = Path(draw(st.sampled_from(["out", "out", "/dev/null", "/dev/full", "n" * 300, "a/b/c"])))
        elif name == hostile or (is_path and needed and name not in PLACES):
            kind = KINDS.get(name, "")
            fitting = [each for each in SAMPLES if each.startswith(kind)]
            file = draw(st.sampled_from(fitting if draw(st.integers(0, 9)) else sorted(SAMPLES)))
            value = file.encode() + b"\0" + (draw(changed(file)) if name == hostile else SAMPLES[file])
        elif needed or name in QUICK:
            value = WORDS.get(name, QUICK.get(name)) or draw(st.sampled_from([*NUMBERS, *TEXTS]))
        if value is not None:
            words += [option, value] if option else [value]
    return words


@st.composite
def broken(draw: st.DrawFn, name: str) -> bytes:
    """The bytes of a file that cannot be meant."""
    sample = SAMPLES[name]
    at = draw(st.integers(0, len(sample)))
    extra = draw(st.sampled_from([b"\xff\xfe", b"\0", b"\x1b[31m", b'"', b"," * 20, b"[" * 9000, b"\xe2\x80\xae", b""]))
    whole = draw(st.sampled_from([sample[:at], sample[:at] + extra + sample[at:], sample.decode().encode("utf-16")]))
    found = draw(st.sampled_from([whole, whole, b"", b"\0" * 5000, b'"' + b"a" * 140_000, sample[at:]]))
    return b"\0" if found == sample else found


@st.composite
def bent(draw: st.DrawFn, name: str) -> bytes:
    """A file with one value that nobody has: a number without end, a formula, a name that turns the text round."""
    sample, value = SAMPLES[name], draw(st.sampled_from([*NUMBERS, *TEXTS]))
    if name.endswith(".json"):
        document = json.loads(sample)
        _bend(document, draw, value)
        return json.dumps(document).encode()
    cut = draw(st.sampled_from([", ", ",", "\n", ": ", " "]))
    parts = sample.decode().split(cut)
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
            path = folder / str(number) / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            inside = name.startswith((b"overlay", b"sky", b"probe"))  # a folder is given, not its file
            word = folder / str(number) / os.fsdecode(name).partition("/")[0] if inside else path
        elif isinstance(word, Path):
            word = folder / word
        found.append(str(word))
    return found
