"""Short runs to measure, and what they taught, on one screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Protocol

from planner.money import GPU_HOURS, Money, in_its_money, writing
from planner.report.figures import between, chance, gpu_hours_text, money_text, unit_text
from planner.report.layout import Page, bullets, columns, hanging, heads, labelled, wrap
from planner.units import format_count, format_number
from planner.words import phrase, said


class ProbeDocument(Protocol):
    """What the tables are made of: a document of JSON, and what its amounts are written in."""

    @property
    def document(self) -> Mapping[str, Any]: ...
    @property
    def money(self) -> Money: ...


@in_its_money
def probe_table(probing: ProbeDocument, width: int, colour: bool = False) -> str:
    """What to run, its price, and what it is expected to do: at most 40 lines of 80 columns."""
    document = probing.document
    page = Page(width, colour)
    plan = document["answer"]["plan"]
    title = {
        "scenario": document["answer"]["provenance"]["scenario"],
        "gpus": plan["gpus"],
        "gpu": plan["offer"]["gpu"],
        "cloud": plan["offer"]["cloud"],
    }
    if not document["measure"]:
        lines = [*map(page.heading, wrap(said("probe.do_not", **title), width)), ""]
        lines += wrap(said("labels.sentence", text=document["why"]), width)
        return "\n".join([*lines, "", *_decision(document, page)]) + "\n"
    price, unit, runs = document["price"], document["unit"], document["runs"]
    paid: str = gpu_hours_text(price["gpu_hours"])
    if unit != GPU_HOURS:
        paid = said("labels.beside", text=paid, more=money_text(_cost(price)))
    counts = {"runs": len(runs), "candidates": document["candidates"]}
    lines = [*map(page.heading, wrap(said("probe.measure", **title, **counts, paid=paid), width)), ""]
    lines += _runs_table(runs, unit, page)
    for run in runs:
        lines += hanging(said("probe.run", number=run["number"]), _run_words(run), page)
    lines += ["", *_decision(document, page)]
    lines += ["", *labelled("then", said("probe.then"), page)]
    return "\n".join(lines) + "\n"


def _runs_table(runs: Sequence[Mapping[str, Any]], unit: str, page: Page) -> list[str]:
    paid = [] if unit == GPU_HOURS else [unit_text(writing().unit)]
    rows = [[*heads("run_number", "nodes", "gpus", "layers", "steps", "minutes", "gpu_hours"), *paid]]
    for run in runs:
        cut = said("probe.of", some=run["layers"], all=run["whole_layers"])
        cells = [str(run["number"]), str(run["nodes"]), format_count(run["gpus"]), cut, str(run["steps"])]
        cells += [format_number(run["minutes"], 2), format_number(run["gpu_hours"], 3)]
        rows.append(cells + [format_number(writing().amount(_cost(run)), 3) for _ in paid])
    return columns(rows, "rrrrrrrr"[: len(rows[0])], page)


def _run_words(run: Mapping[str, Any]) -> str:
    layout = run["plan"]["layout"]
    degrees = " ".join(
        f"{key}{layout[key]}" for key in ("tp", "pp", "dp", "cp", "ep") if layout[key] > 1 or key == "tp"
    )
    crossed = [phrase("traffic", kind) for kind in run["crosses_nodes"]]
    values = {"layout": f"{degrees} mb{layout['micro_batch']} × {layout['grad_accum']}", "step": run["step_time_s"]}
    if not crossed:
        return said("probe.inside_a_node", **values)
    crossing = reduce(lambda some, other: said("comparing.and", some=some, other=other), crossed)
    return said("probe.across_nodes", **values, crossing=crossing)


def _cost(part: Mapping[str, Any]) -> float:
    """What is paid, in money or in hours that are counted."""
    return float(part["cost_usd"] if part["cost_usd"] is not None else part["cost_hours"])


def _amount(value: float, unit: str) -> str:
    return gpu_hours_text(value) if unit == GPU_HOURS else money_text(value)


def _decision(document: Mapping[str, Any], page: Page) -> list[str]:
    """The ask, its width and the chance of another plan: as it stands, and as it is expected to be."""
    now, later, unit = document["now"], document["expected"], document["unit"]
    amounts = ("ask", "asked"), ("width", "width")
    rows = [heads("", "now", "expected_after")]
    for key, name in amounts:
        label = said(f"probe.{name}", sure=document["confidence"])
        rows.append([label, _amount(now[key], unit), _amount(later[key], unit)])
    steps = [said("probe.either_way", share=1.2816 * each["spread"]) for each in (now, later)]
    rows.append([said("probe.step_time"), *steps])
    rows.append([said("probe.changes"), "", chance(later["changes"])])
    rows.append([said("probe.saved"), "", _amount(later["saved"], unit)])
    if not document["measure"]:
        rows = [row[:2] for row in rows[:4]]
    else:
        rows.append([said("probe.worth"), "", _worth(document)])
    return columns(rows, "lrr"[: len(rows[0])], page)


def _worth(document: Mapping[str, Any]) -> str:
    unit, price = document["unit"], document["price"]
    paid = price["gpu_hours"] if unit == GPU_HOURS else _cost(price)
    return said("probe.worth_for", worth=_amount(document["worth"], unit), price=_amount(paid, unit))


@in_its_money
def reading_table(probing: ProbeDocument, width: int, colour: bool = False) -> str:
    """What was measured, what looks wrong, and the ask before and after."""
    document, page = probing.document, Page(width, colour)
    unit = document["unit"]
    lines = [*map(page.heading, wrap(document["headline"], width)), ""]
    if document["runs"]:
        rows = [heads("run_number", "log", "steps", "seconds_a_step", "p10_to_p90", "predicted", "ratio")]
        for run in document["runs"]:
            spread = between(f"{run['step_p10_s']:.3g}", f"{run['step_p90_s']:.3g}")
            rows.append(
                [
                    str(run["number"]), run["log"], str(run["steps"]), f"{run['step_time_s']:.4g}", spread,
                    f"{run['predicted_s']:.4g}", f"{run['ratio']:.3f}",
                ]
            )  # fmt: skip
        lines += [*columns(rows, "rlrrrrr", page, flexible=1, least=8), ""]
    for bench in document["benches"]:
        lines += hanging(bench["kind"], bench["text"], page)
    for unused in document["unused"]:
        lines += labelled("not_learnt", unused, page)
    lines += [""] if document["benches"] or document["unused"] else []
    wrong = document["looks_wrong"] or [said("probe.nothing_wrong")]
    lines += [page.heading(said("probe.looks_wrong")), *bullets(wrong, page), ""]
    before, after = document["before"], document["after"]
    rows = [heads("", "before", "after")]
    heading = said("probe.asked", sure=document["confidence"])
    rows.append([heading, *(_known(each, "ask", unit) for each in (before, after))])
    for name in ("p10", "p50", "p90"):
        rows.append([said("probe.cost", level=name), *(_known(each, name, unit) for each in (before, after))])
    chances = (chance(each["chance"]) if each else said("labels.none") for each in (before, after))
    plans = (each["plan"] if each else said("probe.none_meets") for each in (before, after))
    rows += [[said("probe.chance"), *chances], [said("probe.plan"), *plans]]
    lines += columns(rows, "lll", page, flexible=2, least=20)
    lines += ["", *wrap(document["verdict"], width)]
    return "\n".join(lines) + "\n"


def _known(each: Mapping[str, Any] | None, key: str, unit: str) -> str:
    return said("labels.none") if each is None else _amount(each[key], unit)
