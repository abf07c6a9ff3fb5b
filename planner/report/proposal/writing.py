"""Proposals on disk: every format asked for, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from planner.report.proposal.model import Proposal
from planner.units import PlannerError
from planner.words import say

FORMATS = ("html", "pdf", "xlsx", "md", "txt")
STEM = "proposal"


def formats_of(text: str) -> tuple[str, ...]:
    """The formats in a list such as "html,pdf", each once.

    Raises
    ------
    PlannerError
        If one is not known, or none is named.
    """
    wanted = list(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    unknown = [name for name in wanted if name not in FORMATS]
    if unknown or not wanted:
        raise PlannerError(say("proposal.formats", text=text, formats=list(FORMATS)))
    return tuple(wanted)


def rendered(proposal: Proposal, formats: Sequence[str]) -> dict[str, bytes]:
    """File name to content, for each format.

    Raises
    ------
    PlannerError
        If the library of a format is not there.
    """
    out: dict[str, bytes] = {}
    for name in formats:
        out[f"{STEM}.{name}"] = _render(proposal, name)
    return out


def _render(proposal: Proposal, name: str) -> bytes:
    if name == "html":
        from planner.report.proposal.page import page

        return page(proposal).encode()
    if name == "pdf":
        from planner.report.proposal.pdf import pdf

        return pdf(proposal)
    if name == "xlsx" and proposal.calendar:
        from planner.report.proposal.programme_workbook import programme_workbook

        return programme_workbook(proposal)
    if name == "xlsx":
        from planner.report.proposal.workbook import workbook

        return workbook(proposal)
    if name == "txt":
        from planner.report.proposal.plain import plain

        return plain(proposal).encode()
    from planner.report.proposal.markdown import markdown

    return markdown(proposal).encode()


def summary(proposal: Proposal, paths: Sequence[Path], files: Mapping[str, bytes]) -> dict[str, Any]:
    """What was asked and written, for a script: JSON's values."""
    return {
        "schema_version": 1,
        "date": proposal.day.isoformat(),
        "language": proposal.language,
        "asks": [
            {
                "scenario": ledger.name,
                "cost_usd": ledger.plans[0].cost_confidence_usd * ledger.money.usd,
                "asked": ledger.requested,
                "unit": ledger.money.unit,
                "time_s": ledger.plans[0].time_confidence_s,
                "confidence": ledger.confidence,
                "start": ledger.start.isoformat(),
            }
            for ledger in proposal.ledgers
        ]
        + [dict(ask) for ask in proposal.requests],
        "files": [
            {"path": str(path), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in zip(paths, files.values(), strict=True)
        ],
    }
