"""Write what planner would have said of whole published runs: docs/backtest.md's tables, its chart, the stored JSON.

`make backtest` runs it, in some seconds; after the fit has changed, or what predicts. The page's words are written by
hand, the parts between marks by this script. `catalogs/calibration/backtest.json` is what proposals quote.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from planner.catalog.paths import data_dir
from planner.catalog.risk_facts import load_risk_facts
from planner.performance.loading import load_calibration
from planner.risk.backtest import Verdict, backtest, document, figures, is_run, published_rows
from planner.risk.overhead import published

ROOT = Path(__file__).parents[1]
PAGE, CHART = ROOT / "docs" / "backtest.md", ROOT / "docs" / "backtest.svg"
STORED = data_dir() / "calibration" / "backtest.json"
BEGIN, END = "<!-- {}: written by benchmarks/backtest.py -->", "<!-- end -->"
#: What published hours are, by `hours_include`.
INCLUDE = {
    "steps": "step time alone",
    "wall": "wall time, days to the day or week",
    "total": "all hours as published",
    "unknown": "not said",
    "most": "an upper bound",
}
#: What is known, beside the figures, of the runs farthest off.
WHY = {
    "dbrx-132b": (
        "Layout, batch and the share of 3,072 GPUs are not published. FSDP over all of them, a sequence each, "
        "is what planner's rules leave: nearly all of a step are its gathers, far beyond any size that was "
        "measured."
    ),
    "falcon-180b": (
        "Its hours are 150 TFLOP/s of the model on each A100, 48 % of the peak, with all that was lost. Without "
        "recompute (37 of 39.6 GiB) planner's steps take 1.8 times as long: 32 % of them are reductions over "
        "400 Gbit/s a node, which it takes to be hidden by nothing, 12 % the pipeline's idling. Whether anything was "
        "recomputed is not stated, so both are mixed: 2.3 times. The authors' own code was written for that "
        "network; what it hid we have not found stated. Hours are published to one digit, GPUs as 'up to'."
    ),
    "deepseek-v3-pretrain": (
        "Its own framework hides the experts' exchange behind another micro-batch (DualPipe); planner charges "
        "it, over a third of a step, as runs of other sites have it, and idles as 1F1B does. Its memory fits."
    ),
    "deepseek-v2-pretrain": (
        "GPUs are not published; over 2,048 to 16,384 the pipeline of 16 idles for up to half a step, which "
        "the range says."
    ),
    "llama3.2-1b": (
        "Pruned and distilled: the teachers' passes are in the hours or beside them, and 9 trillion tokens "
        "are an upper bound."
    ),
    "llama3.2-3b": "As the 1B.",
    "llama3-8b": "The card's 8B used its GPUs half as well as its 70B. Why is not published.",
    "phi-3.5-mini": (
        "Ten days are stated as for phi-3-mini with 30 % fewer tokens: days are rounded, or partly other work."
    ),
    "falcon-40b": "'Two months', so a tenth either way; own framework, as the 180B.",
    "llama1-65b": (
        "Its hours equal its tokens over its published rate, so nothing was lost on the way; by steps alone "
        "planner says a quarter more."
    ),
    "jetmoe-8b": "Experts of attention, too, which planner has no form for; its active ones are counted.",
    "glm-130b": "The hours are the 60 days in which the machine was theirs, failures and spikes in them.",
    "phi-3-medium": "What its 42 days include is not said.",
    "sea-lion-v2-8b-cpt": "Two days to the day: loading, evaluation and saving weigh on so short a run.",
    "opt-175b": (
        "Fully sharded with tensor parallelism, reductions hidden; predicted as what frameworks have in common."
    ),
    "sea-lion-v1-3b": "Fourteen days to the day; its published configuration has another batch than its card.",
}
FAR = 12  # runs in the table of the farthest


def table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """Markdown, the first columns left, the others right."""
    align = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, align, *rows))


def kinds(verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    """All, and those that state their layouts and those that do not."""
    return {
        "layout stated": [v for v in verdicts if v.layout_stated],
        "layout not stated": [v for v in verdicts if not v.layout_stated],
        "all": list(verdicts),
    }


def summary(verdicts: Sequence[Verdict]) -> str:
    """Errors and coverage by kind, of what the hours include and of step time alone."""
    rows = []
    for name, part in kinds(verdicts).items():
        f = figures(part)
        alone = sorted(abs(v.steps.middle / v.published - 1.0) for v in part)
        held = sum(v.steps.hold(v.published) for v in part)
        rows.append(
            [
                name,
                str(f["runs"]),
                f"{100 * f['median_error']:.0f}",
                f"{100 * f['bias']:+.0f}",
                share(f["inside"], len(part)),
                f"{100 * middle(alone):.0f}",
                share(held, len(part)),
                str(sum(v.published > v.predicted.high for v in part)),
                str(sum(v.published < v.predicted.low for v in part)),
            ]
        )
    head = ["", "runs", "median error %", "bias %", "in 80 % range", "steps alone: median error %", "in 80 % range"]
    return table([*head, "took longer than the range", "took less"], rows)


def by_include(verdicts: Sequence[Verdict]) -> str:
    """The same by what the published hours are."""
    rows = []
    for key, words in INCLUDE.items():
        part = [v for v in verdicts if v.include == key]
        f = figures(part)
        inside = share(f["inside"], len(part))
        rows.append([words, str(f["runs"]), f"{100 * f['median_error']:.0f}", f"{100 * f['bias']:+.0f}", inside])
    return table(["published hours", "runs", "median error %", "bias %", "in 80 % range"], rows)


def chosen(verdicts: Sequence[Verdict]) -> str:
    """How far planner's own choice of layout is from the plausible ones, and from what was published."""
    part = [v for v in verdicts if v.chosen is not None]
    gain = middle(sorted(1.0 - (v.chosen or 0.0) / v.steps.middle for v in part))
    off = sorted((v.chosen or 0.0) / v.published - 1.0 for v in part)
    away = 100 * middle(sorted(map(abs, off)))
    return (
        f"Of the {len(part)} runs without a layout, planner's own choice (of GPUs, too, where they are not stated) "
        f"takes {100 * gain:.0f} % less step time than the plausible ones do (median); against published hours it is "
        f"off by {away:.0f} %, {100 * middle(off):+.0f} % as a bias."
    )


