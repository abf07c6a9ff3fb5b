from __future__ import annotations

from collections.abc import Mapping

SENTENCES: Mapping[str, str] = {}
PATTERNS: tuple[tuple[str, str], ...] = ()
