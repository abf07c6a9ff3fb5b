"""How the library's results are shown: the rows of a data frame, one line, and a figure, for each kind of result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from typing import TYPE_CHECKING, Any

from planner.api.catalogs import ImportedPrices, Part
from planner.api.documents import LaunchFiles, ProposalFiles
from planner.api.probe_reading import ProbeRead
from planner.api.probing import Probing
from planner.api.throughput import Calibrated, NextRuns, Predictions, RunPrediction, Validation
from planner.interop.imported import Imported
from planner.report.charts import distribution_figure
from planner.report.comparison_chart import comparison_figure, sides_figure
from planner.report.figures import chance, money_text, time_text
from planner.report.frontier import axes_words
from planner.report.frontier_chart import frontier_figure
from planner.report.iterations import IterationCount
from planner.report.prediction_chart import predictions_figure
from planner.report.sweep_chart import sweep_figure
from planner.report.track_chart import track_figure
from planner.report.validation import validation_figure
from planner.results.answers import Comparison, Frontier, Optimization, Side
from planner.results.plan import Plan
from planner.results.result import Row, Rows, View
from planner.results.row import plan_row
from planner.risk.replay import Replay, World
from planner.search.explanation import Explanation
from planner.search.fleets import FleetAnswer
from planner.search.programme_answer import ProgrammeAnswer
from planner.search.programme_explaining import ProgrammeExplanation
from planner.search.programme_replay import ProgrammeReplay
from planner.sweeps.table import Sweep
from planner.tracking.actuals import Actuals
from planner.tracking.programme import ProgrammeProgress
from planner.tracking.progress import Progress
from planner.tracking.replan import Continuation
from planner.words import said, worded

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def view_of(kind: type) -> View:
    """How results of this kind are shown."""
    return next(view for known, view in _VIEWS.items() if issubclass(kind, known))


def plan_words(plan: Plan) -> str:
    """A plan in one line: cluster, time and cost at the median, and its chance where there is a budget."""
    offer = plan.offer
    return said(
        "views.plan",
        gpus=plan.gpus,
        gpu=offer.gpu,
        cloud=offer.cloud,
        price=offer.price_kind,
        time=time_text(plan.time_s.p50),
        cost=said("views.cost", cost=money_text(plan.cost_usd.p50)) if offer.priced else "",
        sure="" if plan.p_within_both is None else said("views.sure", chance=chance(plan.p_within_both)),
    )


def _plans(named: Iterable[tuple[str, str, Plan | None]]) -> list[Row]:
    """One plan a row, `name` in a column of its own; without a plan only that stands there."""
    return [{column: name, **({} if plan is None else plan_row(plan))} for column, name, plan in named]


def _bars(named: Sequence[tuple[str, Plan | None]]) -> Figure:
    """Time and cost of plans with their ranges, a row each."""
    return sides_figure([Side(name, "infeasible" if plan is None else "optimal", plan) for name, plan in named])


def _of_answer(answer: Optimization) -> list[tuple[str, Plan | None]]:
    return [("plan", answer.plan), *((each.why, each.plan) for each in answer.alternatives)]


def _refusal(answer: Optimization) -> str:
    return said("views.infeasible") if answer.infeasibility is None else _without_plan(answer.infeasibility.reason)


def _without_plan(reason: str) -> str:
    return said("views.infeasible_as", reason=reason)


def _sides(named: Iterable[tuple[str, Plan | None]]) -> list[str]:
    """What each side of a comparison, or each run of a fleet, comes to."""
    return [
        said("reading.at", file=name, what=said("views.infeasible") if plan is None else plan_words(plan))
        for name, plan in named
    ]


def _of_explanation(found: Explanation) -> list[tuple[str, Plan | None]]:
    near = [(f"as good within the spread, {number}", each.plan) for number, each in enumerate(found.near, 1)]
    named = [(each.asked, each.plan) for each in found.why_not]
    return [("plan", found.plan), *((f"{each.key} {each.more}", each.plan) for each in found.worth), *near, *named]


def _world(world: World) -> dict[str, Any]:
    return {k: v for k, v in _ranges(world, "time_s", "cost_usd").items() if not isinstance(v, dict | tuple)}


def _progress_row(now: Progress) -> Row:
    kept = "status iteration iterations share_done epochs_done tokens_per_s_per_gpu elapsed_s cost_so_far_usd".split()
    ranges = ("remaining_s", "time_s", "cost_usd")
    return {name: getattr(now, name) for name in kept} | _spread({name: asdict(getattr(now, name)) for name in ranges})


def _validation_rows(found: Validation) -> list[Row]:
    judged = found.judged
    return [
        {
            "id": run.id,
            "source": run.source,
            "model": run.setting.model.name,
            "gpu": run.setting.accelerator.id,
            "gpus": run.gpus,
            "measured_tokens_per_s_per_gpu": run.tokens_per_s_per_gpu,
            "predicted_tokens_per_s_per_gpu": float((run.tokens_per_s_per_gpu or float("nan")) * ratio),
            "error": float(ratio - 1),
            "in_80": bool(inside),
        }
        for run, ratio, inside in zip(judged.runs, judged.throughput_ratio, judged.inside, strict=True)
    ]


def _files(files: Mapping[str, bytes]) -> list[Row]:
    return [{"file": name, "bytes": len(content)} for name, content in files.items()]


def _ranges(value: Any, *names: str) -> dict[str, Any]:
    """A row with these quantiles in columns of their own."""
    row = asdict(value)
    return {key: each for key, each in row.items() if key not in names} | _spread({name: row[name] for name in names})


def _spread(ranges: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    return {f"{name}_{level}": each[level] for name, each in ranges.items() for level in ("p10", "p50", "p90")}


_VIEWS: dict[type, View] = {
    Optimization: View(
        lambda found: _plans(("why", why, plan) for why, plan in _of_answer(found) if plan is not None),
        lambda found: plan_words(found.plan) if found.plan is not None else _refusal(found),
        lambda found: _bars(_of_answer(found)),
    ),
    Frontier: View(
        lambda found: [{**plan_row(plan), "within_budget": plan.within_budget} for plan in found.plans],
        lambda found: said("views.frontier", n=len(found.plans), axes=axes_words(found)),
        frontier_figure,
    ),
    Comparison: View(
        lambda found: [
            {"label": side.label, "status": side.status, **row}
            for side, row in zip(
                found.sides, _plans(("label", side.label, side.plan) for side in found.sides), strict=True
            )
        ],
        lambda found: (
            said(
                "views.more",
                sides=_sides((side.label, side.plan) for side in found.sides[:3]),
                more=len(found.sides) - 3,
            )
            if len(found.sides) > 3
            else said("views.sides", sides=_sides((side.label, side.plan) for side in found.sides))
        ),
        comparison_figure,
    ),
    Explanation: View(
        lambda found: _plans(("what", what, plan) for what, plan in _of_explanation(found)),
        lambda found: said("views.sides", sides=[each.text for each in found.binding]) or said("views.nothing_binds"),
        lambda found: _bars([(what, plan) for what, plan in _of_explanation(found) if plan is not None]),
    ),
    FleetAnswer: View(
        lambda found: _plans(("run", run.name, run.plan) for run in found.runs),
        lambda found: (
            _without_plan(found.reason)
            if found.status != "optimal"
            else said("views.sides", sides=_sides((run.name, run.plan) for run in found.runs if run.plan is not None))
        ),
        lambda found: _bars([(run.name, run.plan) for run in found.runs]),
    ),
    ProgrammeAnswer: View(
        lambda found: [
            {"stage": s.name, "start_day": s.start_day, "days": s.days, "copies": s.copies, **plan_row(s.plan)}
            for s in found.stages
        ],
        lambda found: (
            _without_plan(found.reason)
            if found.ask is None
            else said(
                "views.programme",
                n=len(found.stages),
                days=found.end_day or 0,
                total=money_text(found.ask.total_usd),
                confidence=found.ask.confidence,
            )
        ),
        lambda found: _bars([(s.name, s.plan) for s in found.stages]),
    ),
    ProgrammeExplanation: View(
        lambda found: [asdict(change) for change in found.worth],
        lambda found: said("views.sides", sides=[each.text for each in found.binding]) or worded(found.reason),
    ),
    ProgrammeReplay: View(
        lambda found: [_ranges(each, "end_s", "stated_end_s") for each in found.stages],
        lambda found: said("views.programmes_drawn", worlds=found.worlds, error=found.largest_quantile_error),
    ),
    ProgrammeProgress: View(
        lambda now: [
            {key: value for key, value in _ranges(each, "end_day", "cost_usd").items() if key != "progress"}
            for each in now.stages
        ],
        lambda now: said("views.programme_day", day=now.day, end=now.end_day.p50, planned=now.planned_end_day),
    ),
    Replay: View(
        lambda found: [
            *(_world(world) for world in (found.stated, found.simulated, *found.other_worlds)),
            *(_world(each.world) | {k: v for k, v in asdict(each).items() if k != "world"} for each in found.stresses),
        ],
        lambda found: said("views.runs_drawn", worlds=found.worlds, error=found.largest_quantile_error),
        distribution_figure,
    ),
    Probing: View(
        lambda found: [{k: v for k, v in run.items() if not isinstance(v, dict | list)} for run in found["runs"]],
        lambda found: (
            said("views.short_runs", n=len(found["runs"]), hours=found["price"]["gpu_hours"])
            if found["measure"]
            else said("views.no_short_runs")
        ),
    ),
    ProbeRead: View(
        lambda found: [{"when": when, **(found[when] or {})} for when in ("before", "after")],
        lambda found: worded(found["verdict"]),
    ),
    Sweep: View(
        lambda found: found.rows,
        lambda found: said(
            "views.sweep",
            n=len(found.rows),
            keys=reduce(lambda some, other: said("views.and", some=some, other=other), (o.key for o in found.over)),
        ),
        sweep_figure,
    ),
    Progress: View(
        lambda now: [_progress_row(now)],
        lambda now: said(
            "views.progress",
            iteration=now.iteration,
            iterations=now.iterations,
            status=now.status,
            time=time_text(now.time_s.p50),
            cost="" if now.cost_against_plan is None else said("views.cost", cost=money_text(now.cost_usd.p50)),
        ),
        track_figure,
    ),
    Actuals: View(
        lambda found: [asdict(row) for row in found.by_job],
        lambda found: said(
            "views.actuals",
            used=found.gpu_hours.used,
            planned=found.gpu_hours.planned,
            paid=found.cost_usd.used,
            price=found.cost_usd.planned,
        ),
    ),
    Continuation: View(
        lambda found: _plans(("why", why, plan) for why, plan in _of_answer(found.answer) if plan is not None),
        lambda found: (
            said("views.unchanged")
            if found.unchanged
            else plan_words(found.answer.plan)
            if found.answer.plan is not None
            else _refusal(found.answer)
        ),
        lambda found: _bars(_of_answer(found.answer)),
    ),
    IterationCount: View(
        lambda count: [{key: value for key, value in asdict(count).items() if key != "remarks"}],
        lambda count: said(
            "views.iterations",
            iterations=count.iterations,
            batch=count.global_batch,
            whole=count.iterations_per_epoch,
        ),
    ),
    Predictions: View(
        lambda found: found.rows,
        lambda found: said("views.predictions", n=len(found), objections=sum(bool(row["why"]) for row in found.cells)),
        lambda found: predictions_figure(found.rows),
    ),
    RunPrediction: View(
        lambda found: [{key: value for key, value in found.document.items() if not isinstance(value, dict | tuple)}],
        lambda found: said(
            "views.prediction",
            rate=found["pred_tokens_per_s_per_gpu"],
            low=found["pred_lo"],
            high=found["pred_hi"],
        ),
        lambda found: predictions_figure([found.document]),
    ),
    Validation: View(
        _validation_rows,
        lambda found: said(
            "views.validation",
            predicted=found["predicted"],
            rows=found["rows"],
            error=found["mdape"],
            held=found["coverage80"],
        ),
        lambda found: validation_figure(found.judged),
    ),
    Calibrated: View(
        lambda found: [{key: value for key, value in asdict(found).items() if key != "notes"}],
        lambda found: said("views.calibrated", n=found.rows, before=found.mdape_before, after=found.mdape_after),
    ),
    NextRuns: View(
        lambda found: [
            {"row": each.number, **each.cells, "spread_left": each.left, "why": each.why} for each in found.chosen
        ],
        lambda found: said("views.chosen", chosen=len(found.chosen), n=found.candidates),
    ),
    LaunchFiles: View(
        lambda found: _files({name: text.encode() for name, text in found.files.items()}),
        lambda found: ", ".join(found.files),
    ),
    ProposalFiles: View(lambda found: _files(found.files), lambda found: ", ".join(found.files)),
    Imported: View(
        lambda found: [asdict(value) for value in found.taken],
        lambda found: (
            said("views.taken_missing", n=len(found.taken), tool=found.tool, missing=list(found.missing))
            if found.missing
            else said("views.taken", n=len(found.taken), tool=found.tool)
        ),
    ),
    Part: View(lambda part: part.rows, lambda part: said("views.numbers", name=part.id, n=len(part.rows))),
    ImportedPrices: View(
        lambda found: found.rows, lambda found: said("views.kept", kept=found.prices_kept, read=found.rows_read)
    ),
    Rows: View(lambda table: table.rows, lambda table: said("views.rows", name=table.name, n=len(table.rows))),
}
