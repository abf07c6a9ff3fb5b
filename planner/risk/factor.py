"""The factor on a run's time that is drawn once: how far its step time is mispredicted, times its overhead.

Y = X e^E: X a two-piece log-normal of median 1, E exponential of mean b (0: none). Where log X is normal, log Y is an
exponentially modified Gaussian, whose distribution has a closed form, and so has it with two pieces:

    P(log Y <= y) = P(log X <= y) - e^(-y/b) E[e^(log X / b); log X <= y]

Source: Grushka 1972 (one piece); two are summed piece by piece.
"""

from __future__ import annotations

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray

_ROOT_TWO = float(np.sqrt(2.0))
_ROOT_TWO_PI = float(np.sqrt(2.0 * np.pi))
_FAR = 6.0  # beyond so many root-two deviations a normal's upper tail is below the last digit
_CERTAIN = 40.0  # deviations that stand for a step time without spread
_STEPS = 80  # at most, to find a quantile
_CLOSE = 1e-11  # a last step so small: Newton's next one would be its square
_APART = 1e-4  # of a spread: what a difference is taken over


def chance_and_density(
    log: FloatArray, low: FloatArray, high: FloatArray, more: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """P(log Y <= log) and its derivative (0 where Y is certain).

    Parameters
    ----------
    log, low, high, more : float arrays, broadcastable
        Logarithms of the factor; standard deviations of log X below and above its median; the mean of E.
    """
    from scipy.special import ndtr

    sigma = np.where(log < 0, low, high)
    uncertain = sigma > 0
    safe = np.where(uncertain, sigma, 1.0)
    z = np.where(uncertain, log / safe, np.where(log >= 0, _CERTAIN, -_CERTAIN))
    chance = ndtr(z)
    if not np.any(more > 0):
        return chance, np.where(uncertain, np.exp(-0.5 * z * z) / (_ROOT_TWO_PI * safe), 0.0)
    mean = np.where(more > 0, more, 1.0)
    beyond = _beyond(log, z, (sigma, low, high), mean)
    normal = np.where(uncertain, np.exp(-0.5 * z * z) / (_ROOT_TWO_PI * safe), 0.0) if np.any(more <= 0) else 0.0
    out = np.where(more > 0, np.maximum(chance - beyond, 0.0), chance)
    return out, np.where(more > 0, beyond / mean, normal)


def tilted(
    log: FloatArray,
    low: FloatArray,
    high: FloatArray,
    more: FloatArray,
    tilt: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """E[e^(-t z); log Y <= log] and its derivative, z being how many standard deviations log X is from its median.

    The chance that something else holds as well which a greater X makes rarer. `tilt` is t below the median and above,
    broadcastable like the others; t of 0 gives `chance_and_density`.
    """
    from scipy.special import ndtr

    below, above = tilt
    sigma, t = np.where(log < 0, low, high), np.where(log < 0, below, above)
    uncertain = sigma > 0
    safe = np.where(uncertain, sigma, 1.0)
    z = np.where(uncertain, log / safe, np.where(log >= 0, _CERTAIN, -_CERTAIN)).clip(-_CERTAIN, _CERTAIN)
    whole = np.exp(below**2 / 2.0) * ndtr(below) - np.exp(above**2 / 2.0) * ndtr(above)
    chance = np.exp(t**2 / 2.0) * ndtr(z + t) + np.where(log >= 0, whole, 0.0)
    with np.errstate(under="ignore"):
        normal = np.where(uncertain, np.exp(-z * (0.5 * z + t)) / (_ROOT_TWO_PI * safe), 0.0)
    if not np.any(more > 0):
        return chance, normal
    mean = np.where(more > 0, more, 1.0)
    beyond = _beyond(log, z, (sigma, low, high), mean, (t, below, above))
    out = np.where(more > 0, np.maximum(chance - beyond, 0.0), chance)
    return out, np.where(more > 0, beyond / mean, normal)


def _beyond(
    log: FloatArray,
    z: FloatArray,
    sigmas: tuple[FloatArray, FloatArray, FloatArray],
    mean: FloatArray,
    tilts: tuple[FloatArray, FloatArray, FloatArray] | None = None,
) -> FloatArray:
    """E[e^(-t z); log X <= log < log X + E], of the shape of `log`: e^(-y/b) times the moment of X below y.

    `sigmas` and `tilts` are each that of this side of the median, that below and that above.
    """
    from scipy.special import erfcx

    a, below, above = (sigma / mean for sigma in sigmas)
    weight = np.exp(-0.5 * z * z)
    if tilts is not None:
        a, below, above = a - tilts[0], below - tilts[1], above - tilts[2]
        weight = np.exp(-z * (0.5 * z + tilts[0]))
    # e^(a^2/2 - y/b) ndtr(z - a), by the scaled complementary error function where that is no upper tail.
    u = (a - z) / _ROOT_TWO
    near = 0.5 * weight * erfcx(np.maximum(u, -_FAR))
    upper = u < -_FAR
    if upper.any():
        near = np.where(upper, np.exp(np.where(upper, 0.5 * a * a - log / mean, 0.0)), near)
    # Above the median the lower piece is whole, and the upper one begins there.
    joint = 0.5 * (erfcx(below / _ROOT_TWO) - erfcx(above / _ROOT_TWO))
    return np.asarray(near + np.where(log >= 0, joint * np.exp(-np.maximum(log, 0.0) / mean), 0.0))


def quantile(p: FloatArray | float, low: FloatArray, high: FloatArray, more: FloatArray) -> FloatArray:
    """The factor that Y stays below with probability p, of the broadcast shape; exact where E is none.

    Newton's steps inside a bracket: Y is at least X, and at most the product of both at the root of p.
    """
    from scipy.special import ndtri

    p, low, high, more = np.broadcast_arrays(np.asarray(p, float), low, high, more)

    def of_x(level: FloatArray) -> FloatArray:
        z = ndtri(level)
        return np.asarray(z * np.where(z < 0, low, high))

    least = of_x(p)
    if not np.any(more > 0):
        return np.exp(least)
    out, shape = least.ravel().copy(), least.shape
    root = np.sqrt(p)
    below, above = out.copy(), (of_x(root) - more * np.log1p(-root)).ravel()
    level, rows = p.ravel(), (low.ravel(), high.ravel(), more.ravel())
    open_ = np.flatnonzero(rows[2] > 0)
    out[open_] = 0.5 * (below[open_] + above[open_])
    for _ in range(_STEPS):
        if not open_.size:
            break
        at = out[open_]
        chance, density = chance_and_density(at, *(row[open_] for row in rows))
        short = chance < level[open_]
        below[open_], above[open_] = np.where(short, at, below[open_]), np.where(short, above[open_], at)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = at - (chance - level[open_]) / density
        out[open_], done = guarded(at, step, (below[open_], above[open_]), _CLOSE)
        open_ = open_[~done]
    return np.exp(out).reshape(shape)


def guarded(
    at: FloatArray, step: FloatArray, ends: tuple[FloatArray, FloatArray], close: FloatArray | float
) -> tuple[FloatArray, BoolArray]:
    """Where to look after `at`, one of the ends of a bracket, and whether it is the root, (n,) each.

    That is at Newton's `step` where it lies in the bracket, else in its middle. A root found to the last digit leaves a
    step that does not move, and is no reason to look elsewhere.
    """
    below, above = ends
    settled = (step >= below) & (step <= above) & (np.abs(step - at) <= close)
    inside = settled | ((step > below) & (step < above))
    return np.where(inside, step, 0.5 * (below + above)), settled | (above - below <= 1e-2 * close)


def slopes(log: FloatArray, low: FloatArray, high: FloatArray, more: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How a quantile of log Y, `log`, rises with the spread below and above, in parts of that spread.

    By differences: at one chance, d log / d spread = -(d chance / d spread) / density. 0 where nothing is uncertain.
    """
    chance, density = chance_and_density(log, low, high, more)
    safe = np.where(density > 0, density, np.inf)
    narrower, _ = chance_and_density(log, low * (1.0 - _APART), high, more)
    nearer, _ = chance_and_density(log, low, high * (1.0 - _APART), more)
    return (narrower - chance) / (_APART * safe), (nearer - chance) / (_APART * safe)
