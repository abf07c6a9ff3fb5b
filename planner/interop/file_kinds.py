"""What a file is that was given to the wrong command: other programs' configs, weights, tokenizers, logs.

A kind is told by its ending, by the keys of its JSON object, or by lines that only files of one program have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from planner.words import say


@dataclass(frozen=True, slots=True)
class FileKind:
    """`what` as in "a.yml is WHAT"; `instead` is what to give in its place, "" for what planner lists anyway."""

    what: str
    instead: str = ""


def _kind(what: str, instead: str = "") -> FileKind:
    """A kind by the codes of its words."""
    return FileKind(say(f"file_kinds.{what}"), say(f"file_kinds.{instead}") if instead else "")


def _of_tool(tool: str, *parts: str) -> FileKind:
    """A tool's file that planner does not import; with `parts`, a piece of one whose whole it does."""
    if parts:
        return FileKind(say("file_kinds.part_of_tool", tool=tool), say("file_kinds.give_whole", parts=list(parts)))
    return FileKind(say("file_kinds.of_tool", tool=tool))


_WEIGHTS = _kind("weights", "give_config")
ENDINGS: Mapping[str, FileKind] = {
    ".safetensors": _WEIGHTS,
    ".gguf": _WEIGHTS,
    ".pt": _WEIGHTS,
    ".pth": _WEIGHTS,
    ".ckpt": _WEIGHTS,
    ".bin": _kind("weights_or_tokens", "give_config_or_index"),
    ".idx": _kind("index_of_data", "give_index"),
    ".parquet": _kind("data_set"),
    ".arrow": _kind("data_set"),
    ".py": _kind("program", "give_bridge"),
    ".ipynb": _kind("notebook", "give_config_of_model"),
}
_DEEPSPEED = (
    "zero_optimization", "train_micro_batch_size_per_gpu", "train_batch_size", "gradient_accumulation_steps",
    "gradient_clipping", "fp16", "bf16", "optimizer", "scheduler", "steps_per_print", "wall_clock_breakdown",
    "zero_allow_untested_optimizer", "activation_checkpointing", "flops_profiler", "comms_logger", "data_types",
)  # fmt: skip
#: Keys that a JSON object of a kind has, all of them.
OBJECTS: Sequence[tuple[tuple[str, ...], FileKind]] = (
    (("weight_map",), _kind("index_of_weights", "give_config_beside")),
    (("added_tokens", "model"), _kind("tokenizer", "give_config_beside")),
    (("tokenizer_class",), _kind("tokenizer_config", "give_config_beside")),
    (("peft_type",), _kind("adapter", "give_model_under_it")),
    (("log_history",), _kind("trainer_state", "track")),
    (("eos_token_id", "transformers_version"), _kind("generation", "give_config")),
    (("schema_version", "plan"), _kind("answer", "export")),
)
#: Lines that only files of one program have, the first that is found; each stands at the start of a line.
LINES: Sequence[tuple[str, FileKind]] = (
    (r"(?:sequence_len|datasets|adapter) *:", _of_tool("Axolotl", "base_model")),
    (r"(?:model_name_or_path|finetuning_type|cutoff_len) *:", _of_tool("LLaMA-Factory")),
    (r"(?:compute_environment|distributed_type|deepspeed_config|fsdp_config) *:", _of_tool("Accelerate")),
    (r"(?:seed_everything) *:|\s+class_path *:", _of_tool("Lightning")),
    (r"(?:\s*_component_|\s+_component_) *:", _of_tool("torchtune")),
    (r"(?:actor_rollout_ref|algorithm) *:", _of_tool("verl")),
    (r"(?:trainer|exp_manager) *:| +(?:encoder_seq_length|micro_batch_size) *: *\d", _of_tool("NeMo")),
    (r"(?:parallelism|checkpoints|tokens) *:", _of_tool("nanotron", "model", "parallelism", "tokens")),
    (r"(?:max_duration|global_train_batch_size|variables) *:", _of_tool("llm-foundry")),
    (r"(?:run_name|device_train_microbatch_size) *:", _of_tool("OLMo")),
    (r"(?:base_emb_dim|base_num_decoder_layers) *:", _of_tool("MaxText")),
    (r"(?:budget|cluster) *:", _kind("scenario", "optimize")),
)
#: Tools whose files are known by keys at their places: all of a tool's signs are there.
TOOLS: Sequence[tuple[str, Sequence[str]]] = (
    ("torchtitan", (r"^\[(?:job|model|training|parallelism|optimizer)\] *(?:#.*)?$",)),
    ("nanotron", (r"^parallelism *:", r"^tokens *:", r"^model *:")),
    ("accelerate", (r"^distributed_type *:",)),
    ("axolotl", (r"^base_model *:",)),
    ("megatron-bridge", (r"^model *:", r"^train *:", r"^  +(?:num_layers|hidden_size|tensor_model_parallel_size) *:")),
)
NAMES = {
    "torchtitan": "torchtitan",
    "nanotron": "nanotron",
    "accelerate": "Accelerate",
    "axolotl": "Axolotl",
    "megatron-bridge": "Megatron-Bridge",
}
_DEEPSPEEDS = _kind("deepspeed", "give_what_it_belongs_to")
_NEOX_HEAD = re.compile(r"(?:[ \t]{0,40}(?:#[^\n]{0,400})?\n){0,200}[ \t]{0,40}(?:\{|[\"']?[a-z][\w-]{1,60}[\"']?\s*:)")
_NEOX_MODEL = re.compile(r"^\s*[{,]?\s*[\"']?num[-_]layers[\"']?\s*:|,\s*[\"']num[-_]layers[\"']\s*:", re.MULTILINE)


