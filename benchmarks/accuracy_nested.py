"""What the choices themselves flatter: each site predicted by the variant that does best on the other sites.

For every site left out, every variant is judged by leaving out each other site in turn beside it; the best one
predicts the site. Its errors know nothing of the site, neither by the fit nor by the choice among these variants. Takes
minutes; prints, and writes nothing. Which terms there are at all was chosen by people who had seen the rows: that is
not undone.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # many small solutions: threads only get in each other's way

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from planner.catalog import load_catalog
from planner.performance.arrays import FloatArray
from planner.performance.calibration import Calibration
from planner.performance.fitting import Fit, fit
from planner.performance.loading import load_calibration
from planner.performance.refit import log_errors, measured_files, read_runs, uncalibrated

#: Levels moved away from what ships, one thing at a time.
VARIANTS: Mapping[str, Mapping[str, float]] = {
    "as shipped": {},
    "narrow field": {"stack_gpu": 0.04, "model_gpu": 0.025},
    "wide field": {"stack_gpu": 0.08, "model_gpu": 0.05},
    "noise 0.045": {"noise": 0.045},
    "tails 3": {"tails": 3.0},
    "130 rows a source": {"rows_a_source": 130.0},
    "site 0.05": {"site": 0.05},
    "site 0.12": {"site": 0.12},
    "no more for experts": {"site_moe": 0.0},
    "no slopes": {"site_slope": 0.0},
}
SIGMAS = {"rates held closer": 0.7, "rates freer": 1.4}


def priors() -> dict[str, Calibration]:
    """The variants, by name."""
    plain = uncalibrated(load_catalog().curves)
    out = {name: replace(plain, levels=replace(plain.levels, **moved)) for name, moved in VARIANTS.items()}
    for name, factor in SIGMAS.items():
        rules = {k: replace(r, sigma=tuple(s * factor for s in r.sigma)) for k, r in plain.rules.items()}
        out[name] = replace(plain, rules=rules)
    return out


def medians(found: Fit, prior: Calibration, out: FloatArray, ask: FloatArray) -> dict[str, float]:
    """Median error of each source among the rows `ask` (a mask), predicted without the rows `out`."""
    runs = [r for r, asked in zip(found.runs, ask, strict=True) if asked]
    off = np.abs(np.expm1(-log_errors(runs, found.calibration(prior, np.flatnonzero(out)))))
    sources = np.asarray([r.source for r in runs])
    return {str(s): float(np.median(off[sources == s])) for s in dict.fromkeys(sources)}


def main() -> None:
    runs = read_runs(measured_files())
    sites = np.asarray([r.setting.conditions.site for r in runs])
    names = list(dict.fromkeys(sites))
    start = load_calibration()
    fits = {name: (fit(runs, prior, start), prior) for name, prior in priors().items()}
    alone: dict[str, dict[str, float]] = {name: {} for name in fits}
    chosen: dict[str, float] = {}
    picks: dict[str, int] = {}
    for outer in names:
        inner = {}
        for name, (found, prior) in fits.items():
            alone[name] |= medians(found, prior, sites == outer, sites == outer)
            seen: dict[str, float] = {}
            for other in names:
                if other != outer:
                    seen |= medians(found, prior, (sites == outer) | (sites == other), sites == other)
            inner[name] = float(np.mean(list(seen.values())))
        best = min(inner, key=lambda name: inner[name])
        picks[best] = picks.get(best, 0) + 1
        chosen |= {s: alone[best][s] for s in {r.source for r in runs if r.setting.conditions.site == outer}}
        print(f"{outer:24s} {best}", flush=True)
    for name, by in alone.items():
        print(f"{name:24s} median {np.median(list(by.values())):.3f} mean {np.mean(list(by.values())):.3f}")
    print(
        f"{'chosen without the site':24s} median {np.median(list(chosen.values())):.3f} mean "
        f"{np.mean(list(chosen.values())):.3f}; {picks}"
    )


if __name__ == "__main__":
    main()
