"""Explains a rated line to a person, step by step, and proves it: the same inputs give the same amount and digest."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import pyarrow as pa

from rating.digests import line_digests, segment_digests
from rating.exact import rounded
from rating.price import Price
from rating.price_list import PriceList
from schemas.errors import Invariant
from schemas.money import MICROS, decimal_text
from schemas.period import FOREVER, iso

SHOWN_DIGITS: Final = 12
"""Digits shown of a product that does not end; the exact fraction is always given beside it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of LINE_SCHEMA; see there."""

    window_start: int
    window_end: int
    segment_start: int
    segment_end: int
    resource_id: int
    meter_id: int
    attributes_id: int
    price_id: int
    quantity: int
    covered_seconds: int
    amount_micros: int
    usage_digest: int
    digest: int


@dataclass(frozen=True, slots=True)
class LineNames:
    """What people call the things behind a line's keys.

    Attributes:
        resource: for example ``vm/db-1``.
        meter: key of the meter.
        attributes: of the usage.
        unit: display unit for a line without a price, and base units in one.
    """

    resource: str
    meter: str
    attributes: Mapping[str, str]
    unit: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a stable name for programs, and exact text for people."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A line in words.

    Attributes:
        sentence: the whole in one sentence.
        steps: usage, quantity, price, product, amount; an unpriced line has usage, quantity and unpriced.
    """

    sentence: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of recomputing a line.

    Attributes:
        price_id: the price that applies (0: none).
        amount_micros: recomputed amount.
        digest: recomputed digest.
        differences: what the line says otherwise, in words; empty when it is proved.
    """

    price_id: int
    amount_micros: int
    digest: int
    differences: tuple[str, ...]

    @property
    def proved(self) -> bool:
        """Tell whether every recomputed value equals the line's."""
        return not self.differences


def line_at(lines: pa.Table, row: int) -> Line:
    """Return one row of a table that has LINE_SCHEMA's columns; others are ignored."""
    return Line(**{name: lines[name][row].as_py() for name in Line.__dataclass_fields__})


def quantity_text(quantity: int, unit: str, unit_size: int, base: str = "") -> str:
    """Return an exact quantity: ``17.5 GiB·h``, or ``5/18 VM·h`` where the decimal does not end.

    A fraction is followed by the base units, when their name is given: ``5/18 VM·h (1000 s)``.
    """
    value = Fraction(quantity, unit_size)
    text = _decimal(value)
    if text is not None:
        return f"{text} {unit}"
    return f"{value} {unit} ({quantity} {base})" if base else f"{value} {unit}"


def explain(line: Line, price_list: PriceList, names: LineNames) -> Explanation:
    """Return the steps from usage to amount.

    Args:
        line: the rated line.
        price_list: the list and version that the line was rated with.
        names: what to call its parts.

    Raises:
        Invariant: the line's price is not in this list and version.
    """
    attributes = (
        f" {{{', '.join(f'{k}: {v}' for k, v in sorted(names.attributes.items()))}}}" if names.attributes else ""
    )
    usage = Step(
        "usage",
        f"{names.resource} used {names.meter}{attributes} from {iso(line.segment_start)} to {iso(line.segment_end)}, "
        f"metered for {line.covered_seconds} s",
    )
    listed = f"list {price_list.id} v{price_list.version}"
    if line.price_id == 0:
        quantity = quantity_text(line.quantity, *names.unit)
        sentence = f"{quantity} of {names.meter}{attributes} are unpriced: {listed} has no price for them at that time"
        return Explanation(sentence, (usage, Step("quantity", quantity), Step("unpriced", f"{listed} has no price")))
    price = price_list.by_key.get(line.price_id)
    if price is None:
        raise Invariant(f"price {line.price_id} is not in {listed}")
    return _priced(line, price, price_list, usage, listed)


def _priced(line: Line, price: Price, price_list: PriceList, usage: Step, listed: str) -> Explanation:
    currency = price_list.currency
    quantity = quantity_text(line.quantity, price.unit, price.unit_size, price.base)
    rate = f"{price.amount} {currency}/{price.unit}"
    product = Fraction(line.quantity, price.unit_size) * Fraction(price.amount)
    amount = f"{_money(line.amount_micros)} {currency}"
    rounding = f"rounded {price_list.rounding.mode} to {price_list.rounding.digits} digits"
    exact = product * MICROS == line.amount_micros
    end = "" if price.valid.end == FOREVER else f" to {_day(price.valid.end)}"
    where = f"price {price.id} from {_day(price.valid.start)}{end}, {listed}"
    result = f"= {amount}" if exact else f"= {_approximate(product)} {currency}, {rounding} = {amount}"
    return Explanation(
        f"{quantity} × {rate} {result}, {where}",
        (
            usage,
            Step("quantity", f"{line.quantity} {price.base} ÷ {price.unit_size} = {quantity}"),
            Step("price", f"{rate} for {price.product}: {where}"),
            Step("product", f"{_approximate(product)} {currency}"),
            Step("amount", amount if exact else f"{rounding}: {amount}"),
        ),
    )


def verify(line: Line, price_list: PriceList, attributes: Mapping[str, str]) -> Verdict:
    """Choose the price, compute the amount and the digest anew, one line by itself, and compare.

    Args:
        line: the rated line.
        price_list: the list and version that it claims.
        attributes: of the line's attribute set.
    """
    price = price_list.price_at(line.meter_id, attributes, line.segment_start)
    key, amount, price_digest = 0, 0, price_list.unpriced_digest
    if price is not None:
        digits = price_list.rounding.digits
        ratio = price.ratio(digits)
        steps = rounded(line.quantity * ratio.numerator, ratio.denominator, price_list.rounding.mode)
        key, amount = price_list.key_of(price), steps * MICROS // 10**digits
        price_digest = price_list.price_digest(price)
    digest = _digest(line, price_digest)
    pairs = (("price", line.price_id, key), ("amount", line.amount_micros, amount), ("digest", line.digest, digest))
    differences = tuple(f"{name} is {found}, recomputed {due}" for name, found, due in pairs if found != due)
    return Verdict(key, amount, digest, differences)


def _digest(line: Line, price_digest: int) -> int:
    def one(value: int) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
        return np.array([value & 0xFFFF_FFFF_FFFF_FFFF], dtype=np.uint64)

    segment = segment_digests(
        one(line.window_start), one(line.window_end), one(line.segment_start), one(line.segment_end)
    )
    keys = (line.resource_id, line.meter_id, line.attributes_id)
    facts = (line.quantity, line.covered_seconds, line.usage_digest)
    first, second, third = (one(value) for value in keys)
    quantity, covered, usage = (one(value) for value in facts)
    return int(line_digests(segment, one(price_digest), first, second, third, quantity, covered, usage)[0])


def _decimal(value: Fraction) -> str | None:
    """Return the exact decimal text of a fraction, or None when it has no end."""
    rest, places = value.denominator, 0
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


def _approximate(value: Fraction) -> str:
    """Return exact decimal text, or the fraction and its first digits."""
    exact = _decimal(value)
    if exact is not None:
        return exact
    cut = Fraction(abs(value.numerator) * 10**SHOWN_DIGITS // value.denominator, 10**SHOWN_DIGITS)
    return f"{value} ({'-' if value < 0 else ''}{_decimal(cut)}…)"


def _money(micros: int) -> str:
    text = decimal_text(micros)
    return text.removesuffix(".00")


def _day(instant: int) -> str:
    return iso(instant).removesuffix("T00:00:00Z")
