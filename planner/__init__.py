"""Plans the training of language models: which cluster, how many GPUs, which batch and layout, in time and money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.api import compare, explain, frontier, load_scenario, optimize, predict

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "explain", "frontier", "load_scenario", "optimize", "predict"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: `planner --help` and `import planner.units` pay for nothing else.
    if name in __all__:
        from planner import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
