"""Hugging Face `config.json`: the shape of a published model, family by family.

Defaults are those of the transformers configuration class of each family.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from planner.interop.files import Document, read_json, shown
from planner.interop.hf_families import FAMILIES, REFUSED
from planner.interop.hf_keys import Keys
from planner.interop.imported import Imported, Taken, model_taken
from planner.interop.key_kinds import Kinds, sort_keys, table_of_keys
from planner.interop.name_sizes import size_warning
from planner.spec.model import ModelSpec
from planner.units import PlannerError
from planner.words import phrase, say
from planner.workload.layers import check_pattern

#: Keys of a config.json that say nothing to a plan, and those that would change it, with the words for what.
_IRRELEVANT: frozenset[str] = table_of_keys("transformers")["irrelevant"]
_DECIDING: Mapping[str, str] = table_of_keys("transformers")["deciding"]


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
        remarks.append(say("huggingface.text_config"))
    keys = Keys(document, values)
    family = str(values.get("model_type") or "").lower()
    build = FAMILIES.get(keys.family)
    if build is None:
        if family in REFUSED:
            why = phrase("refused_models", REFUSED[family])
            raise PlannerError(say("huggingface.refused", file=shown(path, 200), family=shown(family), why=why))
        raise PlannerError(
            say("huggingface.family", file=shown(path, 200), family=shown(family or "none"), families=sorted(FAMILIES))
        )
    spec = build(keys, _name(document, values))
    _check(spec, document)
    check_pattern(spec, document.name)
    keys.origins["name"] = "_name_or_path, or the folder's name"
    keys.used |= {"_name_or_path"}
    taken = [Taken("name", spec.name, ""), *model_taken(spec, keys.origins, f"every {shown(family)} model")]
    if spec.max_seq_length:
        taken.append(
            Taken("data.seq_length", min(spec.max_seq_length, 4096), "4,096 or the model's limit; not in a config.json")
        )
    taken += _attention(keys)
    off = {key for key in _DECIDING if _is_off(keys.values.get(key), key)}
    kinds = Kinds(say("huggingface.tool"), _IRRELEVANT | off, {k: v for k, v in _DECIDING.items() if k not in off})
    others = sort_keys({str(key): document.where(str(key)) for key in values}, keys.used, kinds)
    size = size_warning(spec, [spec.name, document.path.stem, document.path.parent.name])
    if size:
        keys.warnings.append(say("reading.at", file=document.name, what=size))
    return Imported(
        "huggingface",
        (document.name,),
        spec,
        tuple(taken),
        others.unused,
        (*remarks, *keys.remarks),
        warnings=(*keys.warnings, *others.warnings),
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
            k.remarks.append(say("huggingface.attention", name=name, stated=shown(stated)))
    return []


def _name(document: Document, values: Mapping[str, Any]) -> str:
    stated = values.get("_name_or_path")
    last = stated.rstrip("/").rsplit("/", 1)[-1] if isinstance(stated, str) else ""
    stem = document.path.stem
    return shown(last or (document.path.parent.name if stem == "config" else stem) or str(values.get("model_type")), 80)


def _check(spec: ModelSpec, document: Document) -> None:
    if spec.heads % spec.kv_heads:
        raise PlannerError(
            say("huggingface.heads_by_groups", file=document.name, heads=spec.heads, kv_heads=spec.kv_heads)
        )
    if spec.moe is not None and spec.moe.top_k > spec.moe.experts:
        raise PlannerError(say("huggingface.top_k", file=document.name, top_k=spec.moe.top_k, experts=spec.moe.experts))


def _is_off(value: Any, key: str) -> bool:
    if key in ("do_layer_norm_before", "layer_norm_elementwise_affine"):
        return value in (None, True)
    if key == "head_dim" and value is not None:
        return False
    if key == "layer_types" and isinstance(value, list):
        return set(value) <= {"full_attention"}
    return value in (None, False, 0, "") or value == [] or value == {}
