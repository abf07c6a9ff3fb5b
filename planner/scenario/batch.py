"""Choices of whole numbers: layout dimensions, and batches written in sequences or in tokens."""

from __future__ import annotations

from typing import Any

from planner.scenario.draft import Draft
from planner.spec.scenario import IntChoice
from planner.units import shown
from planner.words import say

LARGEST = 131_072  # sequences: larger batches than anyone trained with, and tables that still fit


def critical_batch(draft: Draft, given: tuple[int, str] | None, seq_length: int) -> float | None:
    """Sequences of the user's own critical batch; it need not be whole."""
    if given is None:
        return None
    _need_length(draft, "training.critical_batch", given, seq_length)
    return given[0] / seq_length if given[1] else float(given[0])


def global_batch(draft: Draft, given: Any, seq_length: int) -> IntChoice | None:
    """What a global batch may be: a number, a list or a range, in sequences."""
    path = "training.global_batch"
    if given is None:
        return None
    if isinstance(given, dict):
        least = batch_size(draft, f"{path}.min", given["min"], seq_length, "up")
        most = batch_size(draft, f"{path}.max", given["max"], seq_length, "down")
        step = batch_size(draft, f"{path}.multiple_of", given["multiple_of"], seq_length)
        return _range(draft, path, least, most, step)
    if isinstance(given, list):
        values = [batch_size(draft, f"{path}.{i}", size, seq_length) for i, size in enumerate(given)]
        return IntChoice(values=tuple(sorted({value for value in values if value is not None})))
    value = batch_size(draft, path, given, seq_length)
    return None if value is None else IntChoice(values=(value,))


def batch_size(
    draft: Draft, path: str, given: tuple[int, str] | None, seq_length: int, rounding: str = "exact"
) -> int | None:
    """Sequences of a batch that was given in sequences or in tokens; a reading that is not exact is recorded."""
    if given is None:
        return None
    amount, tokens_text = given
    if not tokens_text:
        if amount > LARGEST:
            raise draft.fail(path, say("batch.too_many_sequences", amount=amount, most=LARGEST))
        return amount
    _need_length(draft, path, given, seq_length)
    if any(c.isalpha() for c in tokens_text.lower().replace("tokens", "").replace("token", "")):  # abbreviated: 4M
        sequences = round_batch(amount / seq_length)
    else:
        sequences, rest = divmod(amount, seq_length)
        sequences += 1 if rest and rounding == "up" else 0
        if rest and rounding == "exact" and sequences:
            near = {"below": sequences * seq_length, "above": (sequences + 1) * seq_length}
            raise draft.fail(path, say("batch.not_whole", text=shown(tokens_text), length=seq_length, **near))
    if sequences < 1:
        raise draft.fail(path, say("batch.below_one", text=shown(tokens_text), length=seq_length, amount=amount))
    if sequences * seq_length != amount:
        code = "batch_tokens_read" if tokens_text.endswith(" tokens") else "batch_read"
        read = {"sequences": sequences, "tokens": sequences * seq_length}
        draft.default(path, say(f"defaults.{code}", written=tokens_text.removesuffix(" tokens"), **read))
    return sequences


def _need_length(draft: Draft, path: str, given: tuple[int, str], seq_length: int) -> None:
    if given[1] and not seq_length:
        raise draft.fail(path, say("batch.no_length"))


def int_choice(draft: Draft, path: str, given: Any) -> IntChoice:
    """What a dimension of the layout may be."""
    if isinstance(given, dict):
        return _range(draft, path, given["min"], given["max"], given["multiple_of"])
    return IntChoice(values=tuple(sorted(set(given)) if isinstance(given, list) else (given,)))


def _range(draft: Draft, path: str, least: int | None, most: int | None, step: int | None) -> IntChoice:
    if least is None and most is None and step is None:
        raise draft.fail(path, say("batch.empty_range"))
    if least is not None and most is not None and least > most:
        raise draft.fail(f"{path}.min", say("batch.min_above_max", least=least, most=most))
    if step is not None and most is not None and most // step * step < max(least or 1, 1):
        why = say("batch.no_multiple", step=step, least=max(least or 1, 1), most=most)
        raise draft.fail(f"{path}.multiple_of", why)
    return IntChoice(least, most, step)


def round_batch(sequences: float) -> int:
    """The batch that "4M tokens" means: the whole number within 5 % that has the most factors of two, nearest first.

    Published batches of "4M", "2M", "0.5M" or "3.2M" tokens at 2,048 a sequence are 2,048, 1,024, 256 and 1,536
    sequences; 1,953 (4,000,000 / 2,048) is a batch that no data-parallel cluster can cut up.
    """
    step = 1 << 40
    while step > 1:
        near = round(sequences / step) * step
        if near and abs(near / sequences - 1) <= 0.05:
            return near
        step //= 2
    return max(1, round(sequences))


def largest(choice: IntChoice | None) -> int | None:
    """The largest number that a choice allows; None where nothing bounds it."""
    return None if choice is None else max(choice.values, default=choice.maximum)
