"""Rounds each observation to whole conversion steps, where a charge says so: calls to whole minutes, not their sum."""

from dataclasses import replace

import numpy as np

from rating.desk import Desk
from rating.exact import divided
from rating.rows import Rows
from rating.scale import Context, base_size
from rating.spans import span_seconds
from rating.tariff import Tariff


def each_converted(rows: Rows, tariff: Tariff, desk: Desk) -> Rows:
    """Return the rows with their quantities in conversion steps.

    Args:
        rows: observations.
        tariff: one of the charge; its unit is that of all.
        desk: the grid and the account's zone.
    """
    convert = tariff.price.charge.convert
    if convert is None:
        return rows
    quantity = rows.quantity.astype(object)
    window = np.array(desk.segments.window_of, np.int64)[rows.segment]
    for place in np.unique(window).tolist():
        start = desk.segments.spans[place].start
        span = span_seconds(tariff.price.unit.span, start, tariff.price.charge.settings, desk.terms.zone)
        ratio = 10**convert.digits / base_size(tariff, Context(span=span))
        own = window == place
        divisor = np.full(int(own.sum()), ratio.denominator, dtype=object)
        quantity[own] = divided(quantity[own] * ratio.numerator, divisor, convert.mode)
    return replace(rows, quantity=quantity.astype(np.int64))
