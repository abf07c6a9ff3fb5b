"""The search's own English sentences in the document's language, where they are known; else as they are, quoted."""

from __future__ import annotations

import re
from functools import cache

from planner.report.proposal.locale import Locale


def translated(words: Locale, sentence: str) -> str:
    """A sentence of an answer (warning, binding limit, default) in the language of `words`."""
    if words.language == "en":
        return sentence
    for pattern, template in _patterns():
        found = pattern.fullmatch(sentence)
        if found:
            return template.format(**found.groupdict())
    return sentence


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    from planner.report.proposal.words_zh import PATTERNS

    return [(re.compile(pattern, re.DOTALL), template) for pattern, template in PATTERNS]
