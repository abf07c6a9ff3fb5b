"""What a row leaves open, mixed over what is plausible: conditions by framework and date, layouts that could have run.

ln(step time) is the mean over the candidates, and what they differ by joins the interval. Layouts are those of the
framework's rules that fit in memory and come within `NEAR` of the fastest, in equal parts: nobody who publishes a run
ran much slower than one could, and nobody is sure to have found the best. A row that states all is not touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from planner.performance.arrays import FloatArray, Layouts, Setting, StepTime
from planner.performance.calibration import Calibration
from planner.performance.conditions import FUSED_BY_DEFAULT, is_unfused
from planner.performance.framework_table import FLASH_YEAR, before_flash, frameworks, stack_words
from planner.performance.plausible_layouts import layouts_that_fit, open_layout
from planner.performance.rows import Run, layouts_as_run
from planner.performance.stacks import release_year
from planner.performance.steptime import step_time
from planner.words import say, say_from

NEAR = 1.3  # times the fastest: slower layouts are not what a published run had


@dataclass(frozen=True, slots=True)
class Mixture:
    """What a run is predicted as: `mean` of ln(seconds a token on one GPU), `sigma` by which the candidates differ."""

    mean: float
    sigma: float
    nearest: Run  # the candidate nearest to the mean
    step: StepTime  # of the mean, its terms those of the nearest
    what: tuple[str, ...]  # what was not stated, in words
    basis: str  # one sentence: what was mixed over
    fastest: float  # ln(seconds a token on one GPU) of the fastest layout, the mean over conditions


def is_open(run: Run) -> bool:
    """Whether a run leaves something open that a prediction depends on."""
    return bool(open_layout(run)) or len(flash_options(run)) > 1 or _dated(run) or len(fused_options(run)) > 1


def mix(run: Run, calibration: Calibration) -> Mixture | None:
    """The mixture that stands for a run; None where only one candidate is plausible, and it is the run as it was read.

    Parameters
    ----------
    run : as read; what it states is kept
    calibration : whose predictions say which layouts are near the fastest
    """
    if not is_open(run):
        return None
    parts = list(_candidates(run, calibration))
    if len(parts) == 1 and len(parts[0].layouts.tp) == 1 and parts[0].run_at(run, 0) == run:
        return None
    weights = np.concatenate([np.full(len(p.ln_s), 1.0 / len(p.ln_s) / len(parts)) for p in parts])
    values = np.concatenate([p.ln_s for p in parts])
    mean = float(weights @ values)
    sigma = float(np.sqrt(weights @ (values - mean) ** 2))
    at = int(np.argmin(np.abs(values - mean)))
    which = int(np.searchsorted(np.cumsum([len(p.ln_s) for p in parts]), at, side="right"))
    part, row = parts[which], at - sum(len(p.ln_s) for p in parts[:which])
    nearest = part.run_at(run, row)
    off = float(np.exp(mean - part.ln_s[row]))
    named = {n: t[[row]] * off for n, t in part.step.terms_s.items()}
    step = StepTime(part.step.total_s[[row]] * off, named, part.step.least_s[[row]])
    what, basis = _in_words(run, parts, sigma)
    fastest = float(np.mean([p.ln_s.min() for p in parts]))
    return Mixture(mean, sigma, nearest, step, what, basis, fastest)


# Conditions -----------------------------------------------------------------------------------------------------------


def flash_options(run: Run) -> tuple[bool, ...]:
    """Whether attention has flash kernels: as stated, by release or date; both where nothing tells."""
    s = run.setting
    default = (not is_unfused(s),)
    if s.conditions.flash_attention is not None or not s.accelerator.flash_attention or before_flash(s.release):
        return default
    if _dated(run):
        return (False,)
    named = any(int(year) >= FLASH_YEAR for year in re.findall("(?=(20[0-9]{2}))", s.release))
    dated = run.year is not None or release_year(s.release) is not None or named
    return default if dated or _has_flash_by_default(s.framework) else (True, False)


def fused_options(run: Run) -> tuple[bool, ...]:
    """Whether norms and activations are fused: both where neither row nor framework tells."""
    stated = run.setting.conditions.fused
    known = any(name in run.setting.framework for name in stack_words()) or _has_flash_by_default(run.setting.framework)
    return (True, False) if stated is None and not known else (bool(stated),)


def _dated(run: Run) -> bool:
    """Whether a run that states neither attention nor release is of before flash attention."""
    s = run.setting
    undated = s.release in ("", "latest") and s.conditions.flash_attention is None and s.accelerator.flash_attention
    return bool(undated and run.year is not None and run.year < FLASH_YEAR)


@cache
def _has_flash_by_default(name: str) -> bool:
    """Whether a framework's releases of today are known to have flash attention: those of the table and their kin."""
    stacks = (n for n, stack in stack_words().items() if stack != "deepspeed")
    listed = (n for row in frameworks().values() for n in (row.name, *row.aliases))
    return name in listed or any(n in name for n in (*stacks, *FUSED_BY_DEFAULT))


