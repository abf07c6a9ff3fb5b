"""Names that a scenario may use: accelerators, clouds and regions of the catalog and of its overlays, and models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from planner.reading.names import did_you_mean
from planner.spec.model import ModelSpec
from planner.units import PlannerError, shown
from planner.words import say
from planner.workload import load_model, model_names

if TYPE_CHECKING:
    from planner.catalog import Catalog


def catalog_names(overlays: Sequence[Path]) -> dict[str, Callable[[], Sequence[str]]]:
    """How to list what exists, by what it is. Nothing is read before a scenario names something."""

    @cache
    def catalog() -> Catalog:
        from planner.catalog import load_catalog

        return load_catalog(overlays)

    return {
        # Those that clusters are built of come first, so that a list that is cut keeps them.
        "accelerator": lambda: sorted(catalog().accelerators, key=lambda name: ("-sxm" not in name, name)),
        "cloud": lambda: sorted({row.cloud for row in catalog().prices}),
        "region": lambda: sorted({row.region for row in catalog().prices}),
    }


def why_absent(name: str) -> str:
    """Why the catalog has no accelerator of that name, where that is known; "" elsewhere."""
    from planner.catalog.catalog import without_data_sheet

    return without_data_sheet(name)


def named_model(name: str, overlays: Sequence[Path]) -> ModelSpec:
    """The catalog's model of that name, or a PlannerError that says what else one could write."""
    try:
        return load_model(name, overlays)
    except PlannerError:
        names = model_names(overlays)
        if name in names:  # it is there, and what is wrong with its file is the news
            raise
    hint = did_you_mean(name, names) or say("scenario_names.instead")
    raise PlannerError(say("scenario_names.no_model", name=shown(name), hint=hint))
