"""Samples, epochs, iterations and batch ramps, exactly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.interop.neox_logs import read_data_log
from planner.spec.scenario import BatchRamp, DataSource
from planner.units import PlannerError
from planner.workload.dataset import epochs_for_samples, packed_samples, run_length, tokens_from_samples
from planner.workload.iterations import (
    dataset_length,
    evaluation_iterations,
    iterations_for,
    leftover_remarks,
    loader_length,
    neox_iterations,
    neox_train_epochs_iterations,
    per_epoch,
    ramp_allows,
    ramp_schedule,
    ramp_stages,
    samples_consumed,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "neox"
KNOWN = DataSource("data", samples=31_267_487)  # EleutherAI/gpt-neox issue 1140, the number alone


def test_the_known_example_given_as_a_number() -> None:
    run = run_length([KNOWN], 2048, epochs=1)
    full, rest = per_epoch(run, 1024)
    assert run.tokens_per_epoch == 64_035_813_376
    assert (int(full), int(rest), int(iterations_for(run, 1024))) == (30_534, 671, 30_535)
    dropped, shuffled = leftover_remarks(run, 1024)
    assert all(number in dropped for number in ("30,534", "671", "30,535"))
    assert "2 epochs" in shuffled
    assert epochs_for_samples(31_267_487 * 2048 + 1, 2048, 30_535 * 1024) == 2
    assert epochs_for_samples(31_267_487 * 2048 + 1, 2048, 30_534 * 1024) == 1


def test_four_passes_carry_the_remainder_over() -> None:
    run = run_length([KNOWN], 2048, epochs=4)
    assert int(iterations_for(run, 1024)) == 122_139 == ceil(4 * 31_267_487 / 1024)  # not 4 x 30,535
    assert int(neox_iterations(run, 1024)) == 122_138


@given(
    samples=st.integers(1, 10**12),
    epochs=st.decimals(min_value="0.001", max_value=200, places=3),
    batch=st.integers(1, 10**6),
)
def test_fractional_epochs_are_counted_without_rounding(samples: int, epochs: Fraction, batch: int) -> None:
    run = run_length([DataSource("data", samples=samples)], 2048, epochs=float(epochs))
    exact = Fraction(str(epochs)) * samples
    count = int(iterations_for(run, batch))
    assert count == -(-exact // batch)
    assert (count - 1) * batch < exact <= count * batch


@given(tokens=st.integers(2, 10**13), seq_length=st.integers(1, 10**5), epochs=st.integers(1, 50))
def test_packed_samples_are_neoxs_and_their_inverse_holds(tokens: int, seq_length: int, epochs: int) -> None:
    samples = packed_samples(tokens, seq_length, epochs)
    assert samples == (epochs * tokens - 1) // seq_length
    low, high = tokens_from_samples(samples, epochs, seq_length)
    assert low <= tokens <= high
    assert packed_samples(low, seq_length, epochs) == packed_samples(high, seq_length, epochs) == samples


@given(tokens=st.integers(1, 5000), seq_length=st.integers(1, 100), wanted=st.integers(0, 2000))
def test_neox_builds_the_fewest_epochs_that_are_enough(tokens: int, seq_length: int, wanted: int) -> None:
    epochs, have = 0, 0
    while True:  # as GPT-NeoX's _num_epochs does
        epochs += 1
        have += tokens
        if (have - 1) // seq_length >= wanted:
            break
    assert epochs_for_samples(tokens, seq_length, wanted) == epochs


@pytest.mark.parametrize(("tokens", "samples"), [(1025, 16), (1024, 15)])
def test_a_sample_needs_one_token_more_than_its_length(tokens: int, samples: int) -> None:
    run = run_length([DataSource("data", tokens=tokens)], 64, epochs=1)
    assert run.samples_per_epoch == run.total_samples == samples


def test_counts_of_the_run_that_neox_itself_made() -> None:
    result = json.loads((FIXTURES / "uneven_u16.result.json").read_text(encoding="utf-8"))
    (train,) = read_data_log(FIXTURES / "uneven_u16.log").of("train")
    assert result["train"]["sample_idx"][0] == train.samples + 1 == 796
    assert result["train"]["shuffle_idx"][0] == train.samples == 795
    assert result["train"]["len"] == dataset_length(train.samples) == 794
    assert result["train"]["loader_len"] == loader_length(794, result["micro"], result["dp"]) == 49
    (valid,) = read_data_log(FIXTURES / "uneven_u16.log").of("valid")
    assert (valid.samples, valid.epochs) == (196, 17)
    assert result["valid"]["len"] == dataset_length(valid.samples) == 195
    assert result["valid"]["loader_len"] == loader_length(195, 4, 4) == 12
    evaluations = int(evaluation_iterations(20, 10, 2, final_test=False))  # (20 // 10 + 1) x 2
    assert evaluations * result["train_batch_size"] == valid.requested == 192


def test_train_epochs_sees_a_sample_at_most_that_often() -> None:
    assert neox_train_epochs_iterations(795, 1, 4, 4, 2) == 24  # 49 micro-batches, two an iteration
    assert neox_train_epochs_iterations(795, 3, 4, 4, 2) == 73
    assert neox_train_epochs_iterations(795, 3, 4, 4, 2) <= floor(3 * 795 / 32)


def test_iterations_that_are_given_do_not_depend_on_the_batch() -> None:
    run = run_length([KNOWN], 2048, iterations=150_000)
    assert iterations_for(run, np.array([512, 1536])).tolist() == [150_000, 150_000]
    assert samples_consumed(run, 1536) == 150_000 * 1536
    assert (run.total_samples, run.epochs) == (0, None)


def test_evaluation_is_one_more_at_the_end_and_a_test() -> None:
    assert int(evaluation_iterations(30_535, 1000, 10)) == (30 + 1 + 1) * 10
    assert int(evaluation_iterations(30_535, None, 10)) == 0


@dataclass(frozen=True)
class Calculator:
    """Megatron-LM's RampupBatchsizeNumMicroBatchesCalculator, one step at a time, in its own floats."""

    ramp: BatchRamp
    final: int

    def batch(self, consumed: int) -> int:
        steps = (self.final - self.ramp.start) // self.ramp.increment
        if steps == 0 or consumed > self.ramp.samples:
            return self.final
        return self.ramp.start + int(consumed / (self.ramp.samples / steps)) * self.ramp.increment


