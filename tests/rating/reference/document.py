"""The price list document, read into plain values; every default of docs/pricing.md is applied here.

The document comes from a YAML loader that keeps all scalars as text. Nothing is checked: a story is a sound list.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

from schemas.meters import Registry
from schemas.period import FOREVER, Period, parse_instant

Node = Mapping[str, Any]


class Range(NamedTuple):
    """Numbers that an attribute may have; None: no bound."""

    start: Fraction | None
    below: Fraction | None


When = tuple[tuple[str, tuple[str, ...] | Range], ...]
SETTINGS = {
    "bounds": "inclusive",
    "zero": "nothing",
    "beyond": "last_price",
    "blocks": "whole",
    "late": "original",
    "parts": "running",
    "month": "real",
    "year": "as_month",
    "prorate": "second",
    "negative": "credit",
}
ORDER = ["convert", "free", "price", "discount", "maximum", "minimum"]
BASIS = {"allocation": "", "usage": ".used", "reservation": ".reserved"}


class Refused(Exception):
    """The usage cannot be rated under this list; the text is the engine's error code."""


@dataclass(frozen=True)
class Rounding:
    mode: str
    digits: int
    per: str
    unit_price_digits: int | None
    unit_price_per: str | None


@dataclass(frozen=True)
class Charge:
    """One charge of one list. `raw` holds what only one model looks at."""

    id: str
    list_id: str
    level: int
    product: str
    product_id: str
    model: str
    meters: tuple[str, ...]
    combine: str
    aggregate: str
    each: tuple[str, ...]
    window: str
    per: str
    power: str
    choose: str
    settings: Mapping[str, str]
    order: tuple[str, ...]
    rounding: Rounding
    raw: Node = field(compare=False, hash=False)

    def __hash__(self) -> int:
        return hash((self.id, self.level))


@dataclass(frozen=True)
class Price:
    id: str
    when: When
    valid: Period
    currency: str
    per: str
    raw: Node = field(compare=False, hash=False)


@dataclass(frozen=True)
class Listing:
    """One list of a chain; level 0 is the account's own."""

    id: str
    level: int
    currency: str
    window: str
    rounding: Rounding
    charges: tuple[tuple[Charge, tuple[Price, ...]], ...]
    raw: Node


def period_of(node: Node) -> Period:
    start = parse_instant(node["from"]) if "from" in node else 0
    return Period(start, parse_instant(node["to"]) if "to" in node else FOREVER)


def when_of(node: Node) -> When:
    conditions = node.get("when", {})
    return tuple(sorted((k, _condition(v)) for k, v in conditions.items()))


def _condition(value: str | list[str] | Node) -> tuple[str, ...] | Range:
    if isinstance(value, Mapping):
        return Range(optional(value, "from"), optional(value, "below"))
    return (value,) if isinstance(value, str) else tuple(value)


def matches(when: When, attributes: Mapping[str, str]) -> bool:
    return all(name in attributes and _fits(attributes[name], condition) for name, condition in when)


def _fits(value: str, condition: tuple[str, ...] | Range) -> bool:
    if not isinstance(condition, Range):
        return value in condition
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
        return False
    number = Fraction(value)
    above = condition.start is None or number >= condition.start
    return above and (condition.below is None or number < condition.below)


def listing(document: Node, level: int, registry: Registry) -> Listing:
    """Read one document; `registry` already holds the document's own meters."""
    rounding = document.get("rounding", {})
    own = Rounding(
        rounding.get("mode", "half_even"),
        int(rounding.get("digits", "6")),
        rounding.get("per", "line"),
        int(rounding["unit_price_digits"]) if "unit_price_digits" in rounding else None,
        rounding.get("unit_price_per"),
    )
    bare = Listing(document["id"], level, document["currency"], document.get("window", "day"), own, (), document)
    charges = [
        _charge(node, (product.get("name", product["id"]), product["id"]), bare)
        for product in document.get("products", [])
        for node in product["charges"]
    ]
    charges += _short_form(document.get("prices", []), bare)
    return Listing(bare.id, level, bare.currency, bare.window, own, tuple(charges), document)


def _charge(node: Node, product: tuple[str, str], bare: Listing) -> tuple[Charge, tuple[Price, ...]]:
    model = node.get("model", "per_unit")
    meters, combine = _meters(node)
    alone = model in ("per_unit", "one_off") or (model == "recurring" and meters)
    each = node.get("each", "resource" if alone else "account")
    settings = {**bare.raw.get("settings", {}), **node.get("settings", {})}
    charge = Charge(
        id=node["id"],
        list_id=bare.id,
        level=bare.level,
        product=product[0],
        product_id=product[1],
        model=model,
        meters=meters,
        combine=combine,
        aggregate=node.get("aggregate", "sum"),
        each=() if each == "account" else (each,) if isinstance(each, str) else tuple(each),
        window=node.get("window", bare.window),
        per=node.get("per", "each"),
        power=node.get("power", "always"),
        choose=node.get("choose", "most_specific"),
        settings={**SETTINGS, **{k: v for k, v in settings.items() if k != "order"}},
        order=tuple(settings.get("order", ORDER)),
        rounding=bare.rounding,
        raw=node,
    )
    return charge, _prices(node["prices"], charge, bare.currency)


def _meters(node: Node) -> tuple[tuple[str, ...], str]:
    basis = node.get("basis", "allocation")
    if basis == "max_usage_reservation":
        return (f"{node['meter']}.used", f"{node['meter']}.reserved"), "max"
    if basis == "max_usage_allocation":
        return (f"{node['meter']}.used", node["meter"]), "max"
    if "meter" in node:
        return (node["meter"] + BASIS[basis],), "sum"
    return tuple(node.get("meters", ())), node.get("combine", "sum")


def _prices(nodes: list[Node], charge: Charge, currency: str) -> tuple[Price, ...]:
    common = {key: charge.raw[key] for key in ("free", "minimum", "maximum") if key in charge.raw}
    nodes = [{**common, **node} for node in nodes]
    names = [charge.id] if len(nodes) == 1 else [f"{charge.id}-{n}" for n in range(1, len(nodes) + 1)]
    return tuple(
        Price(node.get("id", name), when_of(node), period_of(node), node.get("currency", currency), charge.per, node)
        for name, node in zip(names, nodes, strict=True)
    )


def _short_form(nodes: list[Node], bare: Listing) -> list[tuple[Charge, tuple[Price, ...]]]:
    found = []
    for meter in dict.fromkeys(node["meter"] for node in nodes):
        own = [node for node in nodes if node["meter"] == meter]
        # The unit and the product stand on the price; the charge's are those of its first price.
        head = {"id": meter, "meter": meter, "per": own[0]["per"], "prices": own}
        charge, prices = _charge(head, (own[0].get("product", meter),) * 2, bare)
        units = [node["per"] for node in own]
        found.append(
            (
                charge,
                tuple(Price(p.id, p.when, p.valid, p.currency, u, p.raw) for p, u in zip(prices, units, strict=True)),
            )
        )
    return found


def number(node: Node, key: str, default: str = "0") -> Fraction:
    return Fraction(node.get(key, default))


def optional(node: Node, key: str) -> Fraction | None:
    return Fraction(node[key]) if key in node else None
