"""`trainer_state.json` of Hugging Face's Trainer as lines of a log: its history, with the time that its summary tells.

The file is written at a checkpoint; only that of a finished run has the summary with `train_runtime`.
Source: transformers 5.24, trainer_callback.py (TrainerState) and trainer_utils.py (speed_metrics).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from planner.interop.files import shown
from planner.units import PlannerError

_MOST = 64 << 20  # bytes; a history of a million steps
_TIMES = ("step_time", "step_time_s", "train_step_time", "timestamp", "elapsed_time", "train_speed(s/it)")


def trainer_state_lines(path: Path) -> bytes | None:
    """JSON lines that say what a trainer_state.json does; None for any other file.

    Raises
    ------
    PlannerError
        If it is one and holds no time: steps alone say nothing of a run's progress in hours.
    """
    try:
        if not path.is_file():  # a pipe is read once
            return None
        with path.open("rb") as file:
            head = file.read(1)
            data = head + file.read(_MOST) if head == b"{" else b""
    except (OSError, ValueError):
        return None  # the reader of logs says why
    if b'"log_history"' not in data:
        return None
    try:
        state = json.loads(data)
    except (ValueError, RecursionError):
        return None
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list):
        return None
    rows = [row for row in history if isinstance(row, dict) and _number(row.get("step"))]
    summary = next((row for row in reversed(rows) if _number(row.get("train_runtime"))), None)
    steps = [row for row in rows if "loss" in row]
    if not any(name in row for row in steps for name in _TIMES) and summary is None:
        raise PlannerError(
            f"{shown(path, 200)} is a trainer_state.json of {len(steps):,} logged steps and no times: the Trainer "
            "writes them into it when training ends; give what the run prints, or its trainer_log.jsonl."
        )
    mean = summary["train_runtime"] / summary["step"] if summary is not None else None
    total = state.get("max_steps")
    written = [_row(row, mean, total) for row in steps]
    return "".join(json.dumps(row) + "\n" for row in written).encode()


def _row(row: dict[str, Any], mean: float | None, total: Any) -> dict[str, Any]:
    own = {} if mean is None or any(name in row for name in _TIMES) else {"step_time_s": mean}
    return {**row, **own, **({"max_steps": total} if _number(total) else {})}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e15
