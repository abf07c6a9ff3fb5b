"""What batch size and repeated data do to learning: published laws, each with its definition, constants and range.

A critical batch is not one quantity. McCandlish's is where tokens (and steps) double against their minimum; Zhang's is
where steps exceed linear scaling by 20 %. Both are kept apart here and converted by the curve both are read from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from planner.spec.arrays import FloatArray
from planner.units import PlannerError
from planner.words import say
from planner.workload.dataset import RunLength

#: The smallest default batch, tokens: GPT-3's for its smallest models (Brown et al. 2020, table 2.1: 0.5M).
DEFAULT_BATCH_TOKENS = 524_288

# Zhang et al. 2024, "How Does Critical Batch Size Scale in Pre-training?" (arXiv 2410.21676): B* = 22.91 D^0.47, B* in
# sequences of 512 tokens, D in millions of tokens. Checked against the authors' notebook (plots/chinchilla.ipynb of
# hlzhang109/critical-batch-size): it fits 93.1968 N^0.46828, N in millions at D = 20 N; 93.1968 / 20^0.46828 is 22.92.
ZHANG_COEFFICIENT, ZHANG_EXPONENT = 22.91, 0.47
_ZHANG_SEQUENCE = 512
_ZHANG_REFERENCE_TOKENS = 256 * _ZHANG_SEQUENCE  # linear scaling is measured from a batch of 256
_ZHANG_OVERHEAD = 0.2
_ZHANG_RANGE = (1.7e9, 24.6e9)  # tokens of the fitted runs: 85M to 1.2B parameters on C4
_ZHANG = say("learning.zhang", least=_ZHANG_RANGE[0], most=_ZHANG_RANGE[1])
_ZHANG_LAW = say("learning.zhang_law", coefficient=ZHANG_COEFFICIENT, exponent=ZHANG_EXPONENT, sequence=_ZHANG_SEQUENCE)
_STEPS_BEYOND_LINEAR = say("learning.steps_beyond_linear", share=_ZHANG_OVERHEAD)
_TOKENS_DOUBLE = say("learning.tokens_double")

# Kaplan et al. 2020, equation 1.4: B_crit(L) = 2e8 tokens / L^(1 / 0.21), McCandlish's definition.
_KAPLAN_BATCH, _KAPLAN_EXPONENT = 2e8, 1 / 0.21

#: Muennighoff et al. 2023, equation 5 and table of fits: half-life constant of repeated data.
REPEAT_HALF_LIFE = 15.39


@dataclass(frozen=True, slots=True)
class CriticalBatch:
    """A critical batch in tokens, by its law's own definition and by McCandlish's."""

    tokens: float  # by `definition`
    doubling_tokens: float  # McCandlish's: tokens to the same loss double
    definition: str
    law: str  # formula with its constants
    source: str
    extrapolated: bool = False

    def sequences(self, seq_length: int) -> float:
        """By the law's own definition."""
        return self.tokens / seq_length

    def doubling_sequences(self, seq_length: int) -> float:
        """By McCandlish's definition."""
        return self.doubling_tokens / seq_length


@dataclass(frozen=True, slots=True)
class LossLaw:
    """L(N, D) = E + A / N^alpha + B / D^beta: parameters N, tokens D, nats a token."""

    name: str
    irreducible: float
    a: float
    b: float
    alpha: float
    beta: float

    def loss(self, parameters: float, tokens: float) -> float:
        return float(self.irreducible + self.a / parameters**self.alpha + self.b / tokens**self.beta)

    def optimum(self, flops: float) -> tuple[float, float]:
        """Parameters and tokens of least loss for C = 6 N D FLOPs (Hoffmann et al. 2022, equation 4)."""
        exponent = self.alpha + self.beta
        ratio = (self.alpha * self.a / (self.beta * self.b)) ** (1 / exponent)
        return ratio * (flops / 6) ** (self.beta / exponent), (flops / 6) ** (self.alpha / exponent) / ratio


CHINCHILLA = LossLaw("Hoffmann et al. 2022", 1.69, 406.4, 410.7, 0.34, 0.28)
BESIROGLU = LossLaw("Besiroglu et al. 2024", 1.8172, 482.01, 2085.43, 0.3478, 0.3658)


