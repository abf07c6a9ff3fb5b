"""torchtitan's TOML into a scenario: model, layout, batch and length.

Keys and defaults are those of pytorch/torchtitan 73a0e69 (tag v0.2.2, torchtitan/config/job_config.py); names of older
releases are read as what they became.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from planner.interop.files import MAX_DEPTH, config_text, shown, whole
from planner.interop.imported import Imported, Taken, model_taken
from planner.interop.kinds import Kinds, sort_keys
from planner.performance.frameworks import framework
from planner.spec.model import ModelSpec
from planner.units import PlannerError
from planner.workload.zoo import load_model

#: Keys of 2024 and 2025, and what they are called since.
RENAMED = {
    "training.batch_size": "training.local_batch_size",
    "training.tensor_parallel_degree": "parallelism.tensor_parallel_degree",
    "training.data_parallel_degree": "parallelism.data_parallel_shard_degree",
    "training.data_parallel_shard_degree": "parallelism.data_parallel_shard_degree",
    "training.data_parallel_replicate_degree": "parallelism.data_parallel_replicate_degree",
    "training.compile": "compile.enable",
    "experimental.pipeline_parallel_degree": "parallelism.pipeline_parallel_degree",
    "experimental.pipeline_parallel_schedule": "parallelism.pipeline_parallel_schedule",
    "experimental.context_parallel_degree": "parallelism.context_parallel_degree",
    "experimental.pipeline_parallel_microbatches": "parallelism.pipeline_parallel_microbatches",
}
SECTIONS = ("checkpoint", "comm", "debug", "fault_tolerance", "job", "lr_scheduler", "memory_estimation", "metrics",
            "optimizer", "profiling", "validation")  # fmt: skip  # of which nothing else is planned
IRRELEVANT = frozenset(
    """
    model.hf_assets_path model.tokenizer_path model.print_after_conversion model.converters model.norm_type
    training.dataset training.dataset_path training.max_norm training.gc_freq training.gc_debug
    training.mixed_precision_reduce training.mixed_precision_param training.dtype training.deterministic training.seed
    training.warmup_steps training.dataloader.num_workers training.dataloader.persistent_workers
    training.dataloader.pin_memory training.dataloader.prefetch_factor
    parallelism.disable_loss_parallel parallelism.enable_async_tensor_parallel
    parallelism.pipeline_parallel_first_stage_less_layers parallelism.pipeline_parallel_last_stage_less_layers
    parallelism.pipeline_parallel_schedule_csv parallelism.context_parallel_rotate_method
    parallelism.context_parallel_load_balancer parallelism.expert_parallel_comm_backend
    parallelism.pipeline_parallel_expert_parallel_overlap parallelism.enable_compiled_autograd
    parallelism.pipeline_parallel_split_points
    activation_checkpoint.per_op_sac_force_recompute_mm_shapes_by_fqns activation_checkpoint.early_stop
    activation_checkpoint.visualize_memory_budget_pareto activation_checkpoint.preserve_rng_state
    activation_checkpoint.determinism_check activation_checkpoint.debug compile.components compile.backend compile.model
    compile.loss
    experimental.custom_import experimental.custom_args_module
    """.split()
)
DECIDING = {
    "training.enable_cpu_offload": "what memory holds",
    "activation_checkpoint.memory_budget": "what memory holds",
    "parallelism.expert_tensor_parallel_degree": "the layout",
}
P = "parallelism."


@dataclass
class Job:
    """A TOML's keys by dotted path, and which of them were asked for."""

    name: str
    values: Mapping[str, Any]
    used: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def get(self, key: str, default: Any) -> Any:
        self.used.add(key)
        return self.values.get(key, default)

    def text(self, key: str, default: str) -> str:
        return str(self.get(key, default))

    def number(self, key: str, default: int, least: int = 1) -> int:
        return whole(self.get(key, default), f"{key} ({self.name})", least)

    def origin(self, key: str) -> str:
        return f"{key}, {self.name}" if key in self.values else f"torchtitan's default of {key}"


def import_torchtitan(
    path: Path, *, gpus: int | None = None, samples: int | None = None, tokens: int | None = None
) -> Imported:
    """A scenario from a TOML of torchtitan.

    Parameters
    ----------
    gpus : GPUs of the run, where its shard degree is -1 (what is left)
    samples, tokens : of one epoch of the data, which no TOML says

    Raises
    ------
    PlannerError
        For what is no TOML, a model that planner does not know, or degrees that contradict each other.
    """
    job = Job(shown(path.name, 80), _flat(path))
    model, taken_model = _model(job)
    degrees = _degrees(job, gpus)
    batch = _batch(job, degrees)
    taken = [Taken("name", shown(path.stem, 80), ""), *taken_model]
    taken += _length(job, batch[0].value, samples, tokens)
    taken += [Taken("training.framework", "torchtitan", "a TOML of torchtitan"), batch[0], *_precision(job)]
    taken.append(
        Taken("training.fused_or_compile", bool(job.get("compile.enable", False)), job.origin("compile.enable"))
    )
    taken += [*degrees.values(), batch[1], *_sharding(job, degrees), *_recompute(job, model)]
    asked = {key for key in job.values if key.split(".")[0] in (*SECTIONS, "quantize")}
    said = sort_keys(
        dict.fromkeys(job.values, job.name), job.used, Kinds("torchtitan", IRRELEVANT | asked, _deciding(job))
    )
    return Imported(
        "torchtitan", (job.name,), model, tuple(taken), said.unused, tuple(job.remarks), extras={},
        warnings=(*job.warnings, *said.warnings),
    )  # fmt: skip


