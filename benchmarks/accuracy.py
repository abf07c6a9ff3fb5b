"""Write docs/accuracy.md's tables from the stored left-out errors; with --studies also refit for ablation and ten rows.

`make accuracy` runs it. Errors come from catalogs/calibration/fit.json (each row predicted by a fit that never saw
it); the studies take many refits (about a quarter of an hour) and are kept in catalogs/calibration/studies.json.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # many small fits: threads only get in each other's way

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from planner.catalog import load_catalog
from planner.catalog.paths import data_dir
from planner.performance.arrays import FloatArray
from planner.performance.calibration import Calibration, load_calibration
from planner.performance.fitting import WIDTHS
from planner.performance.intervals import spread
from planner.performance.learning import (
    FOLDS,
    KEYS,
    held_out,
    learn,
    log_errors,
    measured_files,
    read_runs,
    uncalibrated,
)
from planner.performance.next_runs import next_runs
from planner.performance.rates import RateRule, design
from planner.performance.residual import ResidualField
from planner.performance.rows import Run
from planner.performance.spreads import without
from planner.performance.stacks import context_of, kind_of
from planner.performance.validation import Judged, contests, regret, subset

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "accuracy.md"
STUDIES = data_dir() / "calibration" / "studies.json"
BEGIN, END = "<!-- {}: written by benchmarks/accuracy.py -->", "<!-- end -->"
LEVELS = ("configuration", "group", "model")  # by which spreads of a measured stack are kept
SOURCES = ("llm-foundry dense", "megatron-bridge dense", "megatron-bridge moe", "vtrain-multi dense")
TEN = 10
TEN_HEAD = [
    "source",
    "none",
    f"{TEN} drawn",
    f"{TEN} picked",
    f"1 drawn, {TEN - 1} picked",
]
NO_TAILS = "heavy tails (soft L1 to the end)"
DRAWS = 30  # of ten rows of each source
STARTS = 10  # of those draws, whose first row is a start for picking nine more
SWITCH_LABELS = ("graphs", "dispatch", "overlap", "eager", "fused", "fp8_attention", "repeated")


def source_of(run: Run) -> str:
    return f"{run.source} {kind_of(run.setting.model)}"


def judged(runs: list[Run], shipped: Calibration, left_out: str) -> Judged:
    """The stored errors, each with the spread that a calibration without the row would have stated."""
    key = KEYS[left_out]
    sets: dict[object, list[int]] = {}
    for i, run in enumerate(runs):
        sets.setdefault(key(run), []).append(i)
    sigma = np.zeros(len(runs))
    for rows in sets.values():
        out = {runs[i].id for i in rows}
        kept = [i for i, p in enumerate(shipped.field.places) if p.id not in out]
        field = ResidualField(tuple(shipped.field.places[i] for i in kept), shipped.field.weights[kept])
        # No parameter is known that only these rows call for; the others' values do not enter a spread.
        named = design(shipped.rules, [context_of(r.setting) for r in runs if r.id not in out]).names
        values = {name: shipped.values[name] for name in named}
        blind = replace(without(shipped, shipped, out), field=field, values=values)
        for i in rows:
            sigma[i] = spread(runs[i].setting, np.asarray([runs[i].gpus]), blind).sigma[0]
    return Judged(tuple(runs), shipped.left_out[left_out], sigma, left_out)


def figures(part: Judged) -> list[str]:
    """Rows, median, mean, 90th percentile, bias, coverage as they are printed."""
    ape = np.abs(part.throughput_ratio - 1.0)
    numbers = (np.median(ape), ape.mean(), np.quantile(ape, 0.9))
    bias = np.median(part.throughput_ratio) - 1.0
    return [
        str(len(part.runs)),
        *(f"{100 * x:.1f}" for x in numbers),
        f"{100 * bias:+.1f}",
        f"{100 * part.inside.mean():.0f}",
    ]


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    align = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, align, *rows))


def by(part: Judged, label: Callable[[Run], str]) -> Iterable[list[str]]:
    labels = [label(r) for r in part.runs]
    for name in sorted(set(labels)):
        yield [name, *figures(subset(part, [i for i, other in enumerate(labels) if other == name]))]


HEAD = ["", "rows", "median %", "mean %", "90th %", "bias %", "in 80 % interval"]


def sections(runs: list[Run], shipped: Calibration, studies: Mapping[str, Any]) -> dict[str, str]:
    """The generated parts of the page, by name."""
    parts = {name: judged(runs, shipped, name) for name in KEYS}
    group = parts["group"]
    order = np.argsort(-np.abs(group.throughput_ratio - 1.0), kind="stable")[:12]
    worst = [
        [
            runs[i].id,
            f"{runs[i].model_name}, {runs[i].gpus} {runs[i].setting.accelerator.id.split('-')[0]}",
            runs[i].setting.release,
            f"{runs[i].tokens_per_s_per_gpu:,.0f}",
            f"{100 * (group.throughput_ratio[i] - 1.0):+.0f}",
        ]
        for i in order
    ]
    chosen = regret(group)
    first = f"{100 * chosen['first_bias']:+.1f} % bias, {100 * chosen['first_coverage80']:.0f} % inside"
    measured, unseen = sorted(shipped.spreads["group"]), sorted(shipped.spreads["stack"].items())
    spreads = [
        *([label, *(f"{shipped.spreads[level][label]:.3f}" for level in LEVELS)] for label in measured),
        *([f"a stack never measured, {kind}", "", "", f"{sigma:.3f}"] for kind, sigma in unseen),
    ]
    return {
        "group": table(HEAD, by(group, source_of)),
        "configuration": table(HEAD, by(parts["configuration"], source_of)),
        "whole-model": table(HEAD, by(parts["model"], source_of)),
        "source": table(HEAD, by(parts["source"], source_of)),
        "accelerator": table(HEAD, by(group, lambda r: r.setting.accelerator.id)),
        "model": table(HEAD, by(group, lambda r: r.setting.model.name)),
        "worst": table(["row", "run", "release", "measured tokens/s", "error %"], worst),
        "regret": f"{100 * chosen['mean']:.1f} % on the mean of {len(contests(group))} sets, "
        f"{100 * chosen['worst']:.1f} % at worst; of the layouts ranked first: {first}.",
        "spreads": table(["stack and kind", *(f"{level} left out" for level in LEVELS)], spreads),
        "ten": table(
            TEN_HEAD,
            [[name, *map(mean_and_range, studies["ten"][name].values())] for name in sorted(studies["ten"])],
        )
        if "ten" in studies
        else "",
        "ablation": table(
            ["without", *(f"{s}: median / 90th %" for s in SOURCES), "ranked first: bias %"],
            [
                [
                    name,
                    *(f"{100 * m:.1f} / {100 * p:.1f}" for m, p in (cells[s] for s in SOURCES)),
                    f"{100 * cells['first']:+.1f}",
                ]
                for name, cells in studies["ablation"].items()
            ],
        )
        if "ablation" in studies
        else "",
    }


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with each generated part between its marks."""
    for name, text in parts.items():
        begin = BEGIN.format(name)
        if begin not in page or not text:
            continue
        head, rest = page.split(begin, 1)
        tail = rest.split(END, 1)[1]
        page = f"{head}{begin}\n{text}\n{END}{tail}"
    return page


