"""In which language a terminal or a page is written: English, until somebody asks for another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from planner.units import PlannerError, shown
from planner.words.languages import SPOKEN, spoken
from planner.words.sentence import say


@contextmanager
def speak(language: str) -> Iterator[None]:
    """Within `with planner.speak("zh"):`, what results show (their repr, pages and plots) is in that language.

    JSON, data frames and messages of errors stay as they are. Raises as `checked`.
    """
    before = SPOKEN.set(checked(language))
    try:
        yield
    finally:
        SPOKEN.reset(before)


def speak_on(language: str) -> None:
    """What is shown from here on is in that language, until the `speak` around it ends. Raises as `checked`."""
    SPOKEN.set(checked(language))


def checked(language: str) -> str:
    """A language that has a file.

    Raises
    ------
    PlannerError
        If it has none.
    """
    if language not in spoken():
        raise PlannerError(say("languages.unknown", language=shown(language), known=list(spoken())))
    return language
