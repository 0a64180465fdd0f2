"""Free quantities that several groups share: handed out in order of time, then resource."""

import numpy as np

from rating.charge import Charge
from rating.desk import Desk
from rating.evaluate import converted, in_conversion_steps
from rating.groups import I64, Exact, Parts, changed, running_totals
from rating.measure import Quantity
from rating.rows import distinct_rows
from rating.scale import Scales
from rating.tariff import Tariff
from rating.terms import Terms
from rating.windows import Segments


def pooled(
    quantity: Quantity, charge: Charge, parts: Parts, scales: Scales, tariffs: list[Tariff], desk: Desk
) -> tuple[Exact, Exact]:
    """Return the free quantity of each part's chain up to the part, and before it, in steps.

    Args:
        quantity: of the parts, over one denominator.
        charge: whose prices have a free quantity with a pool; groups whose own price has none take no part.
        parts: the parts.
        scales: the tariffs in integers, all in equal steps.
        tariffs: by scale.
        desk: the grid, and the account with its share of allowances that accounts share.
    """
    per = 1 if in_conversion_steps(charge) else quantity.now_per
    steps = converted(np.maximum(quantity.now, 0).astype(object), quantity.now_per, charge, scales)
    if charge.settings.parts == "last":  # which is where everything is priced
        ends = np.append(parts.first[1:] == np.arange(1, len(parts)), True)
        steps = np.where(ends, steps, 0)
    elif quantity.before is not None:
        steps = steps - converted(np.maximum(quantity.before, 0).astype(object), quantity.before_per, charge, scales)
    allowed = np.array([s.free for s in scales.items], dtype=object)[scales.of] * per
    steps = np.where(allowed > 0, np.maximum(steps, 0), 0)
    series = {s: i for i, s in enumerate(dict.fromkeys(t.price_series for t in tariffs))}
    whole = any(t.price.free is not None and t.price.free.pool == "charge" for t in tariffs)
    of = np.array([0 if whole else series[t.price_series] for t in tariffs], np.int64)[scales.of]
    alone = np.array([t.price.free is None or t.price.free.pool == "each" for t in tariffs])[scales.of]
    of = np.where(alone, len(series) + parts.chain, of)
    if charge.settings.parts == "independent":  # an allowance for each part by itself
        of = distinct_rows(of, parts.start)[0]
    order = np.lexsort((parts.resource, parts.start, of, parts.span))
    pool = np.cumsum(changed(parts.span[order], of[order])) - 1
    first = np.searchsorted(pool, pool, side="left")
    total, _ = running_totals(steps[order], first)
    bound = allowed[order]
    if any(t.price.free is not None and t.price.free.pool == "accounts" for t in tariffs):
        bound = _shares(bound, total, pool, charge, parts.span[order], desk.segments, desk.terms, scales)
    free = np.zeros(len(parts), dtype=object)
    free[order] = _granted(steps[order], bound, pool)
    now, earlier = running_totals(free, parts.first)
    return now, now - free if earlier is None else earlier


def _granted(steps: Exact, bound: Exact, pool: I64) -> Exact:
    """Return what each group gets: what it asks for, as far as its own price's allowance is not yet handed out."""
    granted, used, at = np.zeros(len(steps), dtype=object), 0, -1
    for place, (wanted, most, number) in enumerate(zip(steps.tolist(), bound.tolist(), pool.tolist(), strict=True)):
        used, at = (used, at) if number == at else (0, number)
        granted[place] = max(0, min(most - used, wanted))
        used += granted[place]
    return granted


def _shares(
    allowed: Exact, total: Exact, pool: I64, charge: Charge, span: I64, segments: Segments, terms: Terms, scales: Scales
) -> Exact:
    """Return what of the allowance is this account's: by share of the quantity, accounts in order of their ids."""
    ends = np.append(np.flatnonzero(changed(pool))[1:], len(pool)) - 1
    own = total[ends][pool]
    found = allowed.copy()
    after = scales.items[0].after
    for place, window in enumerate(span.tolist()):
        share = terms.pools.get((charge.id, segments.windows[window].start))
        if share is None or share.total <= 0:
            continue
        before = share.before * after
        whole = share.total * after
        found[place] = allowed[place] * (before + own[place]) // whole - allowed[place] * before // whole
    return found