def _settings(run: Run) -> list[Setting]:
    """The run's setting under each plausible set of conditions, equally likely."""
    flash, fused = flash_options(run), fused_options(run)
    found = []
    for f in flash:
        for u in fused:
            stated = run.setting.conditions
            if len(flash) > 1 or _dated(run):
                stated = replace(stated, flash_attention=f)
            if len(fused) > 1:
                stated = replace(stated, fused=u)
            found.append(replace(run.setting, conditions=stated))
    return found


# Layouts --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """The plausible layouts of one setting, (n,) each."""

    setting: Setting
    layouts: Layouts
    step: StepTime
    ln_s: FloatArray  # ln(seconds a token on one GPU)

    def run_at(self, run: Run, row: int) -> Run:
        accumulation = float(self.layouts.grad_accum[row])
        return replace(run, setting=self.setting, layout=self.layouts.at(row), accumulation=accumulation)


def _candidates(run: Run, calibration: Calibration) -> Iterator[_Part]:
    for setting in _settings(run):
        layouts = layouts_that_fit(run, setting) if open_layout(run) else None
        if layouts is None:
            layouts = layouts_as_run([run])
        step = step_time(setting, layouts, calibration)
        tokens = layouts.global_batch * setting.seq_length / layouts.gpus
        ln_s = np.log(step.total_s / tokens)
        near = ln_s <= ln_s.min() + np.log(NEAR)
        yield _Part(setting, layouts.take(near), step.take(near), ln_s[near])


# Words ----------------------------------------------------------------------------------------------------------------


def _in_words(run: Run, parts: Sequence[_Part], sigma: float) -> tuple[tuple[str, ...], str]:
    """What was not stated, and the sentence that says what was mixed over."""
    what: list[str] = []
    over: list[str] = []
    if _dated(run):
        what.append(say("mixture.no_flash", year=FLASH_YEAR))
    if len(flash_options(run)) > 1:
        what.append(say("mixture.flash"))
        over.append(say("mixture.over_flash"))
    if len(fused_options(run)) > 1:
        what.append(say("mixture.fused"))
        over.append(say("mixture.over_fused"))
    if opened := open_layout(run):
        degrees = "degrees" in opened
        what.append(say("mixture.layout" if degrees else "mixture.micro_batch"))
        over.append(_layouts_in_words(parts, ("tp", "pp", "cp", "ep", "micro_batch") if degrees else ("micro_batch",)))
    if not over:
        return tuple(what), say("mixture.not_stated", what=what)
    return tuple(what), say("mixture.mean", what=what, over=both(over), percent=100 * sigma)


def both(over: Sequence[str]) -> str:
    """Texts in a row, any of which may be a list itself."""
    return over[0] if len(over) == 1 else say("mixture.both", first=both(over[:-1]), last=over[-1])


def _layouts_in_words(parts: Sequence[_Part], names: Sequence[str]) -> str:
    layouts = {row for p in parts for row in zip(*(getattr(p.layouts, n) for n in Layouts.__slots__), strict=True)}
    ranges = []
    for name in names:
        values = np.concatenate([getattr(p.layouts, name) for p in parts])
        low, high = int(values.min()), int(values.max())
        if high > 1 or name not in ("cp", "ep"):
            code = "mixture.range" if high > low else "mixture.one"
            ranges.append(say_from(code, {"name": name.replace("_", "-"), "low": low, "high": high}))
    if len(layouts) == 1:
        return say("mixture.one_layout", near=NEAR, ranges=ranges)
    return say("mixture.layouts", layouts=len(layouts), near=NEAR, ranges=ranges)
