"""What a part and a network were measured to do by themselves: nccl-tests' output, and CSV tables of matmuls."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from planner.reading import fault, read_text
from planner.units import PlannerError
from planner.words import say

MAX_BYTES = 16 << 20
MATMUL = ("m", "n", "k", "dtype", "tflops")
_ROW = re.compile(
    r"^\s*(?:\[[^\]\n]{1,40}\][^:\n]{0,60}:\s*)?(\d+)\s+(\d+)\s+([a-z]\w*)\s+(?:(\w+)\s+)?(?:(-?\d+)\s+)?"
    r"([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+(\S+)(?:\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)\s+(\S+))?\s*$"
)
_RANK = re.compile(r"#?\s*Rank\s+(\d+)\s+(?:Group\s+\d+\s+)?Pid\s+\d+\s+on\s+(\S+)\s+device\s+\d+\s+\[[^\]]*\]\s*(.*)$")
_NAMED = re.compile(
    r"\b(all_reduce|all_gather|reduce_scatter|alltoall|sendrecv|broadcast|reduce|gather|scatter)_perf\b"
)
_STARTING = re.compile(r"Collective test starting:\s*(\w+?)_perf")
_NCCL = re.compile(r"busbw|out-of-place|nccl-tests|_perf\b", re.IGNORECASE)
#: Collectives by their bus bandwidth over algorithm bandwidth at n ranks (nccl-tests, doc/PERFORMANCE.md).
_FACTORS = {"all_reduce": 2.0, "all_gather": 1.0}  # times (n - 1) / n


@dataclass(frozen=True, slots=True)
class Collective:
    """One nccl-tests table: who took part, and the bus bandwidth by message size."""

    name: str  # all_reduce, all_gather, ...
    ranks: int
    hosts: tuple[str, ...]  # of the ranks, in order
    gpu: str  # as the driver names it
    sizes: tuple[int, ...]  # bytes
    busbw: tuple[float, ...]  # 1e9 bytes/s, the better of out of place and in place
    wrong: int  # values that were checked and were not right

    @property
    def nodes(self) -> int:
        return len(set(self.hosts)) or 1

    @property
    def largest(self) -> tuple[int, float]:
        """The best bus bandwidth among messages of an eighth of the largest and more: (bytes, 1e9 bytes/s)."""
        near = [(rate, size) for size, rate in zip(self.sizes, self.busbw, strict=True) if 8 * size >= self.sizes[-1]]
        rate, size = max(near)
        return size, rate


@dataclass(frozen=True, slots=True)
class Matmul:
    """One measured matmul."""

    m: int
    n: int
    k: int
    dtype: str
    tflops: float
    node: str = ""


def bench_of(path: Path) -> list[Collective] | list[Matmul] | None:
    """The tables of nccl-tests or the matmuls in a file; None where it is neither.

    Raises
    ------
    PlannerError
        If it is one of them and cannot be read, naming file and line.
    """
    head = _head(path)
    first = {name.strip().strip('"').lower() for name in head.partition("\n")[0].lstrip("\ufeff").split(",")}
    if set(MATMUL) <= first:
        return read_matmuls(path)
    if _NCCL.search(head) and any(_ROW.match(line) or _RANK.search(line) for line in head.splitlines()):
        return read_collectives(path)
    return None


def read_collectives(path: Path) -> list[Collective]:
    """The tables of an nccl-tests output, in their order; several runs may stand in one file.

    Raises
    ------
    PlannerError
        If it cannot be read or holds no row.
    """
    text = read_text(path, MAX_BYTES, say("bench_tables.nccl"), (".txt", ".log", ".out"))
    reader = _Reader(path)
    for line in text.splitlines():
        reader.take(line[:400])
    reader.close()
    if not reader.found:
        raise fault(path, say("bench_tables.no_row"))
    return reader.found


@dataclass
class _Reader:
    """The tables so far, and what is known of the one that is being read."""

    path: Path
    found: list[Collective] = field(default_factory=list)
    ranks: dict[int, tuple[str, str]] = field(default_factory=dict)
    rows: list[tuple[int, float, float, int]] = field(default_factory=list)
    named: str = ""
    redop: str = ""

    def take(self, line: str) -> None:
        if name := (_STARTING.search(line) or _NAMED.search(line)):
            self.close()
            self.named = name[1]
        if at := _RANK.search(line):
            rank = int(at[1])
            if self.rows or rank in self.ranks:
                self.close()
                self.ranks = {} if rank == 0 else self.ranks
            self.ranks[rank] = (at[2], " ".join(at[3].split()))
        elif row := _ROW.match(line):
            size, rate, algorithm, wrong = _numbers(row)
            if self.rows and size < self.rows[-1][0]:
                self.close()
            self.redop = row[4] or ""
            if size > 0 and rate > 0:
                self.rows.append((size, rate, algorithm, wrong))

    def close(self) -> None:
        """The rows so far are a table."""
        if self.rows:
            self.found.append(_collective(self.path, self.named, self.redop, self.ranks, self.rows))
        self.rows = []


def _numbers(row: re.Match[str]) -> tuple[int, float, float, int]:
    """Bytes, bus and algorithm bandwidth, and wrong values of a row: of its better half."""
    halves = [(float(row[8]), float(row[7]), row[9])]
    if row[12] is not None:
        halves.append((float(row[12]), float(row[11]), row[13]))
    rate, algorithm, _ = max(halves)
    wrong = sum(int(each[2]) for each in halves if each[2].isdigit())
    return int(row[1]), rate, algorithm, wrong


def _collective(
    path: Path, named: str, redop: str, ranks: dict[int, tuple[str, str]], rows: list[tuple[int, float, float, int]]
) -> Collective:
    """One table; a collective that nothing names is known by its bus bandwidth over its algorithm bandwidth."""
    ratio = rows[-1][1] / rows[-1][2] if rows[-1][2] else 0.0
    count = len(ranks)
    if not named:
        known = [n for n, times in _FACTORS.items() if count > 1 and abs(ratio - times * (count - 1) / count) < 0.02]
        named = known[0] if known else ("all_reduce" if ratio > 1.05 else "all_gather")
        if named == "all_gather" and redop not in ("", "none"):
            named = "reduce_scatter"
    if count < 2:
        # All-reduces tell their ranks: busbw / algbw = 2 (n - 1) / n.
        doubled = ratio if named == "all_reduce" else 2.0 * ratio
        count = round(2.0 / (2.0 - doubled)) if 1.0 <= doubled < 1.999 else 0
        if count < 2:
            raise fault(path, say("bench_tables.no_ranks"))
    hosts = tuple(ranks[i][0] for i in sorted(ranks))
    gpu = ranks[min(ranks)][1] if ranks else ""
    sizes, busbw, _, wrong = zip(*rows, strict=True)
    return Collective(named, count, hosts, gpu, sizes, busbw, sum(wrong))


def read_matmuls(path: Path) -> list[Matmul]:
    """The rows of a CSV table with the columns m, n, k, dtype, tflops; `node` (or host, gpu, rank) says where.

    Raises
    ------
    PlannerError
        If it cannot be read, or a cell is no number.
    """
    text = read_text(path, MAX_BYTES, say("bench_tables.matmuls"), (".csv",))
    rows = csv.DictReader(io.StringIO(text))
    header = {name.strip().lower(): name for name in rows.fieldnames or ()}
    place = next((header[name] for name in ("node", "host", "hostname", "gpu", "rank") if name in header), None)
    found = []
    try:
        for number, row in enumerate(rows, 2):
            cells = {name: (row.get(header[name]) or "").strip() for name in MATMUL}
            if not any(cells.values()):
                continue
            try:
                m, n, k = (int(float(cells[name])) for name in "mnk")
                rate = float(cells["tflops"])
            except (ValueError, OverflowError):
                raise fault(path, say("bench_tables.not_numbers"), number) from None
            if not (min(m, n, k) > 0 and max(m, n, k) < 10**9 and 0 < rate < 1e6):
                raise fault(path, say("bench_tables.not_positive"), number)
            where = "" if place is None else (row.get(place) or "").strip()
            found.append(Matmul(m, n, k, cells["dtype"].lower(), rate, where))
    except csv.Error as error:
        raise fault(path, say("bench_tables.not_csv", why=str(error))) from None
    if not found:
        raise fault(path, say("bench_tables.no_matmul"))
    return found


def best_matmul(rows: Sequence[Matmul]) -> Matmul:
    """The fastest of these; of several nodes, that of the node in the middle."""
    best: dict[str, Matmul] = {}
    for row in rows:
        if row.node not in best or row.tflops > best[row.node].tflops:
            best[row.node] = row
    return sorted(best.values(), key=lambda row: row.tflops)[len(best) // 2]


def _head(path: Path) -> str:
    """The first bytes of a file, "" where it cannot be read as text: the log reader then says what is wrong."""
    try:
        with path.open("rb") as file:
            return file.read(1 << 20).decode("utf-8", "replace") if path.is_file() else ""
    except (OSError, ValueError, PlannerError):
        return ""
