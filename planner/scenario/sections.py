"""The sections of a scenario that say what is trained and for how much; and the table of the whole file."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace

from planner import units
from planner.catalog.framework_names import framework_aliases
from planner.catalog.paths import framework_files
from planner.money import CURRENCIES, HOURS
from planner.reading import quantities
from planner.scenario.fields import (
    AMOUNT,
    DAY,
    GPU,
    SHARE,
    SURE,
    Flag,
    FlagOr,
    Kind,
    Quantity,
    Text,
    Word,
    duration,
    money,
    real,
    whole,
)
from planner.scenario.machines import CLUSTER, EGRESS, RISK, STORAGE, TERMS
from planner.scenario.stage_tables import programme_keys
from planner.scenario.tables import Key, KeyedMap, Many, Shape
from planner.spec.adapter import METHODS
from planner.spec.model import (
    ACTIVATIONS,
    MIXERS,
    NORMS,
    POSITIONS,
    MLASpec,
    ModelSpec,
    MoESpec,
    RecurrentSpec,
    SparseSpec,
)
from planner.spec.scenario import MEMORY_HEADROOM, MOST_TRAINING, SIMPLER_WITHIN, STARTS
from planner.words import say

FRAMEWORKS = tuple(framework_files())
FRAMEWORK_NAMES = framework_aliases()  # what frameworks are also called
PRECISIONS = ("bf16", "fp16", "fp8", "mxfp8", "nvfp4")
RECOMPUTE = ("none", "selective", "full")
TUNINGS = ("field", "vendor")
OPTIMIZERS = ("adamw", "adamw-bf16", "adamw-8bit", "muon", "lion", "adafactor", "sgd-momentum")
OFFLOADS = ("none", "optimizer", "activations", "both")
DEFAULT_BATCH = say("defaults.batch")

# --- pieces ------------------------------------------------------------------------------------------------------


def _choice(least: int = 1, most: int = 10**9) -> Shape:
    number = whole(least, most)
    bounds = KeyedMap(
        (
            Key("min", number, "least value"),
            Key("max", number, "largest value"),
            Key("multiple_of", whole(1, most), "only multiples of this"),
        ),
        wanted=say("wanted.range"),
    )
    return Shape(say("wanted.choice"), number, Many(number, say("wanted.numbers")), bounds)


_BATCH_UNITS = r"(\s*(tokens?|sequences?|samples?))?"


def _batch_size(text: str) -> tuple[int, str]:
    number, unit = quantities.split_count(text)
    if unit not in ("", "tokens", "sequences", "samples"):
        raise units.PlannerError(say("sections.batch_counts", text=text, counted=say(f"quantities.{unit}")))
    return number, text.strip() if unit == "tokens" else ""


_BATCH = Quantity(
    _batch_size,
    say("wanted.batch"),
    r"[0-9][0-9,_.eE+]*\s*(k|K|M|B|T|thousand|million|billion|trillion)?" + _BATCH_UNITS,
    least=1,
    most=10**12,
    bare="integer",
    show=lambda limit: f"{limit:,}",
)
_BATCH_RANGE = KeyedMap(
    (
        Key("min", _BATCH, "least global batch"),
        Key("max", _BATCH, "largest global batch"),
        Key("multiple_of", _BATCH, "only multiples of this many sequences"),
    ),
    wanted=say("wanted.range"),
)


def _shape_keys(spec: type, nested: dict[str, Kind]) -> tuple[Key, ...]:
    """The keys of a model's shape, straight from the dataclass that the rest of planner computes with."""
    keys = []
    for part in fields(spec):
        kind = nested.get(part.name)
        if kind is None:
            declared = str(part.type)
            if declared.startswith("tuple"):
                kind = Many(Text(), say("wanted.name_list"), single=True)
            else:
                kind = Flag() if declared == "bool" else Text() if declared.startswith("str") else whole(0, 2**53 - 1)
        bare = part.default is MISSING and part.default_factory is MISSING
        required = part.name in ("layers", "hidden", "heads", "vocab") or (spec is not ModelSpec and bare)
        example = {"layers": 44, "hidden": 6144, "heads": 64, "vocab": 50257}.get(part.name)
        help_text = say("fields.of_the_model", part=part.name.replace("_", " "))
        keys.append(Key(part.name, kind, help_text, required, examples=(example,) if example else ()))
    return tuple(keys)


