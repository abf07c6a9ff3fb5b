"""Hugging Face `config.json`: the shape of a published model, family by family.

Defaults are those of the transformers configuration class of each family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from planner.interop import hf_gpt, hf_llama, hf_others
from planner.interop.files import Document, read_json, shown
from planner.interop.hf_keys import Keys
from planner.interop.hf_kinds import huggingface_kinds
from planner.interop.imported import Imported, Taken, model_taken
from planner.interop.naming import size_warning
from planner.units import PlannerError
from planner.workload.model import ModelSpec

FAMILIES: Mapping[str, Callable[[Keys, str], ModelSpec]] = {
    "aquila": hf_llama.llama, "arcee": hf_others.arcee, "baichuan": hf_others.baichuan, "bloom": hf_gpt.bloom,
    "chatglm": hf_gpt.chatglm, "codegen": hf_gpt.gptj, "cohere": hf_others.cohere, "cohere2": hf_others.cohere,
    "dbrx": hf_gpt.dbrx, "deepseek": hf_others.shared_and_routed, "deepseek_v2": hf_llama.deepseek,
    "deepseek_v3": hf_llama.deepseek, "dots1": hf_others.shared_and_routed, "ernie4_5": hf_others.ernie,
    "exaone": hf_gpt.exaone, "exaone4": hf_others.exaone4, "falcon": hf_gpt.falcon, "gemma": hf_others.gemma,
    "gemma2": hf_others.gemma2, "gemma3": hf_others.gemma3, "gemma3_text": hf_others.gemma3, "glm": hf_others.glm,
    "glm4": hf_others.glm, "glm4_moe": hf_others.shared_and_routed, "gpt2": hf_gpt.gpt2,
    "gpt_bigcode": hf_gpt.gpt_bigcode, "gpt_neo": hf_gpt.gpt_neo, "gpt_neox": hf_llama.gpt_neox,
    "gpt_oss": hf_llama.gpt_oss, "gptj": hf_gpt.gptj, "granite": hf_others.granite,
    "granitemoe": hf_others.granitemoe, "granitemoeshared": hf_others.granitemoe, "helium": hf_others.helium,
    "hunyuan_v1_dense": hf_others.hunyuan, "internlm": hf_others.internlm, "internlm2": hf_others.internlm,
    "llama": hf_llama.llama, "minicpm": hf_others.minicpm, "ministral": hf_llama.mistral, "mistral": hf_llama.mistral,
    "mixtral": hf_llama.mixtral, "mpt": hf_gpt.mpt, "nemotron": hf_others.nemotron, "olmo": hf_others.olmo,
    "olmo2": hf_others.olmo2, "olmo3": hf_others.olmo2, "olmoe": hf_others.olmoe, "opt": hf_gpt.opt,
    "phi": hf_others.phi, "phi3": hf_others.phi3, "phimoe": hf_others.phimoe, "qwen": hf_gpt.qwen,
    "qwen2": hf_llama.qwen2, "qwen2_moe": hf_llama.qwen2_moe, "qwen3": hf_llama.qwen3,
    "qwen3_moe": hf_llama.qwen3_moe, "refinedweb": hf_gpt.falcon, "refinedwebmodel": hf_gpt.falcon,
    "seed_oss": hf_others.seed_oss, "smollm3": hf_others.smollm3, "stablelm": hf_others.stablelm,
    "stablelm_epoch": hf_others.stablelm, "starcoder2": hf_others.starcoder2, "xverse": hf_llama.llama,
    "yi": hf_llama.llama,
}  # fmt: skip


#: Families that are no decoders of attention and MLP layers, so that nobody looks for a misspelling.
OTHER_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "modernbert",
                     "nomic_bert", "roberta", "xlm-roberta"), "an encoder"),
    **dict.fromkeys(("bart", "blenderbot", "led", "marian", "mbart", "mt5", "pegasus", "t5", "umt5", "whisper"),
                    "an encoder with a decoder"),
    **dict.fromkeys(("bamba", "falcon_h1", "falcon_mamba", "granitemoehybrid", "jamba", "kimi_linear", "lfm2", "mamba",
                     "mamba2", "minimax", "nemotron_h", "qwen3_5", "qwen3_5_moe", "qwen3_next", "recurrent_gemma",
                     "rwkv", "zamba", "zamba2"), "a model with recurrent or linear layers"),
    **dict.fromkeys(("clip", "dinov2", "siglip", "vit"), "a vision model"),
}  # fmt: skip


def import_huggingface(path: Path) -> Imported:
    """What a `config.json` says: the model; data and length of training are left to the user.

    Raises
    ------
    PlannerError
        For a file that is no config.json, a family that is not known, or values that contradict each other.
    """
    document = read_json(path)
    values = document.values
    remarks: list[str] = []
    inner = values.get("text_config")
    if isinstance(inner, Mapping) and "hidden_size" not in values and "n_embd" not in values:
        tied = {"tie_word_embeddings": values["tie_word_embeddings"]} if "tie_word_embeddings" in values else {}
        values = {**tied, **inner, "model_type": inner.get("model_type", values.get("model_type"))}
        remarks.append("text_config is what is planned; other parts of the model (vision, audio) are left out")
    keys = Keys(document, values)
    family = str(values.get("model_type") or "").lower()
    build = FAMILIES.get(keys.family)
    if build is None:
        if family in OTHER_KINDS:
            raise PlannerError(
                f"{shown(path, 200)} has model_type {shown(family)!r}, which is {OTHER_KINDS[family]}: planner plans "
                "transformers that are decoders alone."
            )
        raise PlannerError(
            f"{shown(path, 200)} has model_type {shown(family or 'none')!r}; known are {', '.join(sorted(FAMILIES))}. "
            "Write the shape inline in a scenario instead."
        )
    spec = build(keys, _name(document, values))
    _check(spec, document)
    keys.origins["name"] = "_name_or_path, or the folder's name"
    keys.used |= {"_name_or_path"}
    taken = [Taken("name", spec.name, ""), *model_taken(spec, keys.origins, f"every {shown(family)} model")]
    if spec.max_seq_length:
        taken.append(
            Taken("data.seq_length", min(spec.max_seq_length, 4096), "4,096 or the model's limit; not in a config.json")
        )
    taken += _attention(keys)
    said = huggingface_kinds(keys)
    size = size_warning(spec, [spec.name, document.path.stem, document.path.parent.name])
    if size:
        keys.warnings.append(f"{document.name}: {size}")
    return Imported(
        "huggingface",
        (document.name,),
        spec,
        tuple(taken),
        said.unused,
        (*remarks, *keys.remarks),
        warnings=(*keys.warnings, *said.warnings),
    )


#: What transformers' `attn_implementation` says of the kernels: flash attention, or a generation of it.
ATTENTION: Mapping[str, bool | int] = {
    "flash_attention_2": 2, "flash_attention_3": 3, "sdpa": 2, "eager": False, "flex_attention": True,
}  # fmt: skip


def _attention(k: Keys) -> list[Taken]:
    """The attention that a config asks for, where it does: few hold it, and then it is what its run had."""
    for name in ("attn_implementation", "_attn_implementation"):
        k.used.add(name)
        stated = str(k.values.get(name) or "")
        if stated in ATTENTION:
            return [Taken("training.flash_attention", ATTENTION[stated], f"{name}, {k.document.where(name)}")]
        if stated:
            k.remarks.append(f"{name} {shown(stated)} is not known: attention is as the framework has it")
    return []


def _name(document: Document, values: Mapping[str, Any]) -> str:
    stated = values.get("_name_or_path")
    last = stated.rstrip("/").rsplit("/", 1)[-1] if isinstance(stated, str) else ""
    stem = document.path.stem
    return shown(last or (document.path.parent.name if stem == "config" else stem) or str(values.get("model_type")), 80)


def _check(spec: ModelSpec, document: Document) -> None:
    if spec.heads % spec.kv_heads:
        raise PlannerError(
            f"{document.name}: num_attention_heads {spec.heads} is not divisible by num_key_value_heads "
            f"{spec.kv_heads}."
        )
    if spec.moe is not None and spec.moe.top_k > spec.moe.experts:
        raise PlannerError(f"{document.name}: {spec.moe.top_k} experts a token, where there are {spec.moe.experts}.")
