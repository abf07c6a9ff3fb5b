"""Write docs/accuracy.md's tables: rows left out of the stored fit; with --studies also what takes many fits.

`make accuracy` runs it (a minute). Its figures, and those of the studies (five minutes on two cores), are kept in
catalogs/calibration/studies.json; from there --page writes the page alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import accuracy_tables as tables
import numpy as np
from accuracy_ablation import ablation
from accuracy_studies import REFITTED, WAYS, all_left_out, own_study, refits

from planner.catalog.paths import data_dir
from planner.performance.calibration import Calibration, dumps
from planner.performance.loading import load_calibration
from planner.performance.refit import measured_files, read_runs
from planner.performance.rows import Run
from planner.performance.validation import Judged, by_source

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "accuracy.md"
STUDIES = data_dir() / "calibration" / "studies.json"
BEGIN, END = "<!-- {}: written by benchmarks/accuracy.py -->", "<!-- end -->"


def stored(runs: Sequence[Run], studies: Mapping[str, Any]) -> dict[str, Judged]:
    """The rows' errors and spreads by way of leaving out, as they are kept."""
    values = np.asarray([row[1:] for row in studies["rows"]])
    return {way: Judged(tuple(runs), values[:, 2 * i], values[:, 2 * i + 1], way) for i, way in enumerate(WAYS)}


def sections(runs: Sequence[Run], shipped: Calibration, studies: Mapping[str, Any]) -> dict[str, str]:
    """The generated parts of the page, by name."""
    parts = stored(runs, studies)
    before = studies["before"]["interval_score"]
    return {
        "yours": tables.yours(studies["own"]),
        "headline": tables.headline(parts["site"], studies["before"]["each_source_once"]),
        "aims": tables.aims(parts, studies),
        "summary": tables.summary(parts, studies),
        "sources": tables.sources(parts["site"], before),
        "better": tables.better(parts["site"], before),
        "limits": tables.limits(parts["group"]),
        "own": tables.own_rows(studies["own"]),
        "pythia": tables.pythia(studies["own"]),
        "regret": tables.sweeps(parts),
        "spreads": tables.spreads(shipped),
        "levels-in-use": tables.levels_in_use(shipped),
        "worst": tables.worst(parts["site"]),
        "accelerator": tables.accelerators(parts),
        "levels": tables.ablation(studies, "levels"),
        "terms": tables.ablation(studies, "terms"),
    }


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with each generated part between its marks."""
    for name, text in parts.items():
        begin = BEGIN.format(name)
        head, rest = page.split(begin, 1)
        page = f"{head}{begin}\n{text}\n{END}{rest.split(END, 1)[1]}"
    return page


def with_rows(studies: Mapping[str, Any], runs: Sequence[Run], parts: Mapping[str, Judged]) -> dict[str, Any]:
    """The studies with errors and spreads of the ways in `parts`, the others as they were."""
    kept = stored(runs, studies) if len(studies.get("rows", ())) == len(runs) else {}
    columns = [column for way in WAYS for column in _columns((kept | dict(parts))[way])]
    rows = [[r.id, *(round(float(c[i]), 4) for c in columns)] for i, r in enumerate(runs)]
    return {**studies, "rows": rows}


def _columns(part: Judged) -> tuple[Any, Any]:
    return part.errors, part.sigma


def main(options: list[str]) -> None:
    runs, shipped = read_runs(measured_files()), load_calibration()
    studies = json.loads(STUDIES.read_text(encoding="utf-8"))
    if "--page" not in options:
        solved = all_left_out()
        studies["solved"] = {way: by_source(solved[way]) for way in REFITTED}
        parts = {way: part for way, part in solved.items() if way not in REFITTED}
        if "--studies" in options:
            studies |= {"digest": shipped.digest, "own": own_study(), **ablation()}
            parts |= refits()
        elif studies["digest"] != shipped.digest:
            print("the studies are of other rows or priors: run it with --studies", file=sys.stderr)
        STUDIES.write_text(dumps(with_rows(studies, runs, parts)), encoding="utf-8")
        studies = json.loads(STUDIES.read_text(encoding="utf-8"))
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), sections(runs, shipped, studies)), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