MODEL_SHAPE = KeyedMap(
    _shape_keys(
        ModelSpec,
        {
            "moe": KeyedMap(_shape_keys(MoESpec, {}), wanted=say("wanted.map")),
            "mla": KeyedMap(_shape_keys(MLASpec, {}), wanted=say("wanted.map")),
            "recurrent": KeyedMap(_shape_keys(RecurrentSpec, {"kind": Word(MIXERS)}), wanted=say("wanted.map")),
            "sparse": KeyedMap(_shape_keys(SparseSpec, {}), wanted=say("wanted.map")),
            "norm": Word(NORMS),
            "activation": Word(ACTIVATIONS),
            "position_embedding": Word(POSITIONS),
        },
    ),
    wanted=say("wanted.shape"),
)

# --- sections ----------------------------------------------------------------------------------------------------

SOURCES = ("samples", "tokens", "index", "log")
DATASET = KeyedMap(
    (
        Key("name", Text(), "what the dataset is called", examples=("the-pile",)),
        Key("samples", whole(1, 10**15, "samples"), "sequences of one epoch", examples=(31267487,)),
        Key("tokens", whole(1, 10**18, "tokens"), "tokens of one epoch", examples=("64B tokens",)),
        Key(
            "index",
            Text(say("wanted.path_prefix")),
            "path prefix of a Megatron or GPT-NeoX .idx file",
            examples=("data/corpus",),
        ),
        Key("log", Text(say("wanted.path")), "a training log that printed its sample count", examples=("train.log",)),
        Key("seq_length", whole(1, 10**8), "tokens of one sequence", examples=(2048,)),
        Key("weight", real(above=0, most=1e9), "share in a mixture, relative to the others", examples=(0.7,)),
        Key(
            "split",
            Text(say("wanted.split"), pattern=units.SPLIT),
            "shares of train, validation and test, by documents",
            examples=("995,4,1",),
        ),
    ),
    one_of=SOURCES,
    wanted=say("wanted.dataset"),
)
_ADAPTER = KeyedMap(
    (
        Key("method", Word(METHODS), "`lora`: weights in 16 bits; `qlora`: in 4", True, examples=("qlora",)),
        Key("r", whole(1, 8192), "rank of every adapter", examples=(16,)),
        Key(
            "target_modules",
            Many(Text(say("wanted.matrix")), say("wanted.name_list"), single=True),
            "matrices that get one, by their names in transformers; `all-linear`: every one but the output layer",
            examples=(["q_proj", "v_proj"],),
        ),
    ),
    wanted=say("wanted.map"),
)
TRAINING = KeyedMap(
    (
        Key(
            "epochs",
            real(above=0, most=1e6),
            "passes over the data; may be fractional; with `objective: epochs` the most of them",
            examples=(4,),
        ),
        Key("iterations", whole(1, 10**12), "optimizer steps, instead of epochs", examples=(150000,)),
        Key(
            "global_batch",
            Shape(say("wanted.batch_choice"), _BATCH, Many(_BATCH, say("wanted.batches")), _BATCH_RANGE),
            "sequences an iteration: a range, a number, a list, or tokens",
            implied=DEFAULT_BATCH,
            examples=({"min": 512, "max": 2048}, 1024, "4M tokens"),
        ),
        Key(
            "batch_ramp",
            KeyedMap(
                (
                    Key("start", whole(), "sequences of the first iterations", True, examples=(32,)),
                    Key("increment", whole(), "sequences added at each step of the ramp", True, examples=(32,)),
                    Key("samples", whole(unit="samples"), "samples over which the ramp climbs", True, examples=("2M",)),
                ),
                wanted=say("wanted.ramp"),
            ),
            "the batch grows from `start` to the global batch over `samples`",
        ),
        Key("precision", Word(PRECISIONS), "number format of the matmuls", default="bf16"),
        Key(
            "framework",
            Word((*FRAMEWORKS, "any"), called=FRAMEWORK_NAMES),
            "which layouts are legal, whose measurements count",
            default="any",
        ),
        Key("framework_release", Text(), "the software release", default="latest", examples=("25.11",)),
        Key(
            "evaluation",
            KeyedMap(
                (
                    Key("interval", whole(), "iterations between evaluations", True, examples=(1000,)),
                    Key("iterations", whole(), "forward iterations of one evaluation", True, examples=(10,)),
                ),
                wanted=say("wanted.map"),
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
        Key(
            "flash_attention",
            FlagOr((2, 3)),
            "whether attention has flash kernels, or of which generation; otherwise as the framework's release has it",
            examples=(True,),
        ),
        Key(
            "fused_or_compile",
            Flag(),
            "whether norms and activations are fused, by kernels or a compiler; otherwise as the framework does",
            examples=(True,),
        ),
        Key("comm_overlap", Flag(), "whether gradient reductions run behind the backward pass", examples=(True,)),
        Key(
            "tuning",
            Word(TUNINGS),
            "whose recipe runs, where one is published for a MoE model: a vendor's, or what users have (`field`, the "
            "default)",
        ),
        Key(
            "starts_from",
            Word(STARTS),
            "whether it trains from scratch or goes on from a checkpoint, of which nothing is advised that holds from "
            "scratch; otherwise a checkpoint where there is less than a token a parameter",
            examples=("checkpoint",),
        ),
        Key("optimizer", Word(OPTIMIZERS), "what it keeps a parameter, in memory and checkpoints", default="adamw"),
        Key(
            "offload",
            Word(OFFLOADS),
            "what waits in host memory: the optimizer's states, each layer's input; `none` unless stated",
            examples=("optimizer",),
        ),
        Key(
            "adapter",
            Shape(say("wanted.adapter"), Word(METHODS, say("wanted.or_method")), table=_ADAPTER),
            "what alone is trained, on frozen weights: LoRA's adapters, or QLoRA's on weights in 4 bits",
            examples=("qlora", {"method": "lora", "r": 16, "target_modules": ["q_proj", "v_proj"]}),
        ),
    ),
    at_most_one=(("epochs", "iterations"),),  # one of them is asked for in `build`, unless the objective finds it
    wanted=say("wanted.map"),
)
FREE = replace(SHARE, most=0.9)
HEADROOM = units.format_percent(MEMORY_HEADROOM)
ANY_LAYOUT = say("defaults.layout", memory=1 - MEMORY_HEADROOM)
LAYOUT = KeyedMap(
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
        Key(
            "recompute",
            Many(Word(RECOMPUTE), say("wanted.list"), single=True),
            "activation recompute",
            examples=("full",),
        ),
        Key(
            "recompute_share", SHARE, "share of the layers that full recompute covers, in whole layers", examples=(0.5,)
        ),
        Key("shard_group", whole(1, 10**9), "GPUs over which states are sharded", examples=(8,)),
        Key("memory_headroom", FREE, "share of a GPU's memory that a plan leaves free", default=HEADROOM),
    ),
    wanted=say("wanted.map"),
)
_MEASURED = KeyedMap(
    (
        Key("gpu", GPU, "accelerator id", True, examples=("h100-sxm5-80gb",)),
        Key("tokens_per_s_per_gpu", real(above=0, most=1e9), "what was measured", True, examples=(3100,)),
        Key("gpus", whole(), "GPUs of the run", examples=(64,)),
        *(Key(name, whole(), f"{name} of the run") for name in ("tp", "pp", "vpp", "dp", "cp", "ep")),
        Key("zero_stage", whole(0, 3), "ZeRO stage of the run"),
        Key("sequence_parallel", Flag(), "sequence parallel of the run"),
        Key("recompute", Word(RECOMPUTE), "recompute of the run"),
        Key("micro_batch", whole(), "micro-batch of the run"),
        Key("global_batch", whole(), "global batch of the run, sequences"),
        Key("framework", Word(FRAMEWORKS, called=FRAMEWORK_NAMES), "framework of the run"),
    ),
    wanted=say("wanted.measurement"),
)
BUDGET = KeyedMap(
    (
        Key("time", duration(), "how long the run may take", examples=("14 days",)),
        Key("deadline", DAY, "the day by whose beginning it must be done, instead of time", examples=("2027-03-01",)),
        Key("start", DAY, "the day on whose beginning it starts", examples=("2027-02-01",)),
        Key(
            "cost",
            AMOUNT,
            "what it may cost: money, or allocated hours such as `20000 GPU-hours` or `2500 node-hours`",
            examples=("80k USD",),
        ),
        Key("confidence", SURE, "each budget, by itself, is met with at least this probability", default="0.8"),
    ),
    at_most_one=(("time", "deadline"),),
    wanted=say("wanted.map"),
)
OBJECTIVE = Shape(
    say("wanted.objective"),
    Word(("cost", "time", *MOST_TRAINING), say("wanted.nor_day")),
    None,
    KeyedMap(
        (Key("usd_per_day", money(above=None, least=0), "what a day is worth", True, examples=(5000,)),),
        wanted=say("wanted.map"),
    ),
)
CURRENCY = Shape(
    say("wanted.currency"),
    Word((*CURRENCIES, *HOURS)),
    None,
    KeyedMap(
        (
            Key("code", Word(CURRENCIES), "ISO 4217 code", True, examples=("EUR",)),
            Key("usd", real(above=0, most=1e6), "US dollars of one of it", examples=(1.08,)),
            Key("per_usd", real(above=0, most=1e6), "instead: how many of it are one US dollar", examples=(7.11,)),
            Key("as_of", DAY, "the day that the rate is of", True, examples=("2026-11-20",)),
            Key("source", Text(say("wanted.source"), 200), "who says so", examples=("ECB reference rate",)),
        ),
        one_of=("usd", "per_usd"),
        wanted=say("wanted.map"),
    ),
)
ASK = KeyedMap(
    (
        Key("name", Text(say("wanted.name"), 80), "what the line is called", True, examples=("VAT",)),
        Key("share", replace(SHARE, most=5.0), "share of the sum of what stands above it", examples=(0.19,)),
        Key("cost", AMOUNT, "instead: a sum", examples=("40k EUR",)),
    ),
    one_of=("share", "cost"),
    wanted=say("wanted.line"),
)


#: The keys of one run, which a stage of a programme has too.
RUN = (
    Key(
        "model",
        Shape(say("wanted.model"), Text(say("wanted.model_name")), None, MODEL_SHAPE),
        "a name in catalogs/models, a config file (.json, .yml), or the shape inline",
        True,
        examples=("gpt-neox-20b",),
    ),
    Key(
        "data",
        Shape(say("wanted.data"), None, Many(DATASET, say("wanted.datasets")), DATASET),
        "what it is trained on: one dataset, or several with weights",
        True,
        examples=({"samples": 31267487, "seq_length": 2048},),
    ),
    Key("training", TRAINING, "for how long, in which batches, with which software", True, examples=({"epochs": 4},)),
    Key(
        "layout",
        LAYOUT,
        "pins and bounds of the parallel layout",
        implied=ANY_LAYOUT,
    ),
    Key("throughput", Many(_MEASURED, say("wanted.measurements")), "what you measured; wins for what it matches"),
)


STAGES, RESERVATIONS, TRANSFER = programme_keys({key.name: key for key in RUN}, CLUSTER)

SCENARIO = KeyedMap(
    (
        Key("name", Text(say("wanted.name"), 200), "what the run is called", examples=("GPT-NeoX-20B, four passes",)),
        *RUN,
        STAGES,
        RESERVATIONS,
        TRANSFER,
        Key("budget", BUDGET, "time and money", fill=True, examples=({"time": "14 days"},)),
        Key(
            "currency",
            CURRENCY,
            "what amounts are written in: a code with its rate and the rate's day; a code alone, whose rate a catalog "
            "of yours states; or `GPU-hours` or `node-hours`, to count those in place of money",
            examples=({"code": "EUR", "usd": 1.08, "as_of": "2026-11-20"},),
        ),
        Key(
            "ask",
            Many(ASK, say("wanted.lines")),
            "what a proposal asks for beside the run: tax, people, contingency; not counted against budget.cost",
            examples=([{"name": "VAT", "share": 0.19}],),
        ),
        Key(
            "objective",
            OBJECTIVE,
            "what the best plan has least of; `epochs`, `tokens`: most of",
            examples=("cost", {"usd_per_day": 5000}, "epochs"),
        ),
        Key(
            "simpler_within",
            replace(SHARE, most=0.5),
            "share of the optimum, in the objective and in time, that a simpler layout may give up; 0: none",
            default=f"{SIMPLER_WITHIN:g}",
            examples=(0.02,),
        ),
        Key("cluster", CLUSTER, "which machines may be used", fill=True),
        Key("storage", STORAGE, "object storage, added to the cost"),
        Key("egress", EGRESS, "data leaving the cloud, added to the cost"),
        Key("terms", TERMS, "terms of payment and order"),
        Key("risk", RISK, "failures and checkpoints, where you know better than the catalog"),
    ),
    wanted=say("wanted.scenario"),
    instead="stages",
)