# ---- studies: many refits ----------------------------------------------------------------------------------------


def _rule(model: Calibration, name: str, **changes: Any) -> Calibration:
    return replace(model, rules={**model.rules, name: replace(model.rules[name], **changes)})


def _pinned(prior: Calibration, name: str, value: float) -> Calibration:
    return _rule(prior, name, prior=value, by=(), sigma=(), means={})


def _without_labels(prior: Calibration, *marks: str) -> Calibration:
    rules: dict[str, RateRule] = {}
    for name, rule in prior.rules.items():
        kept = [(b, s) for b, s in zip(rule.by, rule.sigma, strict=True) if not any(m in b for m in marks)]
        rules[name] = replace(rule, by=tuple(b for b, _ in kept), sigma=tuple(s for _, s in kept))
    return replace(prior, rules=rules)


def ablations(prior: Calibration) -> dict[str, Calibration]:
    """The prior model with one thing taken away."""
    none = 1e-9
    no_host = prior
    for name in ("host_layer", "host_moe", "host_expert"):
        no_host = _pinned(no_host, name, none)
    no_factors = prior
    for name in ("matmul", "attention", "expert"):
        no_factors = _rule(no_factors, name, by=(), sigma=(), means={})
    return {
        "nothing": prior,
        NO_TAILS: prior,
        "recipes": _without_labels(prior, *SWITCH_LABELS),
        "fitted matmul, attention, expert rates": no_factors,
        "operand traffic": _pinned(prior, "traffic", none),
        "host time": no_host,
        "memory-bound operations": _pinned(_pinned(prior, "pointwise", none), "routing", none),
        "casts to 8 and 4 bits": _pinned(prior, "quantize", none),
        "scores in memory (old attention)": _pinned(prior, "scores", none),
        "tensor-parallel traffic": _pinned(prior, "tensor", none),
        "what narrow groups lose": _pinned(prior, "narrow", none),
        "a network of one's own": _rule(prior, "network", by=(), sigma=()),
        "FSDP traffic": _pinned(prior, "shard", none),
        "gradient traffic, optimizer, constants": _pinned(
            _pinned(_pinned(_pinned(prior, "data", none), "optimizer", none), "step", none), "micro_batch", none
        ),
        "all-to-all": _pinned(prior, "expert_exchange", none),
    }


