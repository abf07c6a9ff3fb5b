"""How much data a run is: tokens, samples and epochs of one dataset or of a weighted mixture.

Everything is exact: epochs are fractions, counts are integers, and no float decides a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from planner.spec.scenario import DataSource
from planner.units import MAX_COUNT, PlannerError
from planner.words import say

#: NeoX builds each dataset of a mixture half a per cent too large, so that blending never runs dry.
BLENDING_RESERVE = Fraction(1005, 1000)


@dataclass(frozen=True, slots=True)
class SourceEpochs:
    """What one dataset gives to the run."""

    name: str
    samples_per_epoch: int
    share: Fraction  # of the samples drawn
    epochs: Fraction  # passes over this dataset in the whole run; 0 when only iterations are given
    neox_index_epochs: int  # whole epochs GPT-NeoX builds its index for; 0 when not a mixture


@dataclass(frozen=True, slots=True)
class RunLength:
    """A run's data. Samples are sequences of `seq_length` tokens. One of `epochs` and `fixed_iterations` is given."""

    seq_length: int
    tokens_per_epoch: int
    samples_per_epoch: int
    total_samples: int  # sequences that the run must cover; 0 when iterations are given
    epochs: Fraction | None
    fixed_iterations: int | None
    sources: tuple[SourceEpochs, ...]
    basis: str
    remarks: tuple[str, ...] = ()


def exact(number: float | int | str | Fraction) -> Fraction:
    """The number as it is written: 1.1 is 11/10, not the nearest binary float."""
    try:
        return number if isinstance(number, Fraction) else Fraction(str(number))
    except ValueError as error:
        raise PlannerError(say("dataset.no_number", number=number)) from error


