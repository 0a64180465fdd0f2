"""What an account owes without using anything: fees, minima, commitments; and from when on."""

from collections.abc import Iterable

from billing.protocol import Account, MappingRule
from rating.charge import due_without_usage
from rating.lists import PriceList
from rating.price import Price
from schemas.period import SECOND, Period


def standing(price_list: PriceList) -> Period | None:
    """Return from the first to the last instant at which a list costs something without usage; None: never."""
    terms = price_list.account
    valid = [price.valid for price in price_list.prices if _stands(price)]
    valid += [bound.valid for bound in (terms.minimum,) if bound is not None]
    valid += [commitment.valid for commitment in terms.commitments if commitment.true_up]
    return Period(min(v.start for v in valid), max(v.end for v in valid)) if valid else None


def _stands(price: Price) -> bool:
    if price.recurring is not None:
        return not price.charge.meters
    if price.commitment is not None:
        return True
    flat = price.charge.settings.zero == "first_flat" and bool(price.tiers)
    return due_without_usage(price.charge) and (price.minimum is not None or flat)


def customer_since(
    account: Account, rules: Iterable[MappingRule], settled: Iterable[Period], touched: Iterable[Period]
) -> int | None:
    """Return from when on an account owes what it owes without usage, in seconds; None: not at all yet.

    The books do not say when an account was created. So it is the earliest of: when the books learned that something
    is metered for it (a mapping rule, but not before that rule is valid), its first settled cycle, and the first day on
    which it used anything. An account of which none of these is known is charged from the window on in which live
    rating first saw it.

    Args:
        account: who pays.
        rules: those in force.
        settled: its settled cycles.
        touched: days with usage of it, as far as they were looked at.
    """
    known = [max(rule.start, rule.recorded_at // SECOND) for rule in rules if rule.account == account.id]
    return min([*known, *(c.start for c in settled), *(t.start for t in touched)], default=None)
