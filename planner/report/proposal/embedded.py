"""What travels inside the documents: every run worth a look for the page's controls, and plans for the workbook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from planner.money import Money
from planner.report.frontier import layout_in_short
from planner.report.proposal.case import Case
from planner.report.proposal.frontier import spaced, window
from planner.report.proposal.model import Ledger, PlanRow
from planner.report.proposal.spread import curve, middle_rate, prices, share_of
from planner.search.pools import node_range
from planner.search.prices import price_range
from planner.search.proposal_study import Choice
from planner.search.run_cost import HOUR_S
from planner.spec.hardware import Offer
from planner.words import worded

LEDGER_PLANS = 60
CHANGES = (0.5, 0.7, 1.0, 1.4, 2.0)  # of all prices, that the page knows a spread price at; between them a line


def explorer_data(case: Case) -> Mapping[str, Any]:
    """Per-offer frontiers at three confidences, as numbers that a script turns into the search's own answers.

    `pools[i].cells` rows: nodes, GPUs, global batch, layout text, median seconds, seconds at each of `levels`.
    `offers` rows say which pools they sell, their price, and least and most nodes.
    """
    study, p = case.study, case.study.state
    times = [study.times(0.5), *(study.times(level) for level in study.levels)]
    pools: list[dict[str, Any]] = [
        {
            "gpu": case.gpu(pool.setting.accelerator.id),
            "framework": pool.setting.framework,
            "paid": [pool.paid.minimum_s, pool.paid.step_s, pool.paid.block_s, pool.paid.then],
            "wait": pool.waiting_s,
            "cells": [],
        }
        for pool in p.space.pools
    ]
    for i, cell in enumerate(study.cells.tolist()):
        pools[int(p.space.pool[cell])]["cells"].append(
            [
                int(p.space.nodes[cell]),
                int(p.space.gpus[cell]),
                int(p.best.batch[cell]),
                _layout_text(case, cell),
                *(float(t[i]) for t in times),
                int(p.space.paid_gpus[cell]),
            ]
        )
    offers = []
    for offer in p.space.offers:
        low, high = node_range(offer, case.scenario)
        sold = [
            n
            for n, pool in enumerate(p.space.pools)
            if any(o.id == offer.id for o in pool.offers) and pools[n]["cells"]
        ]
        if sold:
            offers.append(
                {
                    "id": offer.id,
                    "name": case.offer_words(offer),
                    "cloud": offer.cloud,
                    "kind": case.kind(offer),
                    "own": offer.pricing == "owned",
                    "price": case.words.amount(offer.usd_per_gpu_hour),
                    "pools": sold,
                    "low": low,
                    "high": high,
                    "factors": _factors(case, offer, sold),
                }
            )
    w, terms, costs = case.words, case.terms, p.space.costs
    return {
        "name": case.scenario.name,
        "gpus": case.gpus,
        "objective": terms.objective,
        "usd_per_day": w.amount(terms.usd_per_day),
        "levels": list(study.levels),
        "confidence": terms.confidence,
        "time_s": terms.time_s,
        "cost_usd": None if terms.cost_usd is None else w.amount(terms.cost_usd),
        "reach_time_s": study.reach_time_s,
        "reach_cost_usd": w.amount(study.reach_cost_usd),
        "asked": {
            "time_s": case.choice.time_p50_s,
            "cost_usd": w.amount(case.choice.cost_p50_usd),
            "pool": int(p.space.pool[case.choice.cell]),
            "gpus": int(p.space.gpus[case.choice.cell]),
            "offer": case.study.offer(case.choice).id,
            "given_up": study.given_up,
        },
        "storage_usd_per_s": w.amount(costs.storage.usd(1.0)) if costs.storage is not None else 0.0,
        "egress_usd": w.amount(costs.egress.usd) if costs.egress is not None else 0.0,
        "changes": CHANGES,
        "pools": pools,
        "offers": offers,
    }


def _factors(case: Case, offer: Offer, sold: list[int]) -> dict[str, list[list[list[float]]]] | None:
    """Where a price is spread: by pool, for each of its cells, price over the middle one at each probability.

    That at each of CHANGES of all prices, since storage does not change with them; once, where nothing is stored.
    """
    low, high = price_range(offer)
    if low >= high:
        return None
    study, p = case.study, case.study.state
    storage = p.space.costs.storage_usd_per_s * HOUR_S
    found: dict[str, list[list[list[float]]]] = {}
    for pool in sold:
        cells = study.cells[p.space.pool[study.cells] == pool]
        rate = middle_rate(p.space, offer, cells)
        each = [
            prices(p, offer, cells, (0.5, *study.levels), share_of(storage, rate * change)) / offer.usd_per_gpu_hour
            for change in (CHANGES if storage else (1.0,))
        ]
        found[str(pool)] = np.moveaxis(np.array(each), 2, 0).tolist()
    return found


def _layout_text(case: Case, cell: int) -> str:
    p = case.study.state
    table, w = p.layout_space(int(p.space.pool[cell])).table, case.words
    row, dp, micro, instances = (each[[cell]] for each in (p.best.row, p.best.dp, p.best.micro, p.best.instances))
    layout = table.layouts(row, dp, micro, np.array([1])).at(0)
    group = int(table.gpus_of_a_group(row, dp, instances)[0]) if instances[0] > 1 else None
    share = float(table.share(row, p.best.covered[[cell]])[0])
    part = w.say("recompute_of", share=w.percent(share)) if 0.0 < share < 1.0 else ""
    recompute = w.say(f"recompute_{layout.recompute}") + part
    return worded(layout_in_short(layout, group, recompute), w.language)


def ledger_of(case: Case) -> Ledger:
    """The workbook's plans: the options, then the frontier around the budgets."""
    named = [(o.label, o.choice) for o in case.options if o.choice is not None]
    seen = {choice.key for _, choice in named}
    named += [("", choice) for choice in spaced(case, window(case), LEDGER_PLANS) if choice.key not in seen]
    rows = [_row(case, number, label, choice) for number, (label, choice) in enumerate(named, 1)]
    terms, costs = case.terms, case.study.state.space.costs
    found = Ledger(
        name=case.scenario.name,
        confidence=terms.confidence,
        start=case.start,
        start_assumed=case.start_assumed,
        time_budget_s=terms.time_s,
        cost_budget_usd=terms.cost_usd,
        storage_usd_per_s=costs.storage.usd(1.0) if costs.storage is not None else 0.0,
        egress_usd=costs.egress.usd if costs.egress is not None else 0.0,
        plans=tuple(rows),
        lines=case.scenario.ask,
    )
    return in_unit(found, case.words.unit)