@settings(deadline=None, max_examples=150)
@given(
    start=st.integers(1, 30),
    increment=st.integers(1, 20),
    steps=st.lists(st.integers(0, 25), min_size=1, max_size=4),
    ramp_samples=st.integers(1, 3000),
    total=st.integers(1, 6000),
)
def test_a_ramp_is_megatrons_step_by_step(
    start: int, increment: int, steps: list[int], ramp_samples: int, total: int
) -> None:
    ramp = BatchRamp(start, increment, ramp_samples)
    batches = np.array([start + increment * k for k in steps])
    run = run_length([DataSource("data", samples=total)], 8, epochs=1)
    fixed = run_length([DataSource("data", samples=total)], 8, iterations=17)
    counts, consumed = iterations_for(run, batches, ramp), samples_consumed(run, batches, ramp)
    for i, final in enumerate(batches.tolist()):
        calculator, seen, count, after_17 = Calculator(ramp, final), 0, 0, 0
        while seen < total or count < 17:
            if count == 17:
                after_17 = seen
            if seen >= total and count >= 17:
                break
            seen += calculator.batch(seen)
            count += 1
            if seen >= total and counts[i] == count:
                assert consumed[i] == seen
        after_17 = after_17 or seen
        assert samples_consumed(fixed, final, ramp) == after_17
        phases = ramp_schedule(run, final, ramp)
        assert sum(phase.iterations for phase in phases) == counts[i]
        assert sum(phase.iterations * phase.global_batch for phase in phases) == consumed[i] >= total
        assert consumed[i] - phases[-1].global_batch < total


