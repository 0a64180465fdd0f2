"""Reads price lists: text → checked document → values that rating works with, or every problem at its path."""

from rating.catalogue import checks, text
from rating.catalogue.canonical import canonical_of
from rating.catalogue.checks_charge import charge_problems, short_problems
from rating.catalogue.checks_terms import (
    account_problems,
    campaign_problems,
    head_problems,
    own_units,
    rate_problems,
    registry_with,
    term_warnings,
)
from rating.catalogue.compile import Located, located_prices, rounding_of, short_prices
from rating.catalogue.compile_terms import account_of, campaigns_of, rates_of
from rating.catalogue.document import PriceListDocument, validated
from rating.catalogue.document_charge import PRICES_MAX
from rating.catalogue.document_defaults import SpelledCharge, spelled_charges
from rating.catalogue.document_fields import present
from rating.charge import Charge
from rating.lists import PriceList as PriceList
from rating.price import Price as Price
from rating.units import MeterUnits
from schemas.errors import Misconfigured
from schemas.meters import Registry


def parse(document: str, registry: Registry, version: int = 1) -> PriceList:
    """Return the price list of a YAML or JSON text.

    Args:
        document: the text; docs/pricing.md describes it.
        registry: the meters that prices may name, beside the list's own.
        version: given by the books.

    Raises:
        Misconfigured: lists every problem, each at its path.
    """
    value, problems = text.load(document)
    if value is None and problems:
        raise Misconfigured(problems)
    sound, found = validated(value)
    problems += found
    if sound is None:
        raise Misconfigured(problems)
    registry, found = registry_with(sound, registry)
    charges = spelled_charges(sound, registry)
    prices, more = _prices(sound, charges, registry)
    problems += [*found, *_doubled(sound, charges), *more, *head_problems(sound), *rate_problems(sound, prices)]
    problems += [*campaign_problems(sound, registry), *account_problems(sound)]
    if problems:
        raise Misconfigured(problems)
    return _list_of(sound, charges, prices, registry).with_version(version)


def _prices(
    document: PriceListDocument, charges: list[SpelledCharge], registry: Registry
) -> tuple[list[Located], list[str]]:
    """Return every price without problems of its own, with its path, and all problems of prices and between them."""
    units, rates = MeterUnits(registry, own_units(document)), rates_of(document)
    prices, problems, short = list[Located](), list[str](), {}
    for item in charges:
        found = charge_problems(item, registry, units)
        problems += found
        if not found:
            prices += located_prices(item, document, rates, units)
    for position, price in present(document.prices):
        path = f"prices[{position}]"
        found = short_problems(path, price, registry, units)
        problems += found
        if not found:
            short[path] = price
    prices += short_prices(short, document, registry, units)
    if len(prices) > PRICES_MAX:
        return [], [
            *problems,
            f"the list makes {len(prices)} prices, one for each combination of values; at most {PRICES_MAX} are read",
        ]
    return prices, problems + checks.between(prices)


def _doubled(document: PriceListDocument, charges: list[SpelledCharge]) -> list[str]:
    """Return ids that stand twice: of products, charges and prices."""
    products = [(f"products[{n}]", product.id) for n, product in present(document.products)]
    ids = [(item.path, item.charge.id) for item in charges]
    short = dict.fromkeys(price.meter for _, price in present(document.prices))
    prices = [
        (path, price.id or "") for item in charges for path, price in zip(item.paths, item.charge.prices, strict=True)
    ] + [(f"prices[{n}]", price.id) for n, price in present(document.prices)]
    both = [
        f"{path}.id: {id!r} is also the charge of the prices of this meter at the top of the list; choose another id"
        for path, id in ids
        if id in short
    ]
    return [*checks.doubled(products), *checks.doubled(ids), *both, *checks.doubled(prices)]


def _list_of(
    document: PriceListDocument, spelled: list[SpelledCharge], located: list[Located], registry: Registry
) -> PriceList:
    prices = tuple(sorted((price for _, price in located), key=lambda price: price.id))
    charges: dict[str, Charge] = {price.charge.id: price.charge for price in prices}
    products = {item.product_id: item.product for item in spelled}
    names = {**{price.product: price.product for price in prices}, **products}
    warnings = (*checks.warnings(located, registry), *term_warnings(document, names, frozenset(charges)))
    return PriceList(
        id=document.id,
        name=document.name,
        currency=document.currency,
        window=document.window,
        rounding=rounding_of(document.rounding),
        charges=tuple(charges[id] for id in sorted(charges)),
        prices=prices,
        campaigns=campaigns_of(document, products),
        rates=rates_of(document),
        account=account_of(document, products),
        inherits=document.inherits,
        warnings=warnings,
        canonical=canonical_of(document, spelled, prices),
        meters=document.meters,
        units=document.units,
    )
