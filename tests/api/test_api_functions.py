"""The library: a function for every command, which takes files, maps or values and answers with numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import Ran

import planner as library
from planner.cli.app import app
from planner.results.answers import Optimization
from planner.results.result import Result, Rows

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "scenarios" / "neox20b-as-trained.yaml"
IMPOSSIBLE = ROOT / "scenarios" / "impossible.yaml"
CANDIDATES = ROOT / "scenarios" / "candidates.csv"
KEYS = yaml.safe_load(SMALL.read_text())
RUN = {
    "model": "gpt-neox-20b", "gpu": "a100-sxm4-40gb", "gpus": 96, "seq_len": 2048, "tp": 2, "pp": 4,
    "global_batch_samples": 1536, "micro_batch": 4, "framework": "gpt-neox", "recompute": "full",
}  # fmt: skip
FUNCTION_OF = {
    "import": "import_files",
    "catalog list": "list_catalog",
    "catalog show": "show_catalog",
    "catalog check": "check_catalog",
    "catalog diff": "diff_catalog",
    "catalog import": "import_catalog",
}


@pytest.fixture(scope="module")
def answer() -> Optimization:
    return library.optimize(SMALL)


@pytest.fixture(scope="module")
def saved(answer: Optimization, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "plan.json"
    path.write_text(answer.to_json())
    return path


@pytest.fixture(scope="module")
def log(answer: Optimization, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of the first 500 iterations of the plan, a tenth slower than planned."""
    plan = answer.plan
    seconds = 1.1 * plan.step_time_s.p50
    path = tmp_path_factory.mktemp("log") / "train.log"
    path.write_text(
        "".join(
            f" samples/sec: {plan.global_batch / seconds:.3f} | iteration {number:8d}/{plan.iterations:8d} "
            f"| elapsed time per iteration (ms): {seconds * 1000:.1f} | learning rate: 1.0E-04 | lm_loss: 2.1E+00 |\n"
            for number in range(10, 501, 10)
        )
    )
    return path


def told(planner: Callable[..., Ran], *arguments: object) -> str:
    """The document that a command prints."""
    ran = planner(*arguments, "--json")
    assert ran.code in (0, 2, 3), ran.err
    return ran.out


def looks_well(result: Result, most: int = 200) -> pd.DataFrame:
    """A short form on one line, a table with a row each, and a page's fragment."""
    assert isinstance(result, Result)
    assert len(repr(result)) <= most
    assert "\n" not in repr(result)
    assert re.fullmatch(rf"<{type(result).__name__}: .+>", repr(result))
    assert "<table" in result._repr_html_()
    return result.to_frame()


def test_results_are_shown_in_the_language_that_is_spoken(answer: Optimization) -> None:
    plain, frame = answer.to_json(), answer.to_frame()
    with library.speak("zh"):
        assert "守住预算的概率" in repr(answer)
        assert "守住预算的概率" in answer._repr_html_()
        assert answer.to_json() == plain
        assert answer.to_frame().equals(frame)
        assert "。；" not in repr(library.explain(SMALL))
        assert "预算" in library.propose(SMALL, formats="txt", date="2026-11-24").files["proposal.txt"].decode()
    assert "within budget" in repr(answer)
    with pytest.raises(library.PlannerError, match="there are en"), library.speak("xx"):
        pass


def test_there_is_a_function_for_every_command():
    names = [str(info.name) for info in app.registered_commands]
    for group in app.registered_groups:
        names += [f"{group.name} {info.name}" for info in group.typer_instance.registered_commands]
    assert {FUNCTION_OF.get(name, name) for name in names} <= set(dir(library))


def test_all_that_is_listed_is_there_and_says_what_it_does():
    for name in dir(library):
        assert name == "__version__" or getattr(library, name).__doc__, name
    assert issubclass(library.InfeasibleError, library.PlannerError)


@pytest.mark.parametrize(
    "given", [SMALL, str(SMALL), KEYS, library.load_scenario(SMALL)], ids=lambda g: type(g).__name__
)
@pytest.mark.parametrize("name", ["optimize", "frontier", "explain", "simulate", "iterations"])
def test_files_maps_and_scenarios_give_the_same(name, given, monkeypatch):
    monkeypatch.chdir(SMALL.parent)
    options = {"worlds": 100} if name == "simulate" else {}
    expected, found = (getattr(library, name)(each, **options) for each in (SMALL, given))
    without = [{**json.loads(each.to_json()), "provenance": None} for each in (expected, found)]
    assert without[0] == without[1]
    pd.testing.assert_frame_equal(expected.to_frame(), found.to_frame())


