"""Chooses prices for whole columns: once for each distinct (meter, attributes, price epoch), then by integer take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rating.price import Price
from rating.price_list import PriceList
from rating.windows import Segments
from schemas.errors import Invariant

I64 = npt.NDArray[np.int64]
NO_ATTRIBUTES: Final = 0
"""Key in usage that was not grouped by attributes."""


@dataclass(frozen=True, slots=True)
class Slots:
    """The prices of a list in columns; slot 0 stands for "no price", slot i + 1 for `PriceList.prices[i]`.

    Attributes:
        prices: by slot; None at 0.
        keys: uint64 warehouse keys; 0 at 0.
        digests: uint64 price digests.
    """

    prices: tuple[Price | None, ...]
    keys: npt.NDArray[np.uint64]
    digests: npt.NDArray[np.uint64]


def slots_of(price_list: PriceList) -> Slots:
    """Return the columns of a list's prices."""
    return Slots(
        (None, *price_list.prices),
        np.array([0, *price_list.keys], dtype=np.uint64),
        np.array([price_list.unpriced_digest, *price_list.price_digests], dtype=np.uint64),
    )


def choice_table(
    price_list: PriceList,
    pairs: Sequence[tuple[int, int]],
    attribute_sets: Mapping[int, Mapping[str, str]],
    segments: Segments,
) -> tuple[I64, I64]:
    """Choose a slot for each distinct (meter, attribute set) and each stretch of time without a price change.

    Args:
        price_list: the prices.
        pairs: distinct (meter_id, attributes_id), P of them.
        attribute_sets: attributes_id → attributes; 0 may be absent and then stands for none.
        segments: S segments, cut where prices change.

    Returns:
        Slots, shape (P, E), and the epoch of each segment, shape (S,).

    Raises:
        Invariant: a price changes inside a segment, or an attribute set is unknown.
    """
    cuts = price_list.cuts(segments.period)
    inside = sorted(set(cuts) - set(segments.edges))
    if inside:
        raise Invariant(f"a price changes inside a segment, at {inside[0]}: make the segments with segments_of()")
    edges = np.array([segments.period.start, *cuts], dtype=np.int64)
    epoch_of = np.searchsorted(edges, np.array(segments.edges[:-1], dtype=np.int64), side="right") - 1
    missing = sorted({a for _, a in pairs if a != NO_ATTRIBUTES and a not in attribute_sets})
    if missing:
        raise Invariant(f"{len(missing)} attribute sets have no entry, the first is {missing[0]}")
    chosen = np.zeros((len(pairs), len(edges)), dtype=np.int64)
    for row, (meter_id, attributes_id) in enumerate(pairs):
        # From the least to the most specific, so that the most specific is written last.
        for position in price_list.index.candidates(meter_id, attribute_sets.get(attributes_id, {})):
            valid = price_list.prices[position].valid
            first, last = np.searchsorted(edges, (valid.start, valid.end))
            chosen[row, first:last] = position + 1
    return chosen, epoch_of.astype(np.int64)
