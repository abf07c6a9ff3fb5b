"""What a file is that was given to the wrong command: other programs' configs, weights, tokenizers, logs.

A kind is told by its ending, by the keys of its JSON object, or by lines that only files of one program have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FileKind:
    """`what` as in "a.yml is WHAT"; `instead` is what to give in its place, "" for what planner lists anyway."""

    what: str
    instead: str = ""


_WEIGHTS = FileKind("a file of weights", "give the model's config.json")
_TOKENS = "name its prefix as data.index of a scenario"
ENDINGS: Mapping[str, FileKind] = {
    ".safetensors": _WEIGHTS,
    ".gguf": _WEIGHTS,
    ".pt": _WEIGHTS,
    ".pth": _WEIGHTS,
    ".ckpt": _WEIGHTS,
    ".bin": FileKind("a file of weights or of tokens", f"give the model's config.json; of a data set, {_TOKENS}"),
    ".idx": FileKind("an index of a data set", _TOKENS),
    ".parquet": FileKind("a data set"),
    ".arrow": FileKind("a data set"),
    ".py": FileKind(
        "a Python program, which planner does not run",
        "of a Megatron-Bridge recipe give the overrides.yaml beside it or a run_config.yaml, of a model its "
        "config.json, of a run its launch script",
    ),
    ".ipynb": FileKind("a notebook, which planner does not run", "of a model give its config.json"),
}
_DEEPSPEED = (
    "zero_optimization", "train_micro_batch_size_per_gpu", "train_batch_size", "gradient_accumulation_steps",
    "gradient_clipping", "fp16", "bf16", "optimizer", "scheduler", "steps_per_print", "wall_clock_breakdown",
    "zero_allow_untested_optimizer", "activation_checkpointing", "flops_profiler", "comms_logger", "data_types",
)  # fmt: skip
#: Keys that a JSON object of a kind has, all of them.
OBJECTS: Sequence[tuple[tuple[str, ...], FileKind]] = (
    (("weight_map",), FileKind("an index of weights", "give the model's config.json, which lies beside it")),
    (("added_tokens", "model"), FileKind("a tokenizer", "give the model's config.json, which lies beside it")),
    (("tokenizer_class",), FileKind("a tokenizer's config", "give the model's config.json, which lies beside it")),
    (("peft_type",), FileKind("a config of an adapter", "give the config.json of the model under it")),
    (("log_history",), FileKind("a trainer_state.json: a log", "planner track PLAN --log reads it")),
    (("eos_token_id", "transformers_version"), FileKind("a generation_config.json", "give the model's config.json")),
    (("schema_version", "plan"), FileKind("an answer of planner", "planner export writes a tool's files from it")),
)
#: Lines that only files of one program have, the first that is found; each stands at the start of a line.
LINES: Sequence[tuple[str, FileKind]] = (
    (
        r"(?:sequence_len|datasets|adapter) *:",
        FileKind("a part of a file of Axolotl", "give the whole, with base_model"),
    ),
    (r"(?:model_name_or_path|finetuning_type|cutoff_len) *:", FileKind("a file of LLaMA-Factory")),
    (r"(?:compute_environment|distributed_type|deepspeed_config|fsdp_config) *:", FileKind("a file of Accelerate")),
    (r"(?:seed_everything) *:|\s+class_path *:", FileKind("a file of Lightning")),
    (r"(?:\s*_component_|\s+_component_) *:", FileKind("a file of torchtune")),
    (r"(?:actor_rollout_ref|algorithm) *:", FileKind("a file of verl")),
    (r"(?:trainer|exp_manager) *:| +(?:encoder_seq_length|micro_batch_size) *: *\d", FileKind("a file of NeMo")),
    (
        r"(?:parallelism|checkpoints|tokens) *:",
        FileKind("a part of a file of nanotron", "give the whole, with model, parallelism and tokens"),
    ),
    (r"(?:max_duration|global_train_batch_size|variables) *:", FileKind("a file of llm-foundry")),
    (r"(?:run_name|device_train_microbatch_size) *:", FileKind("a file of OLMo")),
    (r"(?:base_emb_dim|base_num_decoder_layers) *:", FileKind("a file of MaxText")),
    (r"(?:budget|cluster) *:", FileKind("a scenario of planner", "planner optimize plans it")),
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
_DEEPSPEEDS = FileKind(
    "a config of DeepSpeed, which holds no model",
    "give the model's config.json, or the GPT-NeoX config or the launch script that it belongs to",
)
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
        return f"a file of {NAMES[tool]}"
    if kind is not None:
        return "" if "log" in kind.what else kind.what
    if re.match(r"#!", text) or re.search(r"^#SBATCH ", text[:4096], re.MULTILINE):
        return "a script"
    if re.search(r'"(?:model_type|architectures)"\s*:', text[:4096]) and text.lstrip().startswith("{"):
        return "a config.json of Hugging Face"
    return "a GPT-NeoX config" if _NEOX_HEAD.match(text) and _NEOX_MODEL.search(text[: 64 << 10]) else ""


def _keys(text: str) -> frozenset[str]:
    """The keys of a JSON object; none for any other text."""
    if not text.lstrip().startswith("{"):
        return frozenset()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(map(str, found)) if isinstance(found, dict) else frozenset()
