"""Rows of quantity zero: where something is due although no usage asks for it."""

from collections.abc import Mapping, Sequence

import numpy as np

from rating.charge import RESOURCE, Charge
from rating.choice import NONE, Choices
from rating.groups import U64, changed, first_windows
from rating.rows import I64, Rows, distinct_rows
from rating.windows import Segments


def without_usage(
    choices: Choices, charge: Charge, segments: Segments, attributes: Mapping[str, str]
) -> tuple[Rows, I64]:
    """Return one row of quantity zero for each window and tariff of a charge, of usage that was not there.

    Args:
        choices: the tariffs.
        charge: the definition whose tariffs are wanted.
        segments: the grid.
        attributes: that the usage would have had.

    Returns:
        Rows, and the tariff number of each.
    """
    by_epoch = np.full(len(choices.epochs.edges), NONE, np.int64)
    choices.fill(by_epoch, charge.id, "", attributes)
    tariff = by_epoch[choices.epochs.of]
    fresh = changed(np.array(segments.window_of, np.int64), tariff)
    items = choices.tariffs.items
    wanted = np.array([number != NONE and items[number].price.charge == charge for number in tariff.tolist()])
    place = np.flatnonzero(fresh & wanted)
    zero = np.zeros(len(place), np.int64)
    start = np.array(segments.edges[:-1], np.int64)[place]
    keys = zero.astype(np.uint64)
    rows = Rows(
        place.astype(np.int64), start, zero, keys, zero.astype(np.uint32), keys, zero, zero, keys, keys, zero, [(0, 0)]
    )
    return rows, tariff[place]


def joined(one: Rows, other: Rows) -> Rows:
    """Return two sets of rows as one; the other's pairs are renumbered behind the first's."""
    columns = {
        name: np.concatenate([getattr(one, name), getattr(other, name).astype(getattr(one, name).dtype)])
        for name in Rows.__dataclass_fields__
        if name not in ("pair", "pairs")
    }
    pair = np.concatenate([one.pair, other.pair + len(one.pairs)])
    return Rows(**columns, pair=pair, pairs=[*one.pairs, *other.pairs])


def completed(
    charge: Charge, rows: Rows, tariff: I64, each: U64, table: I64, choices: Choices, segments: Segments
) -> tuple[Rows, I64]:
    """Return the rows, and one of quantity zero for each part of the evaluation window in which a group had no usage.

    A minimum or maximum is prorated over the parts of a window, and these are all its parts.

    Args:
        charge: whose rows these are.
        rows: its usage.
        tariff: tariff number of each row.
        each: what each row's quantity belongs to.
        table: tariff numbers of the charge by pair and epoch.
        choices: the tariffs.
        segments: the grid.
    """
    window_of = np.array(segments.window_of, np.int64)
    first = first_windows(segments)
    span = first[window_of[rows.segment]]
    series = {s: i for i, s in enumerate(dict.fromkeys(t.series for t in choices.tariffs.items))}
    of = np.array([series[t.series] for t in choices.tariffs.items], np.int64)
    _, sample = distinct_rows(span, each, of[tariff], rows.pair)
    by_epoch = choices.epochs.of
    own = (rows.segment[sample], rows.pair[sample], span[sample], of[tariff[sample]])
    parts: dict[tuple[int, int, int], list[int]] = {}
    added: list[tuple[int, int]] = []
    for place, _, pair, at, chain in zip(sample.tolist(), *(column.tolist() for column in own), strict=True):
        key = (pair, at, chain)
        if key not in parts:
            inside = np.flatnonzero(first[window_of] == at)
            numbers = table[pair][by_epoch[inside]]
            fresh = changed(window_of[inside], numbers)
            wanted = [fresh[i] and n != NONE and of[n] == chain for i, n in enumerate(numbers.tolist())]
            parts[key] = inside[np.array(wanted, np.bool_)].tolist()
        added += [(place, segment) for segment in parts[key]] if len(parts[key]) > 1 else []
    if not added:
        return rows, tariff
    empty = _empty(charge, rows, added, segments)
    return joined(rows, empty), np.concatenate([tariff, table[empty.pair, by_epoch[empty.segment]]])


def _empty(charge: Charge, rows: Rows, places: Sequence[tuple[int, int]], segments: Segments) -> Rows:
    """Return rows of the same groups in other segments, with nothing in them."""
    source, segment = (np.array(column, np.int64) for column in zip(*places, strict=True))
    zero = np.zeros(len(source), np.int64)
    return Rows(
        segment,
        np.array(segments.edges[:-1], np.int64)[segment],
        zero,
        rows.resource[source] if RESOURCE in charge.each else zero.astype(np.uint64),
        rows.meter[source],
        zero.astype(np.uint64),
        zero,
        zero,
        zero.astype(np.uint64),
        zero.astype(np.uint64),
        rows.pair[source],
        rows.pairs,
    )
