"""Plans the training of language models: which cluster, how many GPUs, which batch and layout, in time and money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.api import *

__version__ = "0.1.0"
__all__ = [
    "InfeasibleError",
    "PlannerError",
    "__version__",
    "calibrate",
    "check_catalog",
    "choose_runs",
    "compare",
    "diff_catalog",
    "explain",
    "explain_programme",
    "export",
    "frontier",
    "import_catalog",
    "import_files",
    "init",
    "iterations",
    "list_catalog",
    "load_catalog",
    "load_facts",
    "load_plan",
    "load_programme",
    "load_scenario",
    "optimize",
    "optimize_fleet",
    "optimize_programme",
    "predict",
    "predict_run",
    "probe",
    "propose",
    "read_probe",
    "reconcile",
    "replan",
    "schema",
    "show_catalog",
    "simulate",
    "simulate_programme",
    "speak",
    "sweep",
    "track",
    "track_programme",
    "validate",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use: `planner --help` and `import planner.units` pay for nothing else.
    if name in __all__:
        from planner import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
