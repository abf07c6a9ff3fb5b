"""Megatron-LM's arguments as fields of Megatron-Bridge's ConfigContainer, and back.

Fields are those of NVIDIA-NeMo/Megatron-Bridge 067f987 (2026-08-22): src/megatron/bridge/training/config.py,
models/gpt_provider.py, training/mixed_precision.py, and of the Megatron-Core classes that they extend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from planner.interop.key_kinds import table_of_keys
from planner.interop.megatron_fields import EXPERTS, LATENT, MODEL

Fields = dict[str, Any]
_TABLE = table_of_keys("megatron-bridge")
RENAMED: Mapping[str, Sequence[str]] = _TABLE["renamed"]
SWITCHED_OFF: Mapping[str, Sequence[str]] = _TABLE["switched_off"]
WRITTEN: Mapping[str, Fields] = _TABLE["written"]
OTHERWISE = {*RENAMED, *SWITCHED_OFF, *WRITTEN}
#: The section of each argument that is a field of the same name.
HOME = {name: section for section, names in _TABLE["same"].items() for name in names.split()}
HOME |= {row.key: "model" for row in (*MODEL, *LATENT, *EXPERTS) if row.key not in OTHERWISE}


def _value(name: str, value: Any) -> Any:
    """The value of a field: `([0]*1+[1]*60)`, `([0,1])` and `511,0` are lists, a layer frequency of `2` a number."""
    if name == "window-size":
        return [int(part) for part in str(value).split(",")]
    if name != "moe-layer-freq":
        return value
    text = str(value).strip("()")
    if text.isdigit():
        return int(text)
    bits: list[int] = []
    for part in text.split("+"):
        inner, _, times = part.partition("*")
        bits += [int(bit) for bit in inner.strip("[]").split(",")] * int(times or 1)
    return bits


def fields_of(arguments: Mapping[str, Any]) -> Fields:
    """The fields, by dotted path, that Megatron-LM's arguments stand for (None and False: not given).

    Raises
    ------
    KeyError
        For an argument without a field: a fault of planner's table, which a test holds to be whole.
    """
    values: Fields = dict(_TABLE["defaults"])
    for name, value in arguments.items():
        if value is None or value is False:
            continue
        if name in WRITTEN:
            values |= WRITTEN[name]
        elif name in SWITCHED_OFF:
            values |= dict.fromkeys(SWITCHED_OFF[name], False)
        elif name in RENAMED:
            values |= dict.fromkeys(RENAMED[name], _value(name, value))
        else:
            values[f"{HOME[name]}.{name.replace('-', '_')}"] = value
    if "model.seq_length" in values:
        values["dataset.seq_length"] = values["model.seq_length"]
    return values
