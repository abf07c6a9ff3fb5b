"""A run's progress on a terminal: where it stands, what is left, its budgets, and the best plan for the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence

from planner.money import in_its_money, writing
from planner.report.figures import rate_text
from planner.report.layout import Page, display_width, hanging
from planner.results.plan import Quantiles
from planner.tracking.progress import BudgetOutlook, Progress
from planner.tracking.replan import Continuation
from planner.words import said, worded

_TICKS = "▁▂▃▄▅▆▇█"
_LABEL = 13


@in_its_money
def view(now: Progress, width: int = 80, colour: bool = False) -> str:
    """The whole view, lines of at most `width` columns, ending in a line end."""
    page = Page(width, colour)
    spent = {"cost": now.cost_so_far_usd, "basis": worded(now.elapsed_basis)}
    elapsed = said("track_view.so_far", time=now.elapsed_s, **spent)
    rows = [
        ("progress", _bar(now, width)),
        ("iterations", _iterations(now)),
        ("step", _step(now)),
        ("goodput", _goodput(now)),
        ("elapsed", "" if now.status == "waiting" else elapsed),
        ("remaining", _range(now.remaining_s, "times")),
        ("in_all", _against(now.time_s, "times", now.time_against_plan)),
        ("cost", "" if now.cost_against_plan is None else _against(now.cost_usd, "costs", now.cost_against_plan)),
        ("rate", rate_text(writing())),
        ("finishes", _finishes(now)),
    ]
    lines = [_row(name, text, page) for name, text in rows if text]
    lines += [
        page.styled(_row(f"{each.budget}_budget", _budget(each), page), "bad" if each.missed else "good")
        for each in now.budgets
    ]
    chart = sparkline(now.chart_step_s, width - _LABEL)
    if chart:
        lines.append(_label("step_times") + chart)
    lines += [page.styled(_row("note", worded(remark), page), "dim") for remark in now.remarks]
    return "\n".join(lines) + "\n"


@in_its_money
def continuation_view(found: Continuation, width: int = 80) -> str:
    """Staying on course beside the best plan for what is left."""
    page, plan = Page(width), found.answer.plan
    rows = [("stay", said("track_view.takes", **_ranges(found.stay_time_s, found.stay_cost_usd)))]
    if plan is None:
        none = found.answer.infeasibility
        reason = said("track_view.no_plan") if none is None else none.reason
        rows.append(("change", said("track_view.nothing", reason=reason)))
    elif found.unchanged:
        rows.append(("change", said("track_view.nothing", reason=said("track_view.unchanged"))))
    else:
        layout, offer = plan.layout, plan.offer
        rows.append(
            (
                "change",
                said(
                    "track_view.plan", gpus=plan.gpus, gpu=offer.gpu, offer=offer.id,
                    tp=layout.tp, pp=layout.pp, dp=layout.dp, batch=plan.global_batch,
                ),
            )
        )  # fmt: skip
        rows.append(("", said("track_view.moved", **_ranges(plan.time_s, plan.cost_usd))))
    return "\n".join(_row(name, text, page) for name, text in rows) + "\n"


def sparkline(values: Sequence[float | None], columns: int) -> str:
    """Step times as bars from the least to the most of them; a gap where nothing was logged."""
    if columns < 1 or not any(v is not None for v in values):
        return ""
    size = max(1, -(-len(values) // columns))
    groups = [[v for v in values[i : i + size] if v is not None] for i in range(0, len(values), size)]
    means = [sum(group) / len(group) if group else None for group in groups]
    known = [v for v in means if v is not None]
    low, high = min(known), max(known)
    span = high - low
    if span <= 0.005 * high:  # nothing to tell
        return "".join(_TICKS[3] if v is not None else " " for v in means)
    return "".join(" " if v is None else _TICKS[min(7, int((v - low) / span * 8))] for v in means)


def _bar(now: Progress, width: int) -> str:
    percent = said("track_view.share", share=now.share_done)
    columns = max(10, min(60, width - _LABEL - len(percent) - 3))
    full = math.floor(now.share_done * columns)
    return f"{'█' * full}{'░' * (columns - full)} {percent}"


def _iterations(now: Progress) -> str:
    text = said("track_view.done", done=now.iteration, all=now.iterations)
    if now.epochs_done is not None and now.epochs:
        text = said("track_view.epochs", text=text, done=now.epochs_done, all=now.epochs)
    return said(f"track_view.{now.status}", text=text) if now.status in ("waiting", "finished") else text


def _step(now: Progress) -> str:
    pace = now.pace
    if pace.steady_s is None or pace.recent_s is None or pace.against_plan is None:
        return said("track_view.planned", step=pace.planned_s.p50)
    text = said("track_view.steady", step=pace.steady_s, share=_signed(pace.against_plan))
    if pace.recent_s > 1.005 * pace.steady_s:
        text = said("track_view.with_stalls", text=text, step=pace.recent_s)
    if now.tokens_per_s_per_gpu is not None:
        text = said("track_view.with_rate", text=text, rate=now.tokens_per_s_per_gpu)
    return text


def _finishes(now: Progress) -> str:
    if now.finishes is None:
        return ""
    first, middle, last = now.finishes
    return said("track_view.by_the_clock", first=first, middle=middle, last=last)


def _goodput(now: Progress) -> str:
    losses = now.losses
    if losses.goodput is None:
        return ""
    parts = [said("track_view.share", share=losses.goodput)]
    if losses.stalled_s > 0:
        parts.append(said("track_view.stalls", time=losses.stalled_s))
    if losses.warmup_s > (now.pace.steady_s or 0.0):
        parts.append(said("track_view.warmup", time=losses.warmup_s))
    if losses.restarts:
        lost, time = losses.lost_iterations, losses.lost_s
        parts.append(said("track_view.restarts", count=losses.restarts, lost=lost, time=time))
    if losses.down_s > 0:
        parts.append(said("track_view.down", time=losses.down_s))
    return said("track_view.parts", parts=parts)


def _budget(outlook: BudgetOutlook) -> str:
    text = said(f"track_view.{outlook.budget}_limit", limit=outlook.limit, likely=_likely(outlook.p_within))
    if not outlook.missed:
        return text
    text = said("track_view.used_up", text=text)
    if outlook.reached_after_s is not None:
        text = said("track_view.used_after", text=text, time=max(0.0, outlook.reached_after_s))
    if outlook.reached_at_iteration is not None:
        text = said("track_view.used_at", text=text, iteration=outlook.reached_at_iteration)
    return text if outlook.reached_at is None else said("track_view.used_on", text=text, moment=outlook.reached_at)


def _likely(chance: float) -> str:
    if chance < 0.001:
        return said("track_view.least")
    return said("track_view.most") if chance > 0.999 else said("track_view.share", share=chance)


def _range(values: Quantiles, what: str) -> str:
    return said(f"track_view.{what}", p10=values.p10, p50=values.p50, p90=values.p90)


def _ranges(time_s: Quantiles, cost_usd: Quantiles) -> dict[str, str]:
    return {"time": _range(time_s, "times"), "cost": _range(cost_usd, "costs")}


def _against(values: Quantiles, what: str, share: float) -> str:
    """A range, and how much more or less than planned its middle is."""
    return said("track_view.against", value=_range(values, what), share=_signed(share))


def _signed(share: float) -> str:
    return said("track_view.more" if share >= 0 else "track_view.share", share=share)


def _label(name: str) -> str:
    text = said(f"track_view.l_{name}") if name else ""
    return text + " " * (_LABEL - display_width(text))


def _row(name: str, text: str, page: Page) -> str:
    """A label and its words, wrapped under themselves."""
    first, *rest = hanging("", text, page, 0, _LABEL)
    return "\n".join([_label(name) + first[_LABEL:], *rest])
