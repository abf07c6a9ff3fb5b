"""The project as a newcomer gets it: locked, layered, whole when installed elsewhere."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from planner.catalog import paths
from planner.units import PlannerError

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("requirements.lock", "requirements-dev.lock")


def locked(name: str) -> dict[str, str]:
    """Package -> its pin and hashes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==(.+?(?:\n +--hash=\S+.*)*)$", text, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes_and_no_address(lock):
    pins = locked(lock)
    assert len(pins) > 15
    assert not [name for name, pin in pins.items() if "--hash=sha256:" not in pin]
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(r"https?:|file:|find-links|index-url", text)


def test_what_is_depended_on_is_locked_and_justified():
    names = {re.split(r"[<>=]", text)[0] for text in PROJECT["project"]["dependencies"]}
    extras = PROJECT["project"]["optional-dependencies"].values()
    names |= {re.split(r"[<>=]", text)[0] for extra in extras for text in extra}
    assert names <= set(locked("requirements.lock"))
    table = re.findall(r"^\| ([A-Za-z0-9-]+)", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert names <= {name.lower() for name in table}
    development = {re.split(r"[<>=]", text)[0] for text in PROJECT["dependency-groups"]["dev"]}
    assert development <= set(locked("requirements-dev.lock"))


def test_what_runs_is_the_same_in_both_locks():
    development = locked("requirements-dev.lock")
    assert all(development[name] == pin for name, pin in locked("requirements.lock").items())


def test_every_room_is_in_the_layers_contract():
    (contract,) = PROJECT["tool"]["importlinter"]["contracts"]
    named = {name.strip(" ()\n") for layer in contract["layers"] for name in layer.split(":")}
    rooms = {f"planner.{path.stem}" for path in (ROOT / "planner").iterdir() if _is_room(path)}
    assert rooms <= named


def _is_room(path: Path) -> bool:
    if path.name.startswith("_"):
        return False
    return path.suffix == ".py" or (path / "__init__.py").is_file()


def test_what_tests_share_and_call_is_typed():
    untyped = []
    for path in (ROOT / "tests").rglob("*.py"):
        for made in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(made, ast.FunctionDef) and not made.name.startswith("test_"):
                arguments = [*made.args.posonlyargs, *made.args.args, *made.args.kwonlyargs]
                arguments += [part for part in (made.args.vararg, made.args.kwarg) if part]
                bare = [part for part in arguments if part.annotation is None and part.arg not in ("self", "cls")]
                if bare or made.returns is None:
                    untyped.append(f"{path.name}:{made.lineno} {made.name}")
    assert not untyped


def test_no_committed_text_names_a_machine_or_an_index():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(r"(?<![\w.])/(?:work|tmp|opt|home|root|mnt|Users)/\w|pypi\.org|\.\./shared")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file() or b"\0" in path.read_bytes()[:1024]:
            continue
        found += [f"{name}: {hit}" for hit in pattern.findall(path.read_text(encoding="utf-8", errors="replace"))]
    assert not found


def test_data_lies_in_the_checkout_or_in_the_package(tmp_path, monkeypatch):
    assert paths.data_dir() == ROOT / "catalogs"
    assert paths.scenarios_dir() == ROOT / "scenarios"
    package = tmp_path / "site-packages" / "planner"
    (package / "_catalogs").mkdir(parents=True)
    monkeypatch.setattr(paths, "_PACKAGE", package)
    assert paths.data_dir() == package / "_catalogs"
    with pytest.raises(PlannerError, match="scenarios are missing"):
        paths.scenarios_dir()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    ran = subprocess.run(
        [sys.executable, "-c", build, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return folder / ran.stdout.split()[-1]


def test_the_wheel_carries_the_catalogs_the_scenarios_and_the_licence(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"planner/_catalogs/sources.yaml", "planner/_scenarios/neox20b.yaml", "planner/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "catalogs"))]


def test_the_wheel_runs_a_scenario_from_another_folder(wheel, tmp_path):
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    zipfile.ZipFile(wheel).extractall(site)
    elsewhere.mkdir()
    scenario = elsewhere / "mine.yaml"
    scenario.write_bytes((ROOT / "scenarios" / "neox20b-as-trained.yaml").read_bytes())
    environment = {**os.environ, "PYTHONPATH": str(site)}
    ran = subprocess.run(
        [sys.executable, "-m", "planner", "optimize", "mine.yaml", "--json"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert '"status": "optimal"' in ran.stdout