def _flat(path: Path) -> dict[str, Any]:
    text = config_text(path)
    name = shown(path, 200)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlannerError(f"{name} is not valid TOML: {shown(error, 120)}.") from None
    except (RecursionError, ValueError) as error:
        said = f"it is nested more than {MAX_DEPTH} levels deep" if isinstance(error, RecursionError) else error
        raise PlannerError(f"{name} is not a configuration: {shown(said, 120)}.") from None
    flat: dict[str, Any] = {}
    nodes: list[tuple[str, Any]] = list(tree.items())
    while nodes:
        key, value = nodes.pop()
        if isinstance(value, Mapping):
            nodes += [(f"{key}.{inner}", part) for inner, part in value.items()]
        else:
            flat[RENAMED.get(key, key)] = value
    return dict(sorted(flat.items()))


def _deciding(job: Job) -> dict[str, str]:
    """Keys that decide something, at values at which they do."""
    off = {"training.enable_cpu_offload": False, "parallelism.expert_tensor_parallel_degree": 1}
    mode = job.values.get("activation_checkpoint.mode")
    at_rest = {key for key, value in off.items() if job.values.get(key, value) == value}
    at_rest |= {"activation_checkpoint.memory_budget"} if mode != "memory_budget" else set()
    job.used |= at_rest
    return {key: what for key, what in DECIDING.items() if key not in at_rest}


def _model(job: Job) -> tuple[ModelSpec, list[Taken]]:
    name, flavour = job.text("model.name", "llama3"), job.text("model.flavor", "debugmodel")
    known = framework("torchtitan").models
    plain = flavour.removesuffix("_flex").removesuffix("_varlen").removesuffix("_flex_attn")
    found = known.get(f"{name}/{plain}")
    if found is None:
        listed = ", ".join(known)
        raise PlannerError(
            f"{job.name}: model {shown(f'{name}/{flavour}')} is none whose shape planner knows ({listed}); "
            "write its shape inline in a scenario."
        )
    model, origin = load_model(found), f"model.name, model.flavor, {job.name}"
    if not model.mtp_layers:
        return model, [Taken("model", found, origin)]
    alone = replace(model, mtp_layers=0)
    return alone, model_taken(
        alone, {"name": origin}, f"{found}, without multi-token prediction, which torchtitan lacks"
    )


def _degrees(job: Job, gpus: int | None) -> dict[str, Taken]:
    tp, pp, cp = (job.number(f"{P}{kind}_parallel_degree", 1) for kind in ("tensor", "pipeline", "context"))
    replicate, shard = (
        job.number(f"{P}data_parallel_replicate_degree", 1),
        job.get(f"{P}data_parallel_shard_degree", -1),
    )
    if shard == -1:
        if gpus is None:
            raise PlannerError(
                f"{job.name}: {P}data_parallel_shard_degree is -1 (what is left), and no TOML says of how many GPUs: "
                "add --gpus N."
            )
        if gpus % (tp * pp * cp * replicate):
            raise PlannerError(
                f"{job.name}: {gpus} GPUs are not divisible by tensor x pipeline x context x replicate = "
                f"{tp} x {pp} x {cp} x {replicate}."
            )
        shard = gpus // (tp * pp * cp * replicate)
    shard = whole(shard, f"{P}data_parallel_shard_degree ({job.name})")
    if gpus is not None and gpus != tp * pp * cp * replicate * shard:
        raise PlannerError(f"{job.name}: its degrees make {tp * pp * cp * replicate * shard} GPUs, not {gpus}.")
    virtual, said = _virtual(job, pp)
    job.used.add(f"{P}expert_tensor_parallel_degree")
    return {
        "tp": Taken("layout.tp", tp, job.origin(f"{P}tensor_parallel_degree")),
        "pp": Taken("layout.pp", pp, job.origin(f"{P}pipeline_parallel_degree")),
        "vpp": Taken("layout.vpp", virtual, said),
        "cp": Taken("layout.cp", cp, job.origin(f"{P}context_parallel_degree")),
        "ep": Taken("layout.ep", job.number(f"{P}expert_parallel_degree", 1), job.origin(f"{P}expert_parallel_degree")),
        "dp": Taken("layout.dp", replicate * shard, job.origin(f"{P}data_parallel_shard_degree")),
        "sequence_parallel": Taken("layout.sequence_parallel", tp > 1, "always with tensor parallel"),
    }


