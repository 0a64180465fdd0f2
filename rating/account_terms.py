"""Terms over all charges of an account: spend commitments, then the maximum, then the minimum of a window."""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pyarrow as pa

from rating import lines as line_columns
from rating.charge import Bound, SpendCommitment
from rating.components import ACCOUNT, MAXIMUM, MINIMUM, SPEND_OVERAGE, TRUE_UP, account_prices, key_of
from rating.digests import line_digests, segment_digests
from rating.exact import MICRO_DIGITS, rounded
from rating.lines import Lines
from rating.lists import PriceList
from rating.spans import share_due
from rating.terms import Terms
from schemas.calendar import Size
from schemas.ids import key64
from schemas.money import MICROS
from schemas.period import Period

Spent = Mapping[tuple[str, str], int]
"""Micro-units by (product, charge)."""


def account_windows(price_list: PriceList) -> tuple[Size, ...]:
    """Return the sizes of the windows over which the account's terms are evaluated."""
    terms = price_list.account
    bounds = [b.every for b in (terms.minimum, terms.maximum) if b is not None]
    return tuple(dict.fromkeys([*(c.every for c in terms.commitments), *bounds]))


def account_lines(
    spent: Spent, window: Period, size: Size, price_list: PriceList, terms: Terms, digest: int = 0
) -> pa.Table:
    """Return the lines (LINE_SCHEMA) of the terms that are evaluated over windows of one size.

    Args:
        spent: what all lines of the window come to, whatever the size of their own windows.
        window: the calendar window.
        size: its size.
        price_list: the account's effective list.
        terms: of the account.
        digest: xor of the digests of the lines behind `spent`.
    """
    found = _amounts(spent, window, size, price_list, terms)
    entries = account_prices(price_list.account, price_list.id, price_list.version)
    micros = {key_of(price_list.id, price_list.version, ACCOUNT, name): amount for name, amount in found if amount}
    count = len(micros)
    keys = np.array(list(micros), np.uint64)
    zero = np.zeros(count, np.int64)
    none = zero.astype(np.uint64)
    bounds = [np.full(count, b, np.int64) for b in (window.start, window.end)]
    what = [key64("account-terms", price_list.digest, str(price_list.version), entries[k].component) for k in micros]
    context = np.full(count, digest, np.uint64)
    digests = line_digests(
        segment_digests(*bounds, *bounds),
        np.array(what, np.uint64),
        none,
        zero.astype(np.uint32),
        none,
        np.array(list(micros.values()), np.int64),
        zero,
        context,
    )
    columns: dict[str, np.ndarray] = {
        "window": zero,
        "window_start": bounds[0],
        "window_end": bounds[1],
        "segment_start": bounds[0],
        "segment_end": bounds[1],
        "resource_id": none,
        "meter_id": zero.astype(np.uint32),
        "attributes_id": none,
        "price_id": keys,
        "quantity": zero,
        "covered_seconds": zero,
        "amount_micros": np.array(list(micros.values()), np.int64),
        "usage_digest": context,
        "digest": digests,
    }
    return line_columns.table(Lines(columns))


def _amounts(spent: Spent, window: Period, size: Size, price_list: PriceList, terms: Terms) -> list[tuple[str, int]]:
    """Return (component, micro-units) in the order in which the terms apply; each sees what those before it added."""
    account, total = price_list.account, sum(spent.values())
    found: list[tuple[str, int]] = []
    for commitment in account.commitments:
        if commitment.every == size:
            made = _committed(commitment, spent, window, price_list, terms)
            found += made
            total += sum(amount for _, amount in made)
    for name, bound in ((MAXIMUM, account.maximum), (MINIMUM, account.minimum)):
        if bound is None or bound.every != size:
            continue
        gap = _due(bound, window, price_list, terms) - total
        change = min(gap, 0) if name == MAXIMUM else max(gap, 0)
        found.append((name, change))
        total += change
    return found


def _committed(
    commitment: SpendCommitment, spent: Spent, window: Period, price_list: PriceList, terms: Terms
) -> list[tuple[str, int]]:
    own = sum(amount for (product, charge), amount in spent.items() if _counts(commitment, product, charge))
    due = _due(commitment, window, price_list, terms)
    found = []
    if commitment.true_up and own < due:
        found.append((TRUE_UP + commitment.id, due - own))
    if commitment.overage_factor is not None and own > due and due > 0:
        extra = Fraction(own - due, MICROS) * (commitment.overage_factor - 1)
        found.append((SPEND_OVERAGE + commitment.id, _micros(extra, price_list)))
    return found


def _counts(commitment: SpendCommitment, product: str, charge: str) -> bool:
    """Tell whether what was spent on a charge counts towards a commitment."""
    everything = not commitment.products and not commitment.charges
    return everything or product in commitment.products or charge in commitment.charges


def _due(bound: Bound | SpendCommitment, window: Period, price_list: PriceList, terms: Terms) -> int:
    """Return an amount of the terms in micro-units, prorated to when it is valid and the account active."""
    valid = Period(
        max(bound.valid.start, terms.active.start),
        max(bound.valid.start, terms.active.start, min(bound.valid.end, terms.active.end)),
    )
    inside = Period(max(window.start, valid.start), max(window.start, valid.start, min(window.end, valid.end)))
    part, whole = share_due(window, inside, price_list.settings.prorate, terms.zone)
    return _micros(bound.amount * Fraction(part, whole), price_list)


def _micros(amount: Fraction, price_list: PriceList) -> int:
    rounding = price_list.rounding
    steps = amount * 10**rounding.digits
    return rounded(steps.numerator, steps.denominator, rounding.mode) * 10 ** (MICRO_DIGITS - rounding.digits)
