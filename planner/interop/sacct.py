"""Slurm's accounting (`sacct --parsable2`, with its header) as allocations of GPUs.

The traps, each seen in dumps: steps beside their jobs, jobs that were queued again (`--duplicates`), a user's number
behind CANCELLED, ends that are Unknown, sites that do not account GPUs, clocks without a zone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from fnmatch import fnmatchcase
from pathlib import Path
from zoneinfo import ZoneInfo

from planner.reading import CsvTable, fault, read_separated
from planner.tracking.usage import KINDS, LONGEST_S, YEARS, Allocation, Usage
from planner.units import PlannerError
from planner.words import say

DUMP = "--parsable2 --duplicates --format=JobID,JobName,State,Start,End,ElapsedRaw,NNodes,AllocTRES"
_NOT = ("", "Unknown", "None", "N/A", "Invalid")
_TRES = re.compile(r"(?:^|,)gres/gpu(?::([^=,]+))?=(\d{1,9})")
_GRES = re.compile(r"(?:^|,)(?:gres[:/])?gpu(?::[^:=,(\d][^:=,(]*)?[:=](\d{1,9})")
_SLICE = re.compile(r"\d+g\.\d+gb", re.IGNORECASE)
_ELAPSED = re.compile(r"(?:(?:(\d{1,6})-)?(\d{1,6}):)?(\d{1,6}):(\d{1,6})(?:\.\d+)?")
_MOST = 10**9


def read_sacct(path: Path, gpus_per_node: int, *, jobs: str = "*", zone: str | None = None) -> Usage:
    """The allocations of a dump: each once, steps left out.

    Parameters
    ----------
    gpus_per_node : of the plan's machines; counts where the dump tells nodes and no GPUs, which a remark then says
    jobs : a pattern of names (`*` and `?`): only these jobs
    zone : of the dump's clock, as "Europe/Berlin"; days are then UTC's. None: days are those of its clock

    Raises
    ------
    PlannerError
        If it is no such dump, a time or number in it is none, or the zone is not known.
    """
    table = read_separated(path, ("JobID", "State", "Start"), holds=say("sacct.holds", options=DUMP))
    if not {"ElapsedRaw", "Elapsed", "End"} & set(table.header):
        raise fault(path, say("sacct.no_length"), 1)
    reader = _Rows(path, table, gpus_per_node, _zone(zone))
    kept: dict[tuple[str, str], Allocation] = {}
    steps, repeated, others, orphans = 0, 0, 0, set[str]()
    ids = {row["JobID"] for row in table.rows()}
    for row, line in zip(table.rows(), table.lines, strict=True):
        job, dot, _ = row["JobID"].partition(".")
        if dot:
            steps += 1
            orphans |= set() if job in ids else {job}
            continue
        if not fnmatchcase(row.get("JobName", ""), jobs):
            others += 1
            continue
        one, key = reader.allocation(row, line), (job, row["Start"])
        repeated += key in kept
        if key not in kept or one.seconds >= kept[key].seconds:
            kept[key] = one
    if not kept:
        raise fault(path, say("sacct.no_name", jobs=jobs) if others else say("sacct.no_job"))
    remarks = reader.remarks(list(kept.values()))
    if others:
        remarks.append(say("sacct.others", jobs=others))
    if orphans:
        remarks.append(say("sacct.orphans", jobs=len(orphans)))
    return Usage(tuple(kept.values()), steps, repeated, tuple(remarks))


class _Rows:
    """Rows of one dump, read alike."""

    def __init__(self, path: Path, table: CsvTable, gpus_per_node: int, zone: tzinfo | None) -> None:
        self.path, self.zone, self.gpus_per_node = path, zone, gpus_per_node
        self.counts = next((name for name in ("AllocTRES", "AllocGRES") if name in table.header), None)
        self.nodes = next((name for name in ("NNodes", "AllocNodes") if name in table.header), None)
        column = self.counts
        self.accounts_gpus = column is not None and any(_gpus(column, row[column], 1) for row in table.rows())
        if not self.accounts_gpus and self.nodes is None:
            raise fault(path, say("sacct.no_gpus"), 1)
        self.sliced = column is not None and any(_SLICE.search(row[column]) for row in table.rows())
        self.restarted = sum(row.get("Restarts", "0").strip() not in ("", "0") for row in table.rows())

    def allocation(self, row: Mapping[str, str], line: int) -> Allocation:
        start, end = self._time(row, "Start", line), self._time(row, "End", line)
        if start is not None and end is not None and _before(end, start):
            said = say("sacct.ends_before", job=row["JobID"], end=row["End"], start=row["Start"])
            raise fault(self.path, said, line)
        words = row["State"].split()
        state = words[0].rstrip("+").upper() if words else "UNKNOWN"
        seconds = 0 if start is None else self._seconds(row, start, end, line)
        if seconds > LONGEST_S:
            raise fault(self.path, say("sacct.too_long", job=row["JobID"], seconds=seconds), line)
        gpus = self._gpus(row, line) if seconds else 0
        return Allocation(row["JobID"], row.get("JobName", ""), state, start, end, seconds, gpus)

    def _gpus(self, row: Mapping[str, str], line: int) -> int:
        nodes = self._whole(row, self.nodes, line) if self.nodes is not None else 1
        if self.accounts_gpus and self.counts is not None:
            return _gpus(self.counts, row[self.counts], nodes)
        return nodes * self.gpus_per_node

    def _whole(self, row: Mapping[str, str], column: str, line: int) -> int:
        text = row[column].strip() or "0"
        if not (text.isascii() and text.isdigit() and int(text[:12]) < _MOST and len(text) < 12):
            raise fault(self.path, say("sacct.not_whole", column=column, job=row["JobID"], text=text), line)
        return int(text)

    def _seconds(self, row: Mapping[str, str], start: datetime, end: datetime | None, line: int) -> int:
        if row.get("ElapsedRaw", "").strip():
            return self._whole(row, "ElapsedRaw", line)
        text = row.get("Elapsed", "").strip()
        if text:
            match = _ELAPSED.fullmatch(text)
            if match is None:
                raise fault(self.path, say("sacct.elapsed", job=row["JobID"], text=text), line)
            days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
            return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        if end is None:
            raise fault(self.path, say("sacct.no_end", job=row["JobID"]), line)
        return int((end - start).total_seconds())

    def _time(self, row: Mapping[str, str], column: str, line: int) -> datetime | None:
        text = row.get(column, "").strip()
        if text in _NOT:
            return None
        try:
            when = datetime.fromtimestamp(int(text), UTC) if text.isdigit() else datetime.fromisoformat(text)
            if when.tzinfo is None and self.zone is not None:
                when = when.replace(tzinfo=self.zone)
            when = when if when.tzinfo is None else when.astimezone(UTC)
            if when.year not in YEARS:
                raise ValueError("a year of no run")
            return when
        except (ValueError, OverflowError, OSError):
            said = say("sacct.not_a_time", column=column, job=row["JobID"], text=text)
            raise fault(self.path, said, line) from None

    def remarks(self, found: Sequence[Allocation]) -> list[str]:
        """What a reader should know of how GPUs and times were read."""
        out: list[str] = []
        if not self.accounts_gpus:
            out.append(say("sacct.nodes_count", gpus=self.gpus_per_node))
        if self.sliced:
            out.append(say("sacct.slices"))
        running = sum(each.kind == "running" for each in found)
        if running:
            out.append(say("sacct.running_more" if running > 1 else "sacct.running", jobs=running))
        unknown = sorted({each.state for each in found if each.state not in KINDS})
        if unknown:
            out.append(say("sacct.unknown_states", states=unknown[:5]))
        starts: dict[str, int] = {}
        for each in found:
            starts[each.job] = starts.get(each.job, 0) + 1
        if self.restarted and max(starts.values()) == 1:
            out.append(say("sacct.queued_again"))
        return out


def _gpus(column: str, text: str, nodes: int) -> int:
    """GPUs of an allocation. AllocTRES: of all nodes, a sum beside its parts by type; AllocGRES: of each node."""
    if column == "AllocGRES":
        return nodes * sum(int(count) for count in _GRES.findall(text))
    found = _TRES.findall(text)
    whole = [int(count) for kind, count in found if not kind]
    return whole[0] if whole else sum(int(count) for _, count in found)


def _before(one: datetime, other: datetime) -> bool:
    """Whether a moment is before another; of two kinds of clock nobody can tell."""
    return (one.tzinfo is None) == (other.tzinfo is None) and one < other


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # not found is a KeyError
        raise PlannerError(say("sacct.zone", zone=name)) from None
