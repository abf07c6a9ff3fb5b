"""Quantities a person writes ("30 days", "80k USD", "64B tokens", "400 Gbit/s") and how they print."""

from __future__ import annotations


class PlannerError(ValueError):
    """A user's mistake, as one sentence: what is wrong, where, and what to write instead."""
