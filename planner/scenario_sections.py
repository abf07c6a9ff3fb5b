"""The sections of a scenario: one table each, with every key's kind, default and help."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, replace
from typing import Any

from planner import units
from planner.catalog.ownership import KEYS as OWNERSHIP_KEYS
from planner.scenario_fields import (
    AnyOr,
    Flag,
    Key,
    Kind,
    Many,
    Name,
    Quantity,
    Shape,
    Table,
    Text,
    Word,
    duration,
    money,
    real,
    whole,
)
from planner.workload.model import MLASpec, ModelSpec, MoESpec

FRAMEWORKS = ("gpt-neox", "megatron", "fsdp")
PRECISIONS = ("bf16", "fp16", "fp8", "mxfp8", "nvfp4")
RECOMPUTE = ("none", "selective", "full")
PRICING = ("on_demand", "spot", "reserved")
FABRICS = ("infiniband", "roce", "efa", "tcpx", "ethernet", "unknown")
DEFAULT_BATCH = "524,288 tokens up to the larger of that and the critical batch"

# --- pieces ------------------------------------------------------------------------------------------------------


def _choice(least: int = 1, most: int = 10**9) -> Shape:
    number = whole(least, most)
    bounds = Table(
        (
            Key("min", number, "least value"),
            Key("max", number, "largest value"),
            Key("multiple_of", whole(1, most), "only multiples of this"),
        ),
        wanted="a range",
    )
    return Shape("a number, a list of numbers or a range", number, Many(number, "a list of numbers"), bounds)


_BATCH_UNITS = r"(\s*(tokens?|sequences?|samples?))?"


def _batch_size(text: str) -> tuple[int, str]:
    number, unit = units.split_count(text)
    if unit not in ("", "tokens", "sequences", "samples"):
        raise units.PlannerError(f"`{text}` counts {unit}; a batch is a number of sequences or of tokens")
    return number, text.strip() if unit == "tokens" else ""


_BATCH = Quantity(
    _batch_size,
    "a number of sequences, or of tokens such as `4M tokens`",
    r"[0-9][0-9,_.eE+]*\s*(k|K|M|B|T|thousand|million|billion|trillion)?" + _BATCH_UNITS,
    least=1,
    most=10**12,
    bare="integer",
    show=lambda limit: f"{limit:,}",
)
_BATCH_RANGE = Table(
    (
        Key("min", _BATCH, "least global batch"),
        Key("max", _BATCH, "largest global batch"),
        Key("multiple_of", _BATCH, "only multiples of this many sequences"),
    ),
    wanted="a range",
)
_RATE = Quantity(
    units.parse_bandwidth,
    "a data rate, such as `3200 Gbit/s` (a node's) or `400 Gbit/s/gpu`",
    r"[0-9][0-9,_.eE+]*\s*[kMGTmgt]?[A-Za-z]+(\s*/\s*s|ps)(.*)",
)
_DAY = Quantity(units.parse_date, "a date, such as `2027-03-01`", r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SIZE = Quantity(units.parse_bytes, "an amount of data, such as `20 TB`", r"[0-9][0-9,_.eE+]*\s*[kKMGTP]?i?B", above=0)
_SURE = Quantity(
    units.parse_fraction,
    "a probability, such as `0.8` or `80 %`",
    r"[0-9.]+(e-?[0-9]+)?\s*%?",
    above=0,
    below=1,
    bare="number",
    show=units.format_number,
)
_SHARE = Quantity(
    units.parse_fraction,
    "a share, such as `0.8` or `80 %`",
    r"[0-9.]+(e-?[0-9]+)?\s*%?",
    least=0,
    most=1,
    bare="number",
)
_SHARE_ABOVE_0 = replace(_SHARE, least=None, above=0)
_GPU = Name("accelerator")
_CLOUD = Name("cloud")
_REGION = Name("region")


def _shape_keys(spec: type, nested: dict[str, Kind]) -> tuple[Key, ...]:
    """The keys of a model's shape, straight from the dataclass that the rest of planner computes with."""
    keys = []
    for part in fields(spec):
        kind = nested.get(part.name)
        if kind is None:
            declared = str(part.type)
            if declared.startswith("tuple"):
                kind = Many(Text(), "a list of names", single=True)
            else:
                kind = Flag() if declared == "bool" else Text() if declared.startswith("str") else whole(0, 2**53 - 1)
        required = part.name in ("layers", "hidden", "heads", "vocab") or (spec is not ModelSpec and _bare(part))
        example = {"layers": 44, "hidden": 6144, "heads": 64, "vocab": 50257}.get(part.name)
        help_text = f"{part.name.replace('_', ' ')} of the model"
        keys.append(Key(part.name, kind, help_text, required, examples=(example,) if example else ()))
    return tuple(keys)


