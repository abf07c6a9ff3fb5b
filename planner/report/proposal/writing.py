"""Proposals on disk: every format asked for, or nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from planner.files import write_atomically
from planner.report.proposal.model import Proposal
from planner.units import PlannerError

FORMATS = ("html", "pdf", "xlsx", "md")
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
        raise PlannerError(f"--format {text}: name some of {', '.join(FORMATS)}, separated by commas")
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
    if name == "xlsx":
        from planner.report.proposal.workbook import workbook

        return workbook(proposal)
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
                "cost_usd": ledger.plans[0].cost_confidence_usd,
                "time_s": ledger.plans[0].time_confidence_s,
                "confidence": ledger.confidence,
                "start": ledger.start.isoformat(),
            }
            for ledger in proposal.ledgers
        ],
        "files": [
            {"path": str(path), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in zip(paths, files.values(), strict=True)
        ],
    }


def write_proposal(folder: Path, files: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Writes the files into `folder`, made if it is missing; where one cannot be written, none is left changed.

    Raises
    ------
    PlannerError
        If the folder or a file cannot be written.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlannerError(f"cannot make the folder {folder}: {error.strerror}") from error
    paths = [folder / name for name in files]
    blocked = next((p for p in paths if p.is_dir() or (p.exists() and not os.access(p, os.W_OK))), None)
    if blocked is not None:
        raise PlannerError(f"cannot write {blocked}: it is a folder or protected")
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    try:
        for path, content in zip(paths, files.values(), strict=True):
            write_atomically(path, content)
    except PlannerError:
        for path, old in before.items():
            if old is None:
                path.unlink(missing_ok=True)
            else:
                write_atomically(path, old)
        if made and not any(folder.iterdir()):
            folder.rmdir()
        raise
    return tuple(paths)
