"""Groups: the quantities that a charge prices, one for each part of an evaluation window and each-key.

A **chain** is one evaluation window, price series and each-key; its **parts** are cut where the price changes or a
billing cycle ends. With `parts: running` a part has the total so far and the total before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rating.charge import RESOURCE, Charge
from rating.exact import INT64_MAX
from rating.rows import Rows, ascending
from rating.tariff import Tariff
from rating.windows import Segments
from schemas.ids import key64

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Exact = npt.NDArray[Any]
"""Integers: int64 where that is proved to suffice, Python integers (dtype object) otherwise."""
WITHOUT: Final = 0


@dataclass(frozen=True)
class Parts:
    """The parts of one charge, n of them, in order of chain and time; every array has shape (n,).

    Attributes:
        tariff: number of the tariff.
        window, span: positions of the window, and of the first window of its evaluation window.
        start, end: of the part, seconds: window ∩ validity of the tariff.
        chain: number of the chain, ascending.
        first: position of the first part of the same chain.
        resource, attributes: the group's, 0 where it has several.
        covered, samples: sums.
        digest: xor of the usage of the part.
        context: xor of the usage of the chain's parts up to this one.
    """

    tariff: I64
    window: I64
    span: I64
    start: I64
    end: I64
    chain: I64
    first: I64
    resource: U64
    attributes: U64
    covered: I64
    samples: I64
    digest: U64
    context: U64

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self.tariff)


@dataclass(frozen=True)
class Sorted:
    """Rows of one charge in order of chain and time, and where parts begin.

    Attributes:
        rows: the rows.
        tariff: tariff number of each row.
        part_of: part number of each row, ascending.
        starts: position of each part's first row.
        parts: the parts.
    """

    rows: Rows
    tariff: I64
    part_of: I64
    starts: npt.NDArray[np.intp]
    parts: Parts


def each_keys(charge: Charge, rows: Rows, sets: Mapping[int, Mapping[str, str]]) -> U64:
    """Return the integer key of what each row's quantity belongs to."""
    if not charge.each:
        return np.zeros(len(rows), np.uint64)
    if charge.each == (RESOURCE,):
        return rows.resource.astype(np.uint64, copy=False)
    names = [name for name in charge.each if name != RESOURCE]
    by_pair = [
        key64(*(sets.get(attributes, {}).get(name, "\0") for name in names)) if rows.pairs else 0
        for _, attributes in rows.pairs
    ]
    keys = np.array(by_pair, np.uint64)[rows.pair] if by_pair else np.zeros(len(rows), np.uint64)
    return keys ^ rows.resource if RESOURCE in charge.each else keys


def sorted_rows(
    rows: Rows,
    tariff: I64,
    each: U64,
    tariffs: Sequence[Tariff],
    segments: Segments,
    *,
    running: bool,
    by_price: bool = False,
    by_value: bool = False,
) -> Sorted:
    """Put the rows of a charge in the order of chains and find the parts.

    Args:
        rows: of the charge, all with a tariff.
        tariff: tariff number of each row.
        each: from `each_keys`.
        tariffs: by number.
        segments: the grid.
        running: whether parts of a span hang together; otherwise each is a chain of its own.
        by_price: whether a chain ends where the price changes.
        by_value: whether rows of one instant and resource go by quantity first: where single events count.
    """
    numbers = {t: i for i, t in enumerate(dict.fromkeys(item.series for item in tariffs))}
    series = np.array([numbers[t.series] for t in tariffs], np.int64)[tariff]
    window = np.array(segments.window_of, np.int64)[rows.segment]
    span = first_windows(segments)[window]
    keys: tuple[Exact, ...] = (span, each, series, rows.segment, rows.start, rows.resource)
    keys += (*((rows.quantity,) if by_value else ()), rows.meter, rows.attributes)
    if not ascending(keys, strict=False):
        content = (rows.quantity, rows.covered, rows.digest)
        order = np.lexsort((*reversed(content), *reversed(keys)))
        rows, tariff, each, series = rows.take(order), tariff[order], each[order], series[order]
        window, span = window[order], span[order]
    new_chain = changed(span, each, series, *((tariff,) if by_price else ()))
    new_part = new_chain | changed(window, tariff)
    starts = np.flatnonzero(new_part)
    part_of = np.cumsum(new_part) - 1
    chain = (np.cumsum(new_chain) - 1)[starts] if running else np.arange(len(starts), dtype=np.int64)
    return Sorted(rows, tariff, part_of, starts, _parts(rows, tariff, window, span, chain, starts, tariffs, segments))


