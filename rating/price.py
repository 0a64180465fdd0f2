"""One price, and how lines are rounded: plain values."""

from dataclasses import dataclass
from math import gcd

from rating.exact import MICRO_DIGITS, Mode, Ratio
from rating.matching import When
from schemas.period import Period


@dataclass(frozen=True, slots=True)
class Rounding:
    """The one rounding of a line.

    Attributes:
        mode: see `rating.exact.Mode`.
        digits: decimal digits kept, 0 to 6.
    """

    mode: Mode = "half_even"
    digits: int = MICRO_DIGITS


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit of a meter costs while the price is valid.

    Attributes:
        id: unique within the list.
        product: what the tenant reads.
        meter: key of the meter.
        meter_id: its integer key.
        amount: shortest decimal text.
        unit: display unit the amount is for.
        unit_size: base units in one such unit.
        base: the meter's base unit, for people.
        when: attribute conditions, sorted by name.
        valid: half-open; ends at FOREVER when it has no end.
    """

    id: str
    product: str
    meter: str
    meter_id: int
    amount: str
    unit: str
    unit_size: int
    base: str
    when: When
    valid: Period

    def ratio(self, digits: int) -> Ratio:
        """Return what one base unit costs, in steps of `digits` decimal digits, in lowest terms."""
        whole, _, part = self.amount.partition(".")
        numerator, denominator = int(whole + part) * 10**digits, 10 ** len(part) * self.unit_size
        common = gcd(numerator, denominator)
        return Ratio(numerator // common, denominator // common)

    def canonical(self) -> dict[str, object]:
        """Return everything that determines the price, as plain values."""
        return {
            "id": self.id,
            "product": self.product,
            "meter": self.meter,
            "amount": self.amount,
            "unit": self.unit,
            "unit_size": self.unit_size,
            "when": dict(self.when),
            "from": self.valid.start,
            "to": self.valid.end,
        }
