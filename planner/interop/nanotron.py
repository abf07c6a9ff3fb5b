"""nanotron's YAML into a scenario: model, layout, batch and length.

Keys and defaults are those of huggingface/nanotron 7bc9923 (2026-04-07), src/nanotron/config.
"""

from __future__ import annotations

from pathlib import Path

from planner.interop.files import read_yaml, shown
from planner.interop.imported import Imported, Stated, Taken, model_taken
from planner.interop.key_kinds import Kinds, sort_keys
from planner.interop.nanotron_assumptions import TABLE, M, P, T
from planner.interop.values import Values, flat
from planner.spec.model import ModelSpec
from planner.units import PlannerError
from planner.words import say

#: Sections of which nothing is planned.
SECTIONS = ("checkpoints", "data_stages", "general", "lighteval", "logging", "metrics_logging", "profiler", "s3_upload",
            "tokenizer", "experimental")  # fmt: skip
READ = (*SECTIONS, "model.init_method", "model.ddp_bucket_cap_mb", "optimizer.", T, M)


def import_nanotron(path: Path, stated: Stated) -> Imported:
    """A scenario from a YAML of nanotron, which says nothing of its data's length.

    Raises
    ------
    PlannerError
        For what is missing, contradictory, or a model class that planner does not read.
    """
    document = read_yaml(path)
    y = Values("nanotron", document.name, flat(document.values, (f"{M}moe_config",)), TABLE)
    model, origins = _model(y, path.stem)
    tp, pp, dp, stage, recompute = y.take(
        "layout.tp", "layout.pp", "layout.dp", "layout.zero_stage", "layout.recompute"
    )
    split, engine = str(y.get(f"{P}tp_mode")).upper() == "REDUCE_SCATTER", str(y.get(f"{P}pp_engine"))
    y.used |= {f"{P}tp_linear_async_communication", f"{P}tp_recompute_allgather"}
    if pp.value > 1 and engine != "1f1b":
        raise PlannerError(say("nanotron.engine", file=y.name, engine=shown(engine)))
    sequence = Taken("layout.sequence_parallel", tp.value > 1 and split, y.origin(f"{P}tp_mode"))
    layout = [tp, pp, dp, stage, sequence, recompute]
    steps, length, micro = y.take("training.iterations", "data.seq_length", "layout.micro_batch")
    batch = micro.value * y.value("layout.grad_accum") * y.value("layout.dp")
    data = stated.data or Taken("data.samples", steps.value * batch, "what the run reads")
    kept = y.deciding()
    taken = [
        Taken("name", shown(path.stem, 80), ""),
        *model_taken(model, origins, "every model of nanotron's"),
        data,
        length,
        steps,
        Taken("training.global_batch", batch, "micro_batch_size x batch_accumulation_per_replica x dp"),
        Taken("training.precision", "bf16", y.origin("model.dtype")),
        Taken("training.framework", "nanotron", "a YAML of nanotron"),
        *layout,
        micro,
    ]
    irrelevant = {key for key in y.values if key.startswith(READ) and key not in kept}
    others = sort_keys(dict.fromkeys(y.values, y.name), y.used, Kinds("nanotron", irrelevant, kept))
    remarks = () if stated.data else (say("nanotron.length"),)
    return Imported("nanotron", (y.name,), model, tuple(taken), others.unused, remarks, warnings=others.warnings)


def _model(y: Values, stem: str) -> tuple[ModelSpec, dict[str, str]]:
    if y.get(f"{M}is_starcoder2_config", False) or f"{M}hidden_size" not in y.values:
        raise PlannerError(say("nanotron.models", file=y.name))
    y.used |= {f"{M}is_llama_config", f"{M}is_qwen2_config", f"{M}hidden_act"}
    hidden, heads = y.value("model.hidden"), y.value("model.heads")
    if hidden % heads:
        raise PlannerError(say("nanotron.hidden_by_heads", file=y.name, hidden=hidden, heads=heads))
    rows = [row for row in TABLE if row.means.startswith("model.")]
    stated = {row.means.removeprefix("model."): y.value(row.means) for row in rows}
    model = ModelSpec(
        name=shown(stem, 80),
        head_dim=hidden // heads,
        gated_mlp=True,
        norm="rmsnorm",
        **{**stated, "kv_heads": stated["kv_heads"] or heads},
    )
    if heads % model.kv_heads:
        raise PlannerError(say("nanotron.heads_by_groups", file=y.name, heads=heads, kv_heads=model.kv_heads))
    origins = {row.means.removeprefix("model."): y.origin(row.key) for row in rows if row.key.startswith(M)}
    return model, {**origins, "name": "the file's name"}
