"""Regular expressions in tables of names, which a user's own rows may hold."""

from __future__ import annotations

import re

from planner.reading import one_line
from planner.units import PlannerError
from planner.words import say


def fits(pattern: str, text: str, table: str) -> bool:
    """Whether a pattern of `table` is found in a text; "" fits any.

    Raises
    ------
    PlannerError
        If it is no regular expression.
    """
    try:
        return re.search(pattern, text) is not None
    except re.error as error:
        message = say("patterns.no_pattern", table=table, pattern=one_line(pattern, 60), error=str(error))
        raise PlannerError(message) from None
