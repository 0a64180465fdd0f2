"""The parts that a price can make lines of, their keys in the warehouse, and what people call them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from rating.charge import AccountTerms, Campaign
from rating.decimals import shown
from rating.price import UNIT, Price
from rating.units import Unit
from schemas.ids import price_id
from schemas.period import Period

FREE: Final = "free"
INCLUDED: Final = "included"
OVERAGE: Final = "overage"
COMMITMENT: Final = "commitment"
FEE: Final = "fee"
PERCENT: Final = "percent"
MINIMUM: Final = "minimum"
MAXIMUM: Final = "maximum"
OFF: Final = "off"
BEYOND: Final = "beyond"
CAMPAIGN: Final = "campaign:"
TRUE_UP: Final = "true_up:"
SPEND_OVERAGE: Final = "spend_overage:"
ACCOUNT: Final = "account"
"""Stands for the price in lines of the account's terms."""
LEVEL_SCALE: Final = 1_000_000
"""A line's quantity of a level (peak, average, percentile, …) counts millionths of the base level unit."""
LEVELS: Final = frozenset({"peak", "lowest", "average", "time_weighted", "last", "percentile"})
SECONDS: Final = Unit("s", Fraction(1), base="s")


@dataclass(frozen=True, slots=True)
class LinePrice:
    """What a line's `price_id` stands for.

    Attributes:
        id: of the price in its list.
        component: which of its parts; `unit` for the price itself.
        charge: id of the charge; "" for the account's terms.
        product: what the tenant reads.
        meter: key of the (first) meter, or "".
        unit: of the quantity: its name.
        unit_size: units of the line's quantity in one of these.
        span: for ·month and ·year units, whose size is to be multiplied by the seconds of the span.
        base: what the line's quantity counts.
        amount: what one unit costs, decimal text; "" where the component has no unit price.
        valid: of the price.
        list_id, version: the list that the price stands in.
        price: itself, or None for the account's terms.
        tier: position of the tier in the price, or None.
    """

    id: str
    component: str
    charge: str
    product: str
    meter: str
    unit: str
    unit_size: Fraction
    span: str | None
    base: str
    amount: str
    valid: Period
    list_id: str
    version: int
    price: Price | None = None
    tier: int | None = None


def key_of(list_id: str, version: int, price: str, component: str) -> int:
    """Return the warehouse key of a component of a price."""
    return price_id(list_id, version, price if component == UNIT else f"{price}#{component}")


def in_millionths(price: Price) -> bool:
    """Tell whether lines of a price count levels, which are no whole numbers of base units."""
    return price.charge.aggregate in LEVELS and price.unit.level is None


def tier_names(price: Price) -> tuple[str, ...]:
    """Return the component of each tier of a price, and that of a commitment's two."""
    if price.commitment is not None:
        return INCLUDED, OVERAGE
    if len(price.tiers) == 1 and not price.volume and price.tiers[0].up_to is None:
        return (UNIT,)
    return tuple(f"tier-{number}" for number in range(1, len(price.tiers) + 1))


def components(price: Price, campaigns: Sequence[Campaign]) -> Iterator[str]:
    """Yield the components that lines of a price can have."""
    if price.recurring is not None:
        yield FEE
    elif price.percentage is not None:
        yield PERCENT
    else:
        yield from tier_names(price)
    if price.commitment is not None:
        yield COMMITMENT
    if price.tiers and price.tiers[-1].up_to is not None:
        yield BEYOND
    if price.charge.power != "always":
        yield OFF
    if price.free is not None or any(c.free_quantity is not None for c in campaigns):
        yield FREE
    if price.maximum is not None:
        yield MAXIMUM
    if price.minimum is not None:
        yield MINIMUM
    for campaign in campaigns:
        if campaign.percent is not None or campaign.absolute is not None:
            yield CAMPAIGN + campaign.id


def applies(campaign: Campaign, price: Price) -> bool:
    """Tell whether a campaign's filters on products, charges and meters admit a price."""
    charge = price.charge
    return (
        (not campaign.products or price.product in campaign.products)
        and (not campaign.charges or charge.id in campaign.charges)
        and (not campaign.meters or bool(campaign.meters & set(charge.meters)))
    )


def line_prices(prices: Sequence[Price], campaigns: Sequence[Campaign]) -> Mapping[int, LinePrice]:
    """Return everything that a line's price_id can stand for, by key; the account's terms aside."""
    found: dict[int, LinePrice] = {}
    # What earlier prices of a window were due at least, or at most, is settled with later ones that have no such bound.
    least = {price.charge.id for price in prices if price.minimum is not None}
    most = {price.charge.id for price in prices if price.maximum is not None}
    for price in prices:
        admitted = [c for c in campaigns if applies(c, price)]
        bounds = [name for name, ids in ((MINIMUM, least), (MAXIMUM, most)) if price.charge.id in ids]
        for component in dict.fromkeys((*components(price, admitted), *bounds)):
            key = key_of(price.list_id, price.version, price.id, component)
            found[key] = _line_price(price, component)
    return found


def _line_price(price: Price, component: str) -> LinePrice:
    names = tier_names(price)
    tier = names.index(component) if component in names else None
    unit, size = price.unit, price.unit.size
    if in_millionths(price):
        size *= LEVEL_SCALE
    if component in (FEE, COMMITMENT):
        unit, size = SECONDS, Fraction(1)
    return LinePrice(
        id=price.id,
        component=component,
        charge=price.charge.id,
        product=price.product,
        meter=price.charge.meters[0] if price.charge.meters else "",
        unit=unit.name,
        unit_size=size,
        span=unit.span,
        base=unit.base,
        amount=_amount(price, component, tier),
        valid=price.valid,
        list_id=price.list_id,
        version=price.version,
        price=price,
        tier=tier,
    )


def _amount(price: Price, component: str, tier: int | None) -> str:
    if price.commitment is not None:
        own = {COMMITMENT: price.commitment.fee, OVERAGE: price.commitment.overage, INCLUDED: Fraction(0)}
        value = own.get(component)
    elif price.recurring is not None and component == FEE:
        value = price.recurring.amount
    elif tier is not None:
        value = price.tiers[tier].amount
    else:
        value = None
    return "" if value is None else shown(value)


def account_prices(terms: AccountTerms, list_id: str, version: int) -> Mapping[int, LinePrice]:
    """Return the lines' prices of terms over all charges, by key."""
    names = [name for name, bound in ((MINIMUM, terms.minimum), (MAXIMUM, terms.maximum)) if bound is not None]
    for commitment in terms.commitments:
        names += [TRUE_UP + commitment.id, SPEND_OVERAGE + commitment.id]
    return {
        key_of(list_id, version, ACCOUNT, name): LinePrice(
            id=ACCOUNT,
            component=name,
            charge="",
            product=ACCOUNT_PRODUCT,
            meter="",
            unit="",
            unit_size=Fraction(1),
            span=None,
            base="",
            amount="",
            valid=_account_valid(terms, name),
            list_id=list_id,
            version=version,
        )
        for name in names
    }


ACCOUNT_PRODUCT: Final = "Account terms"
"""What the tenant reads beside a minimum, maximum or commitment over all products."""


def _account_valid(terms: AccountTerms, name: str) -> Period:
    bounds = {MINIMUM: terms.minimum, MAXIMUM: terms.maximum}
    bound = bounds.get(name)
    if bound is not None:
        return bound.valid
    return next(c.valid for c in terms.commitments if name.endswith(f":{c.id}"))
