"""Money to the cent: decimal, and parts that add up to their sum exactly."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

CENT = Decimal("0.01")


def cents(amount: Decimal | Fraction | float) -> Decimal:
    """An amount of money rounded to the cent, half to even; a float counts as the decimal that it prints as."""
    exact = Fraction(str(amount)) if isinstance(amount, float) else Fraction(amount)
    whole, rest = divmod(exact * 100, 1)
    count = int(whole) + (1 if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2) else 0)
    return Decimal(count).scaleb(-2)


def allotted(parts: Sequence[Fraction]) -> tuple[Decimal, ...]:
    """Parts rounded to the cent so that they add up to their rounded sum: the largest remainders get the cents left.

    Each is within a cent of its exact value; of equal remainders the first comes first.
    """
    down = [Decimal(int(part * 100 // 1)).scaleb(-2) for part in parts]
    short = int((cents(sum(parts, Fraction(0))) - sum(down, Decimal(0))).scaleb(2))
    order = sorted(range(len(parts)), key=lambda i: (-(parts[i] * 100 % 1), i))
    for i in order[:short]:
        down[i] += CENT
    return tuple(down)


def shares(whole: int, weights: Sequence[int]) -> list[int]:
    """A whole number cut by weights into whole parts that add up to it; all weights 0: into the first."""
    total = sum(weights)
    if not total:
        return [whole, *(0 for _ in weights[1:])]
    parts = [Fraction(whole * weight, total) for weight in weights]
    down = [int(part // 1) for part in parts]
    order = sorted(range(len(parts)), key=lambda i: (-(parts[i] % 1), i))
    for i in order[: whole - sum(down)]:
        down[i] += 1
    return down
