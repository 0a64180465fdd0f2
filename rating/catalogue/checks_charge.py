"""Checks of single charges and prices: whether what they say fits the model, the meters and itself."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import Final

from rating.catalogue.document_charge import CELL_SECONDS_MAX, PRICES_MAX, ChargeDocument
from rating.catalogue.document_defaults import SpelledCharge
from rating.catalogue.document_fields import VALUES_MAX, RangeDocument
from rating.catalogue.document_price import ChargePriceDocument, PriceDocument, TierDocument
from rating.charge import STAGES
from rating.decimals import shown
from rating.units import EACH, MeterUnits, Unit
from schemas.meters import Registry
from schemas.period import iso

_KEYS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "per_unit": (("amount",), ("free",)),
    "one_off": (("amount",), ("free",)),
    "package": (("amount", "size"), ("free",)),
    "graduated": (("tiers",), ("free",)),
    "volume": (("tiers",), ("free",)),
    "stairstep": (("tiers",), ()),
    "percentage": (("percent",), ("fixed", "free_events", "free_amount", "minimum_each", "maximum_each")),
    "recurring": (("amount",), ("quantity",)),
    "committed": (("commitment", "overage"), ("free",)),
}
"""Keys of a price that each model needs, and those that it may have beside what every price may have."""
_OF_MODELS: Final = (
    *dict.fromkeys(key for pair in _KEYS.values() for keys in pair for key in keys if key != "free"),
    "free",
    "every",
)

_SINGLE: Final = {"percentage": "single events", "recurring": "what is there, not at how much of it"}
"""Models without a quantity that could be aggregated, and what they look at instead."""


def charge_problems(item: SpelledCharge, registry: Registry, units: MeterUnits) -> list[str]:
    """Return every problem of one charge and its prices; with none it can be compiled."""
    found = [*item.problems, *_measured(item, registry, units), *_rules(item)]
    for path, price in zip(item.paths, item.charge.prices, strict=True):
        found += price_problems(path, price, item.charge)
    return found


def short_problems(path: str, price: PriceDocument, registry: Registry, units: MeterUnits) -> list[str]:
    """Return every problem of one price of the short form."""
    found = list[str]()
    if price.meter not in registry:
        found.append(f"{path}.meter: unknown meter {price.meter!r}; known are {', '.join(registry.meters)}")
    elif price.per not in (known := units.of(price.meter)):
        found.append(f"{path}.per: {price.meter} has no unit {price.per!r}; choose {_choices(known)}")
    return [*found, *_dates(path, price), *_values(path, price)]


def unit_of(charge: ChargeDocument, units: MeterUnits) -> Unit:
    """Return the unit of a charge without problems."""
    if charge.model == "recurring":
        return EACH
    return units.of(meters_of(charge)[0], charge.aggregate or "sum")[charge.per or ""]


def meters_of(charge: ChargeDocument) -> tuple[str, ...]:
    """Return the keys of a charge's meters."""
    return charge.meters or ((charge.meter,) if charge.meter is not None else ())


def _choices(units: Mapping[str, Unit]) -> str:
    return ", ".join(list(units)[:-1]) + " or " + list(units)[-1] if len(units) > 1 else next(iter(units))


def _measured(item: SpelledCharge, registry: Registry, units: MeterUnits) -> Iterator[str]:
    """Yield problems of meters and the unit."""
    charge, path, meters = item.charge, item.path, meters_of(item.charge)
    unknown = [key for key in meters if key not in registry]
    for key in unknown:
        place = "meter" if len(meters) == 1 else f"meters[{meters.index(key)}]"
        yield f"{path}.{place}: unknown meter {key!r}; known are {', '.join(registry.meters)}"
    if len(set(meters)) < len(meters):
        yield f"{path}.meters: a meter stands twice"
    if unknown:
        return
    if not meters and charge.model != "recurring":
        yield f"{path}.meter: is missing; only a recurring fee of the account needs none"
        return
    if not meters and charge.each:
        yield f"{path}.each: a fee without a meter is the account's; name the meter whose resources pay it"
    for key in meters[1:]:
        one, other = registry[meters[0]], registry[key]
        if (one.base, one.kind == "event") != (other.base, other.kind == "event"):
            yield f"{path}.meters: {one.key} counts {one.base}, {other.key} {other.base}; combine meters of one base"
    yield from _unit(path, charge, units)


