"""Percentage prices: each event costs a part of its value, with free events, a fixed fee and bounds of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Final

import numpy as np

from rating.charge import Percentage
from rating.groups import Exact, Sorted, exact_sums, running_totals
from rating.scale import Context, unit_size
from rating.tariff import Tariff

UNBOUNDED: Final = -1


@dataclass(frozen=True)
class Percent:
    """One percentage price in integers.

    Attributes:
        price: shares for one base unit of the event's value, divided by the denominator of `amount`.
        fixed: shares for each event.
        least, most: shares of one event; UNBOUNDED: none.
        events: free events; UNBOUNDED: none.
        amount: free value as numerator, denominator in base units; (UNBOUNDED, 1): none.
        shares: shares in one rounding step, which every number above is a whole number of.
    """

    price: int
    fixed: int
    least: int
    most: int
    events: int
    amount: tuple[int, int]
    shares: int


def percent_of(tariff: Tariff, rule: Percentage, context: Context, shares: int) -> Percent:
    """Return a percentage price in integers, over a multiple of the given shares."""
    digits = 10**tariff.price.charge.rounding.digits * tariff.exchange
    price = rule.percent / 100 * tariff.factor * digits / unit_size(tariff, context)
    fixed = rule.fixed * tariff.factor * digits
    bounds = [None if b is None else b * digits for b in (rule.minimum_each, rule.maximum_each)]
    free = Fraction(UNBOUNDED) if rule.free_amount is None else rule.free_amount * unit_size(tariff, context)
    price /= free.denominator
    common = lcm(shares, *(v.denominator for v in (price, fixed, *bounds) if v is not None))
    least, most = (UNBOUNDED if b is None else int(b * common) for b in bounds)
    return Percent(
        price=int(price * common),
        fixed=int(fixed * common),
        least=least,
        most=most,
        events=UNBOUNDED if rule.free_events is None else rule.free_events,
        amount=(free.numerator, free.denominator),
        shares=common,
    )


def percentages(
    found: Sorted, rules: Sequence[Percent], of: Exact, *, inclusive: bool, zero: bool
) -> tuple[Exact, Exact | None]:
    """Return what the events of each chain cost up to each part, and before it, both under the part's price.

    Args:
        found: events in order of chain and time.
        rules: the prices in integers.
        of: for each part the number of its price.
        inclusive: whether the event that exactly uses up the free amount still bears no fixed fee.
        zero: whether events without any value together bear fixed fees.

    Returns:
        Shares as Python integers, of each part's own price; None where every chain has one part.
    """
    parts = found.parts
    rank = np.arange(len(parts)) - parts.first
    now, before = np.zeros(len(parts), object), np.zeros(len(parts), object)
    for step in range(int(rank.max()) + 1):
        at = np.minimum(parts.first + step, len(parts) - 1)  # of each part: the part whose price is looked at
        cost = _costs(found, rules, of[at], inclusive=inclusive)
        total, earlier = running_totals(cost, parts.first)
        own = np.flatnonzero(rank == step)
        now[own] = total[own]
        before[own] = 0 if earlier is None else earlier[own]
    value, _ = running_totals(exact_sums(found.rows.quantity, found.starts).astype(object), parts.first)
    if not zero:
        now = np.where(value == 0, 0, now)
        before = np.where(np.where(rank == 0, 0, np.roll(value, 1)) == 0, 0, before)
    return now, before if bool((rank > 0).any()) else None


def _costs(found: Sorted, rules: Sequence[Percent], of: Exact, *, inclusive: bool) -> Exact:
    """Return what the events of each part cost together, where `of` tells the price of each part."""
    part = found.part_of
    chain = found.parts.chain[part]
    first = np.searchsorted(chain, chain, side="left")
    real = found.rows.samples > 0  # other rows stand for no event at all
    counted = np.cumsum(real)
    earlier = np.where(first > 0, counted[first - 1], 0)
    number: Exact = counted - earlier
    value = found.rows.quantity.astype(object)
    total, _ = running_totals(value, first)

    def take(name: str) -> Exact:
        return np.array([getattr(r, name) for r in rules], dtype=object)[of][part]

    events, least, most = take("events"), take("least"), take("most")
    free, scale = (np.array([r.amount[i] for r in rules], dtype=object)[of][part] for i in (0, 1))
    by_events, by_amount = events >= 0, free >= 0
    among_first = by_events & (number <= events)
    # In both cases the free value is a prefix of the running total: whole events, an amount, or the lesser of them.
    through = _through(total, counted, earlier, events, chain)
    bound = np.where(
        by_amount & by_events, np.minimum(free, through * scale), np.where(by_amount, free, through * scale)
    )
    bound = np.where(by_amount | by_events, bound, 0)
    paid = np.maximum(np.minimum(total * scale - bound, value * scale), 0)
    inside = (total * scale <= free) if inclusive else (total * scale < free)
    spared = np.where(by_events & by_amount, among_first & inside, np.where(by_amount, inside, among_first)).astype(
        np.bool_
    )
    cost = take("price") * paid + np.where(spared, 0, take("fixed"))
    charged = real & ~(spared & (paid == 0)).astype(np.bool_)
    cost = np.where(charged & (least >= 0), np.maximum(cost, least), cost)
    cost = np.where(charged & (most >= 0), np.minimum(cost, most), cost)
    return exact_sums(np.where(charged, cost, 0), found.starts)


def _through(total: Exact, counted: Exact, earlier: Exact, events: Exact, chain: Exact) -> Exact:
    """Return the running total of each event's chain through its last free event, 0 where there is none."""
    ends = np.searchsorted(chain, chain, side="right") - 1
    last = np.minimum(np.maximum(events, 0), counted[ends] - earlier).astype(np.int64)
    place = np.searchsorted(counted, earlier + np.maximum(last, 1), side="left")
    return np.where(last > 0, total[np.minimum(place, len(total) - 1)], 0)
