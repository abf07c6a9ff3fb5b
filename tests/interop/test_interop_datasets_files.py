"""Indices, index maps and logs: the numbers of real files, and a sentence for every broken one."""

from __future__ import annotations

import json
import struct
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.interop.datasets import MAGIC, epochs_of_map, read_index, read_index_map, split_documents
from planner.interop.neox_logs import parse_data_log, read_data_log
from planner.interop.referenced_data import resolve, resolve_source
from planner.scenario import load_scenario
from planner.spec.scenario import DataSource
from planner.units import PlannerError
from planner.workload.dataset import packed_samples, run_length
from planner.workload.iterations import per_epoch

FIXTURES = Path(__file__).parents[1] / "fixtures" / "neox"
MAPS = "uneven_u16_{part}_indexmap_{asked}ns_64sl_1234s_packedpi_ac_{kind}_idx.npy"


@pytest.mark.parametrize(
    ("name", "dtype", "sequences", "documents", "tokens", "samples_of_64"),
    [
        ("uneven_u16", "uint16", 150, 150, 51_672, 807),
        ("exact_u16", "uint16", 6, 6, 1025, 16),
        ("oneshort_u16", "uint16", 6, 6, 1024, 15),
        ("onedoc_i32", "int32", 1, 1, 5000, 78),
        ("short_i32", "int32", 44, 44, 4469, 69),
        ("sentences_u16", "uint16", 78, 30, 2637, 41),
    ],
)
def test_indices_that_the_real_programs_wrote(
    name: str, dtype: str, sequences: int, documents: int, tokens: int, samples_of_64: int
) -> None:
    index = read_index(FIXTURES / name)
    assert (index.dtype, index.sequences, index.documents) == (dtype, sequences, documents)
    data = (FIXTURES / f"{name}.bin").stat().st_size
    assert index.tokens() == tokens == data // index.dtype_bytes
    assert packed_samples(tokens, 64) == samples_of_64


def test_every_number_of_the_real_run() -> None:
    result = json.loads((FIXTURES / "uneven_u16.result.json").read_text(encoding="utf-8"))
    index = read_index(FIXTURES / "uneven_u16")
    _, train_end, valid_end, test_end = split_documents("969,30,1", index.sequences)
    assert (train_end, valid_end - train_end, test_end - valid_end) == (146, 4, 0)
    for part, asked, start, stop in (("train", 640, 0, train_end), ("valid", 192, train_end, valid_end)):
        maps = {
            kind: read_index_map(FIXTURES / MAPS.format(part=part, asked=asked, kind=kind))
            for kind in ("doc", "sample", "shuffle")
        }
        expected = result[part]
        epochs = epochs_of_map(maps["doc"])
        samples = packed_samples(index.tokens(start, stop), 64, epochs)
        assert maps["doc"].rows == expected["doc_idx"][0] == epochs * (stop - start)
        assert maps["sample"].rows == expected["sample_idx"][0] == samples + 1
        assert maps["shuffle"].rows == expected["shuffle_idx"][0] == samples
        assert maps["sample"].samples == maps["shuffle"].samples == samples
        assert expected["len"] == samples - 1
        (logged,) = read_data_log(FIXTURES / "uneven_u16.log").of(part)
        assert (logged.line, logged.samples, logged.epochs, logged.seq_length) == ("building", samples, epochs, 64)
        assert (logged.requested, logged.documents) == (asked, stop - start)
        low, high = logged.tokens_per_epoch(64)
        assert low <= index.tokens(start, stop) <= high


def test_the_known_log_counts_two_epochs() -> None:
    log = read_data_log(FIXTURES / "two_epochs.log")
    (train,) = log.of("train")
    assert (train.line, train.printed, train.samples, train.epochs) == ("loading", 31_267_487, 31_267_486, 2)
    assert train.tokens_per_epoch(2048) == (32_017_905_665, 32_017_906_688)
    assert dict(log.documents) == {"train": 76_507_324, "valid": 2_368_648, "test": 78_955}

    read = resolve_source(DataSource("data", log=str(FIXTURES / "two_epochs.log")), None)
    assert read.seq_length == 2048
    run = run_length([read.source], 2048, epochs=1)
    assert run.samples_per_epoch == run.total_samples == 15_633_743
    assert int(per_epoch(run, 1024)[0]) == 15_267
    assert any("half of that number" in remark and "24,000,000" in remark for remark in read.remarks)
    assert run_length([read.source], 2048, epochs=2).total_samples == train.samples


