"""The keys of one config.json: what is stated, what transformers' class has where nothing is, and what was used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from planner.interop.files import Document, shown, truth, whole
from planner.interop.key_kinds import table_of_keys
from planner.units import PlannerError
from planner.words import say


@dataclass
class Keys:
    """One config.json: values by key, with a record of what was used and what each field came from."""

    document: Document
    values: Mapping[str, Any]
    used: set[str] = field(default_factory=lambda: {"model_type", "architectures"})
    origins: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def get(self, spec_field: str, *names: str, default: Any = None) -> Any:
        """The first of `names` that is stated, else the default; `spec_field` remembers where it came from."""
        self.used.update(names)
        if default is None:
            default = self.defaults.get(names[0])
        for name in names:
            if self.values.get(name) is not None:
                self.origins.setdefault(spec_field, f"{name}, {self.document.where(name)}")
                return self.values[name]
        if default is None:
            raise PlannerError(say("hf_keys.required", file=shown(self.document.path, 200), key=names[0]))
        self.origins.setdefault(spec_field, f"default of {names[0]} for {self.family}")
        return default

    @property
    def family(self) -> str:
        """The kind of model, as transformers names it: gemma3's text is gemma3_text, llama's is llama."""
        stated = str(self.values.get("model_type") or "").lower()
        known, bare = table_of_keys("transformers_defaults"), stated.removesuffix("_text")
        return next((name for name in (stated, bare, f"{stated}_text") if name in known), bare)

    @property
    def defaults(self) -> Mapping[str, int]:
        """What transformers' class has where a config.json leaves a field out."""
        found: Mapping[str, int] = table_of_keys("transformers_defaults").get(self.family, {})
        return found

    def number(self, spec_field: str, *names: str, default: int | None = None, least: int = 1) -> int:
        value = self.get(spec_field, *names, default=default)
        return whole(value, f"{names[0]} ({self.document.name})", least, 10**12)

    def flag(self, spec_field: str, name: str, default: bool) -> bool:
        return truth(self.get(spec_field, name, default=default), f"{name} ({self.document.name})")

    def maybe(self, spec_field: str, name: str, default: int | None = None) -> int | None:
        """A number, or None where it is stated as null (or is neither stated nor has a default)."""
        self.used.add(name)
        if name in self.values and self.values[name] is None:
            self.origins.setdefault(spec_field, f"{name}, {self.document.where(name)}")
            return None
        if name not in self.values and default is None and name not in self.defaults:
            return None
        return self.number(spec_field, name, default=default, least=0)

    def section(self, name: str) -> Mapping[str, Any]:
        self.used.add(name)
        value = self.values.get(name)
        return value if isinstance(value, Mapping) else {}
