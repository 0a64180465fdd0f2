"""Money and units of the provider's virtual currency: whole micro-units, never a binary fraction."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from schemas.errors import Invariant

MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount.

    Attributes:
        micros: the amount in millionths of the currency's unit.
        currency: ISO 4217 code, or the code of the provider's own unit (for example ``CU``).
    """

    micros: int
    currency: str

    def __add__(self, other: "Money") -> "Money":
        """Add two amounts of one currency; raises Invariant when they differ."""
        if other.currency != self.currency:
            raise Invariant(f"cannot add {other.currency} to {self.currency}")
        return Money(self.micros + other.micros, self.currency)

    def __neg__(self) -> "Money":
        """Return the opposite amount."""
        return Money(-self.micros, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        """Subtract an amount of the same currency."""
        return self + (-other)

    def __str__(self) -> str:
        """Return the exact decimal text, at least two digits after the point, and the currency."""
        return f"{decimal_text(self.micros)} {self.currency}"


def decimal_text(micros: int) -> str:
    """Return micro-units as exact decimal text with two to six digits after the point."""
    sign = "-" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS)
    digits = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


def micros_of(text: str | int | Decimal) -> int:
    """Return micro-units of a decimal text or number; raises ValueError when it has more than six digits."""
    scaled = Decimal(text) * MICROS
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise ValueError(f"{text} is not a whole number of millionths")
    return int(scaled)
