"""What a scenario asks for, key by key, as a person reads it: saved with every answer, to tell answers apart by.

Values are those that were planned with: defaults filled in, overrides applied, data counted. No path is among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from planner.spec.scenario import IntChoice, Scenario
from planner.units import format_count
from planner.words import say

_SECTIONS = ("training", "layout", "throughput", "budget", "cluster", "storage", "egress", "terms", "risk")
_UNITS = ("_gbit_per_s", "_gbyte_per_s", "_bytes", "_usd", "_s")  # endings of our fields that the scenario's keys lack
_NAMES = {
    "training.evaluation_interval": "training.evaluation.interval",
    "training.evaluation_iterations": "training.evaluation.iterations",
}
_NO_VALUES = ("index", "log", "basis")  # what they were read as stands beside them


def asked_values(scenario: Scenario) -> dict[str, str]:
    """Key path to value as text, in the file's order; what is not set or empty is left out."""
    model, objective = scenario.model, scenario.objective
    found: dict[str, str] = {"model": say("request.model", model=model.name, layers=model.layers, hidden=model.hidden)}
    for i, source in enumerate(scenario.data):
        found |= _flat(source, "data" if len(scenario.data) == 1 else f"data.{i}")
    found["data.seq_length"] = format_count(scenario.seq_length)
    for section in _SECTIONS:
        found |= _flat(getattr(scenario, section), section)
    each_day = objective.kind == "usd_per_day"
    found["objective"] = say("request.usd_per_day", cost=objective.usd_per_day) if each_day else objective.kind
    found["simpler_within"] = say("request.share", share=scenario.simpler_within)
    return found


def _flat(value: object, path: str) -> dict[str, str]:
    return {_NAMES.get(key, key): text for key, text in _leaves(value, path) if text}


def _leaves(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, IntChoice):
        yield path, _choice(value)
    elif is_dataclass(value):
        for part in fields(value):
            entry = getattr(value, part.name)
            switched_off = entry is False and part.default is False  # as where the whole section is not there
            if part.name not in _NO_VALUES and not switched_off:
                yield from _leaves(entry, f"{path}.{part.name}")
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _leaves(entry, f"{path}.{name}")
    elif isinstance(value, tuple) and any(map(is_dataclass, value)):
        for i, entry in enumerate(value):
            yield from _leaves(entry, f"{path}.{i}")
    else:
        unit = next((unit for unit in _UNITS if path.endswith(unit)), "")
        yield path.removesuffix(unit), _text(path, value)


def _text(path: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(_text("", entry) for entry in value)
    if isinstance(value, int | float):
        if path.endswith("_gbit_per_s"):
            return f"{value:g} Gbit/s"
        if path.endswith("_gbyte_per_s"):
            return f"{value:g} GByte/s"
        if path.endswith("_bytes"):
            return f"{value / 1e9:g} GB"
        if path.endswith("_usd"):
            return say("request.usd", cost=value)
        if path.endswith("_s"):
            return say("request.time", time=value)
        return format_count(value) if isinstance(value, int) else f"{value:g}"
    return str(value)


def _choice(value: IntChoice) -> str:
    """A pinned number, a list or a range in words; "" where everything is allowed."""
    parts: list[str] = []
    if value.values:
        parts.append(say("request.values", values=[format_count(each) for each in value.values]))
    if value.minimum is not None:
        parts.append(say("request.at_least", least=value.minimum))
    if value.maximum is not None:
        parts.append(say("request.at_most", most=value.maximum))
    if value.multiple_of not in (None, 1):
        parts.append(say("request.multiples", of=value.multiple_of))
    return say("request.choice", parts=parts) if parts else ""