def _worth(runs: list[Run], errors: FloatArray) -> dict[str, Any]:
    """Median and 90th percentile by source, and the bias of the layouts ranked first ("first"), as fractions."""
    ape = np.abs(np.exp(-errors) - 1.0)
    labels = np.asarray([source_of(r) for r in runs])
    found: dict[str, Any] = {
        s: (round(float(np.median(ape[labels == s])), 4), round(float(np.quantile(ape[labels == s], 0.9)), 4))
        for s in SOURCES
    }
    found["first"] = regret(Judged(tuple(runs), errors, np.ones(len(runs)), "group"))["first_bias"]
    return found


def study(runs: list[Run], prior: Calibration, shipped: Calibration) -> dict[str, Any]:
    """Ablation with an eighth of the groups left out at a time, and each source with none and ten of its rows known."""
    ablation = {}
    groups = {g: i % FOLDS for i, g in enumerate(sorted({r.group for r in runs}))}
    for name, model in ablations(prior).items():
        held = held_out(runs, model, lambda r: groups[r.group], widths=() if name == NO_TAILS else WIDTHS)
        ablation[name] = _worth(runs, held.errors)
        print(name, ablation[name], flush=True)
        if name == "nothing":
            plain = np.zeros(len(runs))
            for i, (run, key) in enumerate(zip(runs, held.keys, strict=True)):
                plain[i] = log_errors([run], held.calibrations[key], corrected=False)[0]
            ablation["residual correction"] = _worth(runs, plain)
    return {"ten": ten_rows(runs, prior, shipped), "ablation": ablation}


def mean_and_range(medians: list[float]) -> str:
    """Of one median itself; of several their mean, least and most; in per cent."""
    if len(medians) == 1:
        return f"{100 * medians[0]:.1f}"
    return f"{100 * np.mean(medians):.1f} ({100 * min(medians):.1f} to {100 * max(medians):.1f})"


def ten_rows(runs: list[Run], prior: Calibration, shipped: Calibration) -> dict[str, dict[str, list[float]]]:
    """Median errors of a source's other rows by source, as in TEN_HEAD: with none of its rows known, and with ten."""
    ten: dict[str, dict[str, list[float]]] = {}
    rng = np.random.default_rng(0)
    for source in sorted({r.source for r in runs}):
        mine = [i for i, r in enumerate(runs) if r.source == source]
        others = [r for r in runs if r.source != source]
        start = learn(others, prior)
        draws = [rng.choice(mine, TEN, replace=False).tolist() for _ in range(DRAWS)]
        picks = [picked(runs, given, mine, others, start) for given in ([], *(draw[:1] for draw in draws[:STARTS]))]
        medians = []
        for known in (*draws, *picks):
            fitted = learn([*others, *(runs[i] for i in sorted(known))], prior, start.values)
            asked = [runs[i] for i in mine if i not in known]
            medians.append(np.median(np.abs(np.exp(-log_errors(asked, fitted)) - 1.0)))
        before = np.abs(np.exp(-shipped.left_out["source"][mine]) - 1.0)
        found = {
            "none": [np.median(before)],
            "drawn": medians[:DRAWS],
            "picked": medians[DRAWS : DRAWS + 1],
            "after_one": medians[DRAWS + 1 :],
        }
        ten[source] = {name: [round(float(x), 4) for x in each] for name, each in found.items()}
        print(source, ten[source], flush=True)
    return ten


def picked(runs: list[Run], given: list[int], mine: list[int], others: list[Run], start: Calibration) -> list[int]:
    """Ten rows of a source: those given, and the rest as `planner calibrate --choose` would pick them."""
    rest = [i for i in mine if i not in given]
    known = [*others, *(runs[i] for i in given)]
    return given + [rest[p.index] for p in next_runs([runs[i] for i in rest], known, start, TEN - len(given))]


def main(options: list[str]) -> None:
    runs = read_runs(measured_files())
    shipped = load_calibration()
    if "--studies" in options:
        found = study(runs, uncalibrated(load_catalog().curves), shipped)
        STUDIES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    studies = json.loads(STUDIES.read_text(encoding="utf-8")) if STUDIES.is_file() else {}
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), sections(runs, shipped, studies)), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
