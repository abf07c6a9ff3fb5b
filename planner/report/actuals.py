"""A run's actual GPU-hours and money for a person: planned, used and left; what was lost; by job and by day."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from planner.money import GPU_HOURS, NODE_HOURS
from planner.report.figures import rate_text, unit_text
from planner.report.layout import Page, bullets, columns, heads, labelled, screen
from planner.tracking.actuals import Actuals
from planner.words import phrase, said

_JOBS, _DAYS = 10, 14  # that a terminal shows
_OF_MONEY = ("in_money", "money_planned", "money_used")  # columns that there are only where there is a price


def actuals_table(found: Actuals, width: int) -> str:
    """All of it, at most `width` columns wide, ending in a line end."""
    page = Page(width)
    tables = (draw(found, page) for draw in (_sums, _summary, _states, _jobs, _days))
    return screen([*tables, bullets(found.remarks, page)])


def hours(value: float) -> str:
    """GPU-hours to two digits."""
    return f"{value:,.2f}"


def money(value: Decimal) -> str:
    """USD to the cent, or hours that are counted."""
    return f"{value:,.2f}"


def unit_of(found: Actuals) -> str:
    """What amounts are in; nothing where there are none beside the GPU-hours: without a price, or counting those."""
    if found.source == "slurm" and not found.usd_per_gpu_hour:
        return ""
    return {GPU_HOURS: "", NODE_HOURS: NODE_HOURS}.get(found.money.unit, "USD")


def _sums(found: Actuals, page: Page) -> list[str]:
    spent, used, unit = found.cost_usd, found.gpu_hours, unit_of(found)
    rows = [
        heads("", "planned", "used", "left"),
        [*heads("gpu_hours"), hours(used.planned), hours(used.used), hours(used.left)],
    ]
    parts = (spent.planned, spent.used, spent.left)
    rows += [[unit_text(unit), *map(money, parts)]] if unit else []
    if found.money.foreign and unit:
        each = Decimal(repr(found.money.per_usd))
        rows.append([unit_text(found.money.unit), *(money(part * each) for part in parts)])
    return columns(rows, "lrrr", page)


def _summary(found: Actuals, page: Page) -> list[str]:
    lines, unit = _price(found, page), unit_of(found)
    if found.effective_cost_usd is not None:
        text = said("actuals.effective", cost=_amount(found.effective_cost_usd, "USD"))
        lines += labelled("effective", text, page)
    if found.tax_usd:
        lines += labelled("taxes", said("actuals.taxes", cost=_amount(found.tax_usd, "USD")), page)
    if found.wasted is not None:
        lost = {"hours": hours(found.wasted.gpu_hours), "share": found.wasted.share}
        if unit:
            text = said("actuals.wasted_money", **lost, cost=_amount(found.wasted.cost_usd, unit))
        else:
            text = said("actuals.wasted", **lost)
        lines += labelled("wasted", text, page)
    if found.outlook is not None:
        ahead = found.outlook
        text = said("actuals.ahead", hours=hours(ahead.gpu_hours), basis=ahead.basis)
        if unit:
            code = "actuals.ahead_more" if ahead.against_plan_usd >= 0 else "actuals.ahead_less"
            cost, apart = _amount(ahead.cost_usd, unit), money(abs(ahead.against_plan_usd))
            text = said(code, hours=hours(ahead.gpu_hours), cost=cost, apart=apart, basis=ahead.basis)
        lines += labelled("heading_for", text, page)
        if ahead.budget_usd is not None:
            kept = "actuals.within" if ahead.within_budget else "actuals.beyond"
            budget = _amount(ahead.budget_usd, unit or found.money.unit)
            lines += labelled("cost_budget", said(kept, budget=budget), page)
    return lines


def _amount(value: Decimal, unit: str) -> str:
    return said("actuals.amount", amount=money(value), unit=unit_text(unit))


def _price(found: Actuals, page: Page) -> list[str]:
    """What an hour is reckoned at, and at which rate another currency."""
    if found.money.hours:
        counted = said("actuals.node_hours" if unit_of(found) else "actuals.gpu_hours")
        return labelled("counted", counted, page)
    if not unit_of(found):
        return labelled("money", said("actuals.no_price"), page)
    price = "actuals.at_price" if found.source == "slurm" else "actuals.as_billed"
    lines = labelled("money", said(price, price=found.usd_per_gpu_hour, unit=unit_text("USD")), page)
    return lines + labelled("rate", rate_text(found.money), page)


def _table(
    found: Actuals,
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    align: str,
    page: Page,
    flexible: int | None = None,
) -> list[str]:
    """Columns by the names of their headings, those of money left out where there is none."""
    unit = unit_of(found)
    kept = [i for i, name in enumerate(names) if unit or name not in _OF_MONEY]
    head = [said(f"labels.{name}", unit=unit_text(unit) if unit else "") for name in names]
    cut = [[row[i] for i in kept] for row in (head, *rows)]
    return columns(cut, "".join(align[i] for i in kept), page, flexible=flexible)


def _states(found: Actuals, page: Page) -> list[str]:
    what = ("state", "kind", "jobs") if found.source == "slurm" else ("charge", "kind", "rows")
    rows = [
        (row.state, phrase("use_kinds", row.kind), f"{row.count:,}", hours(row.gpu_hours), money(row.cost_usd))
        for row in found.by_state
    ]
    return _table(found, (*what, "gpu_hours", "in_money"), rows, "llrrr", page, flexible=0)


def _jobs(found: Actuals, page: Page) -> list[str]:
    most = sorted(found.by_job, key=lambda row: (-row.gpu_hours, -row.cost_usd))[:_JOBS]
    if found.source == "slurm":
        names = "job name state starts gpu_hours wasted in_money".split()
        rows = [
            [row.job, row.name, row.state, f"{row.starts:,}", hours(row.gpu_hours), hours(row.wasted_gpu_hours),
             money(row.cost_usd)]
            for row in most
        ]  # fmt: skip
        lines = _table(found, names, rows, "lllrrrr", page, flexible=1)
    else:
        names = "resource rows gpu_hours in_money".split()
        rows = [[row.job, f"{row.starts:,}", hours(row.gpu_hours), money(row.cost_usd)] for row in most]
        lines = _table(found, names, rows, "lrrr", page, flexible=0)
    more = len(found.by_job) - len(most)
    return [*lines, f"  {said('actuals.more', more=more)}"] if more else lines


def _days(found: Actuals, page: Page) -> list[str]:
    used = [row.day for row in found.by_day if row.gpu_hours or row.cost_usd]
    shown = [row for row in found.by_day if used and used[0] <= row.day <= used[-1]][-_DAYS:]
    names = "day gpu_hours_planned used wasted money_planned money_used".split()
    rows = [
        [row.day.isoformat(), hours(row.planned_gpu_hours), hours(row.gpu_hours), hours(row.wasted_gpu_hours),
         money(row.planned_cost_usd), money(row.cost_usd)]
        for row in shown
    ]  # fmt: skip
    if found.source == "focus":
        names, rows = [*names[:3], *names[4:]], [[*row[:3], *row[4:]] for row in rows]
    more = len(found.by_day) - len(shown)
    lines = _table(found, names, rows, "lrrrrr"[: len(names)], page)
    return [*lines, f"  {said('actuals.more_days', more=more)}"] if more else lines