def in_unit(ledger: Ledger, money: Money) -> Ledger:
    """A ledger with its amounts in another unit than US dollars."""

    def amount(usd: float | None) -> float | None:
        return None if usd is None else money.amount(usd)

    def row(plan: PlanRow) -> PlanRow:
        curve = plan.curve
        if curve is not None:
            p50, sure = (tuple(map(money.amount, each)) for each in (curve.p50, curve.sure))
            curve = replace(curve, usd_per_hour=money.amount(curve.usd_per_hour), p50=p50, sure=sure)
        return replace(
            plan,
            usd_per_gpu_hour=money.amount(plan.usd_per_gpu_hour),
            usd_per_gpu_hour_sure=amount(plan.usd_per_gpu_hour_sure),
            cost_p50_usd=money.amount(plan.cost_p50_usd),
            cost_confidence_usd=money.amount(plan.cost_confidence_usd),
            curve=curve,
        )

    return replace(
        ledger,
        cost_budget_usd=amount(ledger.cost_budget_usd),
        storage_usd_per_s=money.amount(ledger.storage_usd_per_s),
        egress_usd=money.amount(ledger.egress_usd),
        plans=tuple(map(row, ledger.plans)),
        lines=tuple(replace(line, cost_usd=amount(line.cost_usd)) for line in ledger.lines),
        money=money,
    )


def _row(case: Case, number: int, label: str, choice: Choice) -> PlanRow:
    p, w, offer = case.study.state, case.words, case.study.offer(choice)
    cluster = case.cluster_of(choice)
    name = w.say("plan_name", label=label, cluster=cluster) if label else cluster
    paid = p.space.pools[int(p.space.pool[choice.cell])].paid
    storage = p.space.costs.storage_usd_per_s * HOUR_S
    share = float(share_of(storage, middle_rate(p.space, offer, np.array([choice.cell])))[0])
    known = (choice.price_p50, choice.price_sure)
    return PlanRow(
        label=f"{number}. {name}",
        cluster=cluster,
        offer=case.offer_words(offer),
        gpu=case.gpu(offer.gpu),
        cloud=offer.cloud,
        gpus=int(p.space.paid_gpus[choice.cell]),
        usd_per_gpu_hour=choice.price_p50,
        usd_per_gpu_hour_sure=choice.price_sure,
        time_p50_s=choice.time_p50_s,
        time_confidence_s=choice.time_sure_s,
        cost_p50_usd=choice.cost_p50_usd,
        cost_confidence_usd=choice.cost_sure_usd,
        work_s=float(np.float64(p.completion_model.median[choice.cell]) * p.best.seconds[choice.cell]),
        own_s=float(p.completion_model.own_s(p.best.seconds[[choice.cell]], np.array([choice.cell]))[0]),
        training_gpus=int(p.space.gpus[choice.cell]),
        batch=int(p.best.batch[choice.cell]),
        layout=_layout_text(case, choice.cell),
        minimum_s=paid.minimum_s,
        step_s=paid.step_s,
        block_s=paid.block_s,
        then=paid.then,
        waiting_s=float(p.space.waiting_s[choice.cell]),
        upfront=offer.terms.upfront,
        kind=case.kind(offer),
        curve=curve(p, offer, choice.cell, case.confidence, share, known),
    )
