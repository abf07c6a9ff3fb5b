"""The unit that a scenario's amounts are in: its currency at one dated rate, or hours in place of money."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from planner.money import HOURS, USD, Money
from planner.scenario.draft import Draft
from planner.spec.scenario import AskLine, Budget
from planner.words import say

_DAY_S = 86400.0
Rates = Callable[[], Mapping[str, Money]]


def money_of_scenario(draft: Draft, rates: Rates) -> Money:
    """What `currency` states, else the unit of `budget.cost`; US dollars where neither names another.

    Raises
    ------
    PlannerError
        If nobody states a rate, two units meet, or something that is paid in money stands beside a count of hours.
    """
    given, cost = draft.values["currency"], draft.values["budget"]["cost"]
    written = cost[1] if cost is not None else ""
    if isinstance(given, dict):
        per_usd = given["per_usd"] if given["per_usd"] is not None else 1.0 / given["usd"]
        money = Money(given["code"], per_usd, given["as_of"], given["source"] or say("currency.scenario"))
        if money.unit == "USD":
            raise draft.fail("currency", say("currency.usd_needs_no_rate"))
    else:
        money = _named(draft, given or written or "USD", "budget.cost" if given is None else "currency", rates)
    if written and written not in (money.unit, "USD" if money.foreign else money.unit):
        raise draft.fail("budget.cost", say("currency.two_units", unit=written, other=money.unit))
    if cost is not None and not written and money != USD:
        raise draft.fail("budget.cost", say("currency.ambiguous", amount=cost[0], unit=money.unit))
    if money.hours:
        _refuse_money(draft, money)
    return money


def _named(draft: Draft, unit: str, path: str, rates: Rates) -> Money:
    if unit == "USD":
        return USD
    if unit in HOURS:
        return Money(unit)
    found = rates().get(unit)
    if found is None:
        raise draft.fail(path, say("currency.no_rate", unit=unit))
    return found


def _refuse_money(draft: Draft, money: Money) -> None:
    for key in ("storage", "egress"):
        if draft.values[key] is not None:
            raise draft.fail(key, say("currency.paid_in_money", unit=money.unit))
    if isinstance(draft.values["objective"], dict):
        raise draft.fail("objective", say("currency.day_is_money", unit=money.unit))


def budget_of(draft: Draft, money: Money, without_start: str) -> Budget:
    """What `budget` states, its cost in US dollars or in the hours that are counted.

    `without_start`: the code of what is said of a deadline whose first day is not stated.
    """
    given = draft.values["budget"]
    start, deadline, time_s, cost = (given[key] for key in ("start", "deadline", "time", "cost"))
    if deadline is not None:
        if start is None:
            raise draft.fail("budget.deadline", say(without_start))
        time_s = (deadline - start).days * _DAY_S
        if time_s <= 0:
            raise draft.fail("budget.deadline", say("build.deadline_before", deadline=deadline, start=start))
    usd = None if cost is None else _usd(draft, "budget.cost", cost, money)
    return Budget(time_s, usd, given["confidence"], start, deadline)


def ask_lines(draft: Draft, money: Money) -> tuple[AskLine, ...]:
    """The lines that a proposal adds to what the run costs."""
    return tuple(
        AskLine(
            row["name"], row["share"], None if row["cost"] is None else _usd(draft, f"ask.{i}.cost", row["cost"], money)
        )
        for i, row in enumerate(draft.values["ask"] or ())
    )


def _usd(draft: Draft, path: str, amount: tuple[float, str], money: Money) -> float:
    value, unit = amount
    if unit == money.unit or (not unit and money == USD):
        return value / money.per_usd
    if unit == "USD" and money.foreign:
        return value
    raise draft.fail(path, say("currency.write_it_in", unit=money.unit, amount=value))
