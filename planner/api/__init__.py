"""The Python interface: every command as a function, with files, maps or values in and results out.

>>> import planner
>>> answer = planner.optimize("scenarios/neox20b.yaml")  # doctest: +SKIP
>>> answer.plan.gpus, answer.plan.cost_usd.p50, answer.to_frame()  # doctest: +SKIP

Functions import what they need when they are called, so that the first one costs no more than its command.
"""

from __future__ import annotations

from planner.api.catalogs import check_catalog, diff_catalog, import_catalog, list_catalog, load_catalog, show_catalog
from planner.api.documents import export, import_files, propose, schema
from planner.api.inputs import load_facts, load_plan, load_programme, load_scenario
from planner.api.planning import compare, explain, frontier, optimize, optimize_fleet, simulate, sweep
from planner.api.probe_reading import read_probe
from planner.api.probing import probe
from planner.api.programmes import explain_programme, optimize_programme, simulate_programme, track_programme
from planner.api.running import iterations, reconcile, replan, track
from planner.api.starting import init
from planner.api.throughput import calibrate, choose_runs, predict, predict_run, validate
from planner.results.result import InfeasibleError, View, shown_by
from planner.units import PlannerError
from planner.words import speak


def _views(kind: type) -> View:
    from planner.api.views import view_of

    return view_of(kind)


shown_by(_views)
