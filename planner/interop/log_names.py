"""By which names tables and dictionaries of a log tell a step, its time, the batch and the loss.

Names are compared in small letters; the first one of a list that a row has is taken. Sources: what wandb, the trainers
of Hugging Face, LLaMA-Factory, ms-swift, NeMo, MaxText, nanotron, OLMo-core, litgpt, Composer and PaddleNLP write.
"""

from __future__ import annotations

from collections.abc import Mapping

from planner.interop.key_kinds import table_of_keys
from planner.interop.log_records import Hint, LogEntry, count, duration, moment, number, of_total, rate_seconds

_NAMES: Mapping[str, tuple[str, ...]] = {key: tuple(names) for key, names in table_of_keys("logs")["names"].items()}
STEP_NAMES, SECONDS_NAMES, MILLISECONDS_NAMES = _NAMES["step"], _NAMES["seconds"], _NAMES["milliseconds"]
TOTAL_NAMES, BATCH_NAMES = _NAMES["total"], _NAMES["batch"]
#: Throughputs, by what `rate_seconds` calls them.
RATE_NAMES: Mapping[str, tuple[str, ...]] = {key: tuple(names) for key, names in table_of_keys("logs")["rates"].items()}


class Names:
    """The names that the rows of one log were found to have, so that each is looked for once."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def get(self, row: Mapping[str, object], kind: str, names: tuple[str, ...]) -> object:
        """The value of the first of `names` that a row has; None if it has none of them."""
        known = self._found.get(kind)
        if known is not None and row.get(known) is not None and row[known] != "":
            return row[known]
        for name in names:
            if row.get(name) is not None and row[name] != "":
                self._found[kind] = name
                return row[name]
        return None

    def entry(self, row: Mapping[str, object], hint: Hint, label: bytes | None = None) -> LogEntry | None:
        """What a row says of a step; None where it names none.

        Where both `iter` and `step` stand beside `iter_time` (litgpt), `iter` counts micro-batches and times one.
        """
        micro = number(row.get("iter")) if "step" in row and "iter_time" in row else None
        step, total = of_total(row.get("step") if micro is not None else self.get(row, "step", STEP_NAMES))
        if step is None or not 0 < step < 1e15:
            return None
        seconds = None if micro is not None else self._seconds(row, hint)
        rate = number(self.get(row, "mean", _NAMES["mean_rate"]))
        mean = 1 / rate if rate and rate > 0 else number(self.get(row, "mean seconds", _NAMES["mean_seconds"]))
        elapsed = duration(self.get(row, "elapsed", _NAMES["elapsed"]))
        return LogEntry(
            int(step),
            seconds=seconds,
            elapsed=elapsed,
            clock=moment(self.get(row, "clock", _NAMES["clock"])),
            mean_s=mean,
            micro=None if micro is None else int(micro),
            micro_s=number(row.get("iter_time")) if micro is not None else None,
            total=count(total or number(self.get(row, "total", TOTAL_NAMES)), 1e15),
            batch=count(number(self.get(row, "batch", BATCH_NAMES)), 1e15),
            loss=number(self.get(row, "loss", _NAMES["loss"])),
            label=label,
        )

    def _seconds(self, row: Mapping[str, object], hint: Hint) -> float | None:
        seconds = number(self.get(row, "seconds", SECONDS_NAMES))
        if seconds is None:
            milliseconds = number(self.get(row, "milliseconds", MILLISECONDS_NAMES))
            seconds = None if milliseconds is None else milliseconds / 1e3
        if seconds is None:
            seconds = rate_seconds(hint, lambda kind: number(self.get(row, kind, RATE_NAMES[kind])))
        return seconds if seconds is not None and 0 < seconds < 1e7 else None


def column(name: str) -> str:
    """A header's cell in small letters; of "run - metric", as wandb exports a chart, the metric."""
    return name.strip().strip('"').lower().rsplit(" - ", 1)[-1].strip()
