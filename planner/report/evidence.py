"""Why to believe a plan: its step and memory term by term, what the prediction stands on, and checks done by hand."""

from __future__ import annotations

from collections.abc import Sequence

from planner.report.figures import range_text, time_text
from planner.report.layout import Page, bar, columns, hanging
from planner.results.plan import Plan, Plausibility
from planner.units import format_number, format_percent, format_short

MEMORY = ("weights", "gradients", "optimizer", "activations", "other")
Section = tuple[str, list[str]]
TIGHT = 0.95  # of a GPU's memory: beyond it a bad guess about fragmentation decides
UNDER_PEAK, MEMORY_FITS, SIX_ND = "under the peak", "memory fits", "6ND"
NEAR_SIX_ND = (0.75, 1.33)  # the plan's time over that of 6 N D at its rate
SMALL_TERM = 0.005  # of a step: smaller terms are printed as one


def evidence(plan: Plan, page: Page) -> list[Section]:
    """Why to believe it: title and lines of the step, memory, basis and plausibility."""
    return [
        ("Step", _step(plan, page)),
        ("Memory", _memory(plan, page)),
        ("What the prediction stands on", _basis(plan, page)),
        ("Plausibility", _plausibility(plan, page)),
    ]


def _step(plan: Plan, page: Page) -> list[str]:
    step, rate = plan.step_time_s, plan.tokens_per_s_per_gpu
    text = (
        f"{format_number(step.p50)} s ({range_text(step.p10, step.p90)}); "
        f"{format_number(rate.p50)} tokens/s a GPU ({range_text(rate.p10, rate.p90)})"
    )
    terms, total = (
        [(name or "all else", value) for name, value in large_terms(plan)],
        sum(plan.step_breakdown_s.values()),
    )
    return hanging("a step", text, page) + (terms_table(terms, total, page) if total > 0 else [])


def large_terms(plan: Plan) -> list[tuple[str, float]]:
    """Terms of a step and their seconds, the largest first; all small ones as one of no name, the last."""
    terms = sorted(plan.step_breakdown_s.items(), key=lambda term: (-term[1], term[0]))
    total = sum(value for _, value in terms)
    large = [(name, value) for name, value in terms if value >= SMALL_TERM * total]
    rest = total - sum(value for _, value in large)
    return [*large, ("", rest)] if rest > 0 else large


def terms_table(terms: Sequence[tuple[str, float]], total: float, page: Page) -> list[str]:
    """Terms of a step in seconds, each with its share of the `total`."""
    rows = [
        (name.replace("_", " "), f"{format_number(value, 3)} s", format_percent(value / total), bar(value / total, 20))
        for name, value in terms
    ]
    return columns(rows, "lrrl", page, header=False)


def _memory(plan: Plan, page: Page) -> list[str]:
    memory = plan.memory_gib
    share = memory.total / memory.capacity
    text = f"{format_number(memory.total, 3)} of {format_number(memory.capacity, 3)} GiB ({format_percent(share)})"
    listed = ", ".join(f"{part} {format_number(getattr(memory, part), 3)}" for part in MEMORY)
    drawn = page.styled(bar(share, 30), "bad" if share > 1 else "warn" if share > TIGHT else "good")
    return [f"  {drawn}  {text}", *hanging("fullest GPU", listed, page)]


def _basis(plan: Plan, page: Page) -> list[str]:
    said = {
        "user": "your own measurement",
        "measured": "a measurement of this configuration",
        "interpolated": "measurements nearby, carried over by the model",
        "modelled": "the model alone: nobody measured near this",
    }.get(plan.basis, plan.basis)
    lines = hanging("basis", f"{plan.basis}: {said}", page)
    if plan.throughput_basis:
        lines += hanging("in detail", plan.throughput_basis, page)
    if plan.measurements:
        shown = list(plan.measurements[:6])
        more = len(plan.measurements) - len(shown)
        lines += hanging("measurements", ", ".join(shown) + (f" and {more} more" if more else ""), page)
    return lines


def _plausibility(plan: Plan, page: Page) -> list[str]:
    found = plan.plausibility
    text = f"{format_number(plan.model_tflops_per_gpu, 3)} TFLOP/s a GPU (MFU {format_percent(plan.mfu)})"
    if plan.hardware_tflops_per_gpu > plan.model_tflops_per_gpu:
        text += f"; {format_number(plan.hardware_tflops_per_gpu, 3)} with recompute (HFU {format_percent(plan.hfu)})"
    lines = hanging("model FLOPs", text, page)
    if plan.flops_convention:
        lines += hanging("counted as", plan.flops_convention, page)
    if found is None:
        return lines
    return lines + _checks(plan, found, page)


def checks(plan: Plan, found: Plausibility) -> dict[str, bool]:
    """What was checked by hand, and whether it holds."""
    share, by_hand = found.utilization_of_measured_peak, found.six_nd_time_s
    out = {} if share is None or found.measured_peak_tflops is None else {UNDER_PEAK: share <= 1}
    out[MEMORY_FITS] = found.memory_share <= 1
    if by_hand is not None and found.six_nd_parameters is not None:
        low, high = NEAR_SIX_ND
        out[SIX_ND] = low <= plan.time_s.p50 / by_hand <= high
    return out


def _checks(plan: Plan, found: Plausibility, page: Page) -> list[str]:
    lines: list[str] = []
    holds = checks(plan, found)
    share = found.utilization_of_measured_peak
    if share is not None and found.measured_peak_tflops is not None:
        text = (
            f"{_verdict(holds[UNDER_PEAK])}: {format_percent(share)} of {format_number(found.measured_peak_tflops, 3)} "
            "TFLOP/s, the best matrix multiply measured"
        )
        lines += _check(UNDER_PEAK, text, holds[UNDER_PEAK], page)
    lines += _check(
        MEMORY_FITS,
        f"{_verdict(holds[MEMORY_FITS])}: {format_percent(found.memory_share)} of what a GPU has",
        holds[MEMORY_FITS],
        page,
    )
    if found.six_nd_time_s is not None and found.six_nd_parameters is not None:
        ratio = plan.time_s.p50 / found.six_nd_time_s
        each = f"{found.flops_a_parameter} × {format_short(found.six_nd_parameters)} parameters"
        text = (
            f"{_verdict(holds[SIX_ND])}: {each} × "
            f"{format_short(plan.tokens)} tokens at that rate take {time_text(found.six_nd_time_s)}; "
            f"the plan takes {format_number(ratio, 3)} times that"
        )
        lines += _check(SIX_ND, text, holds[SIX_ND], page)
    return lines


def _verdict(holds: bool) -> str:
    return "yes" if holds else "look"


def _check(label: str, text: str, holds: bool, page: Page) -> list[str]:
    lines = hanging(label, text, page)
    return lines if holds else [page.styled(line, "warn") for line in lines]
