"""How planner's files build on each other: downward through the rooms, and never round in a circle."""

from __future__ import annotations

import ast
import re
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
(CONTRACT,) = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
#: Room -> its floor. What starts the command stands above them all, the package's own face below.
FLOORS = {
    room: floor
    for floor, layer in enumerate(("planner", *reversed(CONTRACT["layers"]), "planner.__main__"))
    for room in re.findall(r"[\w.]+", layer)
}
#: `import planner` itself loads nothing: what the library offers is looked up on first use.
STATED = ("planner", "planner.api")


def module_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(text: str, files: frozenset[str]) -> set[str]:
    """The files that a text imports, at its head, within functions, and for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            named = {f"{node.module}.{each.name}" for each in node.names}
            found |= {each if each in files else node.module for each in named}
    return found & files


def arrows() -> dict[str, set[str]]:
    """File -> the files that it imports, of all of planner."""
    texts = {module_of(path, ROOT): path.read_text(encoding="utf-8") for path in (ROOT / "planner").rglob("*.py")}
    files = frozenset(texts)
    drawn = {name: imports(text, files) - {name} for name, text in texts.items()}
    drawn[STATED[0]].discard(STATED[1])
    return drawn


def floor(name: str) -> int:
    return FLOORS[".".join(name.split(".")[:2])]


def test_every_import_is_seen_wherever_it_stands():
    text = "import a\nfrom a import b\nif T:\n    from c import d\n\n\ndef f():\n    from e import g, h\n"
    assert imports(text, frozenset(("a", "a.b", "c", "e", "e.g", "other"))) == {"a", "a.b", "c", "e", "e.g"}


def test_no_file_imports_one_of_a_room_above_its_own():
    up = [f"{name} -> {other}" for name, found in arrows().items() for other in found if floor(other) > floor(name)]
    assert not up


def test_no_file_imports_itself_by_way_of_others():
    try:
        TopologicalSorter(arrows()).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))
