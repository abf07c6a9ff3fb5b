"""Turns what a scenario refers to, indices and logs, into numbers, and says what was read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from planner.interop.datasets import epochs_of_map, read_index, read_index_map, split_documents
from planner.interop.files import config_text
from planner.interop.neox_logs import LogDataset, explain, read_data_log
from planner.reading import read_bytes
from planner.reading.tree import MAX_BYTES
from planner.scenario import one_run, parse_any
from planner.spec.model import ModelSpec
from planner.spec.programme import Programme
from planner.spec.scenario import DataSource, Scenario
from planner.units import PlannerError
from planner.words import say
from planner.workload.dataset import tokens_from_samples


@dataclass(frozen=True, slots=True)
class Resolved:
    """One dataset once it was read. `seq_length` is the log's own, where one said it."""

    source: DataSource
    seq_length: int | None = None
    remarks: tuple[str, ...] = ()


def read_scenario(
    source: Path | Mapping[str, Any], overrides: Sequence[str] = (), overlays: Sequence[Path] = ()
) -> Scenario:
    """A scenario from its file, or from its keys as a map, with the files that it names read.

    Relative paths begin in the file's folder; those of a map in the working folder.

    Raises PlannerError if the scenario or an override ("key.path=value") is wrong, naming the place and the key.
    """
    return one_run(read_any(source, overrides, overlays))


def read_any(
    source: Path | Mapping[str, Any], overrides: Sequence[str] = (), overlays: Sequence[Path] = ()
) -> Scenario | Programme:
    """As `read_scenario`, or the programme where the source has `stages`."""
    if isinstance(source, Path):
        content, file = read_bytes(source, MAX_BYTES, "a scenario"), source
    else:
        # What JSON does not know: numpy's numbers are numbers, paths and days are texts.
        text = json.dumps(source, default=lambda v: v.item() if hasattr(v, "item") else str(v), ensure_ascii=False)
        content, file = text.encode("utf-8", "surrogateescape"), Path("scenario")
    found = parse_any(content, file, overrides, overlays=overlays)
    if isinstance(found, Programme):
        return replace(found, stages=tuple(replace(each, scenario=resolve(each.scenario)) for each in found.stages))
    return resolve(found)


def resolve(scenario: Scenario, folder: Path | None = None) -> Scenario:
    """The scenario with every `index:`, `log:` and model file read: tokens of one epoch, sequence length, shape.

    Relative paths begin in `folder`, by default the scenario's own.

    Raises PlannerError for files that cannot be read, are damaged or do not say what is wanted of them.
    """
    path_of = scenario.path_of if folder is None else folder.joinpath
    model = _model_of(path_of(scenario.model_file)) if "model" in scenario.unresolved else scenario.model
    seq_length: int | None = scenario.seq_length or None
    sources = []
    for source in scenario.data:
        read = resolve_source(source, seq_length, path_of)
        seq_length = seq_length or read.seq_length
        parts = [read.source.basis, *read.remarks]
        basis = say("referenced_data.with_remarks", parts=parts) if read.remarks else read.source.basis
        sources.append(replace(read.source, basis=basis))
    if not seq_length:
        raise PlannerError(say("referenced_data.no_length"))
    return replace(scenario, model=model, data=tuple(sources), seq_length=seq_length)


def resolve_source(source: DataSource, seq_length: int | None, path_of: Callable[[str], Path] = Path) -> Resolved:
    """One dataset with its numbers. Its `index` or `log` gives way to `tokens`; `basis` says what was read."""
    if source.index is not None:
        return _from_index(source, path_of(source.index), seq_length)
    if source.log is not None:
        return _from_log(source, path_of(source.log), seq_length)
    return Resolved(source)


def _model_of(path: Path) -> ModelSpec:
    """The shape in a file: planner's own model file, or a config of another program."""
    from planner.interop.importing import import_files
    from planner.workload.model_catalog import read_model

    text = config_text(path)
    own = all(re.search(rf"^{key}:", text, re.MULTILINE) for key in ("layers", "hidden", "heads"))
    return read_model(path) if own else import_files([path]).model


