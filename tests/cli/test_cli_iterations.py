"""`planner iterations`: the known example, and what is refused."""

from __future__ import annotations

import json

import pytest

KNOWN = ("iterations", "--samples", 31267487, "--seq-length", 2048, "--global-batch", 1024)


def test_the_known_example(planner):
    count = json.loads(planner(*KNOWN, "--json").out)
    assert count["tokens_per_epoch"] == 64_035_813_376
    assert count["samples_per_epoch"] == 31_267_487
    assert count["iterations_per_epoch"] == 30_534
    assert count["leftover_samples"] == 671
    assert count["iterations"] == 30_535
    assert count["epochs"] == 1
    assert "30,534" in count["remarks"][0]


def test_the_known_example_for_a_person(planner):
    said = planner(*KNOWN).out
    assert "64,035,813,376" in said
    assert "30,534 full batches of 1,024, 671 sequences left over" in said


def test_four_epochs_are_covered(planner):
    count = json.loads(planner(*KNOWN, "--epochs", 4, "--json").out)
    assert count["iterations"] == -(-4 * 31_267_487 // 1024)
    assert count["tokens"] == count["iterations"] * 1024 * 2048


def test_tokens_follow_the_rule_of_overlapping_samples(planner):
    count = json.loads(planner("iterations", "--tokens", "1025", "--seq-length", 64, "--global-batch", 4, "--json").out)
    assert count["samples_per_epoch"] == (1025 - 1) // 64 == 16


def test_a_log_of_two_epochs_is_counted_for_one_and_says_why(planner, tmp_path):
    log = tmp_path / "train.log"
    log.write_text(
        " > loading sample-idx mapping from data_train_indexmap_24000000ns_2048sl_1234s_packedpi_ac_sample_idx.npy\n"
        "    loaded indexed file in 0.013 seconds\n"
        "    total number of samples: 31267487\n"
        "    total number of epochs: 2\n"
    )
    ran = planner("iterations", "--log", log, "--seq-length", 2048, "--global-batch", 1024, "--json")
    count = json.loads(ran.out)
    assert count["samples_per_epoch"] == 15_633_743
    assert count["iterations_per_epoch"] == 15_267
    assert "2 epochs" in " ".join([count["basis"], *count["remarks"]])


def test_a_scenario_counts_with_its_own_data(planner):
    ran = planner("iterations", "scenarios/neox20b.yaml", "--global-batch", 1024, "--json")
    assert json.loads(ran.out)["iterations"] == 122_139


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "exactly one"),
        (("--samples", 5, "--tokens", 5), "--samples and --tokens were given"),
        (("--samples", "1x", "--seq-length", 8, "--global-batch", 1), "--samples: `1x`"),
        (("--samples", "5 tokens", "--seq-length", 8, "--global-batch", 1), "counts tokens"),
        (("--samples", 0, "--seq-length", 8, "--global-batch", 1), "less than 1"),
        (("--samples", 5, "--global-batch", 1), "--seq-length is missing"),
        (("--samples", 5, "--seq-length", 8), "--global-batch is missing"),
        (("--samples", 5, "--seq-length", 8, "--global-batch", 0), "--global-batch"),
        (("--samples", 5, "--seq-length", 8, "--global-batch", 1, "--epochs", "many"), "--epochs"),
        (("--samples", 5, "--seq-length", 8, "--global-batch", 1, "--epochs", 0), "epochs"),
        (("--samples", 5, "--seq-length", 8, "--global-batch", 1, "--set", "a=b"), "--set"),
        (("--log", "no.log", "--seq-length", 8, "--global-batch", 1), "no.log"),
        (("--index", "no/where", "--seq-length", 8, "--global-batch", 1), "where.idx"),
        (("scenarios/neox20b.yaml",), "--global-batch"),
    ],
)
def test_what_cannot_be_counted_is_said_in_one_sentence(planner, arguments, said):
    ran = planner("iterations", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert ran.out == ""


def test_a_log_that_says_nothing_of_its_data_is_told_what_is_read_and_its_nearest_line(planner, tmp_path):
    log = tmp_path / "data.log"
    log.write_text("starting\ntotal samples found = 31267487\n")
    ran = planner("iterations", "--log", log, "--seq-length", "2048", "--global-batch", "1024")
    assert (ran.code, ran.out) == (2, "")
    assert "the nearest is line 2, `total samples found = 31267487`" in ran.err
    assert "`total number of samples: N`" in ran.err
