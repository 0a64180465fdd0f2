"""The formula behind one line, by component: what is multiplied with what, and why the result may differ from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Final

from rating.charge import Campaign, Charge
from rating.components import (
    ACCOUNT,
    BEYOND,
    CAMPAIGN,
    COMMITMENT,
    FEE,
    FREE,
    INCLUDED,
    MAXIMUM,
    MINIMUM,
    OFF,
    PERCENT,
    LinePrice,
)
from rating.decimals import decimal, shown
from rating.exact import MICRO_DIGITS, rounded
from rating.price import Price
from rating.scale import Context, tiers_of, unit_price
from rating.spans import span_seconds, window_seconds
from rating.tariff import Tariff, Tariffs
from rating.terms import Terms
from schemas import calendar

WITHOUT_USAGE: Final = (FEE, COMMITMENT, MINIMUM, MAXIMUM)
"""Components that no usage stands behind."""
_NOTHING: Final = {
    FREE: "free quantity",
    INCLUDED: "included in the commitment",
    OFF: "does not count: powered off",
    BEYOND: "above the last tier, not billed",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a stable name for programs, and exact text for people."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a line its formula needs; seconds since 1970, quantity as the line says it."""

    start: int
    end: int
    window_start: int
    quantity: int
    amount_micros: int
    meter: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Formula:
    """How a line's amount comes about.

    Attributes:
        formula: ``17.5 GiB·h × 0.004 EUR/GiB·h``.
        rate: what one unit costs, in words.
        steps: from usage to the formula.
        product: exact result of the formula; None where the line alone does not determine it.
        note: why the amount may differ from the product.
    """

    formula: str
    rate: str
    steps: tuple[Step, ...]
    product: Fraction | None
    note: str


def of_line(facts: Facts, entry: LinePrice, tariffs: Tariffs, terms: Terms) -> Formula:
    """Return the formula behind a line."""
    currency = tariffs.price_list.currency
    if entry.price is None:
        return _account(entry)
    charge = entry.price.charge
    rounding = f"rounded {charge.rounding.mode} to {charge.rounding.digits} digits"
    tariff = _tariff(facts, entry.price, tariffs)
    if entry.component in _NOTHING or entry.component.startswith(CAMPAIGN) or entry.component in (MINIMUM, MAXIMUM):
        return _other(facts, entry, tariff, terms)
    if entry.component in (FEE, COMMITMENT):
        return _fee(facts, entry, tariff, terms, currency, rounding)
    if entry.component == PERCENT:
        return _percent(facts, entry, terms, currency)
    return _units(facts, entry, tariff, terms, currency, rounding)


def _tariff(facts: Facts, price: Price, tariffs: Tariffs) -> Tariff:
    """Return the tariff that the line's usage had; a plain one where several kinds of usage stand behind the line."""
    found = [
        tariffs.items[number]
        for valid, number in tariffs.choices(price.charge.id, "", facts.attributes)
        if facts.start in valid and tariffs.items[number].price.id == price.id
    ]
    return found[-1] if found else Tariff(price, price.valid, Fraction(1), Fraction(1), (), tariffs.price_list.currency)


def _units(facts: Facts, entry: LinePrice, tariff: Tariff, terms: Terms, currency: str, rounding: str) -> Formula:
    charge = tariff.price.charge
    context = _context(facts, tariff, terms)
    size = entry.unit_size * context.span if entry.span else entry.unit_size
    tier = tiers_of(tariff, context)[entry.tier or 0]
    quantity, value = _quantity(facts, entry, context)
    price, flat = unit_price(tariff, tier.amount, context), tier.flat * tariff.exchange * tariff.factor
    rate = f"{shown(price)} {currency}/{entry.unit}"
    formula, product = f"{quantity} × {rate}", value * price
    if tier.block:
        rate = f"{shown(price)} {currency} per {shown(tier.block)} {entry.unit}"
        parts = abs(value) / tier.block
        rounded_up = charge.settings.blocks == "whole"
        count = parts if charge.settings.blocks == "partial" else Fraction(ceil(parts) if rounded_up else floor(parts))
        formula = f"{shown(count)} {'block' if count == 1 else 'blocks'} for {quantity} × {rate}"
        product = count * price * (-1 if value < 0 else 1)
    if flat and not price:
        formula = f"{quantity}: {shown(flat)} {currency} a {charge.window}"
    elif flat:
        formula += f" {'-' if value < 0 else '+'} {shown(flat)} {currency}"
    product += -flat if value < 0 else flat
    steps = [Step("quantity", f"{facts.quantity} {entry.base} ÷ {shown(size)} = {quantity}")]
    if tariff.exchange != 1 or tariff.factor != 1:
        own = entry.price.currency if entry.price and entry.price.currency else currency
        exchange = f"{entry.amount} {own} × exchange {shown(tariff.exchange)}"
        text = f"{exchange} × factor {shown(tariff.factor)} = {shown(price)} {currency}"
        steps.append(Step("unit price", text))
    if _whole(product, charge) == facts.amount_micros:
        return Formula(formula, rate, tuple(steps), product, rounding)
    why = _why(facts, charge)
    return Formula(f"{quantity} at {rate}, {why},", rate, tuple(steps), None, why)


def _whole(product: Fraction, charge: Charge) -> int:
    """Return an amount as a line by itself would say it, in micro-units."""
    digits = charge.rounding.digits
    steps = product * 10**digits
    return rounded(steps.numerator, steps.denominator, charge.rounding.mode) * 10 ** (MICRO_DIGITS - digits)


