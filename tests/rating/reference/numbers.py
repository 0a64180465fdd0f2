"""Rounding and the flat price, in rational arithmetic."""

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor


def rounded(value: Fraction, mode: str) -> int:
    """Round to a whole number; `ceiling` and `floor` look at the number line, all other modes at the size."""
    if mode in ("ceiling", "floor"):
        return ceil(value) if mode == "ceiling" else floor(value)
    size = abs(value)
    whole = {
        "half_even": round(size),  # Python rounds a Fraction's ties to even
        "half_up": floor(size + Fraction(1, 2)),
        "half_down": ceil(size - Fraction(1, 2)),
        "up": ceil(size),
        "down": floor(size),
    }[mode]
    return -whole if value < 0 else whole


def to_digits(value: Fraction, mode: str, digits: int) -> Fraction:
    """Keep so many decimal digits."""
    return Fraction(rounded(value * 10**digits, mode), 10**digits)


def amount_micros(quantity: int, price: str, unit_size: int, mode: str = "half_even", digits: int = 6) -> int:
    exact = Fraction(quantity) * Fraction(price) / unit_size
    return rounded(exact * 10**digits, mode) * 10 ** (6 - digits)


def best_price(
    prices: list[dict[str, object]], meter: str, attributes: Mapping[str, str], instant: int
) -> dict[str, object] | None:
    """The price with the most conditions among those that match; `from` and `to` in seconds."""
    best = None
    for price in prices:
        when = price["when"]
        assert isinstance(when, dict)
        start, end = price["from"], price["to"]
        assert isinstance(start, int)
        assert isinstance(end, int)
        matches = price["meter"] == meter and start <= instant < end
        if matches and all(attributes.get(k) == v for k, v in when.items()):
            assert best is None or len(best["when"]) != len(when)  # type: ignore[arg-type]
            if best is None or len(when) > len(best["when"]):  # type: ignore[arg-type]
                best = price
    return best
