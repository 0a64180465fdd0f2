"""Lines as columns on their way to a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rating.exact import INT64_MAX
from rating.groups import Exact
from rating.tables import LINE_SCHEMA
from schemas.errors import Poison

Column = npt.NDArray[Any]


@dataclass(frozen=True)
class Lines:
    """Lines in columns.

    Attributes:
        columns: shape (n,) each, named as in LINE_SCHEMA, and `window`: the position of the line's window.
        slots: a number for each line, and the `price_id` of each number, where they are known already.
    """

    columns: dict[str, Column]
    slots: tuple[Column, Column] | None = None

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.columns["window"])


def joined(blocks: Sequence[Lines], windows: int) -> Lines:
    """Return all lines by window; within a window block by block, each in its own order.

    Args:
        blocks: each ordered by window.
        windows: how many windows there are.
    """
    filled = [b for b in blocks if len(b)] or list(blocks[:1])
    if len(filled) == 1:
        return filled[0]
    # Whole slices are copied: a month of lines is put in order at the speed of memory.
    edges = [np.searchsorted(b.columns["window"], np.arange(windows + 1)).tolist() for b in filled]
    slices = [
        (b, e[w], e[w + 1]) for w in range(windows) for b, e in zip(filled, edges, strict=True) if e[w] < e[w + 1]
    ]
    columns = {}
    for name in filled[0].columns:
        columns[name] = np.concatenate([b.columns[name][first:last] for b, first, last in slices])
    return Lines(columns)


def table(lines: Lines) -> pa.Table:
    """Return the lines as LINE_SCHEMA."""
    arrays = [pa.array(lines.columns[field.name]).cast(field.type) for field in LINE_SCHEMA]
    return pa.table(arrays, schema=LINE_SCHEMA)


def checked_amounts(amounts: Exact) -> Column:
    """Return micro-units as int64; raises Poison ``amount_too_large`` for one beyond 2^63 - 1."""
    if amounts.dtype == object and len(amounts) and max(int(amounts.max()), -int(amounts.min())) > INT64_MAX:
        worst = max(amounts.tolist(), key=abs)
        raise Poison(
            "amount_too_large",
            f"a line comes to {worst} micro-units; it holds at most {INT64_MAX}: check the price's amount and unit",
        )
    return amounts.astype(np.int64)
