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
from planner.words import say

_MOST = 64 << 20  # bytes; a history of a million steps
WHOLE = 0.97  # of the history's losses: less in a summary is of a part of the run
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
        raise PlannerError(say("log_trainer_state.no_times", file=shown(path, 200), steps=len(steps)))
    start = 0.0 if summary is None else _began(rows, steps, summary)
    mean = summary["train_runtime"] / (summary["step"] - start) if summary is not None else None
    total = state.get("max_steps")
    written = [_row(row, mean if row["step"] > start else None, total) for row in steps]
    return "".join(json.dumps(row) + "\n" for row in written).encode()


def _began(rows: list[dict[str, Any]], steps: list[dict[str, Any]], summary: dict[str, Any]) -> float:
    """The step from which the run that wrote the summary went on: 0 of one that was never resumed.

    `train_runtime` is of that run alone. An earlier run that ended has a summary of its own. One that was stopped has
    none: `train_loss` is the sum of the last run's losses over all steps (trainer.py: _total_loss_scalar starts anew at
    a resume, effective_global_step does not), so that the losses in the history, counted from the end, tell the step.
    """
    last = float(summary["step"])
    earlier = [float(row["step"]) for row in rows if _number(row.get("train_runtime")) and row["step"] < last]
    loss: Any = summary.get("train_loss")
    if earlier:
        return max(earlier)
    if not _number(loss):
        return 0.0
    known = [
        (float(row["step"]), float(row["loss"])) for row in steps if _number(row.get("loss")) and row["step"] <= last
    ]
    spans = [
        (step, (step - before) * value)
        for (step, value), (before, _) in zip(known, [(0.0, 0.0), *known[:-1]], strict=True)
    ]
    left = float(loss) * last
    if left > WHOLE * sum(part for _, part in spans):
        return 0.0
    for step, part in reversed(spans):
        if left <= part / 2:
            return step
        left -= part
    return 0.0


def _row(row: dict[str, Any], mean: float | None, total: Any) -> dict[str, Any]:
    own = {} if mean is None or any(name in row for name in _TIMES) else {"step_time_s": mean}
    return {**row, **own, **({"max_steps": total} if _number(total) else {})}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e15
