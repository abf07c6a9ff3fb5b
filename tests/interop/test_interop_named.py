"""Whatever file a command cannot use, the sentence that refuses it names that file."""

import json

import pytest
from interop_plans import answer

from planner.cli.run import run
from planner.interop.files import named, naming
from planner.units import PlannerError

SCENARIO = (
    "model: pythia-1b\ndata: {samples: 1000000, seq_length: 2048}\ntraining: {epochs: 1}\nbudget: {time: 30 days}\n"
)
BAD = {
    "missing": None,
    "folder": "",
    "empty": b"",
    "binary": b"\x00\x01\x02" * 50,
    "latin": "naïve: é".encode("latin-1"),
    "list": b"- 1\n- 2\n",
    "word": b"hello\n",
    "cut": b"a: [1, 2\nb: }",
    "deep": b"[" * 5000,
    "number": b"12",
    "axolotl": b"base_model: x\nsequence_len: 2048\ndatasets:\n  - path: a\n",
    "toml": b'[model]\nname = "llama3"\n[training]\nsteps = 10\n',
    "deepspeed": b'{"train_batch_size": "auto", "zero_optimization": {"stage": 3}}',
    "table": b"a,b\n1,2\n",
    "shape": b'{"num_layers": "z", "hidden_size": 5, "model": 3, "data": [], "training": "x"}',
    "endless": b'{"num_layers": 1e999, "model_type": "llama", "hidden_size": -1}',
    "bert": b'{"model_type": "bert"}',
    "script": b"#!/bin/bash\necho hi\n",
    "prose": b"The quick brown fox\njumps over the lazy dog\n",
    "part": b'{"num_layers": 2}',
    "odd": b'{"num_layers": 2, "hidden_size": 65, "num_attention_heads": 4, "max_position_embeddings": 8}',
    "unknown model": SCENARIO.replace("pythia-1b", "nosuch").encode(),
    "no index": SCENARIO.replace("samples: 1000000", "index: nosuch").encode(),
    "no log": SCENARIO.replace("samples: 1000000", "log: nosuch.log").encode(),
    "no gpu": (SCENARIO + "cluster: {gpu: nosuch}\n").encode(),
    "no cloud": (SCENARIO + "cluster: {clouds: [mars]}\n").encode(),
    "offload": SCENARIO.replace("epochs: 1", "epochs: 1, framework: gpt-neox, offload: optimizer").encode(),
}
READERS = {
    "import": (["import", "FILE", "--gpus", "8"], ".yml"),
    "import json": (["import", "FILE", "--gpus", "8"], ".json"),
    "import script": (["import", "FILE", "--gpus", "8"], ".sh"),
    "optimize": (["optimize", "FILE"], ".yaml"),
    "explain": (["explain", "FILE"], ".yaml"),
    "fleet": (["optimize", "SCENARIO", "--fleet", "FILE"], ".yaml"),
    "simulate": (["simulate", "FILE"], ".json"),
    "export": (["export", "FILE", "--to", "neox", "-o", "OUT"], ".json"),
    "track": (["track", "FILE", "--log", "PLAN"], ".json"),
    "log": (["track", "PLAN", "--log", "FILE"], ".log"),
    "iterations log": (["iterations", "--log", "FILE", "--global-batch", "8"], ".log"),
    "iterations index": (["iterations", "--index", "FILE", "--seq-length", "64", "--global-batch", "8"], ".idx"),
    "validate": (["validate", "FILE"], ".csv"),
    "calibrate": (["calibrate", "FILE", "--catalog", "OUT"], ".csv"),
}
FEW = ("missing", "folder", "binary", "latin", "cut", "deep", "axolotl", "script")
MORE_READERS = {
    "compare": (["compare", "FILE", "PLAN"], ".json"),
    "frontier": (["frontier", "FILE"], ".yaml"),
    "propose": (["propose", "FILE", "-o", "OUT"], ".yaml"),
    "sweep": (["sweep", "FILE", "--over", "cluster.max_gpus=8,16"], ".yaml"),
    "predict": (["predict", "FILE"], ".csv"),
    "log of a scenario": (["optimize", "WITH-LOG"], ".log"),
    "index of a scenario": (["optimize", "WITH-INDEX"], ".idx"),
}


@pytest.mark.parametrize(
    ("reader", "kind"),
    [*((reader, kind) for reader in READERS for kind in BAD), *((r, kind) for r in MORE_READERS for kind in FEW)],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, capsys, monkeypatch, reader, kind):
    monkeypatch.chdir(tmp_path)
    command, ending = {**READERS, **MORE_READERS}[reader]
    path = tmp_path / f"zz-bad{ending}"
    if BAD[kind] == "":
        path.mkdir()
    elif BAD[kind] is not None:
        path.write_bytes(BAD[kind])
    (tmp_path / "out").mkdir()
    (tmp_path / "good.json").write_text(answer().to_json())
    (tmp_path / "good.yaml").write_text(SCENARIO)
    (tmp_path / "log.yaml").write_text(SCENARIO.replace("samples: 1000000", "log: zz-bad.log"))
    (tmp_path / "index.yaml").write_text(SCENARIO.replace("samples: 1000000", "index: zz-bad"))
    beside = {"WITH-LOG": tmp_path / "log.yaml", "WITH-INDEX": tmp_path / "index.yaml"}
    places = {
        **beside,
        "FILE": path,
        "PLAN": tmp_path / "good.json",
        "SCENARIO": tmp_path / "good.yaml",
        "OUT": tmp_path / "out",
    }
    code = run([str(places.get(word, word)) for word in command])
    said = capsys.readouterr().err
    if reader == "log" and kind == "empty":
        assert code == 0  # a run that has not begun
        return
    assert code == 2
    assert path.stem in said
    assert "Traceback" not in said


def test_a_plan_that_is_none_and_one_that_a_tool_cannot_run_are_named(tmp_path, capsys):
    empty = {**json.loads(answer().to_json()), "plan": None}
    for name, text in (("none.json", json.dumps(empty)), ("vpp.json", answer(vpp=2).to_json())):
        (tmp_path / name).write_text(text)
        assert run(["export", str(tmp_path / name), "--to", "neox", "-o", str(tmp_path / "out")]) == 2
        assert name in capsys.readouterr().err


def test_sentences_of_options_and_those_that_name_a_file_are_left(tmp_path):
    path = tmp_path / "a.yml"
    assert named("--gpus is 0", [path]) == "--gpus is 0"
    assert named("norm (a.yml:3) is odd", [path]) == "norm (a.yml:3) is odd"
    assert named("norm is odd", [path, tmp_path / "b.yml"]) == "a.yml + b.yml: norm is odd"
    with pytest.raises(PlannerError, match=r"^a\.yml: odd$"), naming(path):
        raise PlannerError("odd")