def _bare(part: Field[Any]) -> bool:
    return part.default is MISSING and part.default_factory is MISSING


MODEL_SHAPE = Table(
    _shape_keys(
        ModelSpec,
        {
            "moe": Table(_shape_keys(MoESpec, {}), wanted="a map"),
            "mla": Table(_shape_keys(MLASpec, {}), wanted="a map"),
            "norm": Word(("layernorm", "layernorm_nobias", "rmsnorm")),
        },
    ),
    wanted="a model's shape",
)

# --- sections ----------------------------------------------------------------------------------------------------

SOURCES = ("samples", "tokens", "index", "log")
DATASET = Table(
    (
        Key("name", Text(), "what the dataset is called", examples=("the-pile",)),
        Key("samples", whole(1, 10**15, "samples"), "sequences of one epoch", examples=(31267487,)),
        Key("tokens", whole(1, 10**18, "tokens"), "tokens of one epoch", examples=("64B tokens",)),
        Key(
            "index", Text("a path prefix"), "path prefix of a Megatron or GPT-NeoX .idx file", examples=("data/corpus",)
        ),
        Key("log", Text("a path"), "a training log that printed its sample count", examples=("train.log",)),
        Key("seq_length", whole(1, 10**8), "tokens of one sequence", examples=(2048,)),
        Key("weight", real(above=0, most=1e9), "share in a mixture, relative to the others", examples=(0.7,)),
        Key(
            "split",
            Text("a split such as `995,4,1`"),
            "shares of train, validation and test, by documents",
            examples=("995,4,1",),
        ),
    ),
    one_of=SOURCES,
    wanted="a dataset",
)
TRAINING = Table(
    (
        Key("epochs", real(above=0, most=1e6), "passes over the data; may be fractional", examples=(4,)),
        Key("iterations", whole(1, 10**12), "optimizer steps, instead of epochs", examples=(150000,)),
        Key(
            "global_batch",
            Shape("a number, a list or a range", _BATCH, Many(_BATCH, "a list of batch sizes"), _BATCH_RANGE),
            "sequences an iteration: a range, a number, a list, or tokens",
            implied=DEFAULT_BATCH,
            examples=({"min": 512, "max": 2048}, 1024, "4M tokens"),
        ),
        Key(
            "batch_ramp",
            Table(
                (
                    Key("start", whole(), "sequences of the first iterations", True, examples=(32,)),
                    Key("increment", whole(), "sequences added at each step of the ramp", True, examples=(32,)),
                    Key("samples", whole(unit="samples"), "samples over which the ramp climbs", True, examples=("2M",)),
                ),
                wanted="a ramp",
            ),
            "the batch grows from `start` to the global batch over `samples`",
        ),
        Key("precision", Word(PRECISIONS), "number format of the matmuls", default="bf16"),
        Key(
            "framework", Word((*FRAMEWORKS, "any")), "which layouts are legal, whose measurements count", default="any"
        ),
        Key("framework_release", Text(), "the software release", default="latest", examples=("25.11",)),
        Key(
            "evaluation",
            Table(
                (
                    Key("interval", whole(), "iterations between evaluations", True, examples=(1000,)),
                    Key("iterations", whole(), "forward iterations of one evaluation", True, examples=(10,)),
                ),
                wanted="a map",
            ),
            "evaluation during the run",
        ),
        Key(
            "target",
            Word(("epochs", "equal_loss")),
            "`epochs`: as asked for; `equal_loss`: as many tokens as the batch needs to match the reference batch",
        ),
        Key("reference_batch", _BATCH, "the batch whose loss `target: equal_loss` must reach", examples=(1024,)),
        Key("critical_batch", _BATCH, "your own measurement of the critical batch", examples=("2M tokens",)),
    ),
    one_of=("epochs", "iterations"),
    wanted="a map",
)
LAYOUT = Table(
    (
        Key("tp", _choice(), "tensor parallel", examples=(2,)),
        Key("pp", _choice(), "pipeline parallel", examples=(4,)),
        Key("vpp", _choice(), "virtual pipeline stages a GPU"),
        Key("dp", _choice(), "data parallel"),
        Key("cp", _choice(), "context parallel"),
        Key("ep", _choice(), "expert parallel"),
        Key("zero_stage", _choice(0, 3), "ZeRO stage (FSDP is 3)", examples=(1,)),
        Key("micro_batch", _choice(), "sequences of a micro-batch", examples=({"max": 8},)),
        Key("sequence_parallel", Flag(), "sequence parallel beside tensor parallel"),
        Key("recompute", Many(Word(RECOMPUTE), "a list", single=True), "activation recompute", examples=("full",)),
    ),
    wanted="a map",
)
_MEASURED = Table(
    (
        Key("gpu", _GPU, "accelerator id", True, examples=("h100-sxm5-80gb",)),
        Key("tokens_per_s_per_gpu", real(above=0, most=1e9), "what was measured", True, examples=(3100,)),
        Key("gpus", whole(), "GPUs of the run", examples=(64,)),
        *(Key(name, whole(), f"{name} of the run") for name in ("tp", "pp", "vpp", "dp", "cp", "ep")),
        Key("zero_stage", whole(0, 3), "ZeRO stage of the run"),
        Key("sequence_parallel", Flag(), "sequence parallel of the run"),
        Key("recompute", Word(RECOMPUTE), "recompute of the run"),
        Key("micro_batch", whole(), "micro-batch of the run"),
        Key("global_batch", whole(), "global batch of the run, sequences"),
        Key("framework", Word(FRAMEWORKS), "framework of the run"),
    ),
    wanted="a measurement",
)
BUDGET = Table(
    (
        Key("time", duration(), "how long the run may take", examples=("14 days",)),
        Key("deadline", _DAY, "the day by whose beginning it must be done, instead of time", examples=("2027-03-01",)),
        Key("start", _DAY, "the day on whose beginning it starts", examples=("2027-02-01",)),
        Key("cost", money(), "what it may cost", examples=("80k USD",)),
        Key("confidence", _SURE, "each budget, by itself, is met with at least this probability", default="0.8"),
    ),
    at_most_one=(("time", "deadline"),),
    wanted="a map",
)
OBJECTIVE = Shape(
    "`cost`, `time` or `{usd_per_day: 5000}`",
    Word(("cost", "time"), ", nor a map such as `{usd_per_day: 5000}`"),
    None,
    Table(
        (Key("usd_per_day", money(above=None, least=0), "what a day is worth", True, examples=(5000,)),),
        wanted="a map",
    ),
)


