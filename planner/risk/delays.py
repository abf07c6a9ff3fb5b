"""The delay by failures of one run, as a distribution: its transform is known exactly and is inverted numerically.

A run is whole segments and a rest. An attempt at a segment of L undisturbed seconds that fails after u of them costs u
and the standstill B that follows; the next attempt begins anew. With failures at rate r the delay of one segment has
the Laplace transform e^(-rL) / (1 - g(s)), g(s) = r/(r + s) (1 - e^(-(r + s) L)) B*(s); that of a run is the product.

B is the busy period of an M/G/infinity queue, every node that is away being waited for. With repairs of R seconds and,
a share q of them, an exponential wait of mean w more, 1 - B*(s) = 1/(r I(s)) - s/r, where I(s) is the integral over t
of exp(-s t - r x integral up to t of P(repair > u)). Source: Takacs 1962, chapter 3.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.risk.hazard import Hazard

_TERMS, _GRID = 160, 321  # of the cosine series, and points that the distribution is read at
_FINER = 8  # times as many of both where its points lie further apart than
_APART = 0.005  # of the run: it may be over after a failure or two, whose repairs the distribution shows one by one
_SPREAD = 12.0  # standard deviations to either side of the mean that the series covers
_RAREST = 1e-6  # expected failures: rarer ones are distributed as these are, but for their chance
_LONGEST = 25.0  # failures in one segment, or in one standstill, beyond which nothing ends: not to be asked

ComplexArray = NDArray[np.complex128]


def delay_levels(
    cut: tuple[FloatArray, FloatArray, FloatArray],
    hazard: Hazard,
    moments: tuple[FloatArray, FloatArray],
    level: FloatArray,
) -> FloatArray:
    """Quantiles of the delay where something fails, (n, levels), seconds.

    Parameters
    ----------
    cut : number of whole segments, their length and that of the rest, seconds; (n,) each
    moments : mean and standard deviation of the delay where something fails, seconds; (n,) each
    level : probabilities, ascending, (levels,)

    Source of the inversion: Fang and Oosterlee 2008, the cosine series of a density from its transform.
    """
    segments, length, rest = cut
    whole = segments * length + rest
    rate = np.maximum(hazard.rate_per_s, _RAREST / whole)
    mean, deviation = moments
    deviation = deviation + 1e-6 * mean
    low = np.maximum(mean - _SPREAD * deviation, np.minimum(hazard.recover_s, mean))  # one repair at the least
    high = mean + _SPREAD * deviation
    coarse = (high - low) / _GRID > _APART * (whole + low)
    out = np.zeros((len(mean), len(level)))
    for rows, finer in ((np.flatnonzero(~coarse), 1), (np.flatnonzero(coarse), _FINER)):
        if rows.size:
            some = (segments[rows], length[rows], rest[rows], rate[rows])
            out[rows] = _inverted(some, hazard.take(rows), (low[rows], high[rows]), level, finer)
    return out


def _inverted(
    cut: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    hazard: Hazard,
    ends: tuple[FloatArray, FloatArray],
    level: FloatArray,
    finer: int,
) -> FloatArray:
    """`delay_levels` between two ends, with so many times the terms; the cut's last entry is the rate of failures."""
    (segments, length, rest, rate), (low, high) = cut, ends
    order, place, weight = _series(finer)
    s = np.asarray(1j * np.pi * order[None, :] / (high - low)[:, None], dtype=np.complex128)
    still = _no_standstill(s, rate, hazard)
    exponent = np.zeros(s.shape, np.complex128)
    r = rate[:, None]
    for count, size in ((segments, length), (np.ones_like(rest), rest)):
        # 1 - g(s), without a difference of nearly equal numbers.
        through = np.exp(-(r + s) * size[:, None])
        exponent -= count[:, None] * np.log((s + r * through + r * (1.0 - through) * still) / (r + s))
    # The transform but for the chance that nothing fails, e^(-failures), over the other chance.
    failures = (rate * (segments * length + rest))[:, None]
    rare = failures[:, 0] < 1.0
    some = np.empty(s.shape, np.complex128)
    some[rare] = np.expm1(exponent[rare]) / np.expm1(failures[rare])
    often, many = exponent[~rare], failures[~rare]
    some[~rare] = (np.exp(often - many) - np.exp(-many)) / -np.expm1(-many)
    density = (some * np.exp(s * low[:, None])).real
    # The sines are summed at all places at once: they are the imaginary part of a Fourier transform.
    sines = -np.fft.rfft(np.pad(weight * density, ((0, 0), (1, 0))), 2 * (len(place) - 1)).imag
    reached = np.maximum.accumulate(np.clip(place + sines, 0.0, 1.0), axis=1)
    reached[:, 0], reached[:, -1] = 0.0, 1.0
    share = np.array([np.interp(level, each, place) for each in reached])
    return np.asarray(low[:, None] + (high - low)[:, None] * share)


@cache
def _series(finer: int) -> tuple[IntArray, FloatArray, FloatArray]:
    """(orders of the terms, places from 0 to 1, weights of the terms' sines in the distribution).

    The cosine series' integral, smoothed at its end so that it does not ring (Lanczos).
    """
    terms = finer * _TERMS
    order, place = np.arange(1, terms + 1), np.linspace(0.0, 1.0, finer * (_GRID - 1) + 1)
    return order, place, np.sinc(order / (terms + 1.0)) * 2.0 / (np.pi * order)


def invertible(hazard: Hazard, length_s: FloatArray, rest_s: FloatArray) -> BoolArray:
    """Whether runs cut like this end often enough for their delay to be inverted, (n,)."""
    load = hazard.rate_per_s * (hazard.recover_s + hazard.wait_share * hazard.wait_s)
    return np.asarray(np.maximum(load, hazard.rate_per_s * np.maximum(length_s, rest_s)) < _LONGEST)


def _no_standstill(s: ComplexArray, rate: FloatArray, hazard: Hazard) -> ComplexArray:
    """1 - B*(s), (n, terms)."""
    r, recover = rate[:, None], hazard.recover_s[:, None]
    mean = np.where(hazard.wait_s > 0, hazard.wait_s, 1.0)[:, None]
    waiting = r * np.where(hazard.wait_s > 0, hazard.wait_share, 0.0)[:, None] * mean
    after = np.exp(-(r + s) * recover)
    # e^(-waiting) x sum over k of waiting^k / k! / (s + k/w)
    chance = np.exp(-waiting)
    rest = chance / s
    most = float(waiting.max(initial=0.0))
    for k in range(1, int(most + 12.0 * np.sqrt(most) + 12.0) if most > 0 else 0):
        chance = chance * waiting / k
        rest = rest + chance / (s + k / mean)
    integral = (1.0 - after) / (r + s) + after * rest
    return np.asarray(1.0 / (r * integral) - s / r)
