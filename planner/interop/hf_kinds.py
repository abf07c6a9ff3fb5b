"""Which keys of a config.json say nothing to a plan, and which would change it (tables/transformers.toml)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.interop.hf_keys import Keys
from planner.interop.key_kinds import Kinds, Sorted, sort_keys, table_of_keys
from planner.words import say

_IRRELEVANT: frozenset[str] = table_of_keys("transformers")["irrelevant"]
_DECIDING: Mapping[str, str] = table_of_keys("transformers")["deciding"]


def huggingface_kinds(keys: Keys) -> Sorted:
    """The keys of a config.json that its family's reader did not ask for, by what they mean to a plan."""
    found = {str(key): keys.document.where(str(key)) for key in keys.values}
    off = {key for key in _DECIDING if _is_off(keys.values.get(key), key)}
    deciding = {key: words for key, words in _DECIDING.items() if key not in off}
    return sort_keys(found, keys.used, Kinds(say("hf_kinds.tool"), _IRRELEVANT | off, deciding))


def _is_off(value: Any, key: str) -> bool:
    if key in ("do_layer_norm_before", "layer_norm_elementwise_affine"):
        return value in (None, True)
    if key == "head_dim" and value is not None:
        return False
    if key == "layer_types" and isinstance(value, list):
        return set(value) <= {"full_attention"}
    return value in (None, False, 0, "") or value == [] or value == {}
