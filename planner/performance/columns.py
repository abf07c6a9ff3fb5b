"""The columns of tables of runs: one list of what they are called, which are read, and what else they are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from planner.reading import wrong_at
from planner.words import phrase, say


class Column(NamedTuple):
    """One column: its name, whether a prediction or a judgement reads it, and the names that mean the same."""

    name: str
    read: bool = True
    aliases: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()  # what other programs call it; refused, as they do not all mean quite the same


COLUMNS = (
    Column("model", elsewhere=("model_name",)),
    Column("layers_run"),
    Column("n_layers", elsewhere=("layers", "num_layers", "num_hidden_layers")),
    Column("hidden", elsewhere=("hidden_size", "d_model", "hidden_dim")),
    Column("n_heads", elsewhere=("heads", "num_heads", "num_attention_heads", "attention_heads")),
    Column("n_kv_heads", elsewhere=("kv_heads", "num_kv_heads", "num_key_value_heads")),
    Column("head_dim"),
    Column("ffn", elsewhere=("ffn_hidden_size", "intermediate_size", "ffn_hidden")),
    Column("gated_ffn", elsewhere=("gated_mlp",)),
    Column("vocab", elsewhere=("vocab_size",)),
    Column("experts", elsewhere=("num_experts", "n_experts")),
    Column("top_k", elsewhere=("moe_top_k", "experts_per_token")),
    Column("seq_len", aliases=("seq_length",), elsewhere=("sequence_length", "max_seq_len", "context_length")),
    Column("gpu", elsewhere=("gpu_type", "gpu_name", "gpu_model")),
    Column("gpu_mem_gb", elsewhere=("gpu_memory", "gpu_memory_gb")),
    Column("gpus", elsewhere=("num_gpus", "n_gpus", "gpu_count", "world_size")),
    Column("gpus_per_node"),
    Column("interconnect", elsewhere=("network", "fabric")),
    Column("network_gbit_per_s_per_node"),
    Column("power_limit_w"),
    Column("framework"),
    Column("version_or_date", aliases=("framework_release",)),
    Column("precision", elsewhere=("dtype",)),
    Column("tp", elsewhere=("tp_size", "tensor_parallel", "tensor_parallel_size", "tensor_model_parallel_size")),
    Column("pp", elsewhere=("pp_size", "pipeline_parallel", "pipeline_parallel_size", "pipeline_model_parallel_size")),
    Column("vpp", elsewhere=("virtual_pipeline",)),
    Column("dp", elsewhere=("dp_size", "data_parallel", "data_parallel_size")),
    Column("cp", elsewhere=("cp_size", "context_parallel", "context_parallel_size")),
    Column("ep", elsewhere=("ep_size", "expert_parallel", "expert_parallel_size", "expert_model_parallel_size")),
    Column("zero_or_fsdp", aliases=("zero_stage",), elsewhere=("zero", "fsdp", "sharding", "zero_optimization_stage")),
    Column("shard_group"),
    Column("sequence_parallel"),
    Column("recompute", elsewhere=("activation_checkpointing", "recomputation", "gradient_checkpointing")),
    Column("recompute_share"),
    Column("micro_batch", elsewhere=("mbs", "micro_batch_size", "train_micro_batch_size_per_gpu")),
    Column("grad_accum", elsewhere=("gradient_accumulation", "gradient_accumulation_steps", "accumulation")),
    Column("global_batch_samples", aliases=("global_batch",), elsewhere=("gbs", "global_batch_size")),
    Column("flash_attention", elsewhere=("flash_attn", "use_flash_attn")),
    Column("fused_or_compile"),
    Column("comm_overlap"),
    Column("optimizer_state_bytes"),
    Column("optimizer"),
    Column("adapter", elsewhere=("peft", "peft_type", "use_peft")),
    Column("lora_r", elsewhere=("r", "lora_rank")),
    Column("lora_target_modules", elsewhere=("target_modules", "lora_modules")),
    Column("schedule", elsewhere=("pipeline_schedule",)),
    Column("offload", elsewhere=("cpu_offload", "offloading")),
    Column("recompute_modules"),
    Column("gradient_bytes"),
    Column("loss"),
    Column("etp", elsewhere=("expert_tensor_parallel_size", "expert_tp")),
    Column("graphs", elsewhere=("cuda_graphs",)),
    Column("dispatch"),
    Column("overlap"),
    Column("fused_experts"),
    Column("fp8_attention"),
    Column("tokens_per_s_per_gpu", elsewhere=("tokens_per_gpu_per_s", "tokens_per_second_per_gpu", "tps_per_gpu")),
    Column("notes", aliases=("note",)),
    Column("source_id"),
    Column("site"),
    Column("weight"),
    Column("quality"),
    Column("date"),
    Column("kind"),
    Column("tuning"),
    *(
        Column(name, read=False)
        for name in (
            # of measured tables
            "project", "page_or_path", "params_total", "params_active", "global_batch_tokens", "tokens_per_s_total",
            "step_time_s", "step_time_ms", "model_tflops_per_gpu", "mfu_pct", "derived", "nodes",
            # of tables of whole runs
            "run", "tokens_total", "accelerator", "gpu_hours", "days", "tflops_per_gpu", "cost_usd_published",
            "what_gpu_hours_include", "source",
            # as `planner predict` writes them
            "pred_tokens_per_s_per_gpu", "pred_lo", "pred_hi", "pred_memory_gib", "fits", "basis", "why", "assumed",
        )
    ),
)  # fmt: skip
#: The other names under which a column is understood, by its own.
ALIASES = {column.name: column.aliases for column in COLUMNS if column.aliases}
_UNDERSTOOD = {name: column.name for column in COLUMNS for name in (column.name, *column.aliases)}
_READ = frozenset(name for column in COLUMNS if column.read for name in (column.name, *column.aliases))
_BATCH = "global_batch_samples (of a step) or micro_batch"
_ELSEWHERE = {name: column.name for column in COLUMNS for name in column.elsewhere} | dict.fromkeys(
    ("batch", "batch_size", "train_batch_size"), _BATCH
)
TOO_MANY = "\0cells beyond the header"  # the key of a row's cells that no column has; no table names a column so
_SHORT, _LONG = 5, 8  # letters from which a name with one, and with two, mistakes is still taken for it


def unread(header: Sequence[str], place: str) -> tuple[str, ...]:
    """The columns of a table that are kept and not read.

    Raises
    ------
    PlannerError
        If a column is there twice, or one that is not known is nearly one that is: with its right name.
    """
    named = [name for name in header if name.strip() and name != TOO_MANY]
    twice = next((name for i, name in enumerate(named) if name in named[:i]), None)
    if twice is not None:
        raise wrong_at(place, say("columns.twice", column=quoted(twice)))
    unknown = [name for name in named if name not in _UNDERSTOOD]
    for name in unknown:
        if meant := near(name):
            raise wrong_at(place, say("columns.unknown", column=quoted(name), meant=phrase("columns", meant)))
    return tuple(unknown)


def near(name: str) -> str:
    """The column that an unknown name is probably meant for, "" where it is none's.

    That is one whose name differs in case and separators only, one that other programs call so, or the nearest within
    one mistake (a letter too many, missing, wrong, or two swapped), in long names two; short names' letters must be
    right, as `sp` is neither `tp` nor `pp`.
    """
    letters = _letters(name)
    for known, column in (_UNDERSTOOD | _ELSEWHERE).items():
        if letters == _letters(known):
            return column
    written = name.strip().lower()
    most = {known: 0 if len(known) < 3 else 2 if len(known) >= _LONG else 1 for known in _UNDERSTOOD}
    found = [(n, known) for known in _UNDERSTOOD if (n := _mistakes(written, known, most[known])) is not None]
    return _UNDERSTOOD[min(found)[1]] if found else ""


def is_read(name: str) -> bool:
    """Whether a prediction or a judgement reads this column, or may come to."""
    return name in _READ


def conflicts(header: Iterable[str]) -> list[tuple[str, str]]:
    """The columns of a table that say the same thing: pairs of a column and the other name of it."""
    there = set(header)
    groups = ((name, *others) for name, others in ALIASES.items())
    return [
        (group[i], other) for group in groups for i in range(len(group)) for other in group[i + 1 :]
        if group[i] in there and other in there
    ]  # fmt: skip


def _letters(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def nearly(written: str, known: Iterable[str]) -> str:
    """The known word that an unknown one is one mistake away from, "" where none is; case does not count."""
    each = ((mistakes, name) for name in known if (mistakes := _mistakes(written.lower(), name, 1)) is not None)
    return min(each, default=(0, ""))[1]


def _mistakes(written: str, known: str, most: int) -> int | None:
    """Letters too many, missing or wrong, or neighbours swapped, until `written` is `known`; None beyond `most`.

    A wrong letter makes another word of a short one: `size` is not `site`.
    """
    if not most or abs(len(written) - len(known)) > most:
        return None
    wrong = 1 if len(known) >= _SHORT else most + 1
    before: list[int] = []
    row = list(range(len(known) + 1))
    for i, letter in enumerate(written, 1):
        following = [i]
        for j, other in enumerate(known, 1):
            cost = min(row[j] + 1, following[j - 1] + 1, row[j - 1] + (0 if letter == other else wrong))
            if i > 1 and j > 1 and letter == known[j - 2] and written[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            following.append(cost)
        before, row = row, following
    return row[-1] if row[-1] <= most else None


def quoted(text: str) -> str:
    """A user's text in a sentence, short."""
    clean = "".join(c if c.isprintable() else "·" for c in text[:61])
    return f"'{clean[:60]}…'" if len(text) > 60 else f"'{clean}'"