def critical_batch(tokens: float) -> CriticalBatch:
    """The critical batch of a run of `tokens` by Zhang et al. 2024: the default for batch ranges and for remarks.

    Its definition: the batch whose steps to the same loss are 20 % more than linear scaling from a batch of 256
    sequences of 512 tokens would take. Steps there follow S(B) = a + b / B, McCandlish's hyperbola, so
    B* = b / (5 a) + 1.2 x 256 and McCandlish's B_crit = b / a = 5 (B* - 1.2 x 256) (their plots/chinchilla.ipynb).

    Range: 85M to 1.2B parameters, 1.7B to 24.6B tokens (C4, Adam); outside it `extrapolated` is True. They find no
    dependence on model size at given tokens; nor do Bergsma et al. 2025, whose exponent is close (0.46 to 0.47).

    Raises PlannerError for tokens that are not positive.
    """
    if not tokens > 0:
        raise PlannerError(say("learning.no_tokens", tokens=tokens))
    own = ZHANG_COEFFICIENT * (tokens / 1e6) ** ZHANG_EXPONENT * _ZHANG_SEQUENCE
    reference = (1 + _ZHANG_OVERHEAD) * _ZHANG_REFERENCE_TOKENS
    return CriticalBatch(
        tokens=own,
        # Below the reference batch their definition says nothing of the hyperbola; the law's own value bounds it.
        doubling_tokens=max((own - reference) / _ZHANG_OVERHEAD, own),
        definition=_STEPS_BEYOND_LINEAR,
        law=_ZHANG_LAW,
        source=_ZHANG,
        extrapolated=not _ZHANG_RANGE[0] <= tokens <= _ZHANG_RANGE[1],
    )


def kaplan_critical_batch(loss: float) -> CriticalBatch:
    """B_crit = 2 x 10^8 / L^4.76 tokens at loss L (nats a token; WebText2): Kaplan et al. 2020, equation 1.4."""
    if not loss > 0:
        raise PlannerError(say("learning.no_loss", loss=loss))
    tokens = _KAPLAN_BATCH / loss**_KAPLAN_EXPONENT
    return CriticalBatch(tokens, tokens, _TOKENS_DOUBLE, say("learning.kaplan_law"), say("learning.kaplan"))


def measured_critical_batch(sequences: float, seq_length: int) -> CriticalBatch:
    """The user's own: their gradient-noise scale in sequences, taken for McCandlish's critical batch."""
    if not sequences > 0:
        raise PlannerError(say("dataset.above_0", key="training.critical_batch", value=sequences))
    tokens = sequences * seq_length
    return CriticalBatch(tokens, tokens, _TOKENS_DOUBLE, say("learning.noise_scale"), say("learning.given"))


def gradient_noise_scale(small: float, big: float, small_norm2: float, big_norm2: float) -> float:
    """B_simple = tr(Sigma) / |G|^2 from squared gradient norms at two batches, in the unit of the batches.

    Source: McCandlish et al. 2018, appendix A.1. Both norms should be averages over many steps.

    Raises PlannerError when the two cannot be told apart.
    """
    if not 0 < small < big:
        raise PlannerError(say("learning.two_batches", small=small, big=big))
    gradient2 = (big * big_norm2 - small * small_norm2) / (big - small)
    noise = (small_norm2 - big_norm2) / (1 / small - 1 / big)
    if gradient2 <= 0 or noise < 0:
        raise PlannerError(say("learning.no_scale"))
    return noise / gradient2


def token_multiplier(batch: ArrayLike, critical: float) -> FloatArray:
    """Tokens to the same loss over the fewest possible: 1 + B / B_crit, (n,) for batches (n,).

    `batch` and `critical` (McCandlish's, `doubling_tokens`) in one unit. Source: McCandlish et al. 2018, equation 2.7.
    """
    return np.asarray(1 + np.asarray(batch, dtype=np.float64) / critical, dtype=np.float64)


def tokens_to_equal_loss(tokens: float, batch: ArrayLike, reference_batch: float, critical: float) -> FloatArray:
    """Tokens at `batch` that reach the loss of `tokens` at `reference_batch`: the ratio of their multipliers."""
    ratio = token_multiplier(batch, critical) / token_multiplier(reference_batch, critical)
    return np.asarray(tokens * ratio, dtype=np.float64)


