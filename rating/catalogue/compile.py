"""Compiles charges and prices of a checked document into the values that rating works with."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import product
from typing import Final

from rating.catalogue import checks_charge
from rating.catalogue.document import PriceListDocument
from rating.catalogue.document_charge import ChargeDocument, RoundingDocument, SettingsDocument
from rating.catalogue.document_defaults import SpelledCharge, settings_of
from rating.catalogue.document_fields import RangeDocument
from rating.catalogue.document_price import ChargePriceDocument, PriceDocument, TierDocument
from rating.catalogue.matching import When
from rating.charge import (
    RESOURCE,
    Charge,
    Commitment,
    Conversion,
    ExchangeRate,
    Factor,
    Free,
    Percentage,
    Percentile,
    Range,
    Recurring,
    Rounding,
    Settings,
    Tier,
)
from rating.price import Price
from rating.units import MeterUnits, Unit
from schemas.meters import Registry
from schemas.period import FOREVER, Period

Located = tuple[str, Price]
"""A price with the path of what it was compiled from."""
HUNDRED: Final = Fraction(100)
_WORDS: Final = ("real", "as_month")


def rounding_of(document: RoundingDocument, units: Mapping[str, Unit] | None = None) -> Rounding:
    """Return the compiled rounding; `units` are those of the charge it is for."""
    unit = (units or {}).get(document.unit_price_per or "")
    return Rounding(document.mode, document.digits, document.per, document.unit_price_digits, unit)


def located_prices(
    item: SpelledCharge, head: PriceListDocument, rates: tuple[ExchangeRate, ...], units: MeterUnits
) -> list[Located]:
    """Return the prices of a charge without problems.

    Args:
        item: the charge, spelled out.
        head: gives id and rounding.
        rates: the list's exchange rates, in order of time.
        units: of all meters.
    """
    charge = _charge(item, head, units)
    unit = checks_charge.unit_of(item.charge, units)
    return [
        (path, price)
        for path, document in zip(item.paths, item.charge.prices, strict=True)
        for price in _prices(document, charge, unit, head.id, rates)
    ]


def short_prices(
    prices: Mapping[str, PriceDocument], head: PriceListDocument, registry: Registry, units: MeterUnits
) -> list[Located]:
    """Return the prices of the short form, by path, each of the implicit charge of its meter."""
    charges = {
        meter: Charge(
            id=meter,
            name=registry[meter].name,
            product=min((p.id, p.product) for p in prices.values() if p.meter == meter)[1],
            model="per_unit",
            meters=(meter,),
            window=head.window,
            per=registry[meter].display_unit,
            settings=_settings(settings_of(head)),
            rounding=rounding_of(head.rounding, units.of(meter)),
        )
        for meter in {p.meter for p in prices.values()}
    }
    return [
        (
            path,
            Price(
                id=id,
                charge=charges[price.meter],
                product=price.product,
                unit=units.of(price.meter)[price.per],
                when=when,
                ranges=ranges_of(price.when),
                valid=_valid(price),
                list_id=head.id,
                tiers=(Tier(amount=Fraction(price.amount)),),
                canonical=price.model_dump(mode="json", by_alias=True, exclude_none=True),
            ),
        )
        for path, price in prices.items()
        for id, when in _expanded(price.id, price.when)
    ]


def _charge(item: SpelledCharge, head: PriceListDocument, units: MeterUnits) -> Charge:
    own, meters = item.charge, checks_charge.meters_of(item.charge)
    percentile = own.percentile
    same = units.of(meters[0], own.aggregate or "sum") if meters else None
    return Charge(
        id=own.id,
        name=own.name or own.id,
        product=item.product,
        model=own.model,
        meters=meters,
        window=own.window or head.window,
        per=own.per or "",
        combine=own.combine or "sum",
        combine_at=own.combine_at or "cell",
        tier_by=own.tier_by,
        tiers_on=own.tiers_on,
        aggregate=own.aggregate or "sum",
        percentile=None
        if percentile is None
        else Percentile(Fraction(percentile.rank), percentile.cell, percentile.missing, percentile.discard),
        unique_of=own.unique_of or RESOURCE,
        each=own.each or (),
        power=own.power,
        factors=tuple(_factors(own)),
        convert=None if own.convert is None else Conversion(own.convert.mode, own.convert.digits, own.convert.at),
        choose=own.choose,
        settings=_settings(own.settings),
        rounding=rounding_of(head.rounding, same),
        product_id=item.product_id,
    )


def _settings(spelled: SettingsDocument) -> Settings:
    values = spelled.model_dump(exclude={"month", "year"})
    month, year = ((None if hours in _WORDS else Fraction(hours or 0)) for hours in (spelled.month, spelled.year))
    return Settings(**values, month_hours=month, year_hours=year, real_year=spelled.year == "real")


def _factors(charge: ChargeDocument) -> Iterator[Factor]:
    """Yield the factors; of the values of one name only one can match, so that each factor still counts once."""
    for factor in charge.factors:
        for _, when in _expanded("", factor.when):
            yield Factor(when, Fraction(factor.factor), ranges_of(factor.when))


def ranges_of(when: Mapping[str, tuple[str, ...] | str | RangeDocument]) -> tuple[Range, ...]:
    """Return the ranges of numbers among conditions, by name."""
    found = [(name, numbers) for name, numbers in sorted(when.items()) if isinstance(numbers, RangeDocument)]
    return tuple(Range(name, _fraction(numbers.start), _fraction(numbers.below)) for name, numbers in found)


def _expanded(id: str, when: Mapping[str, tuple[str, ...] | RangeDocument]) -> Iterator[tuple[str, When]]:
    """Yield an id and conditions for each combination of values, whatever order they were written in."""
    listed = {name: sorted(values) for name, values in sorted(when.items()) if isinstance(values, tuple)}
    names = list(listed)
    for number, values in enumerate(product(*listed.values()), start=1):
        yield (id if number == 1 else f"{id}@{number}"), tuple(zip(names, values, strict=True))


def _valid(price: PriceDocument | ChargePriceDocument) -> Period:
    return Period(price.start, FOREVER if price.end is None else price.end)


def _prices(
    document: ChargePriceDocument, charge: Charge, unit: Unit, list_id: str, rates: tuple[ExchangeRate, ...]
) -> Iterator[Price]:
    canonical = document.model_dump(mode="json", by_alias=True, exclude_none=True)
    for id, when in _expanded(document.id or charge.id, document.when):
        yield Price(
            id=id,
            charge=charge,
            product=charge.product,
            unit=unit,
            when=when,
            ranges=ranges_of(document.when),
            valid=_valid(document),
            list_id=list_id,
            currency=document.currency,
            rates=tuple(r for r in rates if r.currency == document.currency),
            volume=charge.model in ("volume", "stairstep"),
            tiers=_tiers(document, charge),
            percentage=_percentage(document),
            recurring=_recurring(document, charge),
            commitment=_commitment(document, charge),
            free=None if document.free is None else Free(Fraction(document.free.quantity), document.free.pool),
            minimum=_fraction(document.minimum),
            maximum=_fraction(document.maximum),
            canonical=canonical,
        )


def _fraction(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)


def _tiers(document: ChargePriceDocument, charge: Charge) -> tuple[Tier, ...]:
    if charge.model in ("per_unit", "one_off", "package"):
        return (Tier(amount=Fraction(document.amount or 0), block=_fraction(document.size)),)
    if charge.model == "stairstep":
        return tuple(Tier(_fraction(t.up_to), flat=Fraction(t.amount or 0)) for t in document.tiers or ())
    return tuple(_tier(t) for t in document.tiers or ())


def _tier(tier: TierDocument) -> Tier:
    amount = Fraction(tier.amount or 0) if tier.percent is None else Fraction(tier.percent) / HUNDRED
    return Tier(_fraction(tier.up_to), amount, Fraction(tier.flat or 0), _fraction(tier.block))


def _percentage(document: ChargePriceDocument) -> Percentage | None:
    if document.percent is None:
        return None
    return Percentage(
        percent=Fraction(document.percent),
        fixed=Fraction(document.fixed or 0),
        free_events=document.free_events,
        free_amount=_fraction(document.free_amount),
        minimum_each=_fraction(document.minimum_each),
        maximum_each=_fraction(document.maximum_each),
    )


def _recurring(document: ChargePriceDocument, charge: Charge) -> Recurring | None:
    if charge.model != "recurring":
        return None
    return Recurring(Fraction(document.amount or 0), Fraction(document.quantity or 1))


def _commitment(document: ChargePriceDocument, charge: Charge) -> Commitment | None:
    commitment, overage = document.commitment, document.overage
    if commitment is None or overage is None:
        return None
    return Commitment(
        level=_fraction(commitment.level),
        quantity=_fraction(commitment.quantity),
        fee=Fraction(commitment.fee),
        every=commitment.every or charge.window,
        overage=_fraction(overage.amount),
        factor=_fraction(overage.factor),
    )