def test_overrides_are_texts_or_a_map():
    texts = library.load_scenario(SMALL, ["training.iterations=10"])
    assert texts == library.load_scenario(SMALL, {"training.iterations": 10})
    with pytest.raises(library.PlannerError, match="read already"):
        library.optimize(texts, overrides={"training.iterations": 20})


def test_a_mistake_in_a_map_is_one_sentence():
    with pytest.raises(library.PlannerError, match="trainin"):
        library.optimize({**KEYS, "trainin": {}})


def test_optimize(answer, planner):
    frame = looks_well(answer)
    assert answer.to_json() == told(planner, "optimize", SMALL)
    assert frame["why"][0] == "plan"
    assert {"gpus", "time_s_p50", "cost_usd_p90", "mfu", "tokens_per_s_per_gpu_p50"} <= set(frame)
    assert frame["cost_usd_p50"][0] == answer.plan.cost_usd.p50


def test_an_infeasible_answer_says_so_and_has_no_rows():
    found = library.optimize(IMPOSSIBLE)
    assert found.plan is None
    assert "infeasible" in repr(found)
    assert len(found.to_frame()) == 0


def test_frontier(planner, tmp_path):
    found = library.frontier(SMALL, gpus=True)
    assert found.to_json() == told(planner, "frontier", SMALL, "--gpus")
    frame = looks_well(found)
    assert len(frame) == len(found.plans)
    assert frame["time_s_p50"].is_monotonic_increasing
    found.plot(tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")


def test_compare_takes_scenarios_saved_answers_and_values(answer, saved, planner):
    found = library.compare([SMALL, saved], labels=["new", "old"])
    assert [*looks_well(found, 400)["label"]] == ["new", "old"]
    values = library.compare([library.load_scenario(SMALL), answer], labels=["new", "old"])
    assert values.to_frame().equals(found.to_frame())
    assert library.compare(SMALL, by="gpus").to_json() == told(planner, "compare", SMALL, "--by", "gpus")


def test_explain(planner):
    asked = "gpu=a100-sxm4-80gb,gpus=256"
    found = library.explain(SMALL, why_not=asked)
    assert found.to_json() == told(planner, "explain", SMALL, "--why-not", asked)
    assert looks_well(found, 1000)["what"][0] == "plan"


def test_optimize_fleet(planner, tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("budget: {cost: 900k USD}\n")
    runs = [ROOT / "scenarios" / name for name in ("pythia-12b.yaml", "llama3-8b.yaml")]
    found = library.optimize_fleet(runs, fleet)
    assert found.to_json() == told(planner, "optimize", *runs, "--fleet", fleet)
    assert len(looks_well(found, 400)) == 2


def test_simulate_takes_plans_as_well(answer, saved, planner):
    found = library.simulate(answer, worlds=100)
    assert found.to_json() == library.simulate(saved, worlds=100).to_json()
    assert found.to_json() == told(planner, "simulate", saved, "--worlds", 100)
    assert {"time_s_p50", "cost_usd_p90"} <= set(looks_well(found))
    with pytest.raises(library.InfeasibleError, match="no plan meets the budgets"):
        library.simulate(IMPOSSIBLE)


def test_sweep_takes_files_and_maps(planner):
    over = {"training.iterations": [1000, 2000], "budget.confidence": [0.8]}
    found = library.sweep(SMALL, over)
    texts = ("training.iterations=1000,2000", "budget.confidence=0.8")
    assert found.to_json() == told(planner, "sweep", SMALL, "--over", texts[0], "--over", texts[1], "--jobs", 1)
    frame = looks_well(found)
    assert [*frame["training.iterations"]] == [1000, 2000]
    pd.testing.assert_frame_equal(library.sweep(KEYS, texts).to_frame(), frame)
    with pytest.raises(library.PlannerError, match="read already"):
        library.sweep(library.load_scenario(SMALL), over)


def test_predict_takes_tables_frames_and_maps(planner):
    found = library.predict(CANDIDATES)
    assert found.to_json() == told(planner, "predict", CANDIDATES)
    frame = looks_well(found)
    assert frame["pred_lo"].dropna().lt(frame["pred_hi"].dropna()).all()
    columns = ["pred_tokens_per_s_per_gpu", "pred_lo", "pred_hi", "pred_memory_gib", "fits"]
    for given in (
        pd.read_csv(CANDIDATES),
        pd.read_csv(CANDIDATES).to_dict("records"),
        pd.read_csv(CANDIDATES, dtype=str),
    ):
        pd.testing.assert_frame_equal(library.predict(given).to_frame()[columns], frame[columns])


def test_predictions_are_a_sequence_of_numbers():
    (row,) = library.predict([RUN])
    assert row["pred_lo"] < row["pred_tokens_per_s_per_gpu"] < row["pred_hi"]
    assert library.predict(RUN)[0] == row
    assert row["gpus"] == 96
    assert row["fits"] is True
    assert len(library.predict([])) == 0
    with pytest.raises(library.PlannerError, match="model"):
        library.predict([{"colour": "red"}])
    with pytest.raises(library.PlannerError, match="row 1 is a str"):
        library.predict(["red"])


def test_predict_run_is_the_command_in_full(planner):
    found = library.predict_run(**RUN)
    options = {"seq_len": "seq-length", "global_batch_samples": "global-batch"}
    words = [word for key, value in RUN.items() for word in (f"--{options.get(key, key).replace('_', '-')}", value)]
    command = json.loads(told(planner, "predict", *words))
    assert found["pred_tokens_per_s_per_gpu"] == pytest.approx(command["pred_tokens_per_s_per_gpu"], rel=1e-9)
    assert json.loads(found.to_json())["step_breakdown_s"] == command["step_breakdown_s"]
    assert looks_well(found)["pred_lo"][0] == found["pred_lo"]
    assert found.plot().axes


def test_validate(planner):
    table = ROOT / "catalogs" / "measured" / "runpod-gpt2.csv"
    found = library.validate(table, leave_out="none")
    assert found.to_json() == told(planner, "validate", table, "--leave-out", "none")
    frame = looks_well(found)
    assert (frame["error"].abs() < 1).all()
    assert frame["in_80"].dtype == bool


def test_calibrate_learns_rows_of_any_kind(planner, tmp_path):
    row = {**RUN, "tokens_per_s_per_gpu": 1000}
    (tmp_path / "own.csv").write_text(f"{','.join(row)}\n{','.join(map(str, row.values()))}\n")
    ran = told(planner, "calibrate", tmp_path / "own.csv", "--catalog", tmp_path / "a")
    found = library.calibrate([row], tmp_path / "b")
    assert found.to_json() == ran
    assert found.mdape_after < found.mdape_before
    assert looks_well(found)["rows"][0] == 1
    sharper, before = (library.predict(row, overlays)[0] for overlays in (tmp_path / "b", ()))
    assert abs(sharper["pred_tokens_per_s_per_gpu"] - 1000) < abs(before["pred_tokens_per_s_per_gpu"] - 1000)


def test_calibrate_learns_a_log(saved, log, tmp_path):
    assert library.calibrate(log, tmp_path / "mine", plan=saved).rows == 1


def test_choose_runs(planner):
    found = library.choose_runs(pd.read_csv(CANDIDATES), 2)
    assert found.to_json() == told(planner, "calibrate", CANDIDATES, "--choose", 2)
    assert len(looks_well(found)) == 2


def test_iterations(planner):
    found = library.iterations(tokens="64B", seq_length=2048, global_batch=1024)
    command = told(planner, "iterations", "--tokens", "64B", "--seq-length", 2048, "--global-batch", 1024)
    assert found.to_json() == command
    assert looks_well(found)["iterations"][0] == found.iterations
    assert library.iterations(tokens=64_000_000_000, seq_length="2048", global_batch=1024) == found
    with pytest.raises(library.PlannerError, match="nothing to draw"):
        found.plot()


def test_track_and_replan(answer, saved, log, planner):
    now = library.track(saved, log)
    assert now.to_json() == told(planner, "track", saved, "--log", log)
    assert now.to_json() == library.track(answer, log).to_json()
    assert looks_well(now)["iteration"][0] == 500
    rest = library.replan(answer, log, SMALL)
    both = json.loads(told(planner, "track", saved, "--log", log, "--replan", SMALL))
    assert json.loads(rest.to_json()) == both["continuation"]
    looks_well(rest)


def test_import_files(planner, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(HUGGING))
    found = library.import_files(config, gpus=8, tokens="1B")
    assert found.to_json() == told(planner, "import", config, "--gpus", 8, "--tokens", "1B")
    assert set(looks_well(found)) == {"key", "value", "origin"}
    assert yaml.safe_load(found.to_yaml())["model"]["hidden"] == HUGGING["hidden_size"]


def test_export_takes_answers_and_files(answer, saved, tmp_path):
    launch = library.export(answer, "slurm")
    assert launch.files == library.export(saved, "slurm").files
    assert [*looks_well(launch)["file"]] == [*launch.files]
    assert [path.name for path in launch.write(tmp_path / "launch")] == [*launch.files]
    assert set(json.loads(launch.to_json())) == {"files", "notes"}


def test_propose(planner, tmp_path):
    made = library.propose(SMALL, formats="html,md", date="2026-11-24")
    command = told(
        planner, "propose", SMALL, "--format", "html,md", "--date", "2026-11-24", "-o", tmp_path / "proposal"
    )
    assert made.to_json(tmp_path / "proposal") == command
    assert [*looks_well(made)["file"]] == [*made.files]
    for path in made.write(tmp_path / "mine"):
        assert path.read_bytes() == (tmp_path / "proposal" / path.name).read_bytes()
    with pytest.raises(library.InfeasibleError, match="infeasible"):
        library.propose([SMALL, IMPOSSIBLE])


def test_schema(planner):
    assert library.schema() == json.loads(planner("schema").out)


@pytest.mark.parametrize("kind", ["gpus", "nodes", "prices", "models", "sources"])
def test_list_catalog(kind, planner):
    found = library.list_catalog(kind)
    assert found.to_json() == told(planner, "catalog", "list", kind)
    assert len(looks_well(found)) == len(found.rows)


def test_show_check_and_diff_catalog(planner):
    part = library.show_catalog("h100-sxm5-80gb")
    assert part.to_json() == told(planner, "catalog", "show", "h100-sxm5-80gb")
    assert {"field", "value", "kind", "source"} <= set(looks_well(part))
    assert library.check_catalog().to_json() == told(planner, "catalog", "check")
    (day,) = {path.name for path in (ROOT / "catalogs" / "prices").iterdir()}
    assert library.diff_catalog(day, day).to_json() == told(planner, "catalog", "diff", day, day)


def test_import_catalog(planner, tmp_path):
    quotes = tmp_path / "quotes.csv"
    quotes.write_text(
        "cloud,instance,gpu,gpus,pricing,usd_per_gpu_hour\naws,p5.48xlarge,h100-sxm5-80gb,8,on_demand,3\n"
    )
    found = library.import_catalog(quotes, "2026-11-24", tmp_path / "mine")
    command = told(planner, "catalog", "import", quotes, "--as-of", "2026-11-24", "--to", tmp_path / "other")
    assert found.to_json() == command
    assert found.prices_kept == 1
    assert all(path.is_file() for path in found.files)
    looks_well(found)


def test_what_a_file_says_is_escaped_on_a_notebooks_page():
    rows = Rows("<b>fields</b>", ({"name": "<script>alert(1)</script>"},))
    page = rows._repr_html_()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("name", ["optimize", "compare", "explain", "simulate", "sweep", "predict", "track"])
def test_results_with_plans_can_be_drawn(name, answer, log, tmp_path):
    found = {
        "optimize": lambda: answer,
        "compare": lambda: library.compare([answer, answer], labels=["a", "b"]),
        "explain": lambda: library.explain(SMALL),
        "simulate": lambda: library.simulate(answer, worlds=100),
        "sweep": lambda: library.sweep(SMALL, {"training.iterations": "1000,2000"}),
        "predict": lambda: library.predict(CANDIDATES),
        "track": lambda: library.track(answer, log),
    }[name]()
    found.plot(tmp_path / "figure.svg")
    assert "<svg" in (tmp_path / "figure.svg").read_text()
    with pytest.raises(library.PlannerError, match="cannot draw into"):
        found.plot(tmp_path / "nowhere" / "figure.svg")


HUGGING = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 2048, "num_hidden_layers": 16,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 128256,
    "max_position_embeddings": 2048,
}  # fmt: skip
