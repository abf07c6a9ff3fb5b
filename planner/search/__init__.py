"""The search: every candidate, the exact optimum and its proof, the frontier, comparisons, fleets, explanations."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.search.comparing import compare as compare
    from planner.search.frontiers import frontier as frontier
    from planner.search.optimum import optimize as optimize

_WHERE = {"compare": "comparing", "frontier": "frontiers", "optimize": "optimum"}


def __getattr__(name: str) -> Any:
    # Loaded on first use: a command pays only for the search it does.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