def kind_by_ending(path: Path) -> FileKind | None:
    """The kind of a file that is no text, by its name."""
    return ENDINGS.get(path.suffix.lower())


def kind_of(text: str) -> FileKind | None:
    """The kind of a text of another program; None where it is none of those known here."""
    keys = _keys(text)
    if keys:
        for wanted, kind in OBJECTS:
            if all(key in keys for key in wanted):
                return kind
        if is_deepspeeds(text):
            return _DEEPSPEEDS
        return None
    for sign, kind in LINES:
        if re.search(rf"^(?:{sign})", text, re.MULTILINE):
            return kind
    return None


def tool_in(text: str) -> str | None:
    """The tool whose file a text is, by keys at their places; None where it is none of `TOOLS`."""
    for tool, signs in TOOLS:
        if all(re.search(sign, text, re.MULTILINE) for sign in signs):
            return tool
    return None


def is_deepspeeds(text: str) -> bool:
    """Whether a JSON object has the keys of DeepSpeed's configuration and none of a GPT-NeoX model's.

    A value "auto" is one that only a trainer fills in.
    """
    keys = _keys(text)
    if not keys or _NEOX_MODEL.search(text):
        return False
    own = sum(key in _DEEPSPEED for key in keys)
    return '"auto"' in text or own >= 2 and own * 2 > len(keys)


def configuration_of(text: str) -> str:
    """Words for a text that is a configuration or a script, "" for what may be a log."""
    tool, kind = tool_in(text[: 512 << 10]), kind_of(text[: 512 << 10])
    if tool is not None:
        return say("file_kinds.of_tool", tool=NAMES[tool])
    if kind is not None:
        return "" if "log" in kind.what else kind.what
    if re.match(r"#!", text) or re.search(r"^#SBATCH ", text[:4096], re.MULTILINE):
        return say("file_kinds.script")
    if re.search(r'"(?:model_type|architectures)"\s*:', text[:4096]) and text.lstrip().startswith("{"):
        return say("file_kinds.huggingface")
    neox = _NEOX_HEAD.match(text) and _NEOX_MODEL.search(text[: 64 << 10])
    return say("file_kinds.neox") if neox else ""


def _keys(text: str) -> frozenset[str]:
    """The keys of a JSON object; none for any other text."""
    if not text.lstrip().startswith("{"):
        return frozenset()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(map(str, found)) if isinstance(found, dict) else frozenset()
