"""Critical batches, repeated data and compute-optimality, against the papers' own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.spec.scenario import DataSource
from planner.units import PlannerError
from planner.workload import learning
from planner.workload.dataset import run_length

# Zhang et al. 2024, plots/chinchilla.ipynb: parameters (M), a and b of the fitted steps a + b / B (B in sequences of
# 512 tokens), and the critical batch they read off. Their runs are of 20 tokens a parameter.
ZHANG = [
    (85, 1293.8268694659337, 2834258.0888740215, 745.3201466381583),
    (151, 1752.4211962796799, 5677478.783007255, 955.1582414387951),
    (302, 2095.3497601960876, 11383269.891870424, 1393.726947253441),
    (604, 2459.9274969089824, 19449688.58779496, 1888.5221009346358),
    (1200, 3897.306597333535, 43381130.22429582, 2533.4108017868743),
]


@pytest.mark.parametrize(("millions", "a", "b", "published"), ZHANG)
def test_the_default_law_gives_the_batches_it_was_fitted_to(
    millions: int, a: float, b: float, published: float
) -> None:
    critical = learning.critical_batch(20e6 * millions)
    assert critical.sequences(512) == pytest.approx(published, rel=0.04)
    assert critical.doubling_sequences(512) == pytest.approx(b / a, rel=0.07)  # McCandlish's, from the same curve
    assert not critical.extrapolated


@pytest.mark.parametrize(("millions", "a", "b", "published"), ZHANG)
def test_both_definitions_come_from_one_curve(millions: int, a: float, b: float, published: float) -> None:
    linear = (a + b / 256) * 256 / published  # steps, had they gone on falling as 1 / B from a batch of 256
    assert a + b / published == pytest.approx(1.2 * linear, rel=1e-9)
    assert (published - 1.2 * 256) * 5 == pytest.approx(b / a, rel=1e-9)


def test_outside_the_fitted_range_it_says_so() -> None:
    assert learning.critical_batch(64e9).extrapolated
    assert "extrapolated" in learning.default_global_batch(64e9, 2048)[2]


def test_the_default_range_of_the_known_example() -> None:
    least, most, text = learning.default_global_batch(64_035_813_376, 2048)
    assert least == 256  # 524,288 tokens
    assert most == int(22.91 * 64_035.813376**0.47 * 512 / 2048) == 1039
    assert all(part in text for part in ("22.91", "0.47", "Zhang et al. 2024", "20 % more steps"))


def test_the_critical_batch_of_a_short_run_caps_the_default() -> None:
    """22.91 x 100^0.47 sequences of 512 tokens: 199.6, or 49.9 of 2,048."""
    least, most, text = learning.default_global_batch(1e8, 2048)
    assert (least, most) == (25, 49)
    assert "half up to the critical batch of 100M tokens" in text
    assert learning.default_global_batch(1e12, 10**6)[0] == 1


def test_fixed_iterations_end_at_their_own_critical_batch() -> None:
    data = [DataSource("data", samples=10**9)]
    _, most, _ = learning.default_batch_range(run_length(data, 2048, iterations=150_000))
    tokens = 150_000 * most * 2048
    assert learning.critical_batch(tokens).sequences(2048) == pytest.approx(most, rel=0.01)
    epochs = run_length(data, 2048, epochs=1)
    assert learning.default_batch_range(epochs) == learning.default_global_batch(2048 * 10**9, 2048)


@given(st.floats(1e6, 1e14), st.floats(1.01, 100))
def test_longer_runs_take_larger_batches(tokens: float, factor: float) -> None:
    short, long = learning.critical_batch(tokens), learning.critical_batch(tokens * factor)
    assert long.tokens > short.tokens
    assert long.doubling_tokens >= long.tokens


def test_tokens_double_at_mccandlishs_critical_batch() -> None:
    assert learning.token_multiplier(4096, 4096.0) == 2
    assert learning.token_multiplier(np.array([0.0, 2048.0]), 4096.0).tolist() == [1.0, 1.5]
    assert learning.tokens_to_equal_loss(1e9, 4096, 4096, 4096.0) == 1e9
    assert learning.tokens_to_equal_loss(1e9, 8192, 4096, 4096.0) == pytest.approx(1.5e9)


def test_the_noise_scale_is_recovered_from_two_batches() -> None:
    gradient2, noise = 4.0, 1000.0
    small, big = 8.0, 64.0
    measured = learning.gradient_noise_scale(small, big, gradient2 + noise / small, gradient2 + noise / big)
    assert measured == pytest.approx(noise / gradient2)
    critical = learning.measured_critical_batch(measured, 2048)
    assert critical.doubling_sequences(2048) == pytest.approx(250)


@pytest.mark.parametrize(("epoch", "worth"), [(1, 1.0), (5, 0.80), (9, 0.61), (40, 0.08)])
def test_repeated_epochs_are_worth_what_muennighoff_found(epoch: int, worth: float) -> None:
    assert learning.epoch_value(epoch) == pytest.approx(worth, abs=0.006)


def test_less_than_an_epoch_repeats_nothing() -> None:
    assert learning.effective_tokens(100.0, 0.5) == 50
    assert learning.effective_tokens(100.0, 1.0) == 100
    assert learning.repetition_remark(1e9, 1.0) is None
    remark = learning.repetition_remark(64e9, 4.0)
    assert remark is not None
    assert all(part in remark for part in ("4 epochs", "93.1 %", "Muennighoff"))


@given(st.floats(1.0, 500.0), st.floats(0.01, 50.0))
def test_more_epochs_never_lose_and_never_beat_fresh_data(epochs: float, more: float) -> None:
    before, after = learning.effective_tokens(1.0, epochs), learning.effective_tokens(1.0, epochs + more)
    assert before <= after <= before + more
    assert after <= 1 + learning.REPEAT_HALF_LIFE


def test_remarks_of_a_run_value_each_dataset_by_itself() -> None:
    once = run_length([DataSource("data", samples=10**6)], 2048, epochs=1)
    four = run_length([DataSource("data", samples=10**6)], 2048, epochs=4)
    assert len(learning.learning_remarks(10**9, once, 2048 * 10**6)) == 1
    repeated, optimality = learning.learning_remarks(10**9, four, 4 * 2048 * 10**6)
    assert "93.1 %" in repeated
    assert "Besiroglu" in optimality
    mixed = run_length([DataSource("a", samples=100), DataSource("b", samples=900)], 64, epochs=1)
    assert learning.fresh_tokens(mixed, 64_000) == pytest.approx(64 * (100 * learning.effective_tokens(1, 5) + 500))
    assert "mixture" in learning.learning_remarks(10**6, mixed, 64_000)[0]


@pytest.mark.parametrize("law", [learning.CHINCHILLA, learning.BESIROGLU])
def test_the_optimum_is_the_least_loss_of_its_compute(law: learning.LossLaw) -> None:
    flops = 5.76e23  # Chinchilla's and Gopher's
    parameters, tokens = law.optimum(flops)
    assert 6 * parameters * tokens == pytest.approx(flops)
    best = law.loss(parameters, tokens)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert law.loss(parameters * factor, tokens / factor) > best


def test_the_refit_says_about_twenty_tokens_a_parameter() -> None:
    parameters, tokens = learning.BESIROGLU.optimum(5.76e23)  # Besiroglu et al. 2024: consistent with 70B on 1.4T
    assert 15 < tokens / parameters < 26
    assert "tokens a parameter" in learning.optimality_remark(20e9, 400e9)


def test_what_cannot_be_is_a_sentence() -> None:
    for wrong in (
        lambda: learning.critical_batch(0),
        lambda: learning.critical_batch(float("nan")),
        lambda: learning.kaplan_critical_batch(0),
        lambda: learning.measured_critical_batch(-1, 2048),
        lambda: learning.gradient_noise_scale(64, 8, 1, 1),
        lambda: learning.gradient_noise_scale(8, 64, 1, 2),
    ):
        with pytest.raises(PlannerError):
            wrong()


def test_kaplans_law_at_gpt3s_loss() -> None:
    # Kaplan et al. 2020, section 5.1: about 1 to 2 million tokens at the loss of their largest models (near 2.4 to 3).
    assert 0.9e6 < learning.kaplan_critical_batch(3.0).tokens < 1.3e6
    assert "tokens double at 21.22M" in learning.batch_remark(3.1e6, learning.critical_batch(300e9))