def middle(values: Sequence[float]) -> float:
    """The median of sorted values."""
    n = len(values)
    return 0.5 * (values[(n - 1) // 2] + values[n // 2])


def share(count: int, of: int) -> str:
    return f"{count} ({100 * count / of:.0f} %)"


def hours(value: float) -> str:
    """Three digits."""
    digits = max(0, math.floor(math.log10(value)) - 2)
    return f"{round(value / 10**digits) * 10**digits:,}"


def each(verdicts: Sequence[Verdict]) -> str:
    """A row a run, GPU-hours."""
    rows = []
    for name, part in list(kinds(verdicts).items())[:2]:
        for v in part:
            said = f"{hours(v.predicted.low)} to {hours(v.predicted.high)}"
            own = hours(v.chosen) if v.chosen else ""
            rows.append(
                [
                    v.run,
                    name.removeprefix("layout "),
                    INCLUDE[v.include],
                    word(v),
                    hours(v.published),
                    hours(v.predicted.middle),
                    said,
                    f"{100 * v.error:+.0f}",
                    hours(v.steps.middle),
                    own,
                ]
            )
    head = ["run", "layout", "published hours are", "", "published", "said", "80 % range", "error %", "steps alone"]
    return table([*head, "own choice, steps"], rows, words=4)


def word(verdict: Verdict) -> str:
    """How a reader of the prediction would have fared."""
    if verdict.inside:
        return "held"
    return "**took longer**" if verdict.published > verdict.predicted.high else "took less"


def farthest(verdicts: Sequence[Verdict]) -> str:
    """The runs farthest from what was said, and why if it is known."""
    order = sorted(verdicts, key=lambda v: -abs(math.log(v.predicted.middle / v.published)))[:FAR]
    return table(
        ["run", "said / published", "what is known"],
        [[v.run, f"{v.predicted.middle / v.published:.2f}", WHY.get(v.run, "Not known.")] for v in order],
    )


# ---- chart -------------------------------------------------------------------------------------------------------

LEFT, RIGHT, WIDE, LINE, TOP = 170, 640, 760, 15, 74
FROM, TO = 1 / 16, 4.0
COLOURS = {"held": "#0072b2", "**took longer**": "#d55e00", "took less": "#8a8a8a"}


def chart(verdicts: Sequence[Verdict]) -> str:
    """An SVG: published hours over what was said, a bar for the 80 % range, the runs of each kind in order."""
    lines, y = [], TOP
    for name, part in list(kinds(verdicts).items())[:2]:
        lines.append(f'<text x="8" y="{y + 4}" font-weight="bold">{name}</text>')
        for v in sorted(part, key=lambda v: v.predicted.middle / v.published):
            y += LINE
            lines += _row(v, y)
        y += 2 * LINE
    ticks = []
    for value, label in ((0.125, "⅛"), (0.25, "¼"), (0.5, "½"), (1.0, "as said"), (2.0, "twice")):
        x = _x(value)
        width = 1.5 if value == 1.0 else 0.5
        ticks.append(
            f'<line x1="{x}" x2="{x}" y1="{TOP - 18}" y2="{y - LINE}" stroke="#999" stroke-width="{width}"/>'
            f'<text x="{x}" y="{TOP - 24}" text-anchor="middle">{label}</text>'
        )
    title = "GPU-hours that public runs took, over what planner would have said"
    key = "● within the 80 % range   ▲ took longer   ▽ took less   (bar: the 80 % range)"
    font = 'font-family="sans-serif" font-size="11" role="img"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {y}" {font} aria-label="{title}">',
            f'<rect width="{WIDE}" height="{y}" fill="#fff"/>',
            f'<text x="8" y="18" font-size="14">{title}</text>',
            f'<text x="8" y="34">{key}</text>',
            *ticks,
            *lines,
            "</svg>\n",
        ]
    )