def test_the_loading_lines_of_the_real_log_say_one_more() -> None:
    text = (FIXTURES / "uneven_u16.log").read_text(encoding="utf-8").splitlines()
    loading = [line for line in text if "number of samples:   " not in line and "number of epochs:   " not in line]
    kept = [line for line in loading if "number of documents" not in line]
    (train,) = parse_data_log(kept).of("train")
    assert (train.line, train.printed, train.samples, train.epochs) == ("loading", 796, 795, 1)
    (built,) = parse_data_log(text).of("train")
    assert (built.printed, built.samples, built.loading_line, built.dataset_length) == (795, 795, 796, 794)


def test_megatron_core_prints_the_true_number() -> None:
    log = parse_data_log(
        [
            "INFO:megatron.core.datasets.gpt_dataset:Load the GPTDataset train indices",
            "INFO:megatron.core.datasets.gpt_dataset:> total number of samples: 795",
            "INFO:megatron.core.datasets.gpt_dataset:> total number of epochs: 1",
            "INFO:megatron.core.datasets.gpt_dataset:Load the GPTDataset valid indices",
            "INFO:megatron.core.datasets.gpt_dataset:> total number of samples: 196",
            "INFO:megatron.core.datasets.gpt_dataset:> total number of epochs: 17",
        ]
    )
    assert [(d.part, d.samples, d.epochs) for d in log.datasets] == [("train", 795, 1), ("valid", 196, 17)]


def test_weighted_datasets_of_a_log_are_counted_together() -> None:
    lines = []
    for number, samples in (("0", 101), ("1", 301)):
        lines += [
            f" > loading sample-idx mapping from a_train_{number}_indexmap_90ns_8sl_1s_packedpi_ac_sample_idx.npy",
            "    loaded indexed file in 0.013 seconds",
            f"    total number of samples: {samples}",
            "    total number of epochs: 1",
        ]
    log = parse_data_log(lines)
    assert [(d.number, d.samples) for d in log.of("train")] == [("0", 100), ("1", 300)]


def test_prefixes_colours_and_other_ranks_do_not_disturb(tmp_path: Path) -> None:
    lines = (FIXTURES / "two_epochs.log").read_text(encoding="utf-8").splitlines()
    noisy = []
    for line in lines:
        noisy += [
            f"\x1b[32mgpu250: [rank0] {line}\x1b[0m",
            "gpu251: [INFO] iteration 5/10 | lm_loss: 3.2 |",
            "x" * 70_000,
        ]
    path = tmp_path / "noisy.log"
    path.write_text("\r\n".join(noisy), encoding="utf-8")
    assert read_data_log(path).of("train") == read_data_log(FIXTURES / "two_epochs.log").of("train")


def test_a_saved_sample_index_stands_for_the_data() -> None:
    name = MAPS.format(part="valid", asked=192, kind="sample")
    read = resolve_source(DataSource("data", index=str(FIXTURES / name)), None)
    assert read.seq_length == 64
    tokens = read_index(FIXTURES / "uneven_u16").tokens(146, 150)
    assert read.source.tokens is not None
    assert 0 <= read.source.tokens - tokens < 64


def test_a_scenario_is_resolved_from_its_own_folder(tmp_path: Path) -> None:
    for name in ("uneven_u16.idx", "uneven_u16.bin"):
        (tmp_path / name).write_bytes((FIXTURES / name).read_bytes())
    (tmp_path / "shape.yaml").write_text("layers: 2\nhidden: 64\nheads: 4\nvocab: 512\n", encoding="utf-8")
    text = "model: shape.yaml\ndata: {index: uneven_u16, split: '969,30,1', seq_length: 64}\n"
    (tmp_path / "s.yaml").write_text(text + "training: {epochs: 1}\nbudget: {time: 1 day}\n", encoding="utf-8")
    scenario = load_scenario(tmp_path / "s.yaml")
    assert scenario.unresolved
    found = resolve(scenario)
    assert not found.unresolved
    assert found.data[0].tokens == 50_931
    assert found.model.ffn == 256
    logged = replace(scenario, data=(DataSource("data", log=str(FIXTURES / "two_epochs.log")),), seq_length=0)
    assert resolve(logged).seq_length == 2048


