"""The documents' sentences by key, and a language that exists for a test."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from planner.words import languages
from planner.words.languages import FORMS, forms, templates


def sentences(language: str, group: str = "document") -> dict[str, str]:
    """The templates of a group by key."""
    start = f"{group}."
    return {code.removeprefix(start): text for code, text in templates(language).items() if code.startswith(start)}


def loud(template: str) -> str:
    """A template with its words in capitals; places stay, what they choose among does not."""
    parts = string.Formatter().parse(template)
    return "".join(
        said.upper()
        + ("" if name is None else f"{{{name}{':' + (how.upper() if '|' in how else how) if how else ''}}}")
        for said, name, how, _ in parts
    )


@contextmanager
def another_language(folder: Path, monkeypatch: pytest.MonkeyPatch, **changed: str) -> Iterator[str]:
    """A copy of the room of languages with one file more, which shouts English in changed forms; its code."""
    room = languages._ROOM
    for path in room.glob("*.json"):
        (folder / path.name).write_bytes(path.read_bytes())
    english = json.loads((room / "en.json").read_text(encoding="utf-8"))
    shouted = {
        group: texts | changed if group == FORMS else {name: loud(text) for name, text in texts.items()}
        for group, texts in english.items()
    }
    (folder / "xx.json").write_text(json.dumps(shouted), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(languages, "_ROOM", folder)
        yield "xx"
    templates.cache_clear()
    forms.cache_clear()
