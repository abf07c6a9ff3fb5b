"""Why to believe a plan: its step and memory term by term, what the prediction stands on, and checks done by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planner.report.figures import percent, range_text
from planner.report.layout import Page, bar, columns, hanging, labelled
from planner.results.plan import MemoryGiB, Plan, Plausibility
from planner.units import format_number
from planner.words import phrase, said

MEMORY = ("weights", "gradients", "optimizer", "activations", "other")
Section = tuple[str, list[str]]
TIGHT = 0.95  # of a GPU's memory: beyond it a bad guess about fragmentation decides
UNDER_PEAK, MEMORY_FITS, SIX_ND = "under_peak", "memory_fits", "six_nd"  # checks by hand
BASES = ("user", "measured", "interpolated", "modelled")
NEAR_SIX_ND = (0.75, 1.33)  # the plan's time over that of 6 N D at its rate
SMALL_TERM = 0.005  # of a step: smaller terms are printed as one


def evidence(plan: Plan, page: Page) -> list[Section]:
    """Why to believe it: title and lines of the step, memory, basis and plausibility."""
    return [
        (said("evidence.step"), _step(plan, page)),
        (said("evidence.memory"), _memory(plan, page)),
        (said("evidence.basis"), _basis(plan, page)),
        (said("evidence.plausibility"), _plausibility(plan, page)),
    ]


def _step(plan: Plan, page: Page) -> list[str]:
    step, rate = plan.step_time_s, plan.tokens_per_s_per_gpu
    text = said(
        "evidence.a_step",
        step=step.p50,
        step_between=range_text(step.p10, step.p90),
        rate=rate.p50,
        rate_between=range_text(rate.p10, rate.p90),
    )
    total = sum(plan.step_breakdown_s.values())
    terms = terms_table(large_terms(plan), total, page) if total > 0 else []
    return labelled("a_step", text, page) + terms


def large_terms(plan: Plan) -> list[tuple[str, float]]:
    """Terms of a step and their seconds, the largest first; all small ones as one of no name, the last."""
    terms = sorted(plan.step_breakdown_s.items(), key=lambda term: (-term[1], term[0]))
    total = sum(value for _, value in terms)
    large = [(name, value) for name, value in terms if value >= SMALL_TERM * total]
    rest = total - sum(value for _, value in large)
    return [*large, ("", rest)] if rest > 0 else large


def terms_table(terms: Sequence[tuple[str, float]], total: float, page: Page) -> list[str]:
    """Terms of a step in seconds, each with its share of the `total`; that of no name is all else."""
    rows = [
        (
            phrase("terms", name.replace("_", " ") or "all else"),
            said("evidence.seconds", seconds=value),
            percent(value / total),
            bar(value / total, 20),
        )
        for name, value in terms
    ]
    return columns(rows, "lrrl", page, header=False)


def memory_text(memory: MemoryGiB) -> str:
    """What is used of a GPU: "61.2 of 80 GiB (76.5 %)"."""
    share = memory.total / memory.capacity
    return said("evidence.memory_used", used=memory.total, capacity=memory.capacity, share=share)


def _memory(plan: Plan, page: Page) -> list[str]:
    memory = plan.memory_gib
    share = memory.total / memory.capacity
    drawn = page.styled(bar(share, 30), "bad" if share > 1 else "warn" if share > TIGHT else "good")
    parts = memory_parts({part: getattr(memory, part) for part in MEMORY})
    return [f"  {drawn}  {memory_text(memory)}", *labelled("fullest_gpu", parts, page)]


def memory_parts(parts: Mapping[str, float]) -> str:
    """What takes it: "weights 12.6, gradients 25.1"."""
    items = [
        said("labels.valued", name=phrase("terms", part), value=format_number(gib, 3)) for part, gib in parts.items()
    ]
    return said("labels.listed", items=items)


def _basis(plan: Plan, page: Page) -> list[str]:
    known = plan.basis if plan.basis in BASES else "other"
    lines = labelled("basis", said(f"evidence.basis_{known}", basis=phrase("basis", plan.basis)), page)
    if plan.throughput_basis:
        lines += labelled("in_detail", plan.throughput_basis, page)
    if plan.measurements:
        shown = said("labels.listed", items=plan.measurements[:6])
        more = len(plan.measurements) - 6
        shown = said("labels.and_more", text=shown, more=more) if more > 0 else shown
        lines += labelled("measurements", shown, page)
    return lines


def _plausibility(plan: Plan, page: Page) -> list[str]:
    found = plan.plausibility
    text = said("evidence.model_flops", rate=plan.model_tflops_per_gpu, mfu=plan.mfu)
    if plan.hardware_tflops_per_gpu > plan.model_tflops_per_gpu:
        text = said("evidence.hardware_flops", text=text, rate=plan.hardware_tflops_per_gpu, hfu=plan.hfu)
    lines = labelled("model_flops", text, page)
    if plan.flops_convention:
        lines += labelled("counted_as", plan.flops_convention, page)
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
        text = said("evidence.of_peak", share=share, peak=found.measured_peak_tflops)
        lines += _check(UNDER_PEAK, text, holds, page)
    lines += _check(MEMORY_FITS, said("evidence.of_memory", share=found.memory_share), holds, page)
    if found.six_nd_time_s is not None and found.six_nd_parameters is not None:
        text = said(
            "evidence.by_hand",
            flops=found.flops_a_parameter,
            parameters=found.six_nd_parameters,
            tokens=plan.tokens,
            time=found.six_nd_time_s,
            ratio=plan.time_s.p50 / found.six_nd_time_s,
        )
        lines += _check(SIX_ND, text, holds, page)
    return lines


def _check(name: str, text: str, holds: Mapping[str, bool], page: Page) -> list[str]:
    verdict = said("evidence.holds" if holds[name] else "evidence.look", text=text)
    lines = hanging(said(f"evidence.{name}"), verdict, page)
    return lines if holds[name] else [page.styled(line, "warn") for line in lines]