@pytest.mark.parametrize(
    ("split", "size", "bounds"),
    [
        ("995,4,1", 1000, (0, 995, 999, 1000)),
        ("969/30/1", 150, (0, 146, 150, 150)),
        ("1", 7, (0, 7, 7, 7)),
        ("1,1,1", 10, (0, 4, 7, 10)),  # each rounds to 3; what is missing goes to the first
        ("0.98,0.02", 51, (0, 50, 51, 51)),
    ],
)
def test_splits_are_of_documents_and_rounded_as_neox_rounds(
    split: str, size: int, bounds: tuple[int, int, int, int]
) -> None:
    assert split_documents(split, size) == bounds


@pytest.mark.parametrize("split", ["", "a,b", "0,0,0", "-1,2", "nan,1", "inf,1"])
def test_a_split_that_is_none_is_a_sentence(split: str) -> None:
    with pytest.raises(PlannerError, match="split"):
        split_documents(split, 100)


def _index(sequences: int, boundaries: int, version: int = 1, code: int = 8, body: bytes = b"") -> bytes:
    return struct.pack("<9sQBQQ", MAGIC, version, code, sequences, boundaries) + body


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "MMIDIDX"),
        (b"TNTIDX\x00\x00" + bytes(50), "MMIDIDX"),
        (MAGIC + bytes(3), "cut short"),
        (_index(1, 1, version=2), "version 2"),
        (_index(1, 1, code=9), "code 9"),
        (_index(2**62, 2**62), "cut short"),
        (_index(10**9, 10**9, body=bytes(100)), "cut short"),
        (_index(0, 1, body=bytes(8)), "no sequences"),
        (_index(1, 2, body=bytes(4 + 8 + 16 + 1)), "longer"),
        (_index(1, 2, body=struct.pack("<iqqq", -5, 0, 0, 1)), "negative"),
    ],
)
def test_a_hostile_index_is_a_sentence_and_takes_no_memory(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "bad.idx").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(PlannerError, match=says):
            read_index(tmp_path / "bad").tokens()
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_an_index_whose_data_is_cut_short_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.idx").write_bytes((FIXTURES / "exact_u16.idx").read_bytes())
    (tmp_path / "x.bin").write_bytes((FIXTURES / "exact_u16.bin").read_bytes()[:-1])
    with pytest.raises(PlannerError, match=r"x\.bin: is cut short"):
        read_index(tmp_path / "x")


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 3042), at=st.integers(0, 60), byte=st.integers(0, 255))
def test_a_damaged_index_never_crashes(tmp_path: Path, cut: int, at: int, byte: int) -> None:
    content = bytearray((FIXTURES / "uneven_u16.idx").read_bytes()[:cut])
    if at < len(content):
        content[at] = byte
    (tmp_path / "d.idx").write_bytes(content)
    with suppress(PlannerError):
        assert read_index(tmp_path / "d").tokens() >= 0


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 200), at=st.integers(0, 127), byte=st.integers(0, 255))
def test_a_damaged_index_map_never_crashes(tmp_path: Path, cut: int, at: int, byte: int) -> None:
    content = bytearray((FIXTURES / MAPS.format(part="valid", asked=192, kind="doc")).read_bytes())
    content[at] = byte
    place = tmp_path / "x_doc_idx.npy"
    place.write_bytes(content[: len(content) - cut])
    with suppress(PlannerError):
        assert epochs_of_map(read_index_map(place)) >= 1


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x_doc_idx.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(PlannerError, match="no index map"):
        read_index_map(path)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=80),
            st.sampled_from((FIXTURES / "uneven_u16.log").read_text(encoding="utf-8").splitlines()),
            st.builds(
                "    total number of {}: {}".format, st.sampled_from(["samples", "epochs"]), st.integers(0, 10**25)
            ),
        ),
        max_size=60,
    )
)
def test_any_lines_are_read_without_a_crash(lines: list[str]) -> None:
    for dataset in parse_data_log(lines).datasets:
        assert dataset.samples >= 1
        assert dataset.epochs >= 1


@pytest.mark.parametrize("content", [b"", b"nothing here\n", b"\x00" * 1000, b"total number of samples: 5\n"])
def test_a_log_without_data_lines_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.log").write_bytes(content)
    with pytest.raises(PlannerError, match="total number of samples"):
        read_data_log(tmp_path / "x.log")


def test_files_that_are_not_there_are_sentences(tmp_path: Path) -> None:
    for read in (read_index, read_data_log):
        with pytest.raises(PlannerError, match="o such file"):
            read(tmp_path / "none.log")
    with pytest.raises(PlannerError, match="no index map"):
        read_index_map(tmp_path / "x_doc_idx.npy")