def test_a_ramp_reaches_only_whole_increments() -> None:
    ramp = BatchRamp(32, 32, 2_000_000)
    assert ramp_allows(ramp, np.array([16, 32, 48, 1024])).tolist() == [False, True, False, True]
    run = run_length([KNOWN], 2048, epochs=4)
    with pytest.raises(PlannerError, match="never reaches a batch of 48"):
        iterations_for(run, np.array([64, 48]), ramp)
    sizes = [int(size) for size, count in ramp_stages(ramp, 96, total=3_000_000) if count]
    assert sizes == [32, 64, 96]


def test_a_mixture_is_drawn_by_weight_and_each_has_epochs_of_its_own() -> None:
    books = DataSource("books", samples=1000, weight=3.0)
    web = DataSource("web", samples=9000, weight=1.0)
    run = run_length([books, web], 128, epochs=2)
    assert (run.samples_per_epoch, run.total_samples) == (10_000, 20_000)
    assert [source.share for source in run.sources] == [Fraction(3, 4), Fraction(1, 4)]
    assert [source.epochs for source in run.sources] == [15, Fraction(5, 9)]
    # NeoX asks each dataset for ceil(samples x weight x 1.005) and builds whole epochs of it (N x S tokens each).
    assert [source.neox_index_epochs for source in run.sources] == [16, 1]
    assert any("books" in remark and "15 epochs" in remark for remark in run.remarks)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from([0.1, 0.3, 1.0, 2.5, 7.0])), min_size=2, max_size=4))
def test_neoxs_blending_draws_an_epoch_as_we_say(parts: list[tuple[int, float]]) -> None:
    data = [DataSource(f"d{i}", samples=n, weight=w) for i, (n, w) in enumerate(parts)]
    run = run_length(data, 16, epochs=1)
    weights = np.array([w for _, w in parts]) / sum(w for _, w in parts)
    drawn = np.zeros(len(parts))
    for i in range(run.total_samples):  # GPT-NeoX megatron/data/helpers.cpp, build_blending_indices
        drawn[int(np.argmax(weights * max(i, 1) - drawn))] += 1
    for source, count in zip(run.sources, drawn, strict=True):
        assert abs(float(source.epochs) * source.samples_per_epoch - count) <= len(parts)


def test_a_mixture_of_tokens_and_samples_adds_their_samples() -> None:
    run = run_length([DataSource("a", tokens=1025), DataSource("b", samples=4)], 64, epochs=1)
    assert run.samples_per_epoch == 20
    assert run.tokens_per_epoch == 1025 + 256


@pytest.mark.parametrize(
    ("data", "epochs", "iterations", "says"),
    [
        ([KNOWN], None, None, "either"),
        ([KNOWN], 1.0, 5, "either"),
        ([KNOWN], 0.0, None, "above 0"),
        ([KNOWN], float("nan"), None, "number"),
        ([KNOWN], float("inf"), None, "number"),
        ([KNOWN], 1e300, None, "more than"),
        ([], 1.0, None, "no dataset"),
        ([DataSource("data", tokens=1)], 1.0, None, "at least 2"),
        ([DataSource("data", samples=0)], 1.0, None, "at least 1"),
        ([DataSource("data", samples=1, tokens=1)], 1.0, None, "either samples or tokens"),
        ([DataSource("data", samples=1, weight=0.0), KNOWN], 1.0, None, "weight"),
        ([DataSource("data", tokens=50)], 1.0, None, "not one sequence"),
        ([KNOWN], None, 0, "at least 1"),
    ],
)
def test_what_cannot_be_counted_is_one_sentence(
    data: list[DataSource], epochs: float | None, iterations: int | None, says: str
) -> None:
    with pytest.raises(PlannerError, match=says):
        run_length(data, 64, epochs, iterations)


def test_a_batch_below_one_is_refused() -> None:
    with pytest.raises(PlannerError, match="global batch"):
        iterations_for(run_length([KNOWN], 2048, epochs=1), np.array([8, 0]))
