"""The table of model types in docs/models.md is the registry's; `make refresh` writes it anew."""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

from planner.interop.hf_families import FAMILIES, REFUSED
from planner.workload import model_from_mapping, parameter_counts

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
TABLE = re.compile(r"(?<=<!-- model types: written by `make refresh` -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table() -> str:
    """The types that are counted, and under each reason those that are refused."""
    reasons: dict[str, list[str]] = {}
    for name, why in sorted(REFUSED.items()):
        reasons.setdefault(why, []).append(name)
    rows = [("counted", sorted(FAMILIES)), *((f"refused: {why}", names) for why, names in sorted(reasons.items()))]
    lines = ["| | `model_type` |", "|---|---|", *(f"| {what} | {', '.join(names)} |" for what, names in rows)]
    return "\n".join(["", *lines, "", ""])


def test_the_table_of_model_types_is_the_registrys():
    text = PAGE.read_text(encoding="utf-8")
    fresh = TABLE.sub(lambda _: table(), text)
    if os.environ.get("PLANNER_REFRESH_DOCS"):
        PAGE.write_text(fresh, encoding="utf-8")
    assert fresh == PAGE.read_text(encoding="utf-8"), "models.md is out of date: run `make refresh`"


def test_the_shape_that_the_page_shows_is_the_model_that_it_names():
    block = re.search(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    shown = model_from_mapping(yaml.safe_load(block[1])["model"])
    assert parameter_counts(shown, padded=False).total == 79_674_391_296  # Qwen3-Next, as transformers builds it