def _virtual(job: Job, pp: int) -> tuple[int, str]:
    """Chunks a rank: as laid out, else two where the schedule interleaves (pipeline_parallel.py)."""
    parts, each = (
        job.get(f"{P}module_fqns_per_model_part", None),
        job.get(f"{P}pipeline_parallel_layers_per_stage", None),
    )
    schedule = job.text(f"{P}pipeline_parallel_schedule", "1F1B")
    if pp == 1:
        return 1, "no pipeline"
    if schedule.lower() not in ("1f1b", "interleaved1f1b"):
        job.warnings.append(f"{job.name}: {P}pipeline_parallel_schedule {shown(schedule)} is planned as 1F1B")
    if isinstance(parts, list) and parts and len(parts) % pp == 0:
        return len(parts) // pp, job.origin(f"{P}module_fqns_per_model_part")
    if each is not None:
        job.warnings.append(
            f"{job.name}: {P}pipeline_parallel_layers_per_stage is not read: chunks are the schedule's own"
        )
    return 2 if "interleaved" in schedule.lower() else 1, job.origin(f"{P}pipeline_parallel_schedule")


def _batch(job: Job, degrees: Mapping[str, Taken]) -> tuple[Taken, Taken]:
    local, dp = job.number("training.local_batch_size", 8), degrees["dp"].value
    size = job.get("training.global_batch_size", -1)
    total = local * dp if size == -1 else whole(size, f"training.global_batch_size ({job.name})")
    if total % (local * dp):
        raise PlannerError(
            f"{job.name}: global batch size must be multiple of local batch size times data-parallel degree "
            f"({total} % ({local} * {dp}) != 0)."
        )
    key = "training.local_batch_size"
    if degrees["pp"].value > 1:
        key = f"{P}pipeline_parallel_microbatch_size"
        micro = job.number(key, 1)
        if local % micro:
            raise PlannerError(f"{job.name}: Batch size {local} must be divisible by microbatch_size {micro}.")
    else:
        micro = local
        job.used.add(f"{P}pipeline_parallel_microbatch_size")
    said = job.origin("training.global_batch_size") if size != -1 else "local batch size x data-parallel degree"
    return Taken("training.global_batch", total, said), Taken("layout.micro_batch", micro, job.origin(key))


def _length(job: Job, batch: int, samples: int | None, tokens: int | None) -> list[Taken]:
    steps = job.number("training.steps", 10000)
    length = Taken("data.seq_length", job.number("training.seq_len", 2048), job.origin("training.seq_len"))
    iterations = Taken("training.iterations", steps, job.origin("training.steps"))
    if samples is not None or tokens is not None:
        known = (
            Taken("data.samples", samples, "--samples")
            if samples is not None
            else Taken("data.tokens", tokens, "--tokens")
        )
        return [known, length, iterations]
    job.remarks.append("a TOML does not say how long the data is: samples are those that the run reads")
    return [Taken("data.samples", steps * batch, "what the run reads"), length, iterations]


def _precision(job: Job) -> list[Taken]:
    key = "model.converters"
    converters = job.get(key, [])
    names = " ".join(map(str, converters)) if isinstance(converters, list) else str(converters)
    if job.values.get("training.mixed_precision_param") == "float32" or job.values.get("training.dtype") == "bfloat16":
        job.warnings.append(
            f"{job.name}: weights are planned in fp32 and computed with in bf16, which this file changes"
        )
    kind = "fp8" if "float8" in names else "mxfp8" if "mx" in names else "bf16"
    return [Taken("training.precision", kind, job.origin(key))]


def _sharding(job: Job, degrees: Mapping[str, Taken]) -> list[Taken]:
    key = f"{P}fsdp_reshard_after_forward"
    policy = job.text(key, "default")
    again = policy == "always" or (policy == "default" and degrees["pp"].value == 1)
    rows = [Taken("layout.zero_stage", 3 if again else 2, job.origin(key))]
    replicate = job.number(f"{P}data_parallel_replicate_degree", 1)
    if replicate > 1:
        group = degrees["dp"].value // replicate * degrees["cp"].value
        rows.append(Taken("layout.shard_group", group, job.origin(f"{P}data_parallel_replicate_degree")))
    return rows


def _recompute(job: Job, model: ModelSpec) -> list[Taken]:
    key = "activation_checkpoint.mode"
    mode, option = job.text(key, "selective"), job.text("activation_checkpoint.selective_ac_option", "2")
    if mode == "selective" and option != "op":
        every = whole(option, f"activation_checkpoint.selective_ac_option ({job.name})")
        origin = job.origin("activation_checkpoint.selective_ac_option")
        if every == 1:
            return [Taken("layout.recompute", "full", origin)]
        share = round(model.layers // every / model.layers, 6)
        return [Taken("layout.recompute", "full", origin), Taken("layout.recompute_share", share, origin)]
    if mode == "memory_budget":
        job.warnings.append(f"{job.name}: {key} memory_budget is planned as selective")
        mode = "selective"
    if mode not in ("none", "selective", "full"):
        raise PlannerError(f"{job.name}: {key} {shown(mode)} must be none, selective, full or memory_budget.")
    return [Taken("layout.recompute", mode, job.origin(key))]
