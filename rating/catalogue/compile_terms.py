"""Compiles campaigns, exchange rates and terms of the account of a checked document."""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from rating.catalogue.compile import ranges_of
from rating.catalogue.document import PriceListDocument
from rating.catalogue.document_campaign import (
    BoundDocument,
    CampaignDocument,
    ExchangeRateDocument,
    SpendCommitmentDocument,
)
from rating.catalogue.document_fields import present
from rating.charge import (
    AccountTerms,
    Bound,
    Campaign,
    CampaignLimits,
    ExchangeRate,
    SpendCommitment,
)
from schemas.period import FOREVER, Period


def rates_of(document: PriceListDocument) -> tuple[ExchangeRate, ...]:
    """Return the exchange rates by currency, in order of time; those that end before they begin are left out."""
    sound = [rate for _, rate in present(document.rates) if rate.end is None or rate.end > rate.start]
    found = [ExchangeRate(rate.currency, Fraction(rate.rate), _valid(rate)) for rate in sound]
    return tuple(sorted(found, key=lambda rate: (rate.currency, rate.valid, rate.rate)))


def campaigns_of(document: PriceListDocument, products: Mapping[str, str]) -> tuple[Campaign, ...]:
    """Return the campaigns in their order.

    Args:
        document: checked.
        products: id → name of the list's products.
    """
    found = [_campaign(campaign, products) for campaign in document.campaigns]
    return tuple(sorted(found, key=lambda campaign: (campaign.priority, campaign.id)))


def account_of(document: PriceListDocument, products: Mapping[str, str]) -> AccountTerms:
    """Return the terms over all charges; `products` as above."""
    account = document.account
    return AccountTerms(
        minimum=_bound(account.minimum),
        maximum=_bound(account.maximum),
        commitments=tuple(_commitment(c, products) for c in sorted(account.commitments, key=lambda c: c.id)),
    )


def named(products: Iterable[str], names: Mapping[str, str]) -> frozenset[str]:
    """Return products with their names added: lines carry names, filters are written with ids."""
    return frozenset(products) | {names[id] for id in products if id in names}


def _campaign(campaign: CampaignDocument, products: Mapping[str, str]) -> Campaign:
    limits = campaign.limits
    return Campaign(
        id=campaign.id,
        name=campaign.name or campaign.id,
        valid=_valid(campaign),
        percent=_fraction(campaign.percent),
        absolute=_fraction(campaign.absolute),
        free_quantity=_fraction(campaign.free_quantity),
        fixed_price=_fraction(campaign.fixed_price),
        products=named(campaign.products, products),
        charges=frozenset(campaign.charges),
        meters=frozenset(campaign.meters),
        groups=frozenset(campaign.groups),
        accounts=frozenset(campaign.accounts),
        when=tuple(sorted((name, value) for name, value in campaign.when.items() if isinstance(value, str))),
        ranges=ranges_of(campaign.when),
        coupon=campaign.coupon,
        limits=CampaignLimits(limits.redemptions, limits.per_account, limits.windows) if limits else CampaignLimits(),
        stacking=campaign.stacking,
        priority=campaign.priority,
        cap=_fraction(campaign.cap),
    )


def _commitment(commitment: SpendCommitmentDocument, products: Mapping[str, str]) -> SpendCommitment:
    return SpendCommitment(
        id=commitment.id,
        amount=Fraction(commitment.amount),
        every=commitment.every,
        products=named(commitment.products, products),
        charges=frozenset(commitment.charges),
        true_up=commitment.true_up,
        overage_factor=_fraction(commitment.overage_factor),
        valid=_valid(commitment),
    )


def _bound(bound: BoundDocument | None) -> Bound | None:
    return None if bound is None else Bound(Fraction(bound.amount), bound.every, _valid(bound))


def _fraction(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)


def _valid(item: CampaignDocument | ExchangeRateDocument | BoundDocument | SpendCommitmentDocument) -> Period:
    return Period(item.start, FOREVER if item.end is None else item.end)
