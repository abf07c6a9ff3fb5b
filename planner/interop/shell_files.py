"""Files that a launch script reads with `source`, where they are beside it."""

from __future__ import annotations

import re
from pathlib import Path

from planner.interop.files import config_text
from planner.units import PlannerError

# What stands before the name of a file beside the script: $(dirname "$0")/, ${BASH_SOURCE%/*}/, $HERE/.
_HERE = re.compile(r"^(?:\$\w+|.*[)}`])/")


def sourced(script: Path, file: str) -> str | None:
    """The text of a file in the script's folder or below it; None for others and for what cannot be read."""
    name = _HERE.sub("", file)
    parts = Path(name).parts if name and "\0" not in name else ()
    if not parts or "$" in name or ".." in parts or parts[0] in ("/", "~"):
        return None
    for place in (script.parent / name, script.parent / parts[-1]):
        try:
            if place.is_file() and place.resolve() != script.resolve():
                return config_text(place)
        except (OSError, PlannerError):
            continue
    return None
