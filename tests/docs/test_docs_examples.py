"""Every command in README and docs/ is run, and prints what the page says; so are the notebook's cells.

`make refresh` writes the pages anew.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from conftest import Ran
from notebooks import executed

import planner
from planner.cli.app import app
from planner.report.terminal import optimization_table

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
#: The answer that README shows, saved: a new fit or price list does not rewrite its first screen. `planner optimize
#: scenarios/neox20b.yaml -o` of it writes a newer one.
PINNED = ROOT / "tests" / "fixtures" / "readme_answer.json"
BLOCK = re.compile(r"(?<=^```console\n)(\$ .*?)(?=^```$)", re.DOTALL | re.MULTILINE)


def examples(text: str) -> list[tuple[str, str]]:
    """(command, output) pairs of one console block; a command line may go on after a backslash."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    pairs = []
    for part in parts:
        command, _, output = re.sub(r"\\\n\s*", " ", part).partition("\n")
        pairs.append((command, output))
    return pairs


def run_block(block: str, planner: Callable[..., Ran]) -> str:
    """The block as it ought to be."""
    written = []
    for shown, (command, _) in zip(re.split(r"^\$ ", block, flags=re.MULTILINE)[1:], examples(block), strict=True):
        lines = shown.split("\n")
        end = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
        name, *arguments = shlex.split(command)
        assert name == "planner", f"docs show another program than planner: {command}"
        ran = planner(*arguments)
        assert ran.code in (0, 3), f"{command}: {ran.err}"
        written.append("$ " + "\n".join(lines[: end + 1]) + "\n" + ran.out)
    return "".join(written)


def test_readme_shows_the_answer_that_was_saved_for_it():
    page = ROOT / "README.md"
    text = page.read_text(encoding="utf-8")
    saved = planner.load_plan(PINNED)
    command = "$ planner optimize scenarios/neox20b.yaml --date 2026-11-24\n"
    fresh = BLOCK.sub(lambda _: command + optimization_table(saved, today=date(2026, 11, 24), width=80), text, count=1)
    if os.environ.get("PLANNER_REFRESH_DOCS"):
        page.write_text(fresh, encoding="utf-8")
    assert fresh == text, "README.md is out of date: run `make refresh`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_print_what_it_says(page, planner, tmp_path, monkeypatch):
    for folder in ("scenarios", "catalogs"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    fresh = BLOCK.sub(lambda match: run_block(match.group(1), planner), text)
    if os.environ.get("PLANNER_REFRESH_DOCS"):
        page.write_text(fresh, encoding="utf-8")
    assert fresh == page.read_text(encoding="utf-8"), (
        f"{page.name} is out of date: run `make refresh` and read the change"
    )


def test_the_notebook_shows_what_its_cells_answer(monkeypatch):
    path = ROOT / "docs" / "notebook.ipynb"
    monkeypatch.chdir(path.parent)
    fresh = executed(path)
    if os.environ.get("PLANNER_REFRESH_DOCS"):
        path.write_text(fresh, encoding="utf-8")
    assert fresh == path.read_text(encoding="utf-8"), "notebook.ipynb is out of date: run `make refresh`"


def commands() -> list[str]:
    """Every command and command of a command, as they are typed."""
    names = [str(info.name) for info in app.registered_commands]
    for group in app.registered_groups:
        inner = group.typer_instance.registered_commands if group.typer_instance else []
        names += [str(group.name), *(f"{group.name} {info.name}" for info in inner)]
    return names


def test_the_reference_has_every_command():
    page = ROOT / "docs" / "cli.md"
    text = page.read_text(encoding="utf-8")
    missing = [name for name in commands() if f"$ planner {name} --help" not in text]
    if missing and os.environ.get("PLANNER_REFRESH_DOCS"):
        blocks = "".join(f"## {name}\n\n```console\n$ planner {name} --help\n```\n\n" for name in missing)
        page.write_text(text.replace("## Completion in", f"{blocks}## Completion in"), encoding="utf-8")
    assert not missing, f"docs/cli.md lacks {missing}: run `make refresh`, twice"


def test_links_between_pages_lead_somewhere():
    links = {page: re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8")) for page in PAGES}
    assert any(links.values())
    assert not [(page.name, link) for page in PAGES for link in links[page] if not (page.parent / link).exists()]


def test_first_screen_gives_the_two_commands():
    first = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:24]
    assert any("make plan" in line for line in first)
    assert any("make test" in line for line in first)
