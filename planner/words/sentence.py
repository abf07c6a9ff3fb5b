"""A sentence that knows what it says, how it is worded, and how it is saved."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, Self

from planner.money import writing
from planner.words.languages import FORMS, forms, met, phrases, speaking, templates

Value = Any  # str, int, float, date, Sentence, or a list of these
LISTS = ("and", "or", "commas", "semicolons", "plus")
DEEPEST = 8  # sentences within sentences, of a saved one
#: What filling a template raises where a code or a value is not what it asks for.
UNSAYABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Sentence(str):
    """An English text that `say` made: `code` names its template, `values` are what stands in it.

    It is a text like any other to whatever prints, compares or saves it. What is joined to it by hand is no sentence
    any more: what has parts is a template whose values are sentences.
    """

    code: str
    values: Mapping[str, Value]

    def __new__(cls, text: str, code: str, values: Mapping[str, Value]) -> Self:
        made = super().__new__(cls, text)
        made.code, made.values = code, values
        return made

    def __getnewargs__(self) -> tuple[str, str, Mapping[str, Value]]:  # type: ignore[override]
        return str(self), self.code, self.values


class _Filler(string.Formatter):
    """Fills a template's places as a language writes them.

    `{time:duration}` (seconds), `{time:time}` (in three digits), `{cost:cost}` (US dollars, in the unit that is
    written), `{cost:cost.2}` (to so many decimals), `{cost:amount.2}` (the same without its unit), `{cost:cost.short}`
    (in three digits, of thousands or millions), `{n:count}`, `{x:number}` and `{x:number.3}` (significant
    digits), `{p:percent}` (a fraction), `{m:gib}`, `{b:bytes}`, `{r:bandwidth}` (Gbit/s), `{t:short}` (64.04B),
    `{day:date}` (in words), `{n:node|nodes}` (the word alone, by number), `{offer:name}` (what people call it, where
    that is told), `{items:and}`, `or`, `commas`, `semicolons`, `plus` (a list), `{text:capital}` (at a sentence's
    beginning), else as Python has it.
    """

    def __init__(self, language: str, names: Mapping[str, str]) -> None:
        self.language, self.names = language, names

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Sentence):
            value = worded(value, self.language, self.names)
        if not format_spec and type(value) is str:
            return value
        if "|" in format_spec:
            one, _, more = format_spec.partition("|")
            return one if value in (1, "1") else more
        if format_spec in LISTS:
            return forms(self.language).listed([self.format_field(each, "name") for each in value], format_spec)
        if isinstance(value, str) and format_spec == "capital":
            return value[:1].upper() + value[1:]
        if isinstance(value, str):
            return self.names.get(value, value) if format_spec == "name" else value
        if isinstance(value, date):
            return forms(self.language).date(value) if format_spec == "date" else value.isoformat()
        if format_spec.startswith(("cost", "amount.")):
            return forms(self.language).money(value, format_spec, writing())
        return forms(self.language).quantity(value, format_spec) or format(value, format_spec)


def say(code: str, /, **values: Value) -> Sentence:
    """The English sentence of a code, its places filled; nothing stands in one that is not in `values`.

    Raises
    ------
    KeyError
        If there is no such code, or a place has no value: a fault of ours.
    """
    return Sentence(_filled("en", code, values, {}), code, values)


def say_from(code: str, values: Mapping[str, Value]) -> Sentence:
    """The English sentence of a code, of those of many values that stand in it. Raises as `say`."""
    places = {name for _, name, _, _ in string.Formatter().parse(templates("en")[code])}
    return say(code, **{name: value for name, value in values.items() if name in places})


def phrase(group: str, text: str) -> str:
    """A text of the catalogs as the sentence of a group that has the very words in English; else as it is."""
    code = phrases(group).get(text)
    return text if code is None else Sentence(text, code, {})


def said_in(language: str, code: str, /, **values: Value) -> str:
    """What a code says in a language, in English where that language lacks it."""
    return _filled(language if code in templates(language) else "en", code, values, {})


def said(code: str, /, **values: Value) -> str:
    """What a code says in the language that is being shown (`speak`): for what draws, never for what is kept."""
    return said_in(speaking(), code, **values)


def worded(text: str, language: str | None = None, names: Mapping[str, str] | None = None) -> str:
    """A text in a language, with people's `names` for what catalogs call otherwise; as it is where it is no sentence.

    Without a language it is in the one that is being shown (`speak`).

    What an older or a newer planner saved may lack its code or a value here: that stays as it was written.
    """
    if not isinstance(text, Sentence):
        return str(text)
    language = language or speaking()
    if language == "en" and not names:
        return str(text)
    try:
        known = language if text.code in templates(language) else "en"
        return _filled(known, text.code, text.values, names or {})
    except UNSAYABLE:
        return str(text)


def _filled(language: str, code: str, values: Mapping[str, Value], names: Mapping[str, str]) -> str:
    text = templates(language)[code]
    if "{" not in text:
        return text
    filler, out = _Filler(language, names), ""
    for literal, place, form, conversion in _parts(text):
        out = met(out, literal)
        if place is not None:
            value = values[place] if place in values else filler.get_field(place, (), values)[0]
            value = filler.convert_field(value, conversion) if conversion else value
            out = met(out, filler.format_field(value, form or ""))
    return out


@cache
def _parts(text: str) -> tuple[tuple[str, str | None, str | None, str | None], ...]:
    """A template cut up: each literal text with the place behind it, its form and its conversion."""
    return tuple(string.Formatter().parse(text))


# --- saving ------------------------------------------------------------------------------------------------------


def table(document: Any) -> list[dict[str, Any]]:
    """Every sentence within what is to be saved as JSON, by its text: that, its code and its values."""
    out: dict[str, dict[str, Any]] = {}
    _gather(document, out)
    return [out[text] for text in sorted(out)]


def _gather(part: Any, out: dict[str, Any]) -> None:
    if isinstance(part, Sentence):
        out.setdefault(str(part), {"text": str(part), **_saved(part)})
    elif isinstance(part, Mapping):
        for key, entry in part.items():
            _gather(key, out)
            _gather(entry, out)
    elif isinstance(part, list):
        for entry in part:
            _gather(entry, out)


def _saved(value: Value) -> Any:
    if isinstance(value, Sentence):
        return {"code": value.code, "values": {name: _saved(entry) for name, entry in value.values.items()}}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_saved(entry) for entry in value]
    if isinstance(value, date):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def restored(document: Any, saved: Any) -> Any:
    """What was read from JSON, its texts that `saved` (the document's table) knows as sentences again.

    A text is one if its code and values say the very text in English, amounts in the unit that is written: what an
    edited table or another planner's words would say otherwise stays as it was written, in every language.
    """
    if not isinstance(saved, list):
        return document
    known: dict[str, Sentence] = {}
    for entry in saved:
        text = entry.get("text") if isinstance(entry, dict) else None
        made = _sentence(entry, len(text)) if isinstance(text, str) else None
        if made is not None and made == text:
            known[text] = made
    return _with_sentences(document, known) if known else document


def _with_sentences(part: Any, known: Mapping[str, Sentence]) -> Any:
    if isinstance(part, str):
        return known.get(part, part)
    if isinstance(part, dict):
        return {known.get(key, key): _with_sentences(entry, known) for key, entry in part.items()}
    if isinstance(part, list):
        return [_with_sentences(entry, known) for entry in part]
    return part


def _sentence(entry: Any, longest: int, depth: int = 0) -> Sentence | None:
    """A saved sentence of at most `longest` characters, or None where it is not one."""
    code, values = entry.get("code"), entry.get("values")
    if not isinstance(code, str) or not isinstance(values, dict) or depth > DEEPEST or code.startswith(f"{FORMS}."):
        return None
    try:
        said = say(code, **{name: _value(each, longest, depth + 1) for name, each in values.items()})
    except UNSAYABLE:
        return None
    return said if len(said) <= longest else None


def _value(entry: Any, longest: int, depth: int) -> Value:
    """A saved value; it raises ValueError where no sentence has such a one."""
    if isinstance(entry, dict):
        within: Value = _sentence(entry, longest, depth)
    elif isinstance(entry, list):
        within = [_value(each, longest, depth + 1) for each in entry] if depth <= DEEPEST else None
    else:
        within = None if isinstance(entry, float) and not math.isfinite(entry) else entry
    if within is None and entry is not None:
        raise ValueError("a value that no sentence has")
    return within
