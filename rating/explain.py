"""Explains a rated line to a person, step by step, and proves it: the same inputs give the same amount and digest."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import pyarrow as pa

from rating import explain_parts as parts
from rating.components import LinePrice
from rating.decimals import approximate, decimal
from rating.explain_parts import Step as Step
from rating.lists import PriceList
from rating.tariff import Tariffs
from rating.terms import Terms
from schemas.errors import Invariant
from schemas.money import MICROS, decimal_text
from schemas.period import FOREVER, iso


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
class Explanation:
    """A line in words.

    Attributes:
        sentence: the whole in one sentence.
        steps: usage, quantity, price, product, amount; an unpriced line has usage, quantity and unpriced.
    """

    sentence: str
    steps: tuple[Step, ...]


def line_at(lines: pa.Table, row: int) -> Line:
    """Return one row of a table that has LINE_SCHEMA's columns; others are ignored."""
    return Line(**{name: lines[name][row].as_py() for name in Line.__dataclass_fields__})


def quantity_text(quantity: int, unit: str, unit_size: Fraction | int, base: str = "") -> str:
    """Return an exact quantity: ``17.5 GiB·h``, or ``5/18 VM·h`` where the decimal does not end.

    A fraction is followed by the base units, when their name is given: ``5/18 VM·h (1000 s)``.
    """
    value = Fraction(quantity) / unit_size
    text = decimal(value)
    if text is not None:
        return f"{text} {unit}"
    return f"{value} {unit} ({quantity} {base})" if base else f"{value} {unit}"


def explain(
    line: Line, price_list: PriceList, names: LineNames, terms: Terms | None = None, tariffs: Tariffs | None = None
) -> Explanation:
    """Return the steps from usage to amount.

    Args:
        line: the rated line.
        price_list: the account's effective list as of the rating.
        names: what to call its parts.
        terms: of the account as of the rating: zone, campaigns.
        tariffs: of that list and these terms, where many lines are explained.

    Raises:
        Invariant: the line's price is not in this list and version.
    """
    attributes = (
        f" {{{', '.join(f'{k}: {v}' for k, v in sorted(names.attributes.items()))}}}" if names.attributes else ""
    )
    whose = f"{names.resource} used" if names.resource else "together used"
    usage = Step(
        "usage",
        f"{whose} {names.meter}{attributes} from {iso(line.segment_start)} to {iso(line.segment_end)}, "
        f"metered for {line.covered_seconds} s",
    )
    if line.price_id == 0:
        listed = f"list {price_list.id} v{price_list.version}"
        quantity = quantity_text(line.quantity, *names.unit)
        sentence = f"{quantity} of {names.meter}{attributes} are unpriced: {listed} has no price for them at that time"
        return Explanation(sentence, (usage, Step("quantity", quantity), Step("unpriced", f"{listed} has no price")))
    entry = price_list.by_key.get(line.price_id)
    if entry is None:
        raise Invariant(f"price {line.price_id} is not in list {price_list.id} v{price_list.version}")
    terms = terms or Terms()
    return _priced(line, entry, tariffs or Tariffs(price_list, terms), names, terms, usage)


def _priced(line: Line, entry: LinePrice, tariffs: Tariffs, names: LineNames, terms: Terms, usage: Step) -> Explanation:
    currency = tariffs.price_list.currency
    amount = f"{_money(line.amount_micros)} {currency}"
    where = _where(entry)
    found = parts.of_line(
        parts.Facts(
            line.segment_start,
            line.segment_end,
            line.window_start,
            line.quantity,
            line.amount_micros,
            names.meter,
            names.attributes,
        ),
        entry,
        tariffs,
        terms,
    )
    steps = [] if entry.component in parts.WITHOUT_USAGE else [usage]
    steps += [*found.steps, Step("price", f"{found.rate} for {entry.product}: {where}")]
    if found.product is None:
        steps.append(Step("amount", f"{found.note}: {amount}" if found.note else amount))
        return Explanation(f"{found.formula} = {amount}, {where}", tuple(steps))
    steps.append(Step("product", f"{approximate(found.product)} {currency}"))
    exact = found.product * MICROS == line.amount_micros
    steps.append(Step("amount", amount if exact else f"{found.note}: {amount}"))
    result = f"= {amount}" if exact else f"= {approximate(found.product)} {currency}, {found.note} = {amount}"
    return Explanation(f"{found.formula} {result}, {where}", tuple(steps))


def _where(entry: LinePrice) -> str:
    start = "" if entry.valid.start == 0 else f" from {_day(entry.valid.start)}"
    end = "" if entry.valid.end == FOREVER else f" to {_day(entry.valid.end)}"
    component = "" if entry.tier is None else parts.tier_text(entry)
    return f"{component}price {entry.id}{start}{end}, list {entry.list_id} v{entry.version}"


def _money(micros: int) -> str:
    return decimal_text(micros).removesuffix(".00")


def _day(instant: int) -> str:
    return iso(instant).removesuffix("T00:00:00Z")
