"""Puts the parts of a usage read together: adds what has the same key, orders by key."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import Poison
from sinks.warehouse.protocol import USAGE_SCHEMA

KEYS: Final = ("segment_start", "tenant_id", "resource_id", "meter_id", "attributes_id")
SUMS: Final = ("quantity", "covered_seconds", "samples")
APPROXIMATE: Final = "approximate"
"""Column of the sum of quantities in floating point: shows when the exact sum would not fit into 64 bits."""
SUM_MAX: Final = 9.2e18
"""2^63 less what a floating-point sum may be off."""

Array = npt.NDArray[np.generic]


def combined(parts: list[pa.Table]) -> pa.Table:
    """Return parts of usage as one table in USAGE_SCHEMA, ordered by the key columns, keys unique.

    The list is emptied and columns are replaced one by one, so that a million rows are not held three times over.

    Raises:
        Poison: ``usage_too_large``: a sum of quantities does not fit into 64 bits.
    """
    if not any(part.num_rows for part in parts):
        return USAGE_SCHEMA.empty_table()
    columns = {
        name: np.concatenate([part.column(name).to_numpy() for part in parts if part.num_rows])
        for name in (*KEYS, *SUMS, "digest", APPROXIMATE)
    }
    parts.clear()
    order = np.lexsort([columns[name] for name in reversed(KEYS)])
    for name in columns:
        columns[name] = columns[name][order]
    starts = _starts([columns[name] for name in KEYS])
    if len(starts) < len(order):
        columns = _folded(columns, starts)
    if float(np.abs(columns[APPROXIMATE]).max()) > SUM_MAX:
        raise Poison("usage_too_large", "a sum of quantities exceeds 64 bits: ask for smaller segments, or by resource")
    return pa.table([pa.array(columns[f.name]).cast(f.type) for f in USAGE_SCHEMA], schema=USAGE_SCHEMA)


def _starts(keys: Sequence[Array]) -> npt.NDArray[np.intp]:
    changed = np.zeros(len(keys[0]), dtype=np.bool_)
    changed[0] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changed)


def _folded(columns: dict[str, Array], starts: npt.NDArray[np.intp]) -> dict[str, Array]:
    folded = {name: columns[name][starts] for name in KEYS}
    folded |= {name: np.add.reduceat(columns[name], starts) for name in (*SUMS, APPROXIMATE)}
    folded["digest"] = np.bitwise_xor.reduceat(columns["digest"].astype(np.uint64), starts)
    return folded