def _ownership_key(name: str, meaning: str) -> Key:
    if name == "utilisation":
        return Key(name, _SHARE_ABOVE_0, meaning, examples=(0.7,))
    return Key(name, _SHARE if "fraction" in name else real(above=0) if "years" in name else real(least=0), meaning)


_OWNERSHIP = Table(tuple(_ownership_key(name, meaning) for name, meaning in OWNERSHIP_KEYS.items()), wanted="a map")
_OWN = Table(
    (
        Key("name", Text("a name", 100), "what it is called", True, examples=("lab",)),
        Key("gpu", _GPU, "accelerator id", True, examples=("a100-sxm4-40gb",)),
        Key("gpus_per_node", whole(1, 1024), "GPUs of one node", True, examples=(8,)),
        Key("nodes", whole(1, 10**6), "nodes there are", True, examples=(12,)),
        Key("network", _RATE, "a node's network, one direction; unknown: one node only", examples=("1600 Gbit/s",)),
        Key("fabric", Word(FABRICS), "kind of network", examples=("infiniband",)),
        Key("usd_per_gpu_hour", money(), "what an hour of one GPU costs you", examples=(1.10,)),
        Key("ownership", _OWNERSHIP, "total cost of ownership, instead of a price"),
    ),
    at_most_one=(("usd_per_gpu_hour", "ownership"),),
    wanted="a cluster",
)
_PRICE = Table(
    (
        Key("pricing", Word(PRICING), "kind of price", True, examples=("reserved",)),
        Key("usd_per_gpu_hour", money(), "the price you were quoted", True, examples=(2.10,)),
        Key("cloud", _CLOUD, "cloud it holds for", examples=("aws",)),
        Key("instance", Text(), "instance type it holds for", examples=("p5.48xlarge",)),
        Key("region", _REGION, "region it holds for", examples=("us-east-1",)),
        Key("gpu", _GPU, "accelerator it holds for", examples=("h100-sxm5-80gb",)),
        Key("block", duration(), "a block that is paid whole, used or not", examples=("365 days",)),
    ),
    wanted="a price",
)
_QUOTA = Table(
    (
        Key("gpus", whole(0, 10**9), "GPUs one may have", True, examples=(256,)),
        Key("cloud", _CLOUD, "cloud it holds for", examples=("aws",)),
        Key("region", _REGION, "region it holds for", examples=("us-east-1",)),
        Key("gpu", _GPU, "accelerator it holds for", examples=("h100-sxm5-80gb",)),
    ),
    wanted="a quota",
)


