"""Exact fractions as decimal text."""

from fractions import Fraction
from typing import Final

SHOWN_DIGITS: Final = 12
"""Digits shown of a number that does not end; the exact fraction is always given beside it."""


def decimal(value: Fraction) -> str | None:
    """Return the exact decimal text of a fraction, or None when it has no end."""
    rest = value.denominator
    twos = fives = 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return None
    places = max(twos, fives)
    scaled = str(abs(value.numerator) * (10**places // value.denominator)).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{scaled[: len(scaled) - places]}.{scaled[len(scaled) - places :]}" if places else f"{sign}{scaled}"


def shown(value: Fraction) -> str:
    """Return exact decimal text, or the fraction ``5/18`` where it does not end."""
    exact = decimal(value)
    return str(value) if exact is None else exact


def approximate(value: Fraction) -> str:
    """Return exact decimal text, or the fraction and its first digits."""
    exact = decimal(value)
    if exact is not None:
        return exact
    cut = Fraction(abs(value.numerator) * 10**SHOWN_DIGITS // value.denominator, 10**SHOWN_DIGITS)
    return f"{value} ({'-' if value < 0 else ''}{decimal(cut)}…)"
