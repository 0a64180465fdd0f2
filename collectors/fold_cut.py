"""Cutting intervals at the cells of a grid, splitting whole amounts over the pieces, and adding pieces up by cell.

Everything is integer and flat: a month of 100,000 series is a few arrays, never a loop over samples.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Intervals cut at cell edges; all arrays have one element a piece, in the order of the intervals.

    Attributes:
        origin: position of the interval that the piece comes from.
        cell_start: seconds since 1970, a multiple of the grid.
        start: first second of the piece.
        end: end of the piece, excluded; start < end.
    """

    origin: I64
    cell_start: I64
    start: I64
    end: I64

    @property
    def seconds(self) -> I64:
        """Length of each piece."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Cells:
    """Quantities by series and cell; one element a cell, ordered by series, then cell; each pair at most once.

    Attributes:
        series: the caller's number of the series.
        cell_start: seconds since 1970, a multiple of the meter's grid.
        quantity: base units within the cell.
        covered_seconds: how much of the cell is known, 1 … cell.
    """

    series: I64
    cell_start: I64
    quantity: I64
    covered_seconds: I64

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.series)


def cut(start: I64, end: I64, cell_seconds: int | I64) -> Pieces:
    """Cut half-open intervals at the edges of a grid aligned to 1970; an empty interval gives no piece.

    Args:
        start: seconds since 1970, shape (n,).
        end: seconds since 1970, shape (n,).
        cell_seconds: the grid, one for all or shape (n,).
    """
    grid = np.broadcast_to(np.asarray(cell_seconds, dtype=np.int64), start.shape)
    first = start // grid
    counts = np.where(end > start, (end - 1) // grid - first + 1, 0)
    origin = np.repeat(np.arange(len(start), dtype=np.int64), counts)
    within = np.arange(len(origin), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    piece_grid = grid[origin]
    cell_start = (first[origin] + within) * piece_grid
    return Pieces(
        origin,
        cell_start,
        np.maximum(start[origin], cell_start),
        np.minimum(end[origin], cell_start + piece_grid),
    )


def split(amount: I64, start: I64, end: I64, pieces: Pieces) -> I64:
    """Return each piece's part of its interval's amount, in proportion to time, in whole units.

    The part of [a, b) is ⌊amount·(b−s)/(e−s)⌋ − ⌊amount·(a−s)/(e−s)⌋: the parts telescope, so they sum to the amount
    exactly, whatever the cuts. The product would pass 2^63, so the amount is divided first: with amount = q·d + r it
    is q·x + ⌊r·x/d⌋, and r·x < d² (d is the interval's length in seconds, below 2^31).
    """
    length = (end - start)[pieces.origin]
    whole, rest = np.divmod(amount[pieces.origin], np.maximum(length, 1))
    from_start = pieces.start - start[pieces.origin]
    to_end = pieces.end - start[pieces.origin]
    parts: I64 = whole * (to_end - from_start) + rest * to_end // length - rest * from_start // length
    return parts


def gather(series: I64, cell_start: I64, quantity: I64, covered_seconds: I64) -> Cells:
    """Add up what falls into the same cell of the same series; the input may have any order."""
    if not len(series):
        return Cells(series, cell_start, quantity, covered_seconds)
    ascending = (series[1:] > series[:-1]) | ((series[1:] == series[:-1]) & (cell_start[1:] >= cell_start[:-1]))
    if not ascending.all():
        order = np.lexsort((cell_start, series))
        series, cell_start = series[order], cell_start[order]
        quantity, covered_seconds = quantity[order], covered_seconds[order]
    fresh = np.empty(len(series), dtype=np.bool_)
    fresh[0] = True
    fresh[1:] = (series[1:] != series[:-1]) | (cell_start[1:] != cell_start[:-1])
    if fresh.all():
        return Cells(series, cell_start, quantity, covered_seconds)
    firsts = np.flatnonzero(fresh)
    return Cells(
        series[firsts],
        cell_start[firsts],
        np.add.reduceat(quantity, firsts),
        np.add.reduceat(covered_seconds, firsts),
    )
