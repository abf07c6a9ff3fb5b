"""A run's progress as lines of a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from planner.money import in_its_money, writing
from planner.results.plan import Quantiles
from planner.tracking.progress import BudgetOutlook, Progress
from planner.tracking.replan import Continuation
from planner.units import format_count, format_duration, format_number, format_percent, format_usd

_TICKS = "▁▂▃▄▅▆▇█"
_LABEL = 13
_COLOURS = {"good": "\x1b[32m", "bad": "\x1b[31m", "dim": "\x1b[2m"}


@in_its_money
def view(now: Progress, width: int = 80, colour: bool = False) -> str:
    """The whole view, lines of at most `width` columns where words allow, ending in a line end."""
    rows = [
        ("progress", _bar(now, width)),
        ("iterations", _iterations(now)),
        ("step", _step(now)),
        ("goodput", _goodput(now)),
        ("elapsed", _elapsed(now)),
        ("remaining", _range(now.remaining_s, format_duration)),
        ("in all", f"{_range(now.time_s, format_duration)}; {_signed(now.time_against_plan)} against the plan"),
        ("cost", _cost(now)),
    ]
    if writing().foreign:
        rows.append(("rate", writing().rate_text))
    if now.finishes is not None:
        rows.append(("finishes", f"{now.finishes[1]} ({now.finishes[0]} to {now.finishes[2]}), by the log's clock"))
    lines = [_row(name, text, width) for name, text in rows if text]
    lines += [
        _painted(_row(f"{b.budget} budget", _budget(b), width), "bad" if b.missed else "good", colour)
        for b in now.budgets
    ]
    chart = sparkline(now.chart_step_s, width - _LABEL)
    if chart:
        lines.append(_row("step times", chart, width))
    lines += [_painted(_row("note", remark, width), "dim", colour) for remark in now.remarks]
    return "\n".join(lines) + "\n"


@in_its_money
def continuation_view(found: Continuation, width: int = 80) -> str:
    """Staying on course beside the best plan for what is left."""
    stay = f"{_range(found.stay_time_s, format_duration)}, {_range(found.stay_cost_usd, format_usd)}"
    lines = [_row("stay", stay, width)]
    plan = found.answer.plan
    if plan is None:
        reason = found.answer.infeasibility.reason if found.answer.infeasibility else "no plan meets what is left"
        return "\n".join([*lines, _row("change", f"nothing: {reason}", width)]) + "\n"
    if found.unchanged:
        return "\n".join([*lines, _row("change", "nothing: this is the best plan for the rest too", width)]) + "\n"
    layout = plan.layout
    change = (
        f"{plan.gpus} x {plan.offer.gpu} ({plan.offer.id}), tp {layout.tp} pp {layout.pp} dp {layout.dp}, "
        f"batch {format_count(plan.global_batch)}"
    )
    outcome = f"{_range(plan.time_s, format_duration)}, {_range(plan.cost_usd, format_usd)}; moving the run not counted"
    return "\n".join([*lines, _row("change", change, width), _row("", outcome, width)]) + "\n"


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
    percent = format_percent(now.share_done)
    columns = max(10, min(60, width - _LABEL - len(percent) - 3))
    full = math.floor(now.share_done * columns)
    return f"{'█' * full}{'░' * (columns - full)} {percent}"


def _iterations(now: Progress) -> str:
    text = f"{format_count(now.iteration)} of {format_count(now.iterations)}"
    if now.epochs_done is not None and now.epochs:
        text += f"; epochs {format_number(now.epochs_done, 3)} of {format_number(now.epochs, 3)}"
    return text + {"waiting": " (waiting for the first step)", "finished": " (finished)"}.get(now.status, "")


def _step(now: Progress) -> str:
    pace = now.pace
    if pace.steady_s is None or pace.recent_s is None or pace.against_plan is None:
        return f"planned {format_duration(pace.planned_s.p50)}"
    text = f"{format_duration(pace.steady_s)} steady ({_signed(pace.against_plan)} against the plan)"
    if pace.recent_s > 1.005 * pace.steady_s:
        text += f", {format_duration(pace.recent_s)} with evaluations and stalls"
    if now.tokens_per_s_per_gpu is not None:
        text += f"; {format_number(now.tokens_per_s_per_gpu)} tokens/s/GPU"
    return text


def _elapsed(now: Progress) -> str:
    if now.status == "waiting":
        return ""
    return f"{format_duration(now.elapsed_s)}, {format_usd(now.cost_so_far_usd)}  ({now.elapsed_basis})"


def _cost(now: Progress) -> str:
    if now.cost_against_plan is None:
        return ""
    return f"{_range(now.cost_usd, format_usd)}; {_signed(now.cost_against_plan)} against the plan"


def _goodput(now: Progress) -> str:
    losses = now.losses
    if losses.goodput is None:
        return ""
    parts = [format_percent(losses.goodput)]
    if losses.stalled_s > 0:
        parts.append(f"stalls {format_duration(losses.stalled_s)}")
    if losses.warmup_s > (now.pace.steady_s or 0.0):
        parts.append(f"warm-up {format_duration(losses.warmup_s)}")
    if losses.restarts:
        lost = f"{format_count(losses.lost_iterations)} iterations lost ({format_duration(losses.lost_s)})"
        parts.append(f"{losses.restarts} restart{'s' * (losses.restarts > 1)}: {lost}")
    if losses.down_s > 0:
        parts.append(f"down {format_duration(losses.down_s)}")
    return "; ".join(parts)


def _budget(outlook: BudgetOutlook) -> str:
    form = format_duration if outlook.budget == "time" else format_usd
    text = f"{form(outlook.limit)}, {_likely(outlook.p_within)} likely to be met"
    if not outlook.missed:
        return text
    where = (
        "" if outlook.reached_at_iteration is None else f" at iteration {format_count(outlook.reached_at_iteration)}"
    )
    when = "" if outlook.reached_at is None else f", {outlook.reached_at}"
    after = "" if outlook.reached_after_s is None else f" after {format_duration(max(0.0, outlook.reached_after_s))}"
    return f"{text}: used up{after}{where}{when}"


def _likely(chance: float) -> str:
    if chance < 0.001:
        return "less than 0.1 %"
    return "more than 99.9 %" if chance > 0.999 else format_percent(chance)


def _range(values: Quantiles, form: Callable[[float], str]) -> str:
    return f"{form(values.p50)} ({form(values.p10)} to {form(values.p90)})"


def _signed(share: float) -> str:
    return ("+" if share >= 0 else "") + format_percent(share)


def _row(name: str, text: str, width: int) -> str:
    """A label and its words, wrapped under themselves."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > width - _LABEL:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    pad = " " * _LABEL
    return "\n".join((f"{name:<{_LABEL}}" if i == 0 else pad) + part for i, part in enumerate(lines)).rstrip()


def _painted(text: str, kind: str, colour: bool) -> str:
    return f"{_COLOURS[kind]}{text}\x1b[0m" if colour else text
