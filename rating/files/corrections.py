"""Lines that correct a rating: what was charged is credited, what is due is charged; unchanged lines are left alone."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rating.tables import LINE_SCHEMA
from schemas.errors import Invariant

KEY: Final = (
    "window_start",
    "window_end",
    "segment_start",
    "segment_end",
    "resource_id",
    "meter_id",
    "attributes_id",
    "price_id",
)
"""What a line is for; its component is part of its price."""
VALUES: Final = ("quantity", "covered_seconds", "amount_micros")
"""What a credit takes back. A line that agrees in all of them is unchanged, whatever its digests say."""


def corrections(before: pa.Table, after: pa.Table) -> pa.Table:
    """Return the lines that turn one rating into another: Σ corrections = Σ after - Σ before, in every value.

    Of each key whose lines differ, the old ones stand as credit lines (values negated, the digests of the line that
    they take back), then the new ones as charge lines.

    Args:
        before: as LINE_SCHEMA, in any order: what was charged.
        after: as LINE_SCHEMA, in any order: what is due.

    Returns:
        LINE_SCHEMA, ordered by KEY, credits first.

    Raises:
        Invariant: a table of another schema.
    """
    for table in (before, after):
        if not table.schema.equals(LINE_SCHEMA):
            raise Invariant(f"lines have another schema than LINE_SCHEMA: {table.schema.to_string()}")
    both = pa.concat_tables([before, after])
    columns = {name: both[name].to_numpy() for name in LINE_SCHEMA.names}
    is_new = np.arange(both.num_rows) >= before.num_rows
    kept = _unmatched([columns[name] for name in (*KEY, *VALUES)], is_new)
    order = ("usage_digest", "digest", *reversed(VALUES))
    kept = kept[
        np.lexsort([*(columns[n][kept] for n in order), is_new[kept], *(columns[n][kept] for n in reversed(KEY))])
    ]
    sign = np.where(is_new[kept], 1, -1)
    values = {name: column[kept] * sign if name in VALUES else column[kept] for name, column in columns.items()}
    return pa.table([pa.array(values[f.name], f.type) for f in LINE_SCHEMA], schema=LINE_SCHEMA)


def _unmatched(columns: Sequence[npt.NDArray[Any]], is_new: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return the positions of rows that have no equal on the other side, each of which matches one row at most."""
    order = np.lexsort([is_new, *reversed(columns)])  # equal rows stand together, the old ones first
    begins = np.zeros(len(order), dtype=np.bool_)
    for column in columns:
        begins[1:] |= column[order][1:] != column[order][:-1]
    run = np.cumsum(begins)
    runs = int(run[-1]) + 1 if len(run) else 0
    new = is_new[order]
    old_count, count = np.bincount(run[~new], minlength=runs), np.bincount(run, minlength=runs)
    matched = np.minimum(old_count, count - old_count)
    first = np.cumsum(count) - count
    rank = np.arange(len(order)) - first[run] - np.where(new, old_count[run], 0)
    return order[rank >= matched[run]]
