"""The tables of docs/accuracy.md, from errors and spreads of rows that were left out and from the studies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from accuracy_studies import OWN, REFITTED, SITUATIONS, source_of

from planner.performance.calibration import Calibration
from planner.performance.gpu_names import chip_of
from planner.performance.refit import measured_files
from planner.performance.residual import Levels
from planner.performance.rows import Run
from planner.performance.stacks import kind_of
from planner.performance.tables import read_table
from planner.performance.validation import Judged, by_source, interval_score, regret, subset

WAYS = {  # of leaving out, and what a fit then does not know
    "configuration": "the configuration, in all releases",
    "group": "model, part and precision together",
    "model": "the model, on all that its stack ran it on",
    "source": "the source",
    "site": "the site",
    "stack": "the software stack",
    "part": "the part",
}
KNOWN = {  # rows of known sites, and the most that median and 90th percentile may come to, %
    "llm-foundry dense": (2, 6),
    "megatron-bridge dense": (4, 12),
    "megatron-bridge moe": (6, 20),
    "vtrain-multi dense": (5, 15),
}
SHARED = {  # by two runs: the labels of a spread, in words
    "all": "any two",
    "moe": "any two of MoE models",
    "family format": "of a family of parts and a number format",
    "family format moe": "the same, of MoE models",
    "gpu": "of a part",
    "stack": "of a stack",
    "stack moe": "of a stack, of MoE models",
    "stack family": "of a stack on a family of parts",
    "model": "of a model",
    "model stack": "of a model on a stack",
    "site": "of a site",
    "site moe": "of a site, of MoE models",
    "smooth": "of a stack, fading with distance in size, sequence and GPUs",
    "noise": "none: a dense run's own",
    "noise moe": "none: a MoE run's own",
    "unseen part": "none: a part of which no run is known",
}
CLEAR = 0.02  # a source's median that moves by more is named in an ablation
WORST = 15
LONG = 32768  # tokens of a sequence


# ---- figures -----------------------------------------------------------------------------------------------------


def by(part: Judged, label: Callable[[Run], str]) -> dict[str, Judged]:
    rows: dict[str, list[int]] = {}
    for i, run in enumerate(part.runs):
        rows.setdefault(label(run), []).append(i)
    return {name: subset(part, rows[name]) for name in sorted(rows)}


def figures(part: Judged) -> list[str]:
    """Median, 90th percentile, bias, coverage as they are printed."""
    ape = np.abs(part.throughput_ratio - 1.0)
    bias = np.median(part.throughput_ratio) - 1.0
    return [
        percent(np.median(ape)),
        percent(np.quantile(ape, 0.9)),
        f"{100 * bias:+.1f}",
        f"{100 * part.inside.mean():.0f}",
    ]


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """Cells as Markdown; the first `words` columns are text."""
    align = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, align, *rows))


# ---- the parts of the page ---------------------------------------------------------------------------------------


def yours(own: Mapping[str, Any]) -> str:
    """What to expect of one's run: medians over sources, by what is known and by rows of one's own."""
    lines = []
    for kind in ("dense", "moe"):
        for situation in SITUATIONS:
            found = [u for u in own["situations"][situation] if u["name"].endswith(f" {kind}")]
            cells = [_expected([u[str(count)] for u in found if str(count) in u]) for count in OWN]
            known = f"{len(found)}, {sum('1' in u for u in found)}"
            lines.append([situation, "MoE" if kind == "moe" else kind, *cells, known])
    head = ["of your run", "model", "no row of yours", "1 row", "3 rows", "10 rows", "sources"]
    return table(head, lines, 2)


def _expected(found: Sequence[Mapping[str, float]]) -> str:
    """Medians over sources of median error and half-width of the 80 % interval; the mean of what it holds."""
    if not found:
        return "-"
    error, half = (np.median([u[name] for u in found]) for name in ("median", "half"))
    return f"{100 * error:.0f} / {100 * half:.0f} ({100 * np.mean([u['inside'] for u in found]):.0f})"


def headline(part: Judged, before: Mapping[str, float]) -> str:
    """The figures of all sources with the site left out, beside those of the fit before."""
    found = by_source(part)
    figures = [
        [percent(f["mdape"]), percent(f["mean_mdape"]), f"{100 * f['bias']:+.1f}", f"{100 * f['coverage80']:.0f}"]
        for f in (found, before)
    ]
    words = ("median error {} %", "{} % on the mean", "bias {} %", "{} % of rows in the 80 % interval")
    now, then = (", ".join(w.format(x) for w, x in zip(words, f, strict=True)) for f in figures)
    return f"**{now}.** The fit before, of three sources, came to: {then}."


def summary(parts: Mapping[str, Judged], studies: Mapping[str, Any]) -> str:
    lines = []
    for way, words in WAYS.items():
        found = by_source(parts[way])
        lines.append([f"{words}, fitted anew" if way in REFITTED else words, *_once(found)])
        if way in REFITTED:
            lines.append([f"{words}, solved", *_once(studies["solved"][way])])
    apart: Mapping[str, Callable[[Run], bool]] = {
        "dense models": lambda r: kind_of(r.setting.model) == "dense",
        "MoE models": lambda r: kind_of(r.setting.model) == "moe",
        "TPU": lambda r: r.setting.accelerator.family == "tpu",
        f"sequences of {LONG:,} and more": lambda r: r.setting.seq_length >= LONG,
    }
    for name, is_of in apart.items():
        rows = [i for i, r in enumerate(parts["site"].runs) if is_of(r)]
        once = by_source(subset(parts["site"], rows))
        lines.append([f"the site, fitted anew: {name} (sources: {once['sources']})", *_once(once)])
    before = studies["before"]["each_source_once"]
    lines.append(["*the fit before*, most of these rows new to it", *_once(before)])
    head = ["left out", "median %", "mean %", "bias %", "in 80 %", "under half", "interval score"]
    return table(head, lines)


def _once(found: Mapping[str, Any]) -> list[str]:
    return [
        percent(found["mdape"]),
        percent(found["mean_mdape"]),
        f"{100 * found['bias']:+.1f}",
        f"{100 * found['coverage80']:.0f}",
        f"{found['under_half']} of {found['of_many']}",
        f"{found['interval_score']:.2f}",
    ]


def sources(part: Judged, before: Mapping[str, float]) -> str:
    kinds = {row["source_id"]: row["kind"] for path in measured_files() for row in read_table(path).rows}
    lines = []
    for name, one in by(part, lambda r: r.source).items():
        models = {"MoE" if kind_of(r.setting.model) == "moe" else "dense" for r in one.runs}
        score = f"{interval_score(one).mean():.2f}"
        lines.append(
            [
                name,
                kinds[name],
                ", ".join(sorted(models)),
                str(len(one.runs)),
                *figures(one),
                score,
                f"{before[name]:.2f}",
            ]
        )
    head = [
        "source",
        "kind",
        "models",
        "rows",
        "median %",
        "90th %",
        "bias %",
        "in 80 %",
        "interval score",
        "of the fit before",
    ]
    return table(head, lines, 3)


def share_better(part: Judged, before: Mapping[str, float]) -> tuple[int, int]:
    """Sources whose intervals score better than those of the fit before, and all."""
    names = by(part, lambda r: r.source)
    return sum(bool(interval_score(one).mean() < before[name]) for name, one in names.items()), len(names)


def better(part: Judged, before: Mapping[str, float]) -> str:
    won, of = share_better(part, before)
    return f"Intervals score better than those of the fit before on {won} of {of} sources."


def aims(parts: Mapping[str, Judged], studies: Mapping[str, Any]) -> str:
    """What was aimed at, and what came out."""
    site, own = by_source(parts["site"]), studies["own"]
    won, of = share_better(parts["site"], studies["before"]["interval_score"])
    halves, lost = np.mean(own["pythia"]), regret(parts["site"])["mean"]
    under = f"{site['under_half']} of {site['of_many']}"
    checks = [
        ("median over sources of the median error", "10 %", f"{percent(site['mdape'])} %", site["mdape"] <= 0.10),
        ("bias", "within 5 %", f"{100 * site['bias']:+.1f} %", abs(site["bias"]) <= 0.05),
        ("80 % intervals hold", "72 to 90 %", f"{100 * site['coverage80']:.0f} %", 0.72 <= site["coverage80"] <= 0.9),
        ("sources under 50 %", "at most a fifth", under, site["under_half"] <= site["of_many"] / 5),
        ("interval score better than before", "three quarters of sources", f"{won} of {of}", won >= 0.75 * of),
        ("Pythia's halves", "6 %", f"{percent(halves)} %", halves <= 0.06),
        ("regret over all sweeps", "1.5 %", f"{percent(lost)} %", lost <= 0.015),
    ]
    for count, aim in zip(OWN[1:], (0.08, 0.065, 0.055), strict=True):
        rows = [u[str(count)] for u in own["sources"]]
        median, inside = np.median([u["median"] for u in rows]), np.mean([u["inside"] for u in rows])
        said = f"{percent(median)} %, hold {100 * inside:.0f} %"
        ask = f"{percent(aim)} %, hold 75 %"
        checks.append((f"{count} own row{'s' * (count > 1)}", ask, said, median <= aim and inside >= 0.75))
    return table(
        ["the site left out", "aim", "came out", "met"],
        [[what, aim, said, "yes" if met else "no"] for what, aim, said, met in checks],
    )


def limits(group: Judged) -> str:
    found = by(group, source_of)
    lines = []
    for name, limit in KNOWN.items():
        ape = np.abs(found[name].throughput_ratio - 1.0)
        came = (100 * np.median(ape), 100 * np.quantile(ape, 0.9))
        within = all(round(x, 1) <= most for x, most in zip(came, limit, strict=True))
        sides = [" / ".join(f"{x:g}" for x in limit), " / ".join(f"{x:.1f}" for x in came), "yes" if within else "no"]
        lines.append([name, *sides, *figures(found[name])[2:]])
    return table(["source", "at most: median / 90th %", "came out", "within", "bias %", "in 80 %"], lines)


def own_rows(own: Mapping[str, Any]) -> str:
    columns = (*map(str, OWN), "picked")
    lines = [
        [u["name"], str(u["rows"]), *(f"{percent(u[c]['median'])} ({100 * u[c]['inside']:.0f})" for c in columns)]
        for u in own["sources"]
    ]
    over = []
    for name, mean in (("*median over sources*", np.median), ("*mean over sources*", np.mean)):
        cells = (
            f"{percent(mean([u[c]['median'] for u in own['sources']]))} "
            f"({100 * np.mean([u[c]['inside'] for u in own['sources']]):.0f})"
            for c in columns
        )
        over.append([name, "", *cells])
    return table(["source", "rows", "none", "1", "3", "10", "10 picked"], [*lines, *over])


def pythia(own: Mapping[str, Any]) -> str:
    halves = own["pythia"]
    each = ", ".join(percent(x) for x in halves)
    return f"{percent(np.mean(halves))} % on the mean of the six ways to halve them ({each})."


def sweeps(parts: Mapping[str, Judged]) -> str:
    lines = []
    for way in ("group", "site", "stack", "part"):
        found = regret(parts[way])
        lines.append(
            [
                WAYS[way],
                str(found["contests"]),
                percent(found["mean"]),
                percent(found["worst"]),
                f"{100 * found['first_bias']:+.1f}",
                f"{100 * found['first_coverage80']:.0f}",
            ]
        )
    return table(["left out", "sweeps", "mean %", "worst %", "first: bias %", "first: in 80 %"], lines)


def spreads(shipped: Calibration) -> str:
    lines = [[words, f"{shipped.spreads[name]:.3f}"] for name, words in SHARED.items()]
    return table(
        ["what runs share", "standard deviation of ln(step)"],
        [*lines, ["factor on all", f"{shipped.spreads['scale']:.2f}"]],
    )


def levels_in_use(shipped: Calibration) -> str:
    return table(["level", "value"], [[f"`{f.name}`", f"{getattr(shipped.levels, f.name):g}"] for f in fields(Levels)])


def worst(part: Judged) -> str:
    order = np.argsort(-np.abs(part.throughput_ratio - 1.0), kind="stable")[:WORST]
    lines = [
        [
            run.id,
            f"{run.model_name}, {run.gpus} {chip_of(run.setting.accelerator.id)}",
            f"{run.setting.framework} {run.setting.release}"[:48].strip(),
            f"{run.tokens_per_s_per_gpu:,.0f}",
            f"{100 * (part.throughput_ratio[i] - 1.0):+.0f}",
        ]
        for i, run in ((i, part.runs[i]) for i in order)
    ]
    return table(["row", "run", "software", "measured tokens/s", "error %"], lines, 3)


def accelerators(parts: Mapping[str, Judged]) -> str:
    cells: dict[str, list[str]] = {}
    for way in ("site", "part"):
        for name, one in by(parts[way], lambda r: chip_of(r.setting.accelerator.id)).items():
            start = [name, str(len({r.source for r in one.runs})), str(len(one.runs))]
            cells.setdefault(name, start).extend(figures(one))
    names = ["median %", "90th %", "bias %", "in 80 %"]
    return table(["part", "sources", "rows", *(f"{w}: {n}" for w in ("site", "part") for n in names)], cells.values())


def ablation(studies: Mapping[str, Any], kind: str) -> str:
    """What is lost without each: mean over sources of their medians, by way of leaving out, and sources that move."""
    base = studies[kind]["nothing"]
    lines = []
    for name, found in studies[kind].items():
        medians = list(found["site"].values())
        cells = [
            percent(np.median(medians)),
            *(percent(np.mean(list(found[w].values()))) for w in ("site", "stack", "part", "group")),
        ]
        cells += [f"{found['score']:.2f}", f"{found['factor']:.2f}"] if kind == "levels" else []
        lines.append([name, *cells, moved(base["site"], found["site"])])
    head = ["without", "site: median %", "site: mean %", "stack: mean %", "part: mean %", "group: mean %"]
    head += ["interval score", "factor"] if kind == "levels" else []
    return table([*head, "sources that move by two points and more, the site left out"], lines)


def moved(base: Mapping[str, float], found: Mapping[str, float]) -> str:
    """Sources whose median differs clearly, the most first, in points: worse is +."""
    by_size = sorted(((found[s] - base[s], s) for s in base), key=lambda pair: -abs(pair[0]))
    return ", ".join(f"{s} {100 * d:+.1f}" for d, s in by_size if abs(d) >= CLEAR) or "-"
