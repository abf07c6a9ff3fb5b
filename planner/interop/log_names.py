"""By which names tables and dictionaries of a log tell a step, its time, the batch and the loss.

Names are compared in small letters; the first one of a list that a row has is taken. Sources: what wandb, the trainers
of Hugging Face, LLaMA-Factory, ms-swift, NeMo, MaxText, nanotron, OLMo-core, litgpt, Composer and PaddleNLP write.
"""

from __future__ import annotations

from collections.abc import Mapping

from planner.interop.log_records import Hint, LogEntry, count, duration, moment, number, of_total, rate_seconds

STEP_NAMES = (
    "global_step/max_steps", "train/global_step", "trainer/global_step", "current_steps", "current_step", "iteration",
    "step", "global_step", "iter", "num_updates", "train/step", "train/iteration", "steps", "_step",
)  # fmt: skip
SECONDS_NAMES = (
    "step_time_s", "step_time", "iteration_time", "iteration_time_s", "time_per_iteration_s", "time_per_step",
    "seconds_per_step", "runtime/iteration_time", "step_seconds", "iter_time", "iteration-time",
    "train_step_timing in s", "perf/step_time_seconds", "elapsed time per iteration (s)",
    "elapsed_time_per_iteration", "elapsed_time_per_iteration_s", "perf/time_per_step", "timing_s/step",
    "train/step_time", "train/iteration-time", "iter-time", "step time", "time/step", "perf/seconds_per_step",
    "seconds",
)  # fmt: skip
MILLISECONDS_NAMES = (
    "step_time_ms", "elapsed_ms", "time_ms", "iteration_time_ms", "elapsed time per iteration (ms)", "ms",
    "elapsed_time_per_iteration_ms", "iter_time_ms", "train/step_time_ms", "step_avg_ms",
)  # fmt: skip
#: Throughputs: of steps, of sequences, of tokens in all, of tokens a GPU.
RATE_NAMES: Mapping[str, tuple[str, ...]] = {
    "steps_per_s": (
        "interval_steps_per_second", "throughput/batches_per_sec", "throughput/device/batches_per_second",
        "throughput/device/bps", "steps_per_second", "steps_per_sec", "it/s", "ups", "train/steps_per_second",
    ),
    "samples_per_s": ("throughput/samples_per_sec", "interval_samples_per_second", "samples_per_second", "samples/sec"),
    "tokens_per_s": ("throughput/tokens_per_sec", "tokens_per_sec", "tokens_per_second", "wps", "train/tokens_per_sec"),
    "tokens_per_s_gpu": (
        "throughput/device/tokens_per_sec", "throughput/device/tokens_per_second", "throughput/device/tps",
        "tokens_per_sec_per_gpu", "tokens_per_second_per_gpu", "perf/per_device_tokens_per_sec", "throughput(tps)",
    ),
}  # fmt: skip
#: A mean over all steps since the start: less than the time from row to row.
MEAN_RATE_NAMES = ("train_speed(iter/s)", "train_steps_per_second")
MEAN_SECONDS_NAMES = ("train_speed(s/it)",)
ELAPSED_NAMES = (
    "elapsed_time", "relative time (process)", "relative time (wall)", "_runtime", "elapsed_s", "elapsed_seconds",
    "train_time_s", "time_elapsed", "wall", "elapsed",
)  # fmt: skip
CLOCK_NAMES = ("timestamp", "_timestamp", "time", "wall_time", "wall time", "date", "datetime", "walltime")
TOTAL_NAMES = ("total_iterations", "train_iters", "total_steps", "max_steps")
BATCH_NAMES = ("global_batch", "global_batch_size", "global batch size", "train_batch_size", "batch_size")
LOSS_NAMES = (
    "lm loss", "lm_loss", "reduced_train_loss", "loss", "train_loss", "train/loss", "train/lm_loss", "learning/loss",
    "train/ce loss", "train/crossentropyloss", "loss/train/total",
)  # fmt: skip


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
        rate = number(self.get(row, "mean", MEAN_RATE_NAMES))
        mean = 1 / rate if rate and rate > 0 else number(self.get(row, "mean seconds", MEAN_SECONDS_NAMES))
        elapsed = duration(self.get(row, "elapsed", ELAPSED_NAMES))
        return LogEntry(
            int(step),
            seconds=seconds,
            elapsed=elapsed,
            clock=moment(self.get(row, "clock", CLOCK_NAMES)),
            mean_s=mean,
            micro=None if micro is None else int(micro),
            micro_s=number(row.get("iter_time")) if micro is not None else None,
            total=count(total or number(self.get(row, "total", TOTAL_NAMES)), 1e15),
            batch=count(number(self.get(row, "batch", BATCH_NAMES)), 1e15),
            loss=number(self.get(row, "loss", LOSS_NAMES)),
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
