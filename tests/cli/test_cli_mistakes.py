"""A mistake is told wholly in the language asked for, whichever room finds it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from planner.scenario.sections import SCENARIO
from planner.scenario.tables import AnyOr, Key, KeyedMap, Many, Shape
from planner.words.languages import phrases

SCENARIO_FILE = "model: gpt-neox-20b\ndata: {samples: 1000, seq_length: 2048}\ntraining: {epochs: 1}\n"
FILES = {
    "run.yaml": SCENARIO_FILE + "budget: {time: 9 days}\n",
    "key.yaml": SCENARIO_FILE + "budgt: {time: 9 days}\n",
    "unit.yaml": SCENARIO_FILE + "budget: {time: 9}\n",
    "kind.yaml": SCENARIO_FILE + "budget: [9 days]\n",
    "missing.yaml": "model: gpt-neox-20b\ntraining: {epochs: 1}\nbudget: {time: 9 days}\n",
    "twice.yaml": "model: a\nmodel: b\n",
    "broken.yaml": "model: [a\n",
    "shape.yaml": SCENARIO_FILE.replace("gpt-neox-20b", "{layers: 2, hidden: 10, heads: 3, vocab: 9}"),
    "circle.yaml": "model: gpt-neox-20b\nstages:\n"
    "  - {name: a, data: {samples: 9, seq_length: 9}, training: {epochs: 1}, after: b}\n"
    "  - {name: b, data: {samples: 9, seq_length: 9}, training: {epochs: 1}, after: a}\n",
    "rows.csv": "a,b\n1,2\n",
    "ragged.csv": "name,tokens\n1,2,3\n",
    "broken.json": '{"a": 1,,}',
    "zero.yaml": "model: \0",
}
MISTAKES = {
    "a scenario's key": "optimize key.yaml",
    "a unit": "optimize unit.yaml",
    "a kind of value": "optimize kind.yaml",
    "a key that is missing": "optimize missing.yaml",
    "a key twice": "optimize twice.yaml",
    "YAML": "optimize broken.yaml",
    "a zero byte": "optimize zero.yaml",
    "a model's shape": "optimize shape.yaml",
    "an order": "optimize circle.yaml",
    "an override": "optimize run.yaml --set budget.confidence=95",
    "a file": "optimize none.yaml",
    "a folder": "optimize none/run.yaml",
    "CSV": "catalog import ragged.csv --as-of 2026-11-24",
    "columns": "predict rows.csv",
    "an option": "optimize run.yaml --nosuch",
    "a command": "optimise run.yaml",
    "a command that typer takes for an option": "{x} run.yaml",
    "the language behind the command": "optimize run.yaml --lang zh",
    "an option's number": "probe run.yaml --runs 99",
    "an option's day": "optimize run.yaml --date soon",
    "an argument": "optimize",
    "options together": "optimize run.yaml --json --full",
    "counts": "iterations --samples 0 --seq-length 2048",
    "a first scenario": "init new.yaml --model llama3-8b --gpus 9,h100 --data 10k",
    "a place to write": "iterations --samples 9 --seq-length 8 --global-batch 4 -o /dev/null/x.json",
}


def english(sentence: str) -> list[str]:
    """Runs of English words outside backquotes and options that were typed."""
    told = re.sub(r"`[^`]*`|--[\w-]+ \S+=\S*", "", sentence.removeprefix("planner: "))
    return re.findall(r"[A-Za-z]{2,}[ ,]+[a-z]{2,}", told)


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_wholly_in_chinese(planner, tmp_path, monkeypatch, mistake):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    told, plain = planner("--lang", "zh", *mistake.split()), planner(*mistake.split())
    assert told.code == plain.code == 2
    assert re.search("[\u4e00-\u9fff]", told.err), told.err
    assert not english(told.err), told.err
    assert english(plain.err), plain.err
    assert not re.search("[\u4e00-\u9fff]", plain.err), plain.err


def test_the_language_of_the_environment_is_one_that_there_is_or_none(planner, monkeypatch):
    count = ("iterations", "--samples", "9", "--seq-length", "8", "--global-batch", "4")
    monkeypatch.setenv("PLANNER_LANG", "{x}")
    assert planner(*count).err.startswith("planner: PLANNER_LANG is `{x}`: there are en")
    assert planner("--lang", "en", *count).code == 0
    assert planner("--lang", "xx", *count).err.startswith("planner: --lang `xx`: there are en")
    monkeypatch.setenv("PLANNER_LANG", "")
    assert "tokens an epoch" in planner(*count).out


def required(kind: object) -> list[Key]:
    """The keys that a kind of value cannot do without, however deep."""
    if isinstance(kind, KeyedMap):
        return [key for key in kind.keys if key.required] + [each for key in kind.keys for each in required(key.kind)]
    if isinstance(kind, Shape):
        return [each for part in (kind.scalar, kind.many, kind.table) for each in required(part)]
    return required(kind.item) if isinstance(kind, Many | AnyOr) else []


def test_what_a_missing_key_is_has_words_in_every_language():
    meanings = {key.help for key in required(SCENARIO) if not hasattr(key.help, "code")}
    assert meanings
    assert meanings <= set(phrases("keys"))
