"""Where rows and lines go: pieces of a charge's rows that are priced at a time, and lines group by group."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from rating.evaluate import Component
from rating.groups import I64, Exact

CHUNK_ROWS: Final = 1 << 16
"""Rows priced at a time: their columns then stay in a core's cache."""


def pieces_of(span: I64) -> list[slice]:
    """Return pieces of about CHUNK_ROWS rows that leave evaluation windows whole; one piece for rows in no order.

    Args:
        span: number of each row's evaluation window, shape (n,).
    """
    if len(span) <= CHUNK_ROWS or not bool((span[:-1] <= span[1:]).all()):
        return [slice(0, len(span))]
    ends = np.searchsorted(span, span[CHUNK_ROWS - 1 :: CHUNK_ROWS], side="right")
    return [slice(a, b) for a, b in pairwise(np.unique([0, *ends.tolist(), len(span)]).tolist())]


def placed(components: Sequence[Component], idle: npt.NDArray[np.bool_]) -> tuple[I64, I64, list[tuple[I64, I64]]]:
    """Return the group and the component of each line, and for each component its groups and where their lines go.

    Args:
        components: of every group.
        idle: groups that nobody asked to have a line that says nothing.
    """
    some = bool(idle.any())
    present = [np.flatnonzero((c.present & (~idle | (c.amount != 0))) if some else c.present) for c in components]
    counts = np.zeros(len(idle), np.int64)
    ranks = []
    for groups in present:
        ranks.append(counts[groups])
        counts[groups] += 1
    offsets = np.cumsum(counts) - counts
    places = [(groups, offsets[groups] + rank) for groups, rank in zip(present, ranks, strict=True)]
    lines = sum(map(len, present))
    group, which = np.zeros(lines, np.int64), np.zeros(lines, np.int64)
    for number, (groups, lines_of) in enumerate(places):
        group[lines_of], which[lines_of] = groups, number
    return group, which, places


def gathered(columns: Sequence[Exact], places: list[tuple[I64, I64]], lines: int) -> Exact:
    """Return one value for each line."""
    wide = any(c.dtype == object for c in columns)
    found = np.zeros(lines, object if wide else np.int64)
    for column, (groups, lines_of) in zip(columns, places, strict=True):
        found[lines_of] = column[groups]
    return found