def packed_samples(tokens_per_epoch: int, seq_length: int, epochs: Fraction | int = 1) -> int:
    """Samples that E epochs of T tokens give: floor((E T - 1) / S), never below 0.

    A sample is S + 1 tokens, neighbours share one, documents run on across epochs, so a remainder carries over.
    Source: GPT-NeoX megatron/data/gpt2_dataset.py, `_num_epochs`; Megatron-LM's GPT dataset alike.
    """
    total = Fraction(epochs) * tokens_per_epoch
    return max((total.numerator - total.denominator) // (total.denominator * seq_length), 0)


def epochs_for_samples(tokens_per_epoch: int, seq_length: int, samples: int) -> int:
    """Whole epochs GPT-NeoX builds for `samples`: the smallest E >= 1 with floor((E T - 1) / S) >= samples.

    Raises PlannerError when the dataset has no tokens.
    """
    if tokens_per_epoch < 1:
        raise PlannerError(say("dataset.no_tokens"))
    return max(-(-(samples * seq_length + 1) // tokens_per_epoch), 1)


def tokens_from_samples(samples: int, epochs: int, seq_length: int) -> tuple[int, int]:
    """Fewest and most tokens an epoch may have if E epochs gave `samples`: the inverse of `packed_samples`."""
    least = samples * seq_length + 1
    most = (samples + 1) * seq_length
    return -(-least // epochs), most // epochs


def run_length(
    data: Sequence[DataSource], seq_length: int, epochs: float | Fraction | None = None, iterations: int | None = None
) -> RunLength:
    """Tokens and samples of one epoch, and how many samples the whole run covers.

    Parameters
    ----------
    data : one dataset, or several whose weights say how they are mixed. Each gives `samples` (sequences of one epoch:
        E epochs are E x N, rounded up to a whole sequence) or `tokens` (E epochs are floor((E T - 1) / S) samples).
    epochs, iterations : exactly one; epochs may be fractional.

    Raises PlannerError for empty data, lengths that are not positive, both or neither of epochs and iterations.

    An epoch of a mixture is as many samples as its datasets hold together; GPT-NeoX's blended dataset has that length
    (megatron/data/blendable_dataset.py) and draws each dataset by its normalised weight, so a dataset may be seen more
    or less than once in it. Each one's own epochs are in `sources`.
    """
    if (epochs is None) == (iterations is None):
        raise PlannerError(say("dataset.one_end"))
    if seq_length < 1:
        raise PlannerError(say("dataset.at_least", key="data.seq_length", value=seq_length, least=1))
    if iterations is not None and not 0 < iterations <= MAX_COUNT:
        raise PlannerError(say("dataset.at_least", key="training.iterations", value=iterations, least=1))
    passes = None if epochs is None else exact(epochs)
    if passes is not None and passes <= 0:
        raise PlannerError(say("dataset.above_0", key="training.epochs", value=epochs))
    if not data:
        raise PlannerError(say("dataset.none"))
    sizes = [_epoch_of(source, seq_length) for source in data]
    weights = [exact(source.weight) for source in data]
    for source, weight in zip(data, weights, strict=True):
        if weight <= 0:
            key = say("dataset.weight", name=source.name)
            raise PlannerError(say("dataset.above_0", key=key, value=source.weight))
    shares = [weight / sum(weights) for weight in weights]  # as NeoX normalises them
    tokens, samples = sum(t for t, _ in sizes), sum(n for _, n in sizes)
    if passes is None:
        total = 0
    elif len(data) == 1 and data[0].tokens is not None:
        total = packed_samples(tokens, seq_length, passes)
    else:
        total = -(-(passes.numerator * samples) // passes.denominator)
    if total > MAX_COUNT or (passes is not None and total < 1):
        raise PlannerError(say("dataset.too_many" if total > MAX_COUNT else "dataset.too_few", length=seq_length))
    mixture = len(data) > 1
    sources = []
    for source, (own_tokens, own), share in zip(data, sizes, shares, strict=True):
        drawn, index = Fraction(total), 0
        if mixture:
            drawn = total * share
            reserved = -((-total * share * BLENDING_RESERVE) // 1)  # NeoX: ceil(samples x weight x 1.005)
            index = epochs_for_samples(own_tokens, seq_length, int(reserved)) if total else 0
        sources.append(SourceEpochs(source.name, own, share, drawn / (own or 1), index))
    remarks = []
    if mixture:
        remarks.append(say("dataset.mixture_epoch", samples=samples))
        for each in sources if passes is not None else ():
            values = {"index": each.neox_index_epochs, "share": float(each.share), "epochs": float(each.epochs)}
            remarks.append(say("dataset.own_epochs", name=each.name, **values))
    return RunLength(
        seq_length=seq_length,
        tokens_per_epoch=tokens,
        samples_per_epoch=samples,
        total_samples=total,
        epochs=passes,
        fixed_iterations=iterations,
        sources=tuple(sources),
        basis=say("dataset.all_of", said=[_basis(source, mixture) for source in data]),
        remarks=tuple(remarks),
    )


def _epoch_of(source: DataSource, seq_length: int) -> tuple[int, int]:
    """Tokens and samples of one epoch of one dataset."""
    if (source.samples is None) == (source.tokens is None):
        raise PlannerError(say("dataset.no_size", name=source.name))
    if source.samples is not None:
        if not 0 < source.samples <= MAX_COUNT:
            key = say("dataset.samples_of", name=source.name)
            raise PlannerError(say("dataset.at_least", key=key, value=source.samples, least=1))
        return source.samples * seq_length, source.samples
    tokens = source.tokens or 0
    if not 1 < tokens <= MAX_COUNT:
        key = say("dataset.tokens_of", name=source.name)
        raise PlannerError(say("dataset.at_least", key=key, value=tokens, least=2))
    return tokens, packed_samples(tokens, seq_length)


def _basis(source: DataSource, mixture: bool) -> str:
    if source.basis:
        text = source.basis
    elif source.samples is not None:
        text = say("dataset.samples_given", samples=source.samples)
    else:
        text = say("dataset.tokens_given", tokens=source.tokens or 0)
    return say("dataset.of", name=source.name, said=text) if mixture else text
