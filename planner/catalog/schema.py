"""JSON Schema of the catalog's YAML files, from the forms that read them: for editors and for the test of our own."""

from __future__ import annotations

from typing import Any

from planner.catalog.facts import ACCELERATOR, FABRIC, KINDS, NODE, Form

FORMS = {"accelerator": ACCELERATOR, "node": NODE, "fabric": FABRIC}
_REQUIRED = {
    "accelerator": ["id", "name", "vendor", "family", "memory_gb", "memory_bw_gbyte_per_s", "peak_dense_tflops"],
    "node": ["id", "cloud", "instance", "accelerator", "gpus_per_node", "link", "network"],
    "fabric": ["id", "name", "curves"],
}
_LISTS = frozenset({"curves", "block_scaled"})  # texts that stand in a list


def json_schema(kind: str) -> dict[str, Any]:
    """The schema of a shipped accelerator, node or fabric file: every number carries value, kind, source and date.

    A user's overlay may say less: a bare number is their own, and any field may be missing.
    """
    form = FORMS[kind]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"planner catalog: {kind}",
        "type": "object",
        "additionalProperties": False,
        "required": _REQUIRED[kind],
        "properties": _properties(form),
        "$defs": {"number": _number()},
    }


def _properties(form: Form) -> dict[str, Any]:
    number = {"$ref": "#/$defs/number"}
    texts: dict[str, Any] = {name: {"type": "string"} for name in sorted(form.texts)}
    for name in _LISTS & form.texts:
        texts[name] = {"type": "array", "items": {"type": "string"}}
    groups = {
        name: {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(sorted(members), number)}
        for name, members in form.groups.items()
    }
    return {**texts, **dict.fromkeys(sorted(form.numbers), number), **groups}


def _number() -> dict[str, Any]:
    """A number with where it comes from."""
    source = {"type": "string", "pattern": "^[a-z0-9-]+$"}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["value", "kind", "source", "as_of"],
        "properties": {
            "value": {"type": "number", "minimum": 0},
            "low": {"type": "number", "minimum": 0},
            "high": {"type": "number", "minimum": 0},
            "kind": {"enum": [kind for kind in KINDS if kind != "user"]},
            "source": {"anyOf": [source, {"type": "array", "items": source, "minItems": 1}]},
            "as_of": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
            "note": {"type": "string"},
        },
    }
