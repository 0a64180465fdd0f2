"""Usage rows whose amount is their quantity times one number: most of all usage, so this is the short way."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from rating.choice import NONE
from rating.components import key_of
from rating.desk import Desk
from rating.digests import line_digests, segment_digests
from rating.exact import Mode, Ratio, amounts, rates_of
from rating.lines import Column, Lines
from rating.price import UNIT
from rating.rows import I64, Rows
from rating.scale import Context, price_of_base_unit
from rating.spans import span_seconds

_MASK: Final = 2**64 - 1
CHUNK_ROWS: Final = 1 << 15
"""Rows computed at a time: a dozen columns of intermediate values then stay in a core's cache."""


@dataclass(frozen=True)
class _Slots:
    """What rows are rated by, in columns by slot; the last slot stands for "no price"."""

    ratios: list[Ratio]
    keys: Column
    digests: Column
    rounding: list[tuple[Mode, int]]


def linear_lines(rows: Rows, tariff: I64, desk: Desk, unpriced_digest: int) -> Lines:
    """Return one line for each row.

    Args:
        rows: usage, in the order of lines.
        tariff: tariff number of each row, all linear; NONE: unpriced.
        desk: what rating needs.
        unpriced_digest: stands for the price in the digest of an unpriced line.

    Raises:
        Poison: ``amount_too_large``.
    """
    slot, slots = _slots(rows, tariff, desk, unpriced_digest)
    count = len(rows)
    amount, key, digest = np.zeros(count, np.int64), np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    segment_columns = desk.segments.columns()
    segment_digest = segment_digests(*segment_columns)
    for mode, digits in dict.fromkeys(slots.rounding):
        own = np.array([r == (mode, digits) for r in slots.rounding])
        rates = rates_of([r if mine else Ratio(0, 1) for r, mine in zip(slots.ratios, own, strict=True)], digits)
        for at in range(0, count, CHUNK_ROWS):
            part = slice(at, at + CHUNK_ROWS)
            amount[part] += amounts(rows.quantity[part], slot[part], rates, mode)
    for at in range(0, count, CHUNK_ROWS):
        part = slice(at, at + CHUNK_ROWS)
        key[part] = slots.keys[slot[part]]
        digest[part] = line_digests(
            segment_digest[rows.segment[part]],
            slots.digests[slot[part]],
            rows.resource[part],
            rows.meter[part],
            rows.attributes[part],
            rows.quantity[part],
            rows.covered[part],
            rows.digest[part],
        )
    window_start, window_end, start, end = (column[rows.segment] for column in segment_columns)
    return Lines(
        {
            "window": np.array(desk.segments.window_of, np.int64)[rows.segment],
            "window_start": window_start,
            "window_end": window_end,
            "segment_start": start,
            "segment_end": end,
            "resource_id": rows.resource,
            "meter_id": rows.meter,
            "attributes_id": rows.attributes,
            "price_id": key,
            "quantity": rows.quantity,
            "covered_seconds": rows.covered,
            "amount_micros": amount,
            "usage_digest": rows.digest,
            "digest": digest,
        },
        (slot, slots.keys),
    )


def _slots(rows: Rows, tariff: I64, desk: Desk, unpriced_digest: int) -> tuple[I64, _Slots]:
    """Number the distinct (tariff, length of month) of the rows."""
    code, pairs = _pairs(tariff, rows, desk)
    digests, keys, ratios, rounding = [], [], [], []
    for number, span in pairs:
        item = desk.tariffs[number] if number != NONE else None
        usable = item is not None and item.linear and (item.price.unit.span is None or span > 0)
        ratios.append(price_of_base_unit(item, Context(span=span)) if item is not None and usable else Ratio(0, 1))
        price = item.price if item is not None else None
        keys.append(key_of(price.list_id, price.version, price.id, UNIT) if price and usable else 0)
        digests.append((item.digest if item is not None and usable else unpriced_digest) ^ (int(span) & _MASK))
        one = item.price.charge.rounding if item is not None and usable else None
        rounding.append((one.mode, one.digits) if one else ("down", 6))
    return code, _Slots(ratios, np.array(keys, np.uint64), np.array(digests, np.uint64), rounding)


def _pairs(tariff: I64, rows: Rows, desk: Desk) -> tuple[I64, list[tuple[int, Fraction]]]:
    """Return a number for each row, and by number the tariff and the seconds of the month or year of its unit."""
    pairs = [(number, Fraction(0)) for number in range(len(desk.tariffs))]
    pairs.append((NONE, Fraction(0)))
    code = np.where(tariff == NONE, len(desk.tariffs), tariff)
    for number, item in enumerate(desk.tariffs):
        unit, settings = item.price.unit, item.price.charge.settings
        if not item.linear or unit.span is None:
            continue
        spans = desk.segments.spans
        lengths = [span_seconds(unit.span, s.start, settings, desk.terms.zone) for s in spans]
        places = {length: len(pairs) + place for place, length in enumerate(dict.fromkeys(lengths))}
        pairs += [(number, length) for length in places]
        of_segment = np.array([places[length] for length in lengths], np.int64)[list(desk.segments.window_of)]
        code = np.where(tariff == number, of_segment[rows.segment], code)
    return code, pairs


def layers_of(tables: Sequence[I64]) -> list[I64]:
    """Return as few tables as possible, in which the entries of all tables stand each in its place."""
    layers: list[I64] = []
    for table in tables:
        left = table
        for layer in layers:
            free = (layer == NONE) & (left != NONE)
            layer[free] = left[free]
            left = np.where(free, NONE, left)
        if bool((left != NONE).any()):
            layers.append(left.copy())
    return layers