CLUSTER = Table(
    (
        Key(
            "gpus",
            AnyOr(_GPU, "ids"),
            "accelerator ids",
            default="any",
            examples=("any", ["h100-sxm5-80gb"]),
        ),
        Key(
            "clouds",
            AnyOr(_CLOUD, "names"),
            "clouds",
            default="any",
            examples=("any", ["aws"]),
        ),
        Key("regions", AnyOr(_REGION, "names"), "regions", default="any", examples=("any", ["us-east-1"])),
        Key(
            "pricing",
            Many(Word(PRICING), "a list", single=True),
            "kinds of price",
            default="on_demand",
            examples=(["on_demand", "spot"],),
        ),
        Key(
            "quality",
            Many(Word(("A", "B", "C")), "a list", single=True),
            "quality of the price's source: A vendor feed, B secondary, C hand-curated",
            default=("A", "B"),
        ),
        Key("max_gpus", whole(1, 10**6), "most GPUs of a plan", default="1024"),
        Key(
            "assume_network",
            _RATE,
            "network of offers whose fabric is unknown",
            examples=("3200 Gbit/s", "400 Gbit/s/gpu"),
        ),
        Key("own", Many(_OWN, "a list of clusters"), "machines of one's own"),
        Key("own_only", Flag(), "true: no cloud offers, only own clusters"),
        Key("quotas", Many(_QUOTA, "a list of quotas"), "GPUs one may have, by cloud, region and accelerator"),
        Key("prices", Many(_PRICE, "a list of prices"), "prices you were quoted; they win over the catalog's"),
    ),
    wanted="a map",
)
_STORAGE = Table(
    (
        Key("size", _SIZE, "what is kept in object storage while the run lasts", True, examples=("50 TB",)),
        Key("usd_per_gb_month", real(least=0, most=1e3), "price of 10^9 bytes for 30 days", True, examples=(0.023,)),
    ),
    wanted="a map",
)
_EGRESS = Table(
    (
        Key("size", _SIZE, "what leaves the cloud, once", True, examples=("10 TB",)),
        Key("usd_per_gb", real(least=0, most=1e3), "price of 10^9 bytes", True, examples=(0.09,)),
    ),
    wanted="a map",
)
_TERMS = Table(
    (
        Key("billing_step", duration(), "time is paid in whole steps of this", examples=("1 h",)),
        Key("minimum_time", duration(), "at least this much time is paid", examples=("7 days",)),
        Key("minimum_gpus", whole(), "no order is smaller", examples=(16,)),
    ),
    wanted="a map",
)
_STORAGE_RATE = Quantity(_RATE.parse, "a data rate, such as `20 GByte/s`", _RATE.pattern)
_PER_1000 = real(least=0, most=1e6)
_RISK = Table(
    (
        Key(
            "interruptions_per_1000_node_days",
            _PER_1000,
            "interruptions of nodes of eight GPUs; 0: none",
            examples=(3.8,),
        ),
        Key("detection", duration(above=None, least=0), "until an interruption is noticed", examples=("5 min",)),
        Key(
            "restart",
            duration(above=None, least=0),
            "until training goes on from the last checkpoint",
            examples=("20 min",),
        ),
        Key("spare_nodes", whole(0, 10**6), "nodes standing by, paid", examples=(2,)),
        Key("replacement", duration(above=None, least=0), "until a failed node is replaced", examples=("2 h",)),
        Key("checkpoint_interval", duration(), "work between checkpoints; default: the optimal one", examples=("1 h",)),
        Key("asynchronous_checkpoints", Flag(), "true: training goes on while a checkpoint is written"),
        Key("storage", _STORAGE_RATE, "write rate of the whole cluster's storage", examples=("20 GByte/s",)),
        Key("spot_preemptions_per_1000_node_days", _PER_1000, "preemptions of spot nodes", examples=(50,)),
        Key("spot_refill", duration(above=None, least=0), "until a preempted node is back", examples=("30 min",)),
    ),
    wanted="a map",
)

