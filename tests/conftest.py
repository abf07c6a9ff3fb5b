"""What every test stands on: an environment of its own, and the command called in this process."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings

from planner.cli.run import run

# Machines differ in speed and tests run side by side: what a test says is never how long it takes.
settings.register_profile("planner", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("planner")


#: Tests that take seconds, and how many of their cases `make test` runs; `make test-slow` runs the others.
SLOW = {
    "test_a_changed_scenario_is_compared_with_what_it_was": 0,
    "test_a_damaged_plan_is_exported_or_refused_in_a_sentence": 3,
    "test_a_fleet_equals_every_combination_of_plans": 1,
    "test_a_fleet_keeps_its_budget_before_it_is_simple": 0,
    "test_a_hugging_face_model_comes_back_from_the_scripts_of_the_tool_that_trains_it": 5,
    "test_a_killed_writer_leaves_everything_or_nothing": 2,
    "test_a_kind_that_has_no_price_is_refused_with_such_a_quote_which_is_then_taken": 0,
    "test_a_log_as_predicted_narrows_the_ask_and_leaves_the_plan": 0,
    "test_a_log_moves_the_ask_and_the_users_own_rows_stay": 0,
    "test_a_pinned_layout_is_never_better_than_the_free_one": 0,
    "test_a_pipeline_that_counts_its_embedding_as_a_layer_has_a_layer_less_at_its_ends": 0,
    "test_a_plan_of_a_framework_is_exported_for_it_or_was_refused_by_name": 2,
    "test_a_recalculation_gives_planners_values_to_the_cent": 0,
    "test_a_saved_plan_with_one_hostile_text_is_exported_unharmed_or_refused_in_a_sentence": 3,
    "test_a_scenario_is_planned_anew_by_its_copy_and_its_changes": 0,
    "test_a_scenarios_own_shape_meets_the_rows_that_spell_its_name_otherwise": 0,
    "test_a_stranger_is_told_what_the_shipped_fit_says_and_a_known_site_is_left_out": 0,
    "test_a_table_of_another_part_is_not_learnt": 0,
    "test_a_table_that_teaches_nothing_says_why": 1,
    "test_a_whole_pass_with_the_forms_of_public_logs": 1,
    "test_amounts_are_in_the_scenarios_unit_on_the_way_there_and_back": 1,
    "test_benches_are_read_beside_logs_and_a_slow_network_is_named_by_its_figure": 0,
    "test_budgets_are_told_as_they_suffice_not_as_they_round": 1,
    "test_calibrate_learns_a_log": 0,
    "test_calibrate_learns_rows_of_any_kind": 0,
    "test_calibrating_again_says_what_it_replaced": 0,
    "test_commands_agree_on_the_simple_plan": 0,
    "test_dollar_signs_of_a_name_are_no_formula": 4,
    "test_every_change_that_is_told_is_feasible_when_it_is_typed": 0,
    "test_every_command_plans_the_most_training": 0,
    "test_every_measured_row_is_predicted_and_fits": 0,
    "test_every_shipped_scenario_is_answered": 0,  # by test_it_runs
    "test_explain_says_what_ends_the_training_and_how_much_more_a_little_more_buys": 0,
    "test_import_optimize_export_and_import_again_is_the_same_scenario": 2,
    "test_it_runs": 6,
    "test_long_waits_keep_quantiles_within_one_percent_and_chances_within_a_hundredth": 0,
    "test_looser_budgets_and_more_offers_never_make_the_plan_worse": 5,
    "test_machines_without_a_price_leave_cost_out_of_every_table_and_chart": 0,
    "test_more_work_never_ends_sooner_whatever_the_market": 1,
    "test_newer_commands_end_as_the_others_where_nobody_reads_or_the_disk_is_full": 2,
    "test_no_key_of_dollars_holds_hours_or_the_nought_of_no_price": 6,
    "test_no_label_of_a_proposal_prints_over_anything": 4,
    "test_no_offer_for_want_of_a_precision_names_it_and_what_there_is": 1,
    "test_no_run_of_the_catalog_that_ran_is_refused": 0,
    "test_on_a_spot_market_the_controls_price_each_chance_by_itself": 0,
    "test_one_sample_more_fits_no_candidate_of_an_enumeration": 1,
    "test_optimize_fleet": 0,
    "test_peaks_of_megatron_deepspeed_are_met_without_bias_and_within_15_percent": 0,
    "test_plans_between_the_ends_miss_two_budgets_less_than_any_other_does": 0,
    "test_quantiles_and_probabilities_agree_with_the_simulation_on_500_random_plans": 0,
    "test_quantiles_and_probabilities_with_overhead_agree_with_the_simulation": 1,
    "test_rows_of_one_model_are_its_measurements_however_it_is_spelled": 1,
    "test_rows_of_ones_own_are_learnt_from_beside_one_that_cannot_be_read": 0,
    "test_solving_without_a_site_comes_near_a_fit_that_never_saw_it": 1,
    "test_spare_nodes_are_in_every_cost_of_a_proposal": 0,
    "test_streams_that_are_closed_and_full_disks_are_no_faults": 3,
    "test_the_answer_of_every_shipped_scenario_fits_one_screen": 2,
    "test_the_chosen_are_candidates_in_order_beside_what_is_known": 0,
    "test_the_controls_answer_what_optimize_answers": 0,
    "test_the_fast_search_equals_the_exhaustive_one": 5,
    "test_the_frontier_is_every_plan_that_no_other_beats": 12,
    "test_the_mixture_of_rates_keeps_chances_within_a_hundredth": 1,
    "test_the_notebook_shows_what_its_cells_answer": 0,  # by `make docs`
    "test_the_optimum_equals_plain_nested_loops": 1,
    "test_the_plan_is_the_simplest_that_an_enumeration_finds": 3,
    "test_the_price_of_a_spot_plan_follows_storage_and_all_prices": 1,
    "test_the_simulation_charges_what_the_plan_states": 4,
    "test_the_spread_of_a_spot_price_is_in_the_choice": 1,
    "test_the_study_chooses_what_optimize_chooses": 3,
    "test_time_rises_with_the_work_across_the_first_checkpoint": 0,
    "test_what_a_variation_learnt_changes_no_answer_of_the_next": 1,
    "test_what_does_not_fit_says_by_how_much_and_what_would": 0,
    "test_what_is_asked_for_a_spot_plan_suffices_as_often_as_it_says": 0,
    "test_what_it_writes_runs_and_fits_its_schema": 4,
    "test_what_the_schema_refuses_the_reader_refuses_in_one_sentence_with_the_right_line": 0,
    "test_what_the_table_has_measured_teaches_whatever_it_showed": 0,
    "test_with_one_rank_too_the_best_zero_stage_is_found": 1,
}


def pytest_configure() -> None:
    os.environ["XDG_CONFIG_HOME"] = os.devnull  # nobody's own catalog takes part, in what a module shares neither


@pytest.hookimpl(tryfirst=True)  # as they stand in their files, before anything shuffles them
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seen: Counter[str] = Counter()
    for item in items:
        name = getattr(item, "originalname", item.name)
        seen[name] += 1
        if seen[name] > SLOW.get(name, seen[name]):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PLANNER_CATALOG", "PLANNER_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull)
    # Tests stand side by side already: a sweep starts processes where a test asks for them.
    monkeypatch.setattr("planner.sweeps.executors.usable_cores", lambda: 1)


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def planner(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """`planner("iterations", "--samples", 5)`: the command line in this process."""

    def call(*arguments: object) -> Ran:
        capsys.readouterr()
        code = run([os.fspath(a) if isinstance(a, os.PathLike) else str(a) for a in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call
