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
        Seconds that training stands still for one checkpoint; interruptions of the whole job a second.

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
    rate_per_s: FloatArray, segment_s: FloatArray, restart_s: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the delay that failures add to one segment.

    A segment wants `segment_s` undisturbed seconds; after each failure, `restart_s + segment_s` of them from scratch.

    Returns
    -------
    (mean_s, variance_s2), arrays of the broadcast shape. Zero where the rate is zero.

    Source: first passage to an undisturbed stretch of a Poisson process (Daly 2006 for the mean; the second moment by
    conditioning on the first failure).
    """
    rate, length, restart = np.broadcast_arrays(
        np.asarray(rate_per_s, float), np.asarray(segment_s, float), np.asarray(restart_s, float)
    )
    stretch = restart + length
    hazard = np.minimum(rate * length, 300.0)
    # Few failures: what one costs (restart and on average half a segment) times their chance.
    few = rate * stretch < 1e-4
    few_mean = hazard * (restart + length / 2.0)
    few_var = hazard * (restart**2 + restart * length + length**2 / 3.0)
    safe = np.where(few, 1.0 / np.where(stretch > 0, stretch, 1.0), rate)
    load = np.minimum(safe * stretch, 300.0)
    reach = np.minimum(safe * length, 300.0)
    failed = -np.expm1(-reach)
    lost = (failed - reach * np.exp(-reach)) / safe  # E[time of failure; a failure]
    again = np.expm1(load) / safe
    again_square = again**2 + (np.expm1(2 * load) - 2 * load * np.exp(load)) / safe**2
    mean = np.exp(load - reach) * np.expm1(reach) / safe
    square = 2.0 * (failed - reach * np.exp(-reach)) / safe**2 + 2.0 * lost * again + failed * again_square
    return np.where(few, few_mean, mean - length), np.where(few, few_var, np.maximum(square - mean**2, 0.0))
