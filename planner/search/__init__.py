"""The search: every candidate, the exact optimum and its proof, the frontier, comparisons, fleets, explanations."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.search.comparing import compare as compare
    from planner.search.explaining import explain as explain
    from planner.search.fleets import Fleet as Fleet
    from planner.search.fleets import optimize_fleet as optimize_fleet
    from planner.search.frontiers import frontier as frontier
    from planner.search.optimum import optimize as optimize
    from planner.search.optimum import optimize_near as optimize_near
    from planner.search.programme_answers import optimize_programme as optimize_programme
    from planner.search.programme_explaining import explain_programme as explain_programme
    from planner.search.programme_replay import simulate_programme as simulate_programme

_WHERE = {
    "Fleet": "fleets",
    "optimize_fleet": "fleets",
    "explain": "explaining",
    "compare": "comparing",
    "frontier": "frontiers",
    "optimize": "optimum",
    "optimize_near": "optimum",
    "explain_programme": "programme_explaining",
    "optimize_programme": "programme_answers",
    "simulate_programme": "programme_replay",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: a command pays only for the search it does.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