def _why(facts: Facts, charge: Charge) -> str:
    """Return why a line's amount does not follow from its own quantity."""
    if facts.quantity < 0 and charge.settings.negative == "nothing":
        return "sums below zero are not credited"
    if charge.rounding.per == "charge":
        return "rounded together with the other lines of the charge"
    if charge.settings.parts == "last":
        return "the last part of the window pays for all of it"
    return "the difference of the window's running totals"


def _context(facts: Facts, tariff: Tariff, terms: Terms) -> Context:
    charge = tariff.price.charge
    span = span_seconds(tariff.price.unit.span, facts.window_start, charge.settings, terms.zone)
    commitment = tariff.price.commitment
    if commitment is None:
        return Context(span=span)
    window = window_seconds(facts.window_start, charge.window, terms.zone)
    every = window_seconds(facts.window_start, commitment.every, terms.zone)
    return Context(span, facts.end - facts.start, Fraction(facts.end - facts.start, window), every, window)


def _fee(facts: Facts, entry: LinePrice, tariff: Tariff, terms: Terms, currency: str, rounding: str) -> Formula:
    price = tariff.price
    every = price.commitment.every if price.commitment else price.charge.window
    context = Context(fee=True)
    (tier,) = tiers_of(tariff, context)
    amount = unit_price(tariff, tier.amount, context)
    rate = f"{shown(amount)} {currency} each {every}"
    rule = price.charge.settings.prorate
    span = calendar.window_of(facts.start, every, terms.zone)
    whole = {"second": span.seconds, "none": 1, "day": len(calendar.days(span, terms.zone))}[rule]
    unit = {"second": "s", "none": every, "day": "days"}[rule]
    part = Fraction(facts.quantity, whole)
    share = f"{facts.quantity} of {whole} {unit}"
    step = Step("share", f"{share}: prorated by {rule}")
    formula = f"1 {every} × {rate}" if part == 1 else f"{share} × {rate}"
    return Formula(formula, rate, (step,), part * amount, rounding)


def _percent(facts: Facts, entry: LinePrice, terms: Terms, currency: str) -> Formula:
    rule = entry.price.percentage if entry.price else None
    size = entry.unit_size
    value = shown(Fraction(facts.quantity) / size)
    if rule is None:
        return Formula(value, "", (), None, "")
    rate = f"{shown(rule.percent)} %"
    texts = [rate]
    for name, amount in (
        ("fixed", rule.fixed or None),
        ("free events", rule.free_events),
        ("free amount", rule.free_amount),
        ("at least", rule.minimum_each),
        ("at most", rule.maximum_each),
    ):
        if amount is not None:
            texts.append(f"{name} {shown(Fraction(amount))}")
    step = Step("events", f"each event by itself: {', '.join(texts)}")
    return Formula(f"{value} {entry.unit} at {', '.join(texts)} for each event", rate, (step,), None, "")


def _other(facts: Facts, entry: LinePrice, tariff: Tariff, terms: Terms) -> Formula:
    currency, price = tariff.currency, tariff.price
    if entry.component in _NOTHING:
        quantity, _ = _quantity(facts, entry, _context(facts, tariff, terms))
        why = _NOTHING[entry.component]
        return Formula(f"{quantity}, {why},", why, (Step("quantity", quantity),), None, "")
    if entry.component.startswith(CAMPAIGN):
        name = entry.component.removeprefix(CAMPAIGN)
        campaign = next((c for c in tariff.campaigns if c.id == name), None)
        text = campaign_text(campaign, currency) if campaign else name
        return Formula(f"campaign {text}", text, (), None, "")
    bound = price.minimum if entry.component == MINIMUM else price.maximum
    text = f"{entry.component} {shown(bound or Fraction(0))} {price.currency or currency} a {price.charge.window}"
    verb = "added up to the" if entry.component == MINIMUM else "taken off above the"
    return Formula(f"{verb} {text}", text, (), None, "")


def _quantity(facts: Facts, entry: LinePrice, context: Context) -> tuple[str, Fraction]:
    """Return a line's quantity in the price's unit, in words and as a number."""
    size = entry.unit_size * context.span if entry.span else entry.unit_size
    value = Fraction(facts.quantity) / size
    text = f"{shown(value)} {entry.unit}"
    return (text if decimal(value) else f"{text} ({facts.quantity} {entry.base})"), value


def campaign_text(campaign: Campaign, currency: str) -> str:
    """Return a campaign in words."""
    if campaign.percent is not None:
        return f"{campaign.name}: {shown(campaign.percent)} % off"
    return f"{campaign.name}: {shown(campaign.absolute or Fraction(0))} {currency} off"


def tier_text(entry: LinePrice) -> str:
    """Return ``tier 2 from 10, `` for a line of one of several tiers, else nothing."""
    price = entry.price
    if price is None or entry.tier is None or price.commitment is not None or len(price.tiers) < 2:
        return ""
    start = price.tiers[entry.tier - 1].up_to if entry.tier else None
    return f"tier {entry.tier + 1} from {shown(start or Fraction(0))}, "


def _account(entry: LinePrice) -> Formula:
    kind, _, name = entry.component.partition(":")
    words = {
        MINIMUM: "added up to the account's minimum",
        MAXIMUM: "taken off above the account's maximum",
        "true_up": f"added up to the commitment {name}",
        "spend_overage": f"spend above the commitment {name}",
    }
    text = words.get(kind, ACCOUNT)
    return Formula(text, text, (), None, "")
