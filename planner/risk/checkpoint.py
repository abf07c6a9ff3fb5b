"""How often to save: the interval between checkpoints that finishes a run soonest, and what failures then cost.

Failures arrive as a Poisson process of rate 1/M. A segment is tau of work and C of saving; a failure in it costs a
restart R and the segment begins anew, so the expected time of a segment is M e^(R/M) (e^((tau + C)/M) - 1) (Daly 2006,
equation 20), and a run of W work takes W/tau of them.
"""

from __future__ import annotations

import numpy as np

from planner.performance.arrays import FloatArray


def young_interval(checkpoint_s: FloatArray, mtbf_s: FloatArray) -> FloatArray:
    """First-order optimal work between checkpoints, seconds: sqrt(2 C M). Source: Young 1974."""
    return np.sqrt(2.0 * np.asarray(checkpoint_s) * mtbf_s)


def daly_interval(checkpoint_s: FloatArray, mtbf_s: FloatArray) -> FloatArray:
    """Higher-order optimal work between checkpoints, seconds.

    sqrt(2CM) (1 + sqrt(C/2M)/3 + (C/2M)/9) - C while C < 2M, else M. Source: Daly 2006, equation 37.
    """
    cost, mtbf = np.broadcast_arrays(np.asarray(checkpoint_s, float), np.asarray(mtbf_s, float))
    ratio = cost / (2.0 * mtbf)
    series = np.sqrt(2.0 * cost * mtbf) * (1.0 + np.sqrt(ratio) / 3.0 + ratio / 9.0) - cost
    return np.where(ratio < 1.0, series, mtbf)


def optimal_interval(checkpoint_s: FloatArray, rate_per_s: FloatArray) -> FloatArray:
    """The work between checkpoints that minimises the expected time, exactly; inf where nothing fails.

    The derivative of (e^(r(tau+C)) - 1)/tau vanishes where (r tau - 1) e^(r tau - 1) = -e^(-1 - r C), whose root is
    Lambert's W: r tau = 1 + W(-e^(-1 - r C)). Restart time does not enter. Where saving is free the answer is 0.

    Parameters
    ----------
    checkpoint_s, rate_per_s : float arrays, broadcastable
        Seconds that training stalls for one checkpoint; interruptions of the whole job a second.

    Returns
    -------
    float array of the broadcast shape, seconds of work.
    """
    from scipy.special import lambertw

    cost, rate = np.broadcast_arrays(np.asarray(checkpoint_s, float), np.asarray(rate_per_s, float))
    safe = np.where(rate > 0.0, rate, 1.0)
    root = 1.0 + np.real(lambertw(-np.exp(-1.0 - safe * cost)))
    # Near its branch point W is known to half the digits only; there Young's and Daly's series are exact enough.
    exact = np.where(safe * cost < 1e-8, daly_interval(cost, 1.0 / safe), root / safe)
    return np.where(rate > 0.0, np.maximum(exact, 0.0), np.inf)


def segment_moments(
    rate_per_s: FloatArray,
    segment_s: FloatArray,
    restart_s: FloatArray,
    wait_share: FloatArray | float = 0.0,
    wait_s: FloatArray | float = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the delay that failures add to one segment.

    A segment wants `segment_s` undisturbed seconds; a failure throws it back to its start. It then stands still until
    every failure since is mended: each takes `restart_s` seconds, and a share of them an exponential wait more.

    Returns
    -------
    (mean_s, variance_s2), arrays of the broadcast shape. Zero where the rate is zero.

    Source: a geometric number of failed attempts, each followed by the busy period of an M/G/infinity queue (Takacs
    1962); the mean is Daly's (2006, equation 20), whatever the repair's distribution of that mean.
    """
    rate, length, restart, share, wait = np.broadcast_arrays(
        *(np.asarray(each, float) for each in (rate_per_s, segment_s, restart_s, wait_share, wait_s))
    )
    repair = restart + share * wait
    hazard = np.minimum(rate * length, 300.0)
    # Few failures: what one costs (its repair and on average half a segment) times their chance.
    stretch = repair + length
    few = rate * stretch < 1e-4
    repair_square = restart**2 + 2.0 * share * wait * (restart + wait)
    few_mean = hazard * (repair + length / 2.0)
    few_var = hazard * (repair_square + repair * length + length**2 / 3.0)
    safe = np.where(few, 1.0 / np.where(stretch > 0, stretch, 1.0), rate)
    reach = np.minimum(safe * length, 300.0)
    still, still_square = standstill_moments(safe, restart, share, wait)
    failed = -np.expm1(-reach)
    lost = (failed - reach * np.exp(-reach)) / safe  # E[time of failure; a failure]
    lost_square = 2.0 * lost / safe - np.exp(-reach) * (reach / safe) ** 2
    once = np.where(failed > 0, failed, 1.0)
    attempt = lost / once + still  # of a failed attempt, with the standstill after it
    spread = np.maximum(lost_square / once - (lost / once) ** 2 + still_square - still**2, 0.0)
    attempts = np.expm1(reach)
    mean = attempts * attempt
    variance = attempts * spread + attempts * np.exp(reach) * attempt**2
    return np.where(few, few_mean, mean), np.where(few, few_var, variance)


def standstill_moments(
    rate_per_s: FloatArray, restart_s: FloatArray, wait_share: FloatArray, wait_s: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and second moment of the time from a failure until nothing is left to mend, failures going on meanwhile.

    The busy period of M/G/infinity: E[B] = (e^(rS) - 1)/r, S the mean repair, and E[B^2] = (2 e^(rS)/r) times the
    integral over t of e^(r x integral from t of P(repair > u)) - 1. Source: Takacs 1962, chapter 3.
    """
    from scipy.special import expi

    waiting = np.minimum(rate_per_s * wait_share * wait_s, 300.0)
    load = np.minimum(rate_per_s * restart_s + waiting, 300.0)
    mean = np.expm1(load) / rate_per_s
    fixed = np.exp(waiting) * np.expm1(np.minimum(rate_per_s * restart_s, 300.0)) / rate_per_s - restart_s
    some = np.where(waiting > 1e-3, waiting, 1.0)  # below, the series of (e^(ax) - 1)/x
    tail = np.where(waiting > 1e-3, expi(some) - np.log(some) - np.euler_gamma, waiting + waiting**2 / 4.0)
    return mean, 2.0 * np.exp(load) / rate_per_s * (fixed + wait_s * tail)
