"""What is paid for: whole billing steps, least orders, reserved blocks, data that leaves and checkpoints that stay."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from planner.catalog.catalog import Catalog
from planner.units import PlannerError

GB_PER_TB = 1000.0
_CLOUD_WORD = {"aws": "AWS", "azure": "Azure", "gcp": "GCP", "oci": "OCI"}


def paid_gpu_hours(terms: Mapping[str, float], gpus: int, hours: float) -> float:
    """GPU-hours on the bill of `gpus` accelerators for `hours`, under an offer's `extras`.

    `billing_step_s`: time counts in whole steps; `minimum_time_s`, `minimum_gpus`: nothing less is sold; `block_s`: a
    reserved block is paid whole, and a run that outlasts it pays the next one whole too. A term that is not stated does
    not apply.
    """
    seconds = max(hours * 3600, terms.get("minimum_time_s", 0.0))
    for name in ("billing_step_s", "block_s"):
        step = terms.get(name, 0.0)
        if step > 0:
            # A run of exactly n steps, up to float noise, is n steps.
            seconds = max(1, math.ceil(seconds / step - 1e-9)) * step
    return max(float(gpus), terms.get("minimum_gpus", 0.0)) * seconds / 3600


def egress_usd(catalog: Catalog, cloud: str, gbyte: float, *, to: str = "internet") -> float:
    """Price of `gbyte` (10^9 bytes) leaving a cloud at once, by its tiers; the last known tier holds beyond its end.

    Parameters
    ----------
    to : str
        "internet", or "region" for another region of the same cloud.

    Raises
    ------
    PlannerError
        If the cloud's price is not known, with the file to add it to.
    """
    rows = catalog.table("costs/egress.csv")
    if to == "region":
        return gbyte * float(next(row["value"] for row in rows if row["item"].startswith("inter-region")))
    word = _CLOUD_WORD.get(cloud, cloud)
    tiers = [row for row in rows if row["item"].startswith(f"{word} internet egress")]
    if not tiers:
        raise PlannerError(
            f"what data costs that leaves {cloud} is not known; state `egress: {{size: ..., usd_per_gb: ...}}` in the "
            "scenario, or add a row to costs/egress.csv of your catalog"
        )
    total, start = 0.0, 0.0
    for number, row in enumerate(tiers):
        price = float(row["value"])
        free = re.search(r"after (\d+) TB free", row["item"])
        if free:
            return max(0.0, gbyte - float(free[1]) * GB_PER_TB) * price
        ends = re.findall(r"(\d+) TB/month", row["item"])
        end = float(ends[-1]) * GB_PER_TB if ends and number < len(tiers) - 1 else math.inf
        total += max(0.0, min(gbyte, end) - start) * price
        start = min(end, max(gbyte, start))
    return total


def storage_usd(catalog: Catalog, gbyte: float, hours: float) -> float:
    """Price of keeping `gbyte` (10^9 bytes) of checkpoints in object storage for `hours`; a month is 30 days."""
    row = next(row for row in catalog.table("costs/storage.csv") if row["item"].startswith("object storage"))
    return gbyte * float(row["value"]) * hours / 720