def _parts(
    rows: Rows,
    tariff: I64,
    window: I64,
    span: I64,
    chain: I64,
    starts: npt.NDArray[np.intp],
    tariffs: Sequence[Tariff],
    segments: Segments,
) -> Parts:
    bounds = np.array([(w.start, w.end) for w in segments.windows], np.int64).reshape(-1, 2)
    valid = np.array([(t.valid.start, t.valid.end) for t in tariffs], np.int64).reshape(-1, 2)
    number, place = tariff[starts], window[starts]
    first = _first_of(chain)
    digest = _reduced(np.bitwise_xor, rows.digest.astype(np.uint64, copy=False), starts)
    return Parts(
        tariff=number,
        window=place,
        span=span[starts],
        start=np.maximum(bounds[place, 0], valid[number, 0]),
        end=np.minimum(bounds[place, 1], valid[number, 1]),
        chain=chain,
        first=first,
        resource=_single(rows.resource, starts),
        attributes=_single(rows.attributes, starts),
        covered=_reduced(np.add, rows.covered, starts),
        samples=_reduced(np.add, rows.samples.astype(np.int64), starts),
        digest=digest,
        context=_running_xor(digest, first),
    )


def _first_of(chain: I64) -> npt.NDArray[np.intp]:
    """Return the position of the first part of each part's chain; chains are numbered from 0 without gaps."""
    if not len(chain) or int(chain[-1]) == len(chain) - 1:
        return np.arange(len(chain))
    return np.searchsorted(chain, chain, side="left")


def _reduced(function: np.ufunc, values: Exact, starts: npt.NDArray[np.intp]) -> Exact:
    """Return one value for each run; where every run is one row, the values themselves."""
    return values if len(starts) == len(values) else function.reduceat(values, starts)


def first_windows(segments: Segments) -> I64:
    """Return, for each window, the position of the first window of its span."""
    starts = np.array([s.start for s in segments.spans], np.int64)
    return np.searchsorted(starts, starts, side="left").astype(np.int64)


def changed(*keys: Exact) -> npt.NDArray[np.bool_]:
    """Tell for each row whether it differs from the one before; the first one does."""
    found = np.zeros(len(keys[0]), np.bool_)
    found[:1] = True
    for key in keys:
        found[1:] |= key[1:] != key[:-1]
    return found


def _single(column: Exact, starts: npt.NDArray[np.intp]) -> U64:
    """Return the value of each part, 0 where it has several."""
    column = column.astype(np.uint64, copy=False)
    if len(starts) == len(column):
        return column
    least, most = np.minimum.reduceat(column, starts), np.maximum.reduceat(column, starts)
    return np.where(least == most, least, np.uint64(WITHOUT))


def _running_xor(digest: U64, first: npt.NDArray[np.intp]) -> U64:
    if not len(digest) or bool((first == np.arange(len(first))).all()):
        return digest
    running: U64 = np.bitwise_xor.accumulate(digest)
    before: U64 = np.where(first > 0, running[first - 1], np.uint64(0)).astype(np.uint64)
    return np.bitwise_xor(running, before)


def exact_sums(values: Exact, starts: npt.NDArray[np.intp]) -> Exact:
    """Return the sum of each run of values; Python integers where 64 bits could be too few."""
    if not len(starts):
        return np.zeros(0, np.int64)
    if len(starts) == len(values):
        return values
    if values.dtype != object and int(np.abs(values).max()) * len(values) > INT64_MAX:
        values = values.astype(object)
    return np.add.reduceat(values, starts)


def running_totals(values: Exact, first: npt.NDArray[np.intp]) -> tuple[Exact, Exact | None]:
    """Return the total of each chain up to each part, and before it; None where every chain has one part."""
    if not len(values) or bool((first == np.arange(len(first))).all()):
        return values, None
    if values.dtype != object and int(np.abs(values).max()) * len(values) > INT64_MAX:
        values = values.astype(object)
    total = np.cumsum(values)
    zero: Any = 0
    base = np.where(first > 0, total[first - 1], zero)
    now = total - base
    return now, now - values