def _unit(path: str, charge: ChargeDocument, units: MeterUnits) -> Iterator[str]:
    meters = meters_of(charge)
    if charge.per is None:
        yield f"{path}.per: is missing"
    elif charge.model == "recurring":
        if charge.per != EACH.name:
            yield f"{path}.per: a recurring fee is per each; leave it out"
    else:
        known = units.of(meters[0], charge.aggregate or "sum")
        if charge.per not in known:
            of = meters[0] if charge.aggregate == "sum" else f"{charge.aggregate} of {meters[0]}"
            yield f"{path}.per: {of} has no unit {charge.per!r}; choose {_choices(known)}"
        elif known[charge.per].level is None:
            for place in _of_levels(charge):
                yield f"{path}.{place}: {charge.per} has no level that could be held; price per a unit such as GiB·h"


def _of_levels(charge: ChargeDocument) -> Iterator[str]:
    """Yield the keys of a charge that are about the level of its unit."""
    if charge.tier_by != "quantity":
        yield "tier_by"
    if charge.tiers_on != "quantity":
        yield "tiers_on"
    for n, price in enumerate(charge.prices):
        if price.commitment is not None and price.commitment.level is not None:
            yield f"prices[{n}].commitment.level"


def _rules(item: SpelledCharge) -> Iterator[str]:
    """Yield problems of a charge's own rules."""
    charge, path = item.charge, item.path
    if charge.aggregate != "sum" and charge.model in _SINGLE:
        yield f"{path}.aggregate: {charge.model} looks at {_SINGLE[charge.model]}; leave it out"
    if charge.percentile is not None:
        if charge.aggregate != "percentile":
            yield f"{path}.percentile: goes with aggregate: percentile"
        if Fraction(charge.percentile.rank) > 100:
            yield f"{path}.percentile.rank: must be at most 100"
        if CELL_SECONDS_MAX % charge.percentile.cell:
            yield f"{path}.percentile.cell: must divide {CELL_SECONDS_MAX} seconds"
    if charge.tier_by != "quantity" and charge.model not in ("volume", "stairstep"):
        yield f"{path}.tier_by: goes with the models volume and stairstep"
    if charge.tiers_on != "quantity" and (charge.model, charge.aggregate) != ("graduated", "sum"):
        yield f"{path}.tiers_on: goes with the model graduated and aggregate: sum"
    if charge.convert is not None and charge.convert.at == "observation" and charge.aggregate != "sum":
        yield f"{path}.convert.at: observations are rounded one by one only where they are added (aggregate: sum)"
    if charge.unique_of is not None and charge.aggregate != "unique":
        yield f"{path}.unique_of: goes with aggregate: unique"
    if len(set(charge.each or ())) < len(charge.each or ()) or len(charge.each or ()) > VALUES_MAX:
        yield f"{path}.each: names each attribute once, at most {VALUES_MAX}"
    if charge.model == "committed" and charge.each:
        yield f"{path}.each: a commitment is the account's; for several, write a price with its own `when` for each"
    yield from order_problems(path, charge.settings.order)
    for n, factor in enumerate(charge.factors):
        yield from condition_problems(f"{path}.factors[{n}]", factor.when)


def order_problems(path: str, order: Sequence[str] | None) -> Iterator[str]:
    """Yield what is wrong with an order of the stages."""
    if order is None:
        return
    place = f"{path}.settings.order".lstrip(".")
    if sorted(order) != sorted(STAGES):
        yield f"{place}: names each of {', '.join(STAGES)} once"
    else:
        at = order.index("price")
        late = [stage for stage in ("convert", "free") if order.index(stage) > at]
        early = [stage for stage in ("discount", "maximum", "minimum") if order.index(stage) < at]
        if late or early:
            yield f"{place}: convert and free come before price; discount, maximum and minimum after it"


