"""Whatever the texts of a plan hold, exported files run nothing of it, show nothing raw and mean the same."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from interop_plans import answer

from planner.api import load_scenario
from planner.interop.export_common import Export
from planner.interop.exporting import TARGETS, export_files, write_files
from planner.interop.plans import read_plan
from planner.interop.quoting import commented, printable, shell_path, shell_word, yaml_value
from planner.results.answers import Alternative, Binding, Default, Optimization, Trained
from planner.results.plan import EpochSchedule, Plausibility
from planner.units import PlannerError
from planner.workload.model_catalog import load_model

COMBINATIONS = [
    ("gpt-neox", "neox"),
    ("megatron", "megatron"),
    *((framework, target) for framework in ("gpt-neox", "megatron", "fsdp") for target in ("slurm", "skypilot")),
]
HOSTILE = {
    "command": "$(touch MARK)",
    "backticks": "`touch MARK`",
    "single quote": "x'; touch MARK; '",
    "double quote": 'x"; touch MARK; "',
    "separators": "x; touch MARK & touch MARK | touch MARK #",
    "line end": "x\ntouch MARK\n#SBATCH --nodes=9\nkey: value",
    "carriage return": "x\rtouch MARK\r\ntouch MARK",
    "other line ends": "x\x85touch MARK\u2028touch MARK\u2029touch MARK\x0btouch MARK",
    "terminal": "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f",
    "turned": "\u202egnp.exe\u2066\ufeff",
    "option": "-x --load=MARK",
    "backslash": "x\\",
    "variable": "${HOME}~ *?[a] {a,b} !!",
    "yaml": "a: b, [c] {d} *e &f !!g %h @i # j",
    "odd letters": "\U0001f600é中",
}
ALL = "".join(text.replace("\n", " ") for text in HOSTILE.values() if text.isprintable())
STEERING = {  # which files are made
    "framework", "recompute", "precision", "norm", "activation", "position_embedding", "layer_pattern",
}  # fmt: skip


def full_answer(framework: str) -> Optimization:
    """A saved answer in which every kind of text that a plan has holds something."""
    model = "gpt-neox-20b" if framework == "gpt-neox" else "llama3-8b"
    trained = Trained(
        dataclasses.replace(load_model(model), aliases=("another",), source="a paper"),
        ("data/a", "data/b"), (0.3, 0.7), "995,4,1", (), 1000, 10,
    )  # fmt: skip
    saved = answer(model, framework, trained=trained)
    plan = dataclasses.replace(
        saved.plan, measurements=("m",), learning=("l",), energy_basis=("e",), framework_release="r",
        throughput_basis="t", probability_basis="p", flops_convention="f", critical_batch_remark="c",
        schedule=(EpochSchedule(1, 1, 2, 0.0, 1.0),), plausibility=Plausibility(1.0, 1.0, 0.5, 0.9, 1.0, 1),
    )  # fmt: skip
    return dataclasses.replace(
        saved, plan=plan, alternatives=(Alternative("why", plan),), binding=(Binding("key", "text", unit="USD"),),
        defaults=(Default("key", "value"),), warnings=("warning",),
        provenance=dataclasses.replace(saved.provenance, offers_left_out={"r": 1}, asked={"k": "v"}),
    )  # fmt: skip


def rewritten(value: Any, text: str, keep: Container[str]) -> Any:
    """`value` with every text in it replaced, fields named in `keep` excepted."""
    if isinstance(value, str):
        return text
    if isinstance(value, tuple):
        return tuple(rewritten(entry, text, keep) for entry in value)
    if isinstance(value, dict):
        return {key: rewritten(entry, text, keep) for key, entry in value.items()}
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value) if f.name not in keep]
        return dataclasses.replace(value, **{name: rewritten(getattr(value, name), text, keep) for name in names})
    return value


def places(document: Any, at: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """The path of every text within JSON values."""
    if isinstance(document, str):
        yield at
    elif isinstance(document, dict):
        for key, entry in document.items():
            yield from places(entry, (*at, key))
    elif isinstance(document, list):
        for i, entry in enumerate(document):
            yield from places(entry, (*at, i))


class Stubs:
    """A PATH on which launchers only write down the words that they are given."""

    LAUNCHERS = ("torchrun", "python", "git", "pip")
    REAL = ("bash", "env", "dirname", "head", "sed", "awk", "touch", "cat")

    def __init__(self, root: Path) -> None:
        self.root, self.bin, self.log, self.mark = root, root / "bin", root / "log", root / "mark"
        self.scripts = 0
        for folder in (self.bin, root / "gpt-neox", root / "Megatron-LM"):
            folder.mkdir()
        for name in self.REAL:
            (self.bin / name).symlink_to(shutil.which(name))
        for name in self.LAUNCHERS:
            self._stub(name, f"printf '%s\\0' {name} \"$@\" >> '{self.log}'")
        self._stub("srun", 'while [[ "$1" == -* ]]; do shift; done; exec "$@"')
        self._stub("scontrol", "echo node-1")

    def _stub(self, name: str, body: str) -> None:
        (self.bin / name).write_text(f"#!{shutil.which('bash')}\n{body}\n")
        (self.bin / name).chmod(0o755)

    def run(self, folder: Path, files: Mapping[str, str]) -> list[str]:
        """Run every script of an export; the words that its launchers were given."""
        write_files(folder, files)
        scripts = [name for name in files if name in ("launch.sh", "train.sbatch")]
        scripts += ["train.sh"] if "train.sh" in files and not {"train.sbatch", "task.yaml"} & set(files) else []
        for key in ("setup", "run") if "task.yaml" in files else ():
            (folder / f"{key}.sh").write_text(yaml.safe_load(files["task.yaml"]).get(key, ""))
            scripts.append(f"{key}.sh")
        assert scripts
        self.log.unlink(missing_ok=True)
        for script in scripts:
            self.scripts += 1
            done = subprocess.run(
                ["bash", script], cwd=folder, env=self.environment(folder), capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, (script, done.stderr)
        assert not self.mark.exists()
        return self.log.read_bytes().decode("utf-8", "surrogatepass").split("\0")

    def environment(self, folder: Path) -> dict[str, str]:
        return {
            "PATH": str(self.bin), "HOME": str(self.root), "LC_ALL": "C",
            "NEOX_DIR": str(self.root / "gpt-neox"), "MEGATRON_DIR": str(self.root / "Megatron-LM"),
            "TOKENIZER_MODEL": "t", "CHECKPOINTS": "c", "DATA_PATH": "d", "TRAIN_SCRIPT": "own.py",
            "SLURM_SUBMIT_DIR": str(folder), "SLURM_JOB_ID": "1", "SLURM_JOB_NODELIST": "n[1-12]",
            "SLURM_JOB_NUM_NODES": "12", "SLURM_GPUS_ON_NODE": "8", "SLURM_NODEID": "0",
            "SKYPILOT_NODE_IPS": "1.2.3.4", "SKYPILOT_NODE_RANK": "0", "SKYPILOT_NUM_NODES": "12",
        }  # fmt: skip


@pytest.fixture
def stubs(tmp_path: Path) -> Stubs:
    root = tmp_path / "stubs"
    root.mkdir()
    return Stubs(root)


def exported_or_refused(path: Path, target: str) -> Any:
    """The files of a saved plan, or None; and what a user is told."""
    try:
        return export_files(read_plan(path), target)
    except PlannerError as error:
        return None, [str(error)]


def check_files(files: Mapping[str, str], made_otherwise: Any) -> None:
    """Nothing raw, YAML that is YAML, and as many lines, comments and directives as with harmless texts."""
    assert files.keys() == made_otherwise.keys()
    for name, content in files.items():
        assert content.replace("\n", "").isprintable(), name
        usual = made_otherwise[name]
        for sign in ("#", "#SBATCH", *(() if name == "task.yaml" else ("",))):  # a cloud's keys are for known clouds
            count, expected = (sum(line.startswith(sign) for line in c.split("\n")) for c in (content, usual))
            assert count == expected, (name, sign)
        if name.endswith((".yml", ".yaml")):
            assert yaml.safe_load(content).keys() == yaml.safe_load(usual).keys()


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize(("framework", "target"), COMBINATIONS)
def test_all_texts_of_a_plan_are_hostile_and_nothing_of_them_runs(tmp_path, stubs, framework, target, kind):
    """Past the checks of what is read: quoting alone is enough."""
    text = HOSTILE[kind].replace("MARK", str(stubs.mark))
    saved = full_answer(framework)
    usual = TARGETS[target](Export(saved.plan, saved.trained, "x"))
    plan, trained = (rewritten(part, text, STEERING) for part in (saved.plan, saved.trained))
    files = TARGETS[target](Export(plan, trained, text))
    check_files(files, usual)
    words = stubs.run(tmp_path / "out", files)
    if "train.sh" in files:
        path = f"./{text}" if text.startswith("-") else text
        at = words.index("--data-path")
        assert words[at : at + 7] == ["--data-path", "0.3", path, "0.7", path, "--split", text]
    if "paths.yml" in files:
        paths = yaml.safe_load(files["paths.yml"])
        assert (paths["train_data_paths"], paths["split"]) == ([text, text], text)


@pytest.mark.parametrize(("framework", "target"), COMBINATIONS)
def test_a_saved_plan_with_one_hostile_text_is_exported_unharmed_or_refused_in_a_sentence(
    tmp_path, stubs, framework, target
):
    saved = full_answer(framework)
    usual, _ = export_files(saved, target)
    document = json.loads(saved.to_json())
    found = list(places(document))
    assert len(found) > 70
    refused = exported = 0
    for at in found:
        for text in (ALL.replace("MARK", str(stubs.mark)), HOSTILE["terminal"] + HOSTILE["line end"]):
            broken = copy.deepcopy(document)
            part = broken
            for key in at[:-1]:
                part = part[key]
            part[at[-1]] = text
            path = tmp_path / "plan.json"
            path.write_text(json.dumps(broken))
            files, said = exported_or_refused(path, target)
            assert all(line.isprintable() for line in said)
            refused += files is None
            exported += files is not None
            if files is None:
                continue
            check_files(files, usual)
            if files != usual:
                stubs.run(tmp_path / "out", files)
    assert refused > len(found)  # what cannot be printed, everywhere, and what a field cannot hold
    assert exported > len(found) // 2


@pytest.mark.parametrize("field", sorted(STEERING))
@pytest.mark.parametrize(("framework", "target"), COMBINATIONS)
def test_a_text_that_chooses_what_is_written_is_written_safely_or_refused(tmp_path, stubs, framework, target, field):
    saved = full_answer(framework)
    text = ALL.replace("MARK", str(stubs.mark))
    plan, trained = (rewritten_field(part, field, text) for part in (saved.plan, saved.trained))
    try:
        files = TARGETS[target](Export(plan, trained, "x"))
    except PlannerError:
        return
    stubs.run(tmp_path / "out", files)


def rewritten_field(value: Any, name: str, text: str) -> Any:
    if not dataclasses.is_dataclass(value):
        return value
    changes = {f.name: rewritten_field(getattr(value, f.name), name, text) for f in dataclasses.fields(value)}
    return dataclasses.replace(value, **{**changes, **({name: text} if hasattr(value, name) else {})})


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        ("trained.data_split", "$(touch x)", r"trained\.data_split: shares such as 995,4,1 is expected"),
        ("plan.precision", "bf16; x", r"plan\.precision: a word"),
        ("plan.framework", "", r"plan\.framework: a word"),
        ("plan.layout.recompute", "some", "none, selective or full"),
        ("plan.layout.zero_stage", 4, "zero_stage is no number that a plan can have"),
        ("trained.model.norm", "norm", "layernorm, layernorm_nobias, layernorm_bare, rmsnorm"),
        ("trained.model.layers", -1, "layers is no number that a plan can have"),
        ("trained.batch_ramp", [-1, 1, 1], "batch_ramp"),
        ("plan.offer.gpu", "a\x1b[2J", r"plan\.offer\.gpu holds characters that are not printable: a\?\[2J"),
        ("plan.time_s.p50", 1e999, "not one beyond all bounds"),
        ("plan.time_s.p50", 10**400, "not one beyond all bounds"),
    ],
)
def test_what_no_plan_can_hold_is_refused_as_it_is_read(tmp_path, place, value, sentence):
    document = json.loads(answer().to_json())
    part = document
    *parents, last = place.split(".")
    for key in parents:
        part = part[key]
    part[last] = value
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document))
    with pytest.raises(PlannerError, match=sentence):
        read_plan(path)


def test_what_a_program_hands_over_is_checked_like_a_file():
    saved = dataclasses.replace(answer(), trained=None)
    with pytest.raises(PlannerError, match="shares such as 995,4,1"):
        export_files(saved, "neox", dataclasses.replace(answer().trained, data_split="$(touch x)"))


@pytest.mark.parametrize("split", ["$(touch x)", "1,2,3,4", "995;4", "-1,2"])
def test_a_scenario_states_shares_of_documents_as_numbers(tmp_path, split):
    path = tmp_path / "a.yaml"
    path.write_text(f"model: pythia-1b\ndata: {{index: a, split: '{split}', seq_length: 8}}\nbudget: {{time: 1 day}}\n")
    with pytest.raises(PlannerError, match="is not a split such as `995,4,1`"):
        load_scenario(path)


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
def test_a_damaged_plan_is_exported_or_refused_in_a_sentence(tmp_path_factory, target, data):
    document = json.loads(full_answer("gpt-neox" if target == "neox" else "megatron").to_json())
    part = document[data.draw(st.sampled_from(["plan", "trained", "goal"]))]
    while isinstance(part, dict) and part:
        inner, key = part, data.draw(st.sampled_from(sorted(part)))
        part = inner[key]
        strange = st.sampled_from([None, 0, -1, 7, 1e308, float("nan"), float("inf"), "x", [], {}, True, 10**30, [-1]])
        inner[key] = part if isinstance(part, dict) and part else data.draw(strange)
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    path.write_text(json.dumps(document))
    assert all(line.isprintable() for line in exported_or_refused(path, target)[1])


TEXT = st.text(st.characters(exclude_characters="\0"), max_size=20)


@given(st.lists(TEXT | st.text("'\"\\$`!\n\x1b -~", max_size=10), min_size=1, max_size=20))
@example(["", "-", "~", "a=b", "\x0141", "'\n'", "\u2028x"])
def test_a_shell_reads_a_quoted_word_as_it_was(words):
    line = " ".join(map(shell_word, words))
    assert line.isprintable()
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        check=True,
    )  # fmt: skip
    assert done.stdout.decode("utf-8", "surrogatepass") == "".join(f"{word}\0" for word in words)


@given(st.recursive(TEXT | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)))  # fmt: skip
def test_yaml_reads_a_value_as_it_was(value):
    text = yaml_value(value)
    assert text.isprintable()
    assert yaml.safe_load(text) == value


@given(st.text(max_size=40))
def test_a_comment_is_one_line_that_can_be_seen(text):
    (line,) = commented([text])
    assert line.startswith("#")
    assert line.isprintable()
    assert len(printable(text)) == len(text)


def test_no_path_is_an_option_and_no_word_holds_a_nul():
    assert shell_path("-rf") == "./-rf"
    with pytest.raises(PlannerError, match="NUL"):
        shell_word("a\0b")
