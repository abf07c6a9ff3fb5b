"""What planner would have said of whole published runs before they began: GPU-hours against the published ones.

`catalogs/runs/published.csv` holds the runs. No fit reads it. Whatever the fit knows of a run's own site is taken out
before the run is predicted; what was measured elsewhere, earlier or later, is not. What a run does not state is
predicted over what is plausible: layouts by `mixture`, GPUs by how many tokens of a step each had elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, median
from typing import Any

import numpy as np

from planner.catalog import Catalog, load_catalog
from planner.catalog.paths import data_dir
from planner.catalog.risk_facts import load_risk_facts
from planner.performance.calibration import Calibration
from planner.performance.conditions import optimizer_state_bytes
from planner.performance.fitting import fit
from planner.performance.mixture import mix
from planner.performance.predict import predict_run
from planner.performance.refit import measured_files, read_runs, uncalibrated
from planner.performance.rows import DEGREES, Run, read_run
from planner.reading import read_csv
from planner.risk.completion import completion
from planner.risk.failures import hazards, interruption_rate
from planner.risk.overhead import published
from planner.spec.scenario import Risk
from planner.units import PlannerError
from planner.words import say
from planner.workload.counts import parameter_counts

Row = Mapping[str, str]

STEPS = "steps"  # published hours that are step time alone
NO_RUN = ("estimate", "none")  # `hours_include` of what never ran, and of what has no hours
SEQUENCE = 4096  # tokens, where a run states none
STEP_TOKENS = 2**22  # where no batch is stated: the four million of LLaMA and its like, at least a sequence a GPU
TOKENS_A_GPU = (2048, 32768)  # of a step, on each GPU: LLaMA 65B had 2 thousand, DeepSeek-V3 30; sizes are powers of 2
FEWEST, MOST = 8, 2**14  # GPUs, where a run states none
HOUR = 3600.0
TENTH = NormalDist().inv_cdf(0.9)


@dataclass(frozen=True, slots=True)
class Hours:
    """GPU-hours: low and high bound the 80 % interval."""

    low: float
    middle: float
    high: float

    def hold(self, published: float) -> bool:
        """Whether the published figure lies within."""
        return self.low <= published <= self.high


@dataclass(frozen=True, slots=True)
class Verdict:
    """One run: what was published and what would have been said."""

    run: str
    site: str
    layout_stated: bool
    include: str  # what the published hours are: steps | wall | total | unknown | most
    published: float  # GPU-hours
    steps: Hours  # step time alone
    predicted: (
        Hours  # what the published hours include, where that is more than steps: failures and overhead as plans have
    )
    chosen: float | None  # GPU-hours of steps with the fastest layout, where the run states none
    assumed: tuple[str, ...]

    @property
    def error(self) -> float:
        """Predicted / published - 1."""
        return self.predicted.middle / self.published - 1.0

    @property
    def inside(self) -> bool:
        return self.predicted.hold(self.published)


def published_rows() -> list[dict[str, str]]:
    """All rows of the table of whole runs."""
    return list(read_csv(data_dir() / "runs" / "published.csv").rows())


def is_run(row: Row) -> bool:
    """Whether a row is of something that ran and whose hours were published."""
    return row["hours_include"] not in NO_RUN


def calibrations_without(sites: Iterable[str], shipped: Calibration) -> dict[str, Calibration]:
    """By site, the calibration that its rows did not teach; the shipped one where there are none of it."""
    wanted = dict.fromkeys(sites)
    known = read_runs(measured_files())
    here = [r.setting.conditions.site for r in known]
    if not set(wanted) & set(here):
        return dict.fromkeys(wanted, shipped)
    prior = replace(uncalibrated(load_catalog().curves), spreads=shipped.spreads)
    found = fit(known, prior, shipped)
    return {
        site: found.calibration(prior, np.flatnonzero([other == site for other in here])) if site in here else shipped
        for site in wanted
    }


def backtest(rows: Sequence[Row], shipped: Calibration) -> list[Verdict]:
    """The verdict on every row that is a run (`is_run`), in their order.

    Raises
    ------
    PlannerError
        If a row cannot be read or predicted: none is dropped.
    """
    runs = [row for row in rows if is_run(row)]
    blind = calibrations_without((row["site"] for row in runs), shipped)
    parts = load_catalog((data_dir() / "runs",))
    return [judge_run(row, parts, blind[row["site"]]) for row in runs]


def judge_run(row: Row, parts: Catalog, calibration: Calibration) -> Verdict:
    """What this calibration says of one row."""
    runs, assumed = candidates(row, parts)
    found = [predict_run(run, calibration) for run in runs]
    mixtures = [mix(run, calibration) for run in runs]
    token_hours = float(row["tokens_total"]) / HOUR
    # Logarithms of seconds a token on one GPU, and their spreads below and above the middle.
    each = [-math.log(f.tokens_per_s_per_gpu) for f in found]
    middle, apart = float(np.mean(each)), float(np.std(each))
    down = math.hypot(float(np.mean([math.log(f.high / f.tokens_per_s_per_gpu) / TENTH for f in found])), apart)
    up = math.hypot(float(np.mean([math.log(f.tokens_per_s_per_gpu / f.low) / TENTH for f in found])), apart)
    steps = Hours(*(token_hours * math.exp(middle + off) for off in (-TENTH * down, 0.0, TENTH * up)))
    predicted = steps if row["hours_include"] == STEPS else _allocated(runs[len(runs) // 2], steps.middle, down, up)
    stated = states_layout(row)
    fastest = min(mixed.fastest if mixed else one for mixed, one in zip(mixtures, each, strict=True))
    return Verdict(
        run=row["run"],
        site=row["site"],
        layout_stated=stated,
        include=row["hours_include"],
        published=float(row["gpu_hours"]),
        steps=steps,
        predicted=predicted,
        chosen=None if stated else token_hours * math.exp(fastest),
        assumed=(*assumed, *found[len(found) // 2].assumed),
    )


def _allocated(run: Run, gpu_hours: float, down: float, up: float) -> Hours:
    """What a run of so many GPU-hours of steps takes with its failures, checkpoints and overhead, as a plan says it.

    Failures are those of its GPUs; of its own site's shares none is used.
    """
    facts, setting, usual = load_risk_facts(), run.setting, Risk()
    hazard = hazards(
        facts,
        usual,
        rate=interruption_rate(facts, setting.accelerator.family, "any", usual),
        preemptions=0.0,
        parameters=parameter_counts(setting.model).total,
        gpus=np.array([run.gpus]),
        gpus_per_node=setting.hardware.gpus_per_node,
        optimizer_bytes=optimizer_state_bytes(setting),
    )
    work, spread = np.array([gpu_hours * HOUR / run.gpus]), (np.array([down]), np.array([up]))
    runs = completion(work, *spread, hazard, published(facts, setting.conditions.site))
    return Hours(*(float(runs.quantile(p)[0]) * run.gpus / HOUR for p in (0.1, 0.5, 0.9)))


def states_layout(row: Row) -> bool:
    """Whether a row states its degrees of parallelism and its GPUs; a micro-batch may be left open."""
    return bool(row["gpus"]) and any(row[name] for name in DEGREES)


def candidates(row: Row, parts: Catalog) -> tuple[list[Run], tuple[str, ...]]:
    """The runs that a row may have been, one a number of GPUs, and what was taken for what it does not state."""
    cells, assumed = {**row, "tokens_per_s_per_gpu": ""}, []
    if not cells["seq_len"]:
        cells["seq_len"] = str(SEQUENCE)
        assumed.append(say("backtest.sequences", tokens=SEQUENCE))
    sequence = int(cells["seq_len"])
    batch = int(cells["global_batch_samples"] or STEP_TOKENS // sequence)
    sizes = [int(cells["gpus"])] if cells["gpus"] else _sizes(batch * sequence)
    if not cells["global_batch_samples"]:
        assumed.append(say("backtest.batches", millions=STEP_TOKENS // 10**6))
        batches = [math.ceil(batch / n) * n for n in sizes] if cells["gpus"] else [batch] * len(sizes)
    else:
        ranks = int(cells["dp"] or 1)
        batches = [batch // ranks * ranks] * len(sizes)
        if batches[0] != batch:
            assumed.append(say("backtest.batch", batch=batches[0], ranks=ranks))
    if not cells["gpus"]:
        assumed.append(say("backtest.gpus", least=sizes[0], most=sizes[-1]))
    found = []
    for gpus, size in zip(sizes, batches, strict=True):
        changed = {"gpus": str(gpus), "global_batch_samples": str(size)}
        found.append(read_run(cells | changed, parts, row["run"]))
    return found, tuple(assumed)


def _sizes(step_tokens: int) -> list[int]:
    """Powers of two of GPUs that each have a plausible part of a step."""
    low, high = TOKENS_A_GPU
    powers = [2**n for n in range(int(math.log2(FEWEST)), int(math.log2(MOST)) + 1)]
    fitting = [n for n in powers if low <= step_tokens / n <= high]
    if not fitting:
        raise PlannerError(say("backtest.no_gpus", tokens=step_tokens))
    return fitting


# Figures --------------------------------------------------------------------------------------------------------------


def figures(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """How many, how many inside, and median error and bias as fractions, of what was said of them."""
    off = [v.error for v in verdicts]
    return {
        "runs": len(verdicts),
        "inside": sum(v.inside for v in verdicts),
        "median_error": round(median(map(abs, off)), 3),
        "bias": round(median(off), 3),
    }


def document(verdicts: Sequence[Verdict], digest: str) -> dict[str, Any]:
    """What `catalogs/calibration/backtest.json` holds: figures of all and by kind, and each run in GPU-hours."""
    kinds = {"stated": True, "unstated": False}
    return {
        "digest": digest,
        **figures(verdicts),
        "by_layout": {name: figures([v for v in verdicts if v.layout_stated is kind]) for name, kind in kinds.items()},
        "each": {
            v.run: {
                "published": v.published,
                **{name: float(f"{getattr(v.predicted, name):.4g}") for name in ("low", "middle", "high")},
            }
            for v in verdicts
        },
    }
