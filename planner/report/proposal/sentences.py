"""The search's own English sentences in the document's language, where they are known; else as they are, quoted."""

from __future__ import annotations

import re
from functools import cache

from planner.money import Money
from planner.plan import PRICE_KINDS, pricing_words
from planner.report.proposal.locale import Locale
from planner.words import Sentence, worded
from planner.words.languages import forms


def translated(words: Locale, sentence: str) -> str:
    """A sentence of an answer (warning, binding limit, default) in the language of `words`."""
    if isinstance(sentence, Sentence) or words.language != "zh":
        return worded(sentence, words.language)
    for pattern, template in _patterns():
        found = pattern.fullmatch(sentence)
        if found:
            return template.format(**{key: _value(words, key, text or "") for key, text in found.groupdict().items()})
    return sentence


def dated(words: Locale, as_of: str) -> str:
    """A price's date with what is said of it ("2026-H2 est.", "2026-08-19 file") in the document's language."""
    date, _, how = as_of.partition(" ")
    said = words.known(f"dated_{how.rstrip('.')}") if how else None
    return said.format(date=date) if said else as_of


def _value(words: Locale, key: str, text: str) -> str:
    """What a sentence names, in the language of `words`: a quantity, or in parentheses how machines are paid."""
    if key in ("parts", "assumed"):
        return _owned(text)
    text = text.replace(" %", "%")
    kind = re.fullmatch(r" \((?P<kind>[^,]+)(?P<quoted>, your quote)?\)", text)
    known = {pricing_words(key): key for key in PRICE_KINDS}
    if kind is None or kind["kind"] not in known:
        return dated(words, _units(text))
    said = words.say(f"pricing_{known[kind['kind']]}")
    return f"（{words.say('pricing_quoted', pricing=said) if kind['quoted'] else said}）"


def _owned(text: str) -> str:
    """What a cost of ownership is made of, phrase by phrase; names of things and of keys stay."""
    from planner.report.proposal.sentences_zh import OWNERSHIP

    for pattern, template in OWNERSHIP:
        text = re.sub(pattern, lambda found, to=template: to.format(**found.groupdict()), text)  # type: ignore[misc]
    return text


def _units(text: str) -> str:
    """A quantity in an English sentence, its unit in Chinese: "14 days" -> "14 天"."""
    found = re.fullmatch(r"([\d.,]+) (days?|h|hours?|min|s|[A-Z]{3}|GPU-hours|node-hours)", text)
    if found is None:
        return text
    said = found.group(2)
    unit = {"d": "天", "h": "小时", "m": "分钟", "s": "秒"}.get(said[0]) or forms("zh").unit(Money(said))
    return f"{found.group(1)} {unit}"


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    from planner.report.proposal.sentences_zh import PATTERNS

    return [(re.compile(pattern, re.DOTALL), template) for pattern, template in PATTERNS]
