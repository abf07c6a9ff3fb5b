"""Hardware, prices and measurements: what can be rented or owned, what it can do, and where each number comes from.

Names are loaded when first used, so that finding a folder does not cost reading a catalog.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planner.catalog.catalog import Catalog as Catalog
    from planner.catalog.catalog import is_gpu as is_gpu
    from planner.catalog.catalog import load_catalog as load_catalog
    from planner.catalog.catalog import supports as supports
    from planner.catalog.eligible import Eligible as Eligible
    from planner.catalog.eligible import eligible_offers as eligible_offers

_WHERE = {
    "Catalog": "catalog",
    "Eligible": "eligible",
    "eligible_offers": "eligible",
    "is_gpu": "catalog",
    "load_catalog": "catalog",
    "supports": "catalog",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
