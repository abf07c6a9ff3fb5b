"""A run's actual GPU-hours and money for a person: planned, used and left; what was lost; by job and by day."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from planner.money import GPU_HOURS, NODE_HOURS
from planner.report.layout import Page, bullets, columns, hanging
from planner.tracking.actuals import Actuals
from planner.units import format_percent

_JOBS, _DAYS = 10, 14  # that a terminal shows


def actuals_table(found: Actuals, width: int) -> str:
    """All of it, at most `width` columns wide, ending in a line end."""
    page = Page(width)
    blocks = [_sums(found, page), _said(found, page), _states(found, page), _jobs(found, page), _days(found, page)]
    if found.remarks:
        blocks.append(bullets(found.remarks, page))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


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
        ("", "planned", "used", "left"),
        ("GPU-hours", hours(used.planned), hours(used.used), hours(used.left)),
    ]
    parts = (spent.planned, spent.used, spent.left)
    rows += [(unit, *map(money, parts))] if unit else []  # type: ignore[list-item]
    if found.money.foreign and unit:
        each = Decimal(repr(found.money.per_usd))
        rows.append((found.money.unit, *(money(part * each) for part in parts)))  # type: ignore[arg-type]
    return columns(rows, "lrrr", page)


def _said(found: Actuals, page: Page) -> list[str]:
    lines, unit = _price(found, page), unit_of(found)
    if found.effective_cost_usd is not None:
        lines += hanging("effective", f"{money(found.effective_cost_usd)} USD, commitments spread over their use", page)
    if found.tax_usd:
        lines += hanging("taxes", f"{money(found.tax_usd)} USD, not in the sums: the plan has none", page)
    if found.wasted is not None:
        lost = found.wasted
        amount = f", {money(lost.cost_usd)} {unit}" if unit else ""
        text = (
            f"{hours(lost.gpu_hours)} GPU-hours ({format_percent(lost.share)}){amount} in jobs that failed or were "
            "cancelled; what their checkpoints kept is not lost"
        )
        lines += hanging("wasted", text, page)
    if found.outlook is not None:
        ahead = found.outlook
        sign = "more" if ahead.against_plan_usd >= 0 else "less"
        more = f", {money(ahead.cost_usd)} {unit} in all, {money(abs(ahead.against_plan_usd))} {sign} than planned"
        text = f"{hours(ahead.gpu_hours)} GPU-hours{more if unit else ''}: {ahead.basis}"
        lines += hanging("heading for", text, page)
        if ahead.budget_usd is not None:
            kept = "within" if ahead.within_budget else "beyond"
            lines += hanging("cost budget", f"{money(ahead.budget_usd)} {unit or found.money.unit}: {kept} it", page)
    return lines


def _price(found: Actuals, page: Page) -> list[str]:
    """What an hour is reckoned at, and at which rate another currency."""
    if found.money.hours:
        return hanging("counted", f"every allocated hour of a {'node' if unit_of(found) else 'GPU'} as one", page)
    if not unit_of(found):
        return hanging("money", "the plan's machines have no price, so there is none to reconcile", page)
    price = "at the plan's price" if found.source == "slurm" else "as billed"
    lines = hanging("money", f"{price}: {found.usd_per_gpu_hour:g} USD a GPU-hour are planned", page)
    return lines + (hanging("rate", found.money.rate_text, page) if found.money.foreign else [])


def _table(
    found: Actuals, rows: Sequence[tuple[str, ...]], align: str, page: Page, flexible: int | None = None
) -> list[str]:
    """Columns, those of money under their unit, left out where there is none."""
    unit = unit_of(found)
    kept = [i for i, name in enumerate(rows[0]) if unit or not name.startswith("USD")]
    head = tuple(name.replace("USD", unit) for name in rows[0])
    cut = [[row[i] for i in kept] for row in (head, *rows[1:])]
    return columns(cut, "".join(align[i] for i in kept), page, flexible=flexible)


def _states(found: Actuals, page: Page) -> list[str]:
    what = ("state", "jobs") if found.source == "slurm" else ("charge", "rows")
    rows = [(what[0], "kind", what[1], "GPU-hours", "USD")]
    rows += [
        (row.state, row.kind, f"{row.count:,}", hours(row.gpu_hours), money(row.cost_usd)) for row in found.by_state
    ]
    return _table(found, rows, "llrrr", page, flexible=0)


def _jobs(found: Actuals, page: Page) -> list[str]:
    most = sorted(found.by_job, key=lambda row: (-row.gpu_hours, -row.cost_usd))[:_JOBS]
    if found.source == "slurm":
        rows = [("job", "name", "state", "starts", "GPU-hours", "wasted", "USD")]
        rows += [
            (row.job, row.name, row.state, f"{row.starts:,}", hours(row.gpu_hours), hours(row.wasted_gpu_hours),
             money(row.cost_usd))
            for row in most
        ]  # fmt: skip
        lines = _table(found, rows, "lllrrrr", page, flexible=1)
    else:
        billed = [("resource or service", "rows", "GPU-hours", "USD")]
        billed += [(row.job, f"{row.starts:,}", hours(row.gpu_hours), money(row.cost_usd)) for row in most]
        lines = _table(found, billed, "lrrr", page, flexible=0)
    more = len(found.by_job) - len(most)
    return [*lines, f"  and {more:,} more, in the JSON"] if more else lines


def _days(found: Actuals, page: Page) -> list[str]:
    used = [row.day for row in found.by_day if row.gpu_hours or row.cost_usd]
    shown = [row for row in found.by_day if used and used[0] <= row.day <= used[-1]][-_DAYS:]
    rows = [("day", "GPU-hours planned", "used", "wasted", "USD planned", "USD used")]
    rows += [
        (row.day.isoformat(), hours(row.planned_gpu_hours), hours(row.gpu_hours), hours(row.wasted_gpu_hours),
         money(row.planned_cost_usd), money(row.cost_usd))
        for row in shown
    ]  # fmt: skip
    if found.source == "focus":
        rows = [(*row[:3], *row[4:]) for row in rows]  # type: ignore[misc]
    more = len(found.by_day) - len(shown)
    lines = _table(found, rows, "lrrrrr"[: len(rows[0])], page)
    return [*lines, f"  and {more:,} more days of the plan or of use, in the JSON"] if more else lines
