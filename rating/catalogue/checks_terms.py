"""Checks of what holds over several charges: own meters and units, exchange rates, campaigns, terms of the account."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final

from rating.catalogue.checks import doubled
from rating.catalogue.checks_charge import order_problems, range_problems
from rating.catalogue.compile import Located
from rating.catalogue.document import PriceListDocument
from rating.catalogue.document_campaign import (
    BoundDocument,
    CampaignDocument,
    ExchangeRateDocument,
    SpendCommitmentDocument,
)
from rating.catalogue.document_fields import RangeDocument, present
from rating.catalogue.matching import uncovered
from rating.units import units_of
from schemas.errors import StratometerError
from schemas.meters import Registry
from schemas.period import FOREVER, Period, iso

_KINDS: Final = ("percent", "absolute", "free_quantity", "fixed_price")
Dated = CampaignDocument | ExchangeRateDocument | BoundDocument | SpendCommitmentDocument


def registry_with(document: PriceListDocument, registry: Registry) -> tuple[Registry, list[str]]:
    """Return the registry with the list's own meters, and every problem of these and of the list's own units."""
    own, problems = present(document.meters), list[str]()
    added = {}
    for n, meter in own:
        if meter.key in added or (meter.key in registry and registry[meter.key] != meter):
            problems.append(f"meters[{n}].key: {meter.key!r} is taken by another meter; choose another key")
        elif meter.key not in registry:
            added[meter.key] = meter
    if added:
        try:
            registry = Registry({**registry.meters, **added})
        except StratometerError as error:
            problems.append(f"meters: {error}")
    return registry, [*problems, *_unit_problems(document, registry)]


def own_units(document: PriceListDocument) -> dict[str, dict[str, Fraction]]:
    """Return the list's own units as exact numbers."""
    return {meter: {name: Fraction(size) for name, size in sizes.items()} for meter, sizes in document.units.items()}


def _unit_problems(document: PriceListDocument, registry: Registry) -> Iterator[str]:
    for key, sizes in own_units(document).items():
        if key not in registry:
            yield f"units.{key}: unknown meter; known are {', '.join(registry.meters)}"
            continue
        known, extended = units_of(registry[key], "sum"), units_of(registry[key], "sum", sizes)
        for name, size in sizes.items():
            if size != (known.get(name) or extended[name]).size:
                yield f"units.{key}.{name}: {key} has this unit already, with another size; choose another name"


def head_problems(document: PriceListDocument) -> list[str]:
    """Return problems of the list's own settings and of the chain it stands in."""
    found = list(order_problems("", document.settings.order))
    if document.rounding.unit_price_per is not None and document.rounding.unit_price_digits is None:
        found.append("rounding.unit_price_per: goes with unit_price_digits")
    if document.inherits == document.id:
        found.append("inherits: a list cannot inherit from itself")
    return found


def rate_problems(document: PriceListDocument, prices: Sequence[Located]) -> Iterator[str]:
    """Yield problems of exchange rates: dates, overlaps, and prices that need a rate where there is none."""
    by_currency: dict[str, list[Period]] = {}
    for n, rate in present(document.rates):
        problems = list(_dates(f"rates[{n}]", rate))
        yield from problems
        if rate.currency == document.currency:
            yield f"rates[{n}].currency: {rate.currency} is the list's own"
        if problems:
            continue
        valid, others = _valid(rate), by_currency.setdefault(rate.currency, [])
        if any(valid.overlaps(other) for other in others):
            yield f"rates[{n}]: overlaps another rate of {rate.currency}; end one where the other begins"
        others.append(valid)
    for path, price in prices:
        if price.currency is not None:
            for gap in uncovered(price.valid, by_currency.get(price.currency, ()))[:1]:
                end = "" if gap.end == FOREVER else f" to {iso(gap.end)}"
                yield f"{path}.currency: rates has none of {price.currency} from {iso(gap.start)}{end}"


def campaign_problems(document: PriceListDocument, registry: Registry) -> Iterator[str]:
    """Yield problems of campaigns."""
    campaigns = [(f"campaigns[{n}]", campaign) for n, campaign in present(document.campaigns)]
    yield from doubled((path, c.id) for path, c in campaigns)
    for path, campaign in campaigns:
        kinds = [kind for kind in _KINDS if getattr(campaign, kind) is not None]
        if len(kinds) != 1:
            yield f"{path}: needs exactly one of {', '.join(_KINDS)}; it has {' and '.join(kinds) or 'none'}"
        if campaign.percent is not None and Fraction(campaign.percent) > 100:
            yield f"{path}.percent: takes at most 100"
        if campaign.limits is not None and campaign.coupon is None:
            yield f"{path}.limits: are of a coupon; name one"
        if campaign.cap is not None and kinds and kinds[0] not in ("percent", "absolute"):
            yield f"{path}.cap: goes with percent or absolute"
        for meter in campaign.meters:
            if meter not in registry:
                yield f"{path}.meters: unknown meter {meter!r}; known are {', '.join(registry.meters)}"
        for name, numbers in campaign.when.items():
            if isinstance(numbers, RangeDocument):
                yield from range_problems(f"{path}.when.{name}", numbers)
        yield from _dates(path, campaign)


def account_problems(document: PriceListDocument) -> Iterator[str]:
    """Yield problems of the terms over all charges."""
    account = document.account
    for key, bound in (("minimum", account.minimum), ("maximum", account.maximum)):
        if bound is not None:
            yield from _dates(f"account.{key}", bound)
    low, high = account.minimum, account.maximum
    if low and high and low.every == high.every and Fraction(low.amount) > Fraction(high.amount):
        yield f"account.minimum.amount: is more than the maximum ({high.amount})"
    commitments = [(f"account.commitments[{n}]", c) for n, c in present(account.commitments)]
    yield from doubled(((path, c.id) for path, c in commitments), "list's commitments")
    for path, commitment in commitments:
        yield from _dates(path, commitment)


def term_warnings(document: PriceListDocument, products: Mapping[str, str], charges: frozenset[str]) -> Iterator[str]:
    """Yield filters that name what the list does not have; a list that inherits may well mean its parent's.

    Args:
        document: the list.
        products: id → name.
        charges: ids.
    """
    if document.inherits is not None:
        return
    known = {*products, *products.values()}
    for n, campaign in enumerate(document.campaigns):
        for name in campaign.products:
            if name not in known:
                yield f"campaigns[{n}].products: the list has no product {name!r}"
        for name in campaign.charges:
            if name not in charges:
                yield f"campaigns[{n}].charges: the list has no charge {name!r}"
    for n, commitment in enumerate(document.account.commitments):
        for name in commitment.products:
            if name not in known:
                yield f"account.commitments[{n}].products: the list has no product {name!r}"
        for name in commitment.charges:
            if name not in charges:
                yield f"account.commitments[{n}].charges: the list has no charge {name!r}"


def _valid(item: Dated) -> Period:
    return Period(item.start, FOREVER if item.end is None else item.end)


def _dates(path: str, item: Dated) -> Iterator[str]:
    if item.end is not None and item.end <= item.start:
        yield f"{path}.to: must lie after from ({iso(item.start)})"
