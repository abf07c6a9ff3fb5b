"""Results to JSON and back: one fixed key order, the same bytes for the same values, nothing that JSON lacks."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from planner.money import money_of
from planner.reading.text import UNSEEN
from planner.words import phrase, say
from planner.words.sentence import table

T = TypeVar("T")

_FREE = {  # parts of a plan and their amounts, which are nothing where machines have no price
    "reliability": ("reserve_usd",),
    "billing": ("usd_per_hour_low", "usd_per_hour_high", "storage_usd_per_hour", "egress_usd"),
}
_AS_IT_IS, _NESTS = (str, bool, type(None)), (dict, list)
FLAT = {"flat": True}  # metadata of a dataclass field whose keys are written into its owner's object
WHOLE = {"whole": True}  # of an object that has grown: as an older planner wrote it, with less, it is not known: None


def like(pattern: str, wanted: str) -> dict[str, Any]:
    """Metadata of a text field: the regular expression that all of it matches, and what that is in words."""
    return {"like": (pattern, wanted)}


def encode(value: Any) -> Any:
    """`value` as what `json` writes: a dataclass becomes an object in field order, a date ISO text.

    Raises
    ------
    ValueError
        If a number is not finite: what is not known is None, never NaN or infinity.
    TypeError
        If a value has no JSON form.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _encode_fields(value)
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else str(key): entry if type(entry) in _AS_IT_IS else encode(entry)
            for key, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return [encode(entry) for entry in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):  # money to the cent: the number that prints as it
        return encode(float(value))
    if hasattr(value, "item"):  # numpy's scalars; importing numpy to ask would cost more than the answer
        return encode(value.item())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a number that a result may hold: what is not known is None")
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def dumps(value: Any, *, sentences: bool = False) -> str:
    """`value` as JSON text, indented, ending in a newline; the same value always gives the same bytes.

    Of an answer that counts hours in place of money, no key of US dollars holds a number (`hours_apart`), and none of
    a plan on machines without a price (`unpriced`). With `sentences`, a table of that name ends the document: what
    each of its sentences says, by code and values (`planner.words`).
    """
    document = unpriced(encode(value))
    if money_of(value).hours:
        document = hours_apart(document)
    if sentences and (listed := table(document)):
        document["sentences"] = listed
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", _written(document, "\n") + "\n")


def _written(value: Any, margin: str) -> str:
    """What `encode` gives as `json.dumps(..., indent=2)` writes it; json's own writer in C knows no indents.

    `margin`: the line's end and the spaces before the value's last bracket.
    """
    inner = margin + "  "
    write = _writer(inner)
    if not value or not isinstance(value, _NESTS):
        return write(value)
    if not any(isinstance(entry, _NESTS) for entry in (value.values() if isinstance(value, dict) else value)):
        text = write(value)
        return f"{text[0]}{inner}{text[1:-1]}{margin}{text[-1]}"
    if isinstance(value, list):
        return f"[{inner}{f',{inner}'.join([_written(entry, inner) for entry in value])}{margin}]"
    entries = [f"{write(key)}: {_written(entry, inner)}" for key, entry in value.items()]
    return f"{{{inner}{f',{inner}'.join(entries)}{margin}}}"


@cache
def _writer(between: str) -> Callable[[Any], str]:
    """JSON of a value, `between` behind the commas."""
    return json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(f",{between}", ": ")).encode


def decode(kind: type[T], data: Any, where: str = "") -> T:
    """`data`, as `json` reads it, as a `kind`. Unknown keys are left aside: a newer planner may have written them.

    Raises
    ------
    ValueError
        If something is missing or of the wrong type, naming its place.
    """
    return typing.cast("T", _decode(kind, data, where or kind.__name__))


def unpriced(document: Any) -> Any:
    """What `encode` gives; of plans whose offer has no price, what is in US dollars is not known: null."""
    if isinstance(document, list):
        return [unpriced(entry) for entry in document]
    if not isinstance(document, dict):
        return document
    offer = document.get("offer")
    if isinstance(offer, dict) and offer.get("usd_per_gpu_hour") == 0.0:
        return _without_dollars(document)
    return {key: unpriced(entry) if isinstance(entry, _NESTS) else entry for key, entry in document.items()}


def _without_dollars(document: Any) -> Any:
    if isinstance(document, list):
        return [_without_dollars(entry) for entry in document]
    if not isinstance(document, dict):
        return document
    return {key: None if _hours_key(key) != key else _without_dollars(entry) for key, entry in document.items()}


def zero_priced(document: Any) -> Any:
    """What `unpriced` was given: plans of machines without a price cost nothing."""
    if isinstance(document, list):
        return [zero_priced(entry) for entry in document]
    if not isinstance(document, dict):
        return document
    offer = document.get("offer")
    if not isinstance(offer, dict) or offer.get("usd_per_gpu_hour", 0.0) is not None:
        return {key: zero_priced(entry) for key, entry in document.items()}
    out = {**document, "offer": {**offer, "usd_per_gpu_hour": 0.0}}
    out["cost_usd"] = dict.fromkeys(("p10", "p50", "p90"), 0.0)
    for key, names in _FREE.items():
        if isinstance(out.get(key), dict):
            out[key] = {**out[key], **{name: 0.0 for name in names if name in out[key]}}
    return out


