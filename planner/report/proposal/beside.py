"""What is asked for beside the run: tax, people, contingency, each a share of what stands above it or a sum."""

from __future__ import annotations

from collections.abc import Sequence

from planner.spec.scenario import AskLine


def added(lines: Sequence[AskLine], run_usd: float) -> list[tuple[str, float]]:
    """(name, USD) of each line, in order, upon a run of `run_usd`."""
    out: list[tuple[str, float]] = []
    total = run_usd
    for line in lines:
        usd = line.share * total if line.share is not None else line.cost_usd or 0.0
        out.append((line.name, usd))
        total += usd
    return out


def requested_usd(lines: Sequence[AskLine], run_usd: float) -> float:
    """The run and every line beside it, USD."""
    return run_usd + sum(usd for _, usd in added(lines, run_usd))
