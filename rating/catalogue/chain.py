"""Price lists over price lists: the effective list of an account, made of its chain from the nearest to the farthest.

At every instant the nearest list applies that has a price of a charge matching the usage; what a nearer list does not
charge comes from a farther one. Each price keeps the charge, the list and the version it stands in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from rating.catalogue.compile_terms import named
from rating.charge import AccountTerms, Campaign, Charge, SpendCommitment
from rating.lists import PriceList
from schemas.errors import Misconfigured

CHAIN_MAX: Final = 16
"""Most lists that inherit from each other."""


def inherits_chain(first: PriceList, lookup: Callable[[str], PriceList | None]) -> tuple[PriceList, ...]:
    """Return a list and those it inherits from, nearest first.

    Args:
        first: the nearest.
        lookup: returns the list of an id, or None where there is none.

    Raises:
        Misconfigured: a parent that is missing, lists that inherit from each other in a circle, or a chain of more than
            CHAIN_MAX lists.
    """
    chain = [first]
    while (parent := chain[-1].inherits) is not None:
        ids = [price_list.id for price_list in chain]
        if parent in ids:
            raise Misconfigured(
                [f"price lists inherit in a circle: {' ▸ '.join([*ids, parent])}; end it at one of them"]
            )
        if len(chain) == CHAIN_MAX:
            raise Misconfigured([f"more than {CHAIN_MAX} price lists inherit from each other: {' ▸ '.join(ids)}"])
        following = lookup(parent)
        if following is None:
            raise Misconfigured([f"price list {ids[-1]} inherits from {parent!r}, which does not exist"])
        chain.append(following)
    return tuple(chain)


def combined(lists: Sequence[PriceList]) -> PriceList:
    """Return the effective list of a chain.

    Id, version, currency, window and rounding are the nearest's. Campaigns, exchange rates and terms of the account
    come from the nearest list that has any of that kind. A list that stands twice counts where it is nearest.

    Args:
        lists: one or more, nearest first.

    Raises:
        Misconfigured: lists of different currencies, or none at all.
    """
    found: dict[str, PriceList] = {}
    for each in lists:
        found.setdefault(each.id, each)
    chain = list(found.values())
    if not chain:
        raise Misconfigured(["there is no price list to rate with"])
    nearest = chain[0]
    if len(chain) == 1:
        return nearest
    strange = [each for each in chain if each.currency != nearest.currency]
    if strange:
        raise Misconfigured(
            [f"price list {nearest.id} is in {nearest.currency}, {each.id} in {each.currency}" for each in strange]
        )
    prices = [replace(price, level=level) for level, each in enumerate(chain) for price in each.prices]
    charges: dict[str, Charge] = {}
    for charge in (charge for each in chain for charge in each.charges):
        charges.setdefault(charge.id, charge)
    products = {c.product_id: c.product for each in reversed(chain) for c in each.charges if c.product_id}
    return replace(
        nearest,
        charges=tuple(charges[id] for id in sorted(charges)),
        prices=tuple(sorted(prices, key=lambda price: (price.id, price.level))),
        campaigns=_campaigns(next((each.campaigns for each in chain if each.campaigns), ()), products),
        rates=next((each.rates for each in chain if each.rates), ()),
        account=_account(next((e.account for e in chain if e.account != AccountTerms()), AccountTerms()), products),
        warnings=tuple(dict.fromkeys(warning for each in chain for warning in each.warnings)),
        canonical={"chain": [each.digest for each in chain]},
        meters=tuple({meter.key: meter for each in reversed(chain) for meter in each.meters}.values()),
    )


def _campaigns(campaigns: tuple[Campaign, ...], products: Mapping[str, str]) -> tuple[Campaign, ...]:
    """Return campaigns whose product filters also know the names of the farther lists' products."""
    return tuple(replace(campaign, products=named(campaign.products, products)) for campaign in campaigns)


def _account(account: AccountTerms, products: Mapping[str, str]) -> AccountTerms:
    def known(commitment: SpendCommitment) -> SpendCommitment:
        return replace(commitment, products=named(commitment.products, products))

    return replace(account, commitments=tuple(map(known, account.commitments)))