def default_global_batch(total_tokens: float, seq_length: int) -> tuple[int, int, str]:
    """The range of global batches where a scenario gives none, in sequences, and the sentence that explains it.

    Up to the critical batch of the run's tokens (Zhang et al. 2024), from 524,288 tokens or half of that batch,
    whichever is less: beyond it a run of little data would take many times the tokens to the same loss.
    """
    critical = critical_batch(total_tokens)
    most = max(int(critical.tokens // seq_length), 1)
    usual, half = max(-(-DEFAULT_BATCH_TOKENS // seq_length), 1), -(-most // 2)
    least = min(usual, half)
    lower = say("learning.from_tokens", tokens=DEFAULT_BATCH_TOKENS) if usual <= half else say("learning.from_half")
    law = say("learning.law", law=critical.law, tokens=critical.tokens, of=_of(critical))
    text = say("learning.default_batch", least=least, most=most, lower=lower, tokens=total_tokens, law=law)
    return least, most, text


def default_batch_range(run: RunLength) -> tuple[int, int, str]:
    """`default_global_batch` of a run.

    Where iterations are fixed, tokens grow with the batch: the range ends where the batch is the critical one of the
    tokens that it reads itself.
    """
    if run.fixed_iterations is None:
        return default_global_batch(run.total_samples * run.seq_length, run.seq_length)
    # B = k (I B / 10^6)^0.47 with k = 22.91 x 512
    scale = ZHANG_COEFFICIENT * _ZHANG_SEQUENCE * (run.fixed_iterations / 1e6) ** ZHANG_EXPONENT
    batch = scale ** (1 / (1 - ZHANG_EXPONENT))
    return default_global_batch(batch * run.fixed_iterations, run.seq_length)


def effective_tokens(unique_tokens: float, epochs: float) -> float:
    """Fresh tokens that E passes over U are worth: U + U R* (1 - exp(-R / R*)), R = E - 1, R* = 15.39.

    At most one epoch repeats nothing: U x E. Source: Muennighoff et al. 2023, equation 5
    (fitted on runs of up to 900B tokens and 9B parameters).
    """
    if epochs <= 1:
        return unique_tokens * epochs
    repeats = epochs - 1
    return unique_tokens * (1 + REPEAT_HALF_LIFE * (1 - float(np.exp(-repeats / REPEAT_HALF_LIFE))))


def epoch_value(epoch: int) -> float:
    """What the n-th pass adds, as a share of a pass over fresh data: 0.80 for the 5th, 0.61 for the 9th."""
    return effective_tokens(1.0, epoch) - effective_tokens(1.0, epoch - 1)


def repetition_remark(unique_tokens: float, epochs: float) -> str | None:
    """What the repeated passes are worth, in a sentence; None for one epoch (a last batch aside) or less."""
    if epochs < 1.005:
        return None
    worth = effective_tokens(unique_tokens, epochs)
    share = worth / (unique_tokens * epochs)
    last = epoch_value(round(epochs)) if abs(epochs - round(epochs)) < 0.01 else epoch_value(int(np.ceil(epochs)))
    return say("learning.repeated", epochs=epochs, unique=unique_tokens, worth=worth, share=share, last=last)


def optimality_remark(parameters: float, tokens: float, effective: float | None = None) -> str:
    """Where a run stands against compute-optimal ones by Chinchilla and its refit, in a sentence.

    `parameters` are those a token passes through (active ones), `effective` the fresh tokens repeated data is worth.
    """
    flops = 6 * parameters * tokens
    parts = []
    for law in (CHINCHILLA, BESIROGLU):
        best_parameters, best_tokens = law.optimum(flops)
        excess = law.loss(parameters, effective or tokens) - law.loss(best_parameters, best_tokens)
        best = {"parameters": best_parameters, "tokens": best_tokens}
        parts.append(say("learning.optimum", **best, better=max(excess, 0), law=law.name))
    return say("learning.optimality", ratio=tokens / parameters, optima=parts)


def fresh_tokens(run: RunLength, tokens: float) -> float:
    """What `tokens` drawn from a run's datasets are worth in fresh ones, each dataset's repeats valued by itself."""
    worth = 0.0
    for source in run.sources:
        unique = source.samples_per_epoch * run.seq_length
        drawn = tokens * float(source.share)
        worth += effective_tokens(unique, drawn / unique) if unique else 0.0
    return worth


def tokens_worth(sources: Sequence[tuple[float, float]], fresh: FloatArray) -> FloatArray:
    """Tokens that must be drawn so that they are worth `fresh` ones, (n,): the inverse of `fresh_tokens`.

    Parameters
    ----------
    sources : (unique tokens, share of what is drawn) of each dataset
    fresh : (n,) tokens

    Returns
    -------
    (n,) tokens; inf where no number of repeats is worth so much (a pass is worth ever less: Muennighoff et al. 2023).
    """
    wanted = np.asarray(fresh, dtype=np.float64)
    if len(sources) == 1 and sources[0][1] == 1.0:
        # U (1 - R* ln(1 - (fresh / U - 1) / R*)) beyond one pass.
        unique = sources[0][0]
        left = 1.0 - np.maximum(wanted / unique - 1.0, 0.0) / REPEAT_HALF_LIFE
        with np.errstate(divide="ignore", invalid="ignore"):
            repeats = np.where(left > 0, -REPEAT_HALF_LIFE * np.log(left), 0.0)
        return np.asarray(np.where(left > 0, np.minimum(wanted, unique) + unique * repeats, np.inf))
    low, high = wanted.copy(), wanted.copy()
    short = _worth(sources, high) < wanted
    for _ in range(60):
        if not short.any():
            break
        high = np.where(short, 2.0 * high, high)
        short = _worth(sources, high) < wanted
    never = short
    for _ in range(80):
        middle = 0.5 * (low + high)
        enough = _worth(sources, middle) >= wanted
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(np.where(never, np.inf, high))


def _worth(sources: Sequence[tuple[float, float]], drawn: FloatArray) -> FloatArray:
    """What the datasets' `drawn` tokens are worth, (n,): `effective_tokens` of each, added up."""
    total = np.zeros_like(drawn)
    for unique, share in sources:
        of_it = drawn * share
        repeats = np.maximum(of_it / unique - 1.0, 0.0)
        total += np.minimum(of_it, unique) - unique * REPEAT_HALF_LIFE * np.expm1(-repeats / REPEAT_HALF_LIFE)
    return total


def starts_from(stated: str, active_parameters: int, tokens: float) -> str:
    """Scratch or checkpoint, as stated; a run of less than a token a parameter is taken to go on from a checkpoint."""
    return stated or ("checkpoint" if tokens < active_parameters else "scratch")


def learning_remarks(active_parameters: int, run: RunLength, tokens: int, *, scratch: bool = True) -> tuple[str, ...]:
    """Sentences on a run of `tokens`: what its repeated data is worth, how far from compute-optimal it is.

    The latter where it starts from `scratch`: of a run that goes on from a checkpoint the laws say nothing.
    """
    worth = fresh_tokens(run, tokens)
    repeated: str | None
    if len(run.sources) == 1:
        repeated = repetition_remark(run.tokens_per_epoch, tokens / run.tokens_per_epoch)
    elif worth < 0.999 * tokens:
        repeated = say("learning.repeated_mixture", share=worth / tokens)
    else:
        repeated = None
    optimality = optimality_remark(active_parameters, tokens, worth) if scratch else None
    return tuple(remark for remark in (repeated, optimality) if remark is not None)


def batch_remark(batch_tokens: float, critical: CriticalBatch) -> str:
    """What a batch costs in tokens to the same loss, in a sentence."""
    extra = float(token_multiplier(batch_tokens, critical.doubling_tokens)) - 1
    batches = {"batch": batch_tokens, "critical": critical.tokens, "doubling": critical.doubling_tokens}
    return say("learning.batch", extra=extra, of=_of(critical), **batches)


def _of(critical: CriticalBatch) -> str:
    code = "learning.of_extrapolated" if critical.extrapolated else "learning.of"
    return say(code, definition=critical.definition, source=critical.source)
