"""Fees: what recurs each hour, day, month or year, for an account or for each resource, prorated as the charge says."""

import numpy as np

from rating.groups import Parts, Sorted, running_totals
from rating.spans import Due, due, seconds_of_spans
from rating.terms import Terms
from rating.windows import Segments
from schemas import calendar


def account_due(parts: Parts, segments: Segments, terms: Terms, rule: str) -> tuple[Due, Due]:
    """Return how much of its window an account's fee is due for up to the end of each part, and before it."""
    begin = parts.start[parts.first]
    now = due(segments, parts.window, begin, parts.end, terms, rule)
    before = due(segments, parts.window, begin, parts.start, terms, rule)
    alone = parts.first == np.arange(len(parts))
    return now, Due(np.where(alone, 0, before.seconds), now.of)


def resource_due(found: Sorted, segments: Segments, terms: Terms, rule: str) -> tuple[Due, Due]:
    """Return how much of its window a resource's fee is due for up to the end of each part, and before it.

    It is due while there was usage of the resource and the account was active.
    """
    own = _resource_due(found, segments, terms, rule)
    now, before = running_totals(own.seconds, found.parts.first)
    if rule == "none":
        now, before = np.minimum(now, 1), None if before is None else np.minimum(before, 1)
    return Due(now, own.of), Due(np.zeros(len(now), np.int64) if before is None else before, own.of)


def _resource_due(found: Sorted, segments: Segments, terms: Terms, rule: str) -> Due:
    """Return how much of its window each part by itself is due for."""
    parts = found.parts
    active = np.minimum(parts.end, terms.active.end) - np.maximum(parts.start, terms.active.start)
    if rule == "none":
        return Due(((active > 0) & (parts.samples > 0)).astype(np.int64), np.ones(len(parts), np.int64))
    if rule == "second":
        length = seconds_of_spans(segments)[parts.window]
        return Due(np.minimum(parts.covered, np.maximum(active, 0)), length)
    starts = np.array([d.start for d in calendar.days(segments.period, terms.zone)], np.int64)
    real = found.rows.samples > 0
    rows, part_of = found.rows.take(real), found.part_of[real]
    chain = parts.chain[part_of] * (len(starts) + 1)  # days of different chains stay apart
    order = np.lexsort((rows.start, chain))
    first = chain[order] + np.searchsorted(starts, rows.start[order], side="right") - 1
    last = chain[order] + np.searchsorted(
        starts, rows.start[order] + np.maximum(rows.seconds[order], 1) - 1, side="right"
    )
    counted = np.concatenate([[np.int64(0)], np.maximum.accumulate(last)[:-1]])
    days = np.zeros(len(parts), np.int64)
    np.add.at(days, part_of[order], np.maximum(last - np.maximum(first, counted), 0))
    in_span = np.array([len(calendar.days(s, terms.zone)) for s in segments.spans], np.int64)
    return Due(days, in_span[parts.window])
