"""Short runs to measure, and what they taught, on one screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from planner.money import GPU_HOURS, Money, in_its_money, writing
from planner.report.figures import chance, gpu_hours_text, money_text
from planner.report.layout import Page, bullets, columns, hanging, wrap
from planner.units import format_count, format_number, format_percent


class ProbeDocument(Protocol):
    """What the tables are made of: a document of JSON, and what its amounts are written in."""

    @property
    def document(self) -> Mapping[str, Any]: ...
    @property
    def money(self) -> Money: ...


@in_its_money
def probe_table(told: ProbeDocument, width: int, colour: bool = False) -> str:
    """What to run, its price, and what it is expected to do: at most 40 lines of 80 columns."""
    document = told.document
    page = Page(width, colour)
    plan = document["answer"]["plan"]
    title = f"{document['answer']['provenance']['scenario']}: {_cluster(plan)}"
    if not document["measure"]:
        lines = [*map(page.heading, wrap(f"{title}: do not measure.", width)), "", *wrap(f"{document['why']}.", width)]
        return "\n".join([*lines, "", *_decision(document, page)]) + "\n"
    price, unit = document["price"], document["unit"]
    runs = document["runs"]
    named = f"{len(runs)} short run{'s' if len(runs) > 1 else ''} of {document['candidates']} that could be made"
    paid = gpu_hours_text(price["gpu_hours"])
    paid += f", {money_text(_cost(price))}" if unit != GPU_HOURS else ""
    head = f"{title}: measure {named} first, for {paid}."
    lines = [*map(page.heading, wrap(head, width)), ""]
    lines += _runs_table(runs, unit, page)
    for run in runs:
        lines += hanging(f"run {run['number']}", _run_words(run), page)
    lines += ["", *_decision(document, page)]
    lines += ["", *hanging("then", _then(), page)]
    return "\n".join(lines) + "\n"


def _then() -> str:
    return (
        "start each folder's job, then `planner probe --read DIR LOG…`; nccl-tests and matmul tables may be given "
        "beside the logs"
    )


def _cluster(plan: Mapping[str, Any]) -> str:
    return f"{format_count(plan['gpus'])} × {plan['offer']['gpu']} at {plan['offer']['cloud']}"


def _runs_table(runs: Sequence[Mapping[str, Any]], unit: str, page: Page) -> list[str]:
    paid = [] if unit == GPU_HOURS else [writing().unit]
    rows = [["run", "nodes", "GPUs", "layers", "steps", "minutes", GPU_HOURS, *paid]]
    for run in runs:
        cut = f"{run['layers']} of {run['whole_layers']}"
        cells = [str(run["number"]), str(run["nodes"]), format_count(run["gpus"]), cut, str(run["steps"])]
        cells += [format_number(run["minutes"], 2), format_number(run["gpu_hours"], 3)]
        rows.append(cells + [format_number(writing().amount(_cost(run)), 3) for _ in paid])
    return columns(rows, "rrrrrrrr"[: len(rows[0])], page)


def _run_words(run: Mapping[str, Any]) -> str:
    layout = run["plan"]["layout"]
    degrees = " ".join(
        f"{key}{layout[key]}" for key in ("tp", "pp", "dp", "cp", "ep") if layout[key] > 1 or key == "tp"
    )
    crossed = run["crosses_nodes"]
    over = f"; {' and '.join(crossed)} traffic crosses nodes" if crossed else "; inside one node"
    return f"{degrees} mb{layout['micro_batch']} × {layout['grad_accum']}, {run['step_time_s']:.3g} s a step{over}"


def _cost(part: Mapping[str, Any]) -> float:
    """What is paid, in money or in hours that are counted."""
    return float(part["cost_usd"] if part["cost_usd"] is not None else part["cost_hours"])


def _amount(value: float, unit: str) -> str:
    return gpu_hours_text(value) if unit == GPU_HOURS else money_text(value)


def _decision(document: Mapping[str, Any], page: Page) -> list[str]:
    """The ask, its width and the chance of another plan: as it stands, and as it is expected to be."""
    now, later, unit = document["now"], document["expected"], document["unit"]
    rows = [["", "now", "expected after"]]
    sure = format_percent(document["confidence"])
    rows.append([f"the ask, held with {sure}", _amount(now["ask"], unit), _amount(later["ask"], unit)])
    rows.append(["p10 to p90 of the cost", _amount(now["width"], unit), _amount(later["width"], unit)])
    steps = [f"± {format_percent(1.2816 * each['spread'])}" for each in (now, later)]
    rows.append(["step time, four in five", *steps])
    rows.append(["chance that the plan changes", "", chance(later["changes"])])
    rows.append(["saved by changing it, mean", "", _amount(later["saved"], unit)])
    if not document["measure"]:
        rows = [row[:2] for row in rows[:4]]
    else:
        rows.append(["worth, beside the price", "", _worth(document)])
    return columns(rows, "lrr"[: len(rows[0])], page)


def _worth(document: Mapping[str, Any]) -> str:
    unit, price = document["unit"], document["price"]
    paid = price["gpu_hours"] if unit == GPU_HOURS else _cost(price)
    return f"{_amount(document['worth'], unit)} for {_amount(paid, unit)}"


@in_its_money
def reading_table(told: ProbeDocument, width: int, colour: bool = False) -> str:
    """What was measured, what looks wrong, and the ask before and after."""
    document, page = told.document, Page(width, colour)
    unit = document["unit"]
    lines = [*map(page.heading, wrap(document["headline"], width)), ""]
    if document["runs"]:
        rows = [["run", "log", "steps", "s a step", "p10 to p90", "predicted", "ratio"]]
        for run in document["runs"]:
            spread = f"{run['step_p10_s']:.3g} to {run['step_p90_s']:.3g}"
            rows.append(
                [
                    str(run["number"]), run["log"], str(run["steps"]), f"{run['step_time_s']:.4g}", spread,
                    f"{run['predicted_s']:.4g}", f"{run['ratio']:.3f}",
                ]
            )  # fmt: skip
        lines += [*columns(rows, "rlrrrrr", page, flexible=1, least=8), ""]
    for bench in document["benches"]:
        lines += hanging(bench["kind"], bench["text"], page)
    for said in document["unused"]:
        lines += hanging("not learnt", said, page)
    lines += [""] if document["benches"] or document["unused"] else []
    wrong = document["looks_wrong"] or ["nothing looks wrong"]
    lines += [page.heading("What looks wrong"), *bullets(wrong, page), ""]
    before, after = document["before"], document["after"]
    rows = [["", "before", "after"]]
    sure = format_percent(document["confidence"])
    rows.append([f"the ask, held with {sure}", *(_known(each, "ask", unit) for each in (before, after))])
    for name in ("p10", "p50", "p90"):
        rows.append([f"cost, {name}", *(_known(each, name, unit) for each in (before, after))])
    rows.append(["chance within budget", *(chance(each["chance"]) if each else "none" for each in (before, after))])
    rows.append(["plan", *(each["plan"] if each else "none meets the budgets" for each in (before, after))])
    lines += columns(rows, "lll", page, flexible=2, least=20)
    lines += ["", *wrap(document["verdict"], width)]
    return "\n".join(lines) + "\n"


def _known(each: Mapping[str, Any] | None, key: str, unit: str) -> str:
    return "none" if each is None else _amount(each[key], unit)