def hours_apart(document: Any) -> Any:
    """What `encode` gives, of an answer whose amounts are hours: no key of US dollars holds one.

    `cost_usd` is null, and `cost_hours` beside it holds what it would; what is not known has no such key beside it.
    """
    if isinstance(document, list):
        return [hours_apart(entry) for entry in document]
    if not isinstance(document, dict):
        return document
    out: dict[str, Any] = {}
    for key, entry in document.items():
        hours = _hours_key(key)
        if hours == key:
            out[key] = entry if key == "money" else hours_apart(entry)
            continue
        out[key] = None
        if entry is not None:
            out[hours] = hours_apart(entry)
    return out


def hours_within(document: Any) -> Any:
    """What `hours_apart` was given: amounts under one name, whatever their unit."""
    if isinstance(document, list):
        return [hours_within(entry) for entry in document]
    if not isinstance(document, dict):
        return document
    out = {key: hours_within(entry) for key, entry in document.items()}
    for key in document:
        hours = _hours_key(key)
        if hours != key and out[key] is None:
            out[key] = out.pop(hours, None)
    return out


def _hours_key(key: str) -> str:
    """The key of hours that stands for one of US dollars: "usd_per_gpu_hour" -> "hours_per_gpu_hour"."""
    return re.sub(r"(?<![a-z])usd(?![a-z])", "hours", key)


def _encode_fields(value: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    hints = _hints(value.__class__)
    for field in dataclasses.fields(value):
        entry = encode(getattr(value, field.name))
        if type(entry) is int and hints[field.name] in (float, float | None):
            entry = float(entry)  # so that a result read back writes the same bytes
        if field.metadata.get("flat"):
            out.update(entry)
        else:
            out[field.name] = entry
    return out


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(typing.cast("type", kind))


def _decode_fields(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise ValueError(say("json_form.object", where=where, found=type(data).__name__))
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        hint = _hints(kind)[field.name]
        place = f"{where}.{field.name}"
        if field.metadata.get("flat"):
            values[field.name] = _decode(hint, data, where)
        elif field.metadata.get("whole") and _lacks(hint, data.get(field.name)):
            values[field.name] = None
        elif field.name in data:
            values[field.name] = _decode(hint, data[field.name], place)
            _check_text(field, values[field.name], place)
        elif _needed(field):
            raise ValueError(say("json_form.missing", where=place))
    return kind(**values)


def _check_text(field: dataclasses.Field[Any], text: Any, where: str) -> None:
    pattern, wanted = field.metadata.get("like", ("", ""))
    if pattern and not re.fullmatch(pattern, text):
        raise ValueError(say("json_form.text", where=where, wanted=phrase("json_form", wanted), found=text[:60]))


def texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text within what `encode` gives, keys of maps included, with its place."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield say("json_form.key_of", where=where), key
            yield from texts(entry, f"{where}.{key}")
    elif isinstance(value, list):
        for i, entry in enumerate(value):
            yield from texts(entry, f"{where}[{i}]")


def _needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _lacks(hint: Any, data: Any) -> bool:
    """Whether an object has not all the keys that a `hint` (KIND | None) needs."""
    kind = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    return isinstance(data, dict) and any(_needed(part) and part.name not in data for part in dataclasses.fields(kind))


def _decode(hint: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in typing.get_args(hint):
            return None
        (inner,) = (arg for arg in typing.get_args(hint) if arg is not type(None))
        return _decode(inner, data, where)
    if origin is tuple:
        if not isinstance(data, list):
            raise ValueError(say("json_form.list", where=where, found=type(data).__name__))
        return tuple(_decode(typing.get_args(hint)[0], entry, f"{where}[{i}]") for i, entry in enumerate(data))
    if origin is Mapping:
        if not isinstance(data, dict):
            raise ValueError(say("json_form.object", where=where, found=type(data).__name__))
        return {key: _decode(typing.get_args(hint)[1], entry, f"{where}.{key}") for key, entry in data.items()}
    if dataclasses.is_dataclass(hint):
        return _decode_fields(hint, data, where)
    return _decode_scalar(hint, data, where)


def _finite(data: float, where: str) -> float:
    try:
        number = float(data)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(say("json_form.unbounded", where=where))
    return number


def _decode_scalar(hint: Any, data: Any, where: str) -> Any:
    if hint is date and isinstance(data, str):
        try:
            return date.fromisoformat(data)
        except ValueError:
            raise ValueError(say("json_form.date", where=where, found=data)) from None
    if hint is float and isinstance(data, int | float) and not isinstance(data, bool):
        return _finite(data, where)
    if hint is int and isinstance(data, bool):
        raise ValueError(say("json_form.whole", where=where, found=repr(data)))
    if isinstance(hint, type) and isinstance(data, hint):
        return data
    wanted = getattr(hint, "__name__", str(hint))
    raise ValueError(say("json_form.kind", where=where, wanted=wanted, found=repr(data)))