def price_problems(path: str, price: ChargePriceDocument, charge: ChargeDocument) -> Iterator[str]:
    """Yield problems of one price of a charge."""
    needed, allowed = _KEYS[charge.model]
    for key in needed:
        if getattr(price, key) is None:
            yield f"{path}.{key}: is missing; the model {charge.model} needs it"
    for key in _OF_MODELS:
        if getattr(price, key) is not None and key not in (*needed, *allowed):
            yield f"{path}.{key}: does not go with the model {charge.model}, which has {', '.join((*needed, *allowed))}"
    if charge.model == "committed" and any(isinstance(value, RangeDocument) for value in price.when.values()):
        yield f"{path}.when: a commitment has no attributes that a range could hold; name the values"
    if price.when and charge.model == "recurring" and not meters_of(charge):
        yield f"{path}.when: a fee without a meter has no usage whose attributes could match; leave it out"
    yield from _dates(path, price)
    yield from _values(path, price)
    yield from _tiers(path, price.tiers or (), charge.model)
    yield from _ordered(path, price, "minimum", "maximum")
    yield from _ordered(path, price, "minimum_each", "maximum_each")
    if price.commitment is not None and (price.commitment.level is None) == (price.commitment.quantity is None):
        yield f"{path}.commitment: needs exactly one of level and quantity"
    if price.overage is not None and (price.overage.amount is None) == (price.overage.factor is None):
        yield f"{path}.overage: needs exactly one of amount and factor"


def _ordered(path: str, price: ChargePriceDocument, least: str, most: str) -> Iterator[str]:
    low, high = getattr(price, least), getattr(price, most)
    if low is not None and high is not None and Fraction(low) > Fraction(high):
        yield f"{path}.{least}: is more than the {most.replace('_', ' ')} ({high})"


def _dates(path: str, price: PriceDocument | ChargePriceDocument) -> Iterator[str]:
    if price.end is not None and price.end <= price.start:
        yield f"{path}.to: must lie after from ({iso(price.start)})"


def _values(path: str, price: PriceDocument | ChargePriceDocument) -> Iterator[str]:
    yield from condition_problems(path, price.when)
    if prod(len(values) for values in price.when.values() if isinstance(values, tuple)) > PRICES_MAX:
        yield f"{path}.when: these values make more than {PRICES_MAX} combinations"


def condition_problems(path: str, when: Mapping[str, tuple[str, ...] | RangeDocument]) -> Iterator[str]:
    """Yield what is wrong with conditions on attributes."""
    for name, values in when.items():
        if isinstance(values, RangeDocument):
            yield from range_problems(f"{path}.when.{name}", values)
            continue
        if not values:
            yield f"{path}.when.{name}: needs a value"
        for value, count in Counter(values).items():
            if count > 1:
                yield f"{path}.when.{name}: {value!r} stands {count} times"


def range_problems(place: str, numbers: RangeDocument) -> Iterator[str]:
    """Yield what is wrong with a range of numbers."""
    if numbers.start is None and numbers.below is None:
        yield f"{place}: needs from, below or both"
    elif numbers.start is not None and numbers.below is not None and Fraction(numbers.start) >= Fraction(numbers.below):
        yield f"{place}.below: must be more than from ({numbers.start})"


def _tiers(path: str, tiers: Sequence[TierDocument], model: str) -> Iterator[str]:
    """Yield problems of tiers: bounds that do not ascend, and keys that do not fit."""
    below = Fraction(0)
    for n, tier in enumerate(tiers):
        place = f"{path}.tiers[{n}]"
        if tier.up_to is None:
            if n + 1 < len(tiers):
                yield f"{place}.up_to: is missing; only the last tier may have no end"
        elif Fraction(tier.up_to) <= below:
            yield f"{place}.up_to: must be more than the bound before ({shown(below)})"
        else:
            below = Fraction(tier.up_to)
        yield from _tier(place, tier, model)


def _tier(place: str, tier: TierDocument, model: str) -> Iterator[str]:
    if model == "stairstep":
        if tier.amount is None:
            yield f"{place}.amount: is missing; it is what the whole window costs"
        for key in ("percent", "flat", "block"):
            if getattr(tier, key) is not None:
                yield f"{place}.{key}: a step has nothing but up_to and amount"
        return
    if tier.amount is not None and tier.percent is not None:
        yield f"{place}.percent: there is an amount, too; write one of both"
    if tier.amount is None and tier.percent is None and tier.flat is None:
        yield f"{place}: needs an amount, a percent or a flat fee"
    if tier.block is not None and tier.amount is None:
        yield f"{place}.block: needs an amount, which is what one block costs"
