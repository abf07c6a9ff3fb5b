"""The file of `planner optimize A B --fleet FLEET`: quotas and a budget that runs share, their priorities and times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.money import USD, money_of
from planner.reading import fault, read_bytes
from planner.reading.names import did_you_mean
from planner.reading.tree import MAX_BYTES, read_yaml
from planner.scenario.build import quota_of
from planner.scenario.fields import AMOUNT, SURE, Reading, Text, duration, real
from planner.scenario.machines import CLUSTER
from planner.scenario.names import catalog_names, why_absent
from planner.scenario.tables import Key, KeyedMap, Many
from planner.words import say

if TYPE_CHECKING:
    from planner.search import Fleet
    from planner.spec.scenario import Quota, Scenario

_RUN = KeyedMap(
    (
        Key("name", Text(), "the scenario's name, or its file's without the ending", True, examples=("pythia-12b",)),
        Key("priority", real(above=0, most=1e6), "weight of its objective; 1 where it is left out", examples=(2,)),
        Key("time", duration(above=0), "its time budget, instead of its scenario's", examples=("20 days",)),
    ),
    wanted=say("wanted.run"),
)
_BUDGET = KeyedMap(
    (
        Key("cost", AMOUNT, "what all runs together may cost, in the scenarios' unit", True, examples=("200k USD",)),
        Key("confidence", SURE, "with at least this probability", default="0.8"),
    ),
    wanted=say("wanted.map"),
)


def read_fleet(path: Path, scenarios: Sequence[Scenario], overlays: Sequence[Path] = ()) -> Fleet:
    """What the runs of `scenarios` share, from the file `path`.

    Raises
    ------
    PlannerError
        If the file is wrong or names a run that is none of the scenarios, naming file, line and key.
    """
    from planner.search import Fleet

    quotas = CLUSTER.key("quotas")
    assert quotas is not None  # noqa: S101 - a fleet's quotas are read as a scenario's are
    values = KeyedMap(
        (
            quotas,
            Key("budget", _BUDGET, "one budget for all runs", examples=({"cost": "200k USD"},)),
            Key("runs", Many(_RUN, say("wanted.runs")), "what differs for single runs"),
        ),
        wanted=say("wanted.fleet"),
    ).read(
        read_yaml(read_bytes(path, MAX_BYTES, say("interop_fleets.a_fleet")), str(path), say("interop_fleets.fleet")),
        "",
        Reading(catalog_names(overlays), why_absent=why_absent),
    )
    runs = {_name(run["name"], scenarios, path): run for run in values["runs"] or ()}
    budget: dict[str, Any] = values["budget"] or {}
    return Fleet(
        quotas=tuple(_quota(row, path) for row in values["quotas"] or ()),
        cost_usd=_cost(budget.get("cost"), scenarios, path),
        confidence=budget.get("confidence", 0.8),
        priorities={name: run["priority"] for name, run in runs.items() if run["priority"] is not None},
        times_s={name: run["time"] for name, run in runs.items() if run["time"] is not None},
    )


def _quota(row: dict[str, Any], path: Path) -> Quota:
    quota = quota_of(row)
    if quota.since is not None or quota.until is not None:
        raise fault(path, say("interop_fleets.same_time"))
    return quota


def _cost(amount: tuple[float, str] | None, scenarios: Sequence[Scenario], path: Path) -> float | None:
    """The shared budget in US dollars, or in the hours that all scenarios count."""
    if amount is None:
        return None
    (value, unit), money = amount, money_of(list(scenarios))
    if unit == money.unit:
        return value / money.per_usd
    if unit == "USD" and not money.hours or not unit and money == USD:
        return value
    raise fault(path, say("interop_fleets.unit", unit=money.unit))


def _name(written: str, scenarios: Sequence[Scenario], path: Path) -> str:
    """The name of the scenario that a run means, by its name or its file's."""
    for scenario in scenarios:
        if written in (scenario.name, scenario.source, Path(scenario.source).stem):
            return scenario.name
    known = [Path(scenario.source).stem for scenario in scenarios]
    hint = did_you_mean(written, known)
    raise fault(path, say("interop_fleets.no_scenario", name=written, names=known, hint=hint))