SCENARIO = Table(
    (
        Key("name", Text("a name", 200), "what the run is called", examples=("GPT-NeoX-20B, four passes",)),
        Key(
            "model",
            Shape("a model's name, a config file, or a map with the shape", Text("a model's name"), None, MODEL_SHAPE),
            "a name in catalogs/models, a config file (.json, .yml), or the shape inline",
            True,
            examples=("gpt-neox-20b",),
        ),
        Key(
            "data",
            Shape("a dataset (a map) or a list of datasets", None, Many(DATASET, "a list of datasets"), DATASET),
            "what it is trained on: one dataset, or several with weights",
            True,
            examples=({"samples": 31267487, "seq_length": 2048},),
        ),
        Key(
            "training", TRAINING, "for how long, in which batches, with which software", True, examples=({"epochs": 4},)
        ),
        Key("layout", LAYOUT, "pins and bounds of the parallel layout", implied="any that the framework runs"),
        Key("throughput", Many(_MEASURED, "a list of measurements"), "what you measured; wins for what it matches"),
        Key("budget", BUDGET, "time and money", fill=True, examples=({"time": "14 days"},)),
        Key("objective", OBJECTIVE, "what the best plan has least of", examples=("cost", {"usd_per_day": 5000})),
        Key("cluster", CLUSTER, "which machines may be used", fill=True),
        Key("storage", _STORAGE, "object storage, added to the cost"),
        Key("egress", _EGRESS, "data leaving the cloud, added to the cost"),
        Key("terms", _TERMS, "terms of payment and order"),
        Key("risk", _RISK, "failures and checkpoints, where you know better than the catalog"),
    ),
    wanted="a scenario",
)