def _from_index(source: DataSource, prefix: Path, seq_length: int | None) -> Resolved:
    split = source.split or None
    if prefix.suffix == ".npy":
        return _from_map(source, prefix, seq_length)
    index = read_index(prefix)
    stop = index.sequences if split is None else split_documents(split, index.sequences)[1]
    tokens = index.tokens(0, stop)
    if tokens < 2:
        raise PlannerError(say("referenced_data.few_tokens", file=index.path.name, tokens=tokens))
    values: dict[str, Any] = {"file": index.path.name, "tokens": tokens, "sequences": stop}
    if split is not None:
        percent = float(Fraction(stop * 100, index.sequences or 1))
        basis = say("referenced_data.index_split", split=split, percent=percent, total=index.sequences, **values)
    elif index.documents != index.sequences:
        basis = say("referenced_data.index_documents", documents=index.documents, **values)
    else:
        basis = say("referenced_data.index", **values)
    return Resolved(replace(source, index=None, read_index=source.index or "", tokens=tokens, basis=basis))


def _from_map(source: DataSource, path: Path, seq_length: int | None) -> Resolved:
    """A saved sample or shuffle index; how many epochs it covers stands in the document index beside it."""
    found = read_index_map(path)
    if found.samples is None:
        raise PlannerError(say("referenced_data.lists_documents", file=path.name))
    documents = path.with_name(
        path.name.replace(f"{found.kind}_idx", "doc_idx").replace(f"{found.kind}_index", "document_index")
    )
    epochs = epochs_of_map(read_index_map(documents))
    in_name = re.search(r"_(\d{1,12})sl_", path.name)
    length = (int(in_name[1]) if in_name else 0) or seq_length
    if length is None:
        raise PlannerError(say("referenced_data.index_length", file=path.name))
    low, high = tokens_from_samples(found.samples, epochs, length)
    basis = say(
        "referenced_data.samples",
        file=path.name,
        samples=found.samples,
        length=length,
        epochs=epochs,
        low=low,
        high=high,
    )
    return Resolved(replace(source, index=None, tokens=high, basis=basis), length)


def _from_log(source: DataSource, path: Path, seq_length: int | None) -> Resolved:
    """The training set of a log, as tokens of one epoch: the most that its count allows, so a plan covers it."""
    train = read_data_log(path).of("train")
    length = next((dataset.seq_length for dataset in train if dataset.seq_length), None) or seq_length
    if length is None:
        raise PlannerError(say("referenced_data.log_length", file=path.name))
    ranges = [dataset.tokens_per_epoch(dataset.seq_length or length) for dataset in train]
    low, high = sum(low for low, _ in ranges), sum(high for _, high in ranges)
    if high < 2:
        raise PlannerError(say("referenced_data.log_samples", file=path.name))
    said = [explain(dataset) for dataset in train]
    basis = say("referenced_data.log", file=path.name, said=said, low=low, high=high)
    return Resolved(replace(source, log=None, tokens=high, basis=basis), length, _log_remarks(train, length))


def _log_remarks(train: Sequence[LogDataset], length: int) -> tuple[str, ...]:
    """Why an epoch is less than the number that the log prints."""
    remarks: list[str] = []
    if len(train) > 1:
        remarks.append(say("referenced_data.log_datasets", datasets=len(train)))
    for dataset in train:
        seq_length = dataset.seq_length or length
        one = (dataset.tokens_per_epoch(seq_length)[1] - 1) // seq_length
        if dataset.epochs > 1:
            requested = dataset.requested or say("referenced_data.more")
            share = say("referenced_data.half") if dataset.epochs == 2 else f"1/{dataset.epochs}"
            values = {
                "printed": dataset.printed,
                "epochs": dataset.epochs,
                "asked": requested,
                "one": one,
                "share": share,
            }
            remarks.append(say("referenced_data.log_epochs", **values))
        elif dataset.line == "loading":
            remarks.append(say("referenced_data.log_loading", printed=dataset.printed))
    return tuple(remarks)
