"""A price list in words: what each charge costs, tier by tier, and by which rules."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Final

from rating.charge import RESOURCE, Campaign, Charge, Commitment, Percentage, Settings, Tier
from rating.decimals import shown
from rating.lists import PriceList
from rating.price import Price
from schemas.period import FOREVER, Period, iso

AGGREGATES: Final = {
    "sum": "the sum",
    "count": "the number of observations",
    "unique": "the number of distinct",
    "peak": "the peak",
    "average": "the average",
    "time_weighted": "the time-weighted average",
    "last": "the last value",
    "percentile": "the percentile",
}


@dataclass(frozen=True, slots=True)
class ChargeWords:
    """One charge in words: what it measures, its prices, and the rules in force."""

    id: str
    name: str
    product: str
    measures: str
    prices: Sequence[str]
    rules: Sequence[str]


def charge_words(price_list: PriceList, charge: Charge) -> ChargeWords:
    """Return a charge of a list in words."""
    prices = [_price(price, price_list) for price in price_list.prices if price.charge == charge]
    return ChargeWords(charge.id, charge.name, charge.product, _measures(charge), prices, list(_rules(charge)))


def campaign_words(price_list: PriceList, campaign: Campaign) -> str:
    """Return a campaign of a list in one sentence."""
    currency = price_list.currency
    what = next(_reductions(campaign, currency))
    names = {charge.product_id: charge.product for charge in price_list.charges}
    filters = (
        ("products", {names.get(product, product) for product in campaign.products}),
        ("charges", campaign.charges),
        ("meters", campaign.meters),
        ("groups", campaign.groups),
        ("accounts", campaign.accounts),
    )
    scope = [f"{name} {', '.join(sorted(values))}" for name, values in filters if values]
    scope += [f"{name} {value}" for name, value in campaign.when]
    only = f", for {'; '.join(scope)}" if scope else ""
    coupon = f", with coupon {campaign.coupon}" if campaign.coupon else ""
    cap = f", at most {shown(campaign.cap)} {currency} each window" if campaign.cap is not None else ""
    return f"{campaign.name}: {what}{only}{coupon}{cap}, {_validity(campaign.valid)} ({campaign.stacking})"


def _reductions(campaign: Campaign, currency: str) -> Iterator[str]:
    if campaign.percent is not None:
        yield f"{shown(campaign.percent)} % off"
    if campaign.absolute is not None:
        yield f"{shown(campaign.absolute)} {currency} off each window"
    if campaign.free_quantity is not None:
        yield f"{shown(campaign.free_quantity)} units free each window"
    if campaign.fixed_price is not None:
        yield f"{shown(campaign.fixed_price)} {currency} a unit instead"


def _measures(charge: Charge) -> str:
    model = charge.model.replace("_", " ")
    if not charge.meters:
        return f"{model}: the account itself, each {charge.window}"
    meters = charge.meters[0] if len(charge.meters) == 1 else _several(charge)
    each = {(): "the account", (RESOURCE,): "each resource"}.get(charge.each, f"each {', '.join(charge.each)}")
    of = f" {charge.unique_of}s of" if charge.aggregate == "unique" else " of"
    rank = f" ({shown(charge.percentile.rank)}th of {charge.percentile.cell_seconds} s)" if charge.percentile else ""
    amount = f"{AGGREGATES[charge.aggregate]}{rank}{of} {meters}"
    return f"{model}: {amount} by {each}, each {charge.window}, in {charge.per}"


def _several(charge: Charge) -> str:
    joined = " and ".join(charge.meters)
    return f"the larger of {joined}" if charge.combine == "max" else f"{joined} together"


def _price(price: Price, price_list: PriceList) -> str:
    currency = price.currency or price_list.currency
    unit = price.unit.name
    when = ", ".join(f"{name} {value}" for name, value in price.when)
    head = f"{price.id}{f' (only {when})' if when else ''}, {_validity(price.valid)}"
    parts = [_cost(price, currency, unit)]
    if price.free is not None:
        shared = {"each": "", "account": " shared by the account", "accounts": " shared by sibling accounts"}
        parts.append(f"{shown(price.free.quantity)} {unit} free{shared[price.free.pool]}")
    if price.minimum is not None:
        parts.append(f"at least {shown(price.minimum)} {currency}")
    if price.maximum is not None:
        parts.append(f"at most {shown(price.maximum)} {currency}")
    return f"{head}: {'; '.join(parts)}"


def _cost(price: Price, currency: str, unit: str) -> str:
    every = price.charge.window
    if price.recurring is not None:
        times = "" if price.recurring.quantity == 1 else f"{shown(price.recurring.quantity)} × "
        return f"{times}{shown(price.recurring.amount)} {currency} every {every}"
    if price.percentage is not None:
        return _percentage(price.percentage, currency)
    if price.commitment is not None:
        return _commitment(price.commitment, currency, unit)
    lower = Fraction(0)
    tiers = []
    for tier in price.tiers:
        tiers.append(_tier(tier, lower, currency, unit, alone=len(price.tiers) == 1))
        lower = tier.up_to or lower
    whole = " (the tier that holds the quantity prices all of it)" if price.volume and len(price.tiers) > 1 else ""
    return "; ".join(tiers) + whole


def _tier(tier: Tier, lower: Fraction, currency: str, unit: str, *, alone: bool) -> str:
    costs = []
    if tier.amount or not tier.flat:
        by = unit if tier.block is None else f"{shown(tier.block)} {unit}"
        costs.append(f"{shown(tier.amount)} {currency} a {by}")
    if tier.flat:
        costs.append(f"{shown(tier.flat)} {currency} once")
    if alone and tier.up_to is None:
        return " and ".join(costs)
    end = "" if tier.up_to is None else f" up to {shown(tier.up_to)}"
    return f"{f'from {shown(lower)}' if lower or tier.up_to is None else ''}{end} {unit}: {' and '.join(costs)}".strip()


def _percentage(rule: Percentage, currency: str) -> str:
    parts = [f"{shown(rule.percent)} % of each event"]
    if rule.fixed:
        parts.append(f"{shown(rule.fixed)} {currency} for each")
    if rule.free_events is not None:
        parts.append(f"the first {rule.free_events} free")
    if rule.free_amount is not None:
        parts.append(f"the first {shown(rule.free_amount)} {currency} free")
    if rule.minimum_each is not None:
        parts.append(f"at least {shown(rule.minimum_each)} {currency} each")
    if rule.maximum_each is not None:
        parts.append(f"at most {shown(rule.maximum_each)} {currency} each")
    return ", ".join(parts)


def _commitment(rule: Commitment, currency: str, unit: str) -> str:
    held = f"{shown(rule.level)} of the level of {unit} all the time" if rule.level is not None else ""
    if rule.quantity is not None:
        held = f"{shown(rule.quantity)} {unit} each window"
    over = f"{shown(rule.overage)} {currency} a {unit}" if rule.overage is not None else ""
    if rule.factor is not None:
        over = f"{shown(rule.factor)} times the committed price"
    return f"{shown(rule.fee)} {currency} every {rule.every} for {held}; beyond it {over}"


def _rules(charge: Charge) -> Iterator[str]:
    """Yield what is set otherwise than documented as default, then how lines are rounded."""
    default = Settings()
    for field in fields(Settings):
        value = getattr(charge.settings, field.name)
        if value != getattr(default, field.name):
            yield f"{field.name.replace('_', ' ')}: {', '.join(value) if isinstance(value, tuple) else value}"
    if charge.power != "always":
        yield f"power: {charge.power}"
    if charge.choose != "most_specific":
        yield f"choose: {charge.choose}"
    if charge.convert is not None:
        yield f"convert: {charge.convert.mode} to {charge.convert.digits} digits"
    for factor in charge.factors:
        when = ", ".join(f"{name} {value}" for name, value in factor.when)
        yield f"factor: × {shown(factor.factor)} for {when}"
    rounding = charge.rounding
    price = "" if rounding.unit_price_digits is None else f", unit prices to {rounding.unit_price_digits}"
    yield f"rounding: {rounding.mode} to {rounding.digits} digits each {rounding.per}{price}"


def _validity(valid: Period) -> str:
    start = f"from {_instant(valid.start)}" if valid.start else ""
    end = f"until {_instant(valid.end)}" if valid.end < FOREVER else ""
    return " ".join(part for part in (start, end) if part) or "always"


def _instant(second: int) -> str:
    return iso(second).removesuffix("T00:00:00Z")