def _x(ratio: float) -> float:
    at = math.log(min(max(ratio, FROM), TO) / FROM) / math.log(TO / FROM)
    return round(LEFT + (RIGHT - LEFT) * at, 1)


def _row(v: Verdict, y: int) -> list[str]:
    """Name, bar, mark and the factor of one run."""
    ratio, colour = v.published / v.predicted.middle, COLOURS[word(v)]
    low, high, x = _x(v.predicted.low / v.predicted.middle), _x(v.predicted.high / v.predicted.middle), _x(ratio)
    if v.inside:
        mark = f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>'
    elif v.published > v.predicted.high:
        mark = f'<path d="M{x} {y - 5}l5 9h-10z" fill="{colour}"/>'
    else:
        mark = f'<path d="M{x} {y + 5}l5 -9h-10z" fill="#fff" stroke="{colour}" stroke-width="1.5"/>'
    return [
        f'<text x="16" y="{y + 4}">{escape(v.run)}</text>',
        f'<line x1="{low}" x2="{high}" y1="{y}" y2="{y}" stroke="#bcd" stroke-width="7"/>{mark}',
        f'<text x="{WIDE - 12}" y="{y + 4}" text-anchor="end">× {ratio:.2f}</text>',
    ]


def sections(verdicts: Sequence[Verdict], rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The generated parts of the page, by name."""
    f, beside = figures(verdicts), published(load_risk_facts())
    longer = [v.run for v in verdicts if v.published > v.predicted.high]
    left = [row["run"] for row in rows if not is_run(row)]
    return {
        "headline": f"Of {f['runs']} public runs {f['inside']} stayed within the 80 % range. "
        f"{len(longer)} took longer than it: {', '.join(longer)}.",
        "summary": summary(verdicts),
        "include": by_include(verdicts),
        "overhead": f"× {beside.quantile(0.5):.2f} in the middle, {beside.quantile(0.1):.2f} to "
        f"{beside.quantile(0.9):.2f} in four of five runs (all sites; a run's own is left out)",
        "chosen": chosen(verdicts),
        "farthest": farthest(verdicts),
        "each": each(verdicts),
        "left": f"Not judged: {', '.join(left)} (estimates that never ran, and a run without published hours).",
    }


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with each generated part between its marks."""
    for name, text in parts.items():
        begin = BEGIN.format(name)
        head, rest = page.split(begin, 1)
        page = f"{head}{begin}\n{text}\n{END}{rest.split(END, 1)[1]}"
    return page


def main() -> None:
    rows, shipped = published_rows(), load_calibration()
    verdicts = backtest(rows, shipped)
    STORED.write_text(json.dumps(document(verdicts, shipped.digest), indent=1) + "\n", encoding="utf-8")
    CHART.write_text(chart(verdicts), encoding="utf-8")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), sections(verdicts, rows)), encoding="utf-8")
    print(f"wrote {STORED.relative_to(ROOT)}, {CHART.relative_to(ROOT)}, {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
