"""Puts the parts of a read together: adds what has the same key, orders by key."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import Poison
from sinks.warehouse.protocol import CELL_SCHEMA, USAGE_SCHEMA

KEYS: Final = ("segment_start", "tenant_id", "resource_id", "meter_id", "attributes_id")
CELL_KEYS: Final = ("cell_start", "resource_id", "meter_id", "attributes_id", "cell_seconds")
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
    return _table(_folded(_ordered(parts, KEYS, KEYS), KEYS), USAGE_SCHEMA)


def combined_cells(cells: list[pa.Table], events: list[pa.Table]) -> pa.Table:
    """Return observations as one table in CELL_SCHEMA, ordered by start, resource, meter, attributes and quantity.

    Cells with all keys equal are added, for they were read in parts; events stay single. The lists are emptied.

    Raises:
        Poison: ``usage_too_large``: a sum of quantities does not fit into 64 bits.
    """
    folded = _folded(_ordered(cells, CELL_KEYS, CELL_KEYS), CELL_KEYS)
    single = _ordered(events, CELL_KEYS, (*CELL_KEYS, "quantity", "digest"))
    if not single or not folded:
        return _table(single or folded, CELL_SCHEMA)
    both = {name: np.concatenate([folded.pop(name), single.pop(name)]) for name in list(folded)}
    return _table(_sorted(both, (*CELL_KEYS, "quantity", "digest")), CELL_SCHEMA)


def _ordered(parts: list[pa.Table], keys: Sequence[str], order: Sequence[str]) -> dict[str, Array]:
    """Return the parts as columns in an order; nothing for no rows."""
    if not any(part.num_rows for part in parts):
        return {}
    names = (*keys, *SUMS, "digest", APPROXIMATE)
    columns = {
        name: np.concatenate([part.column(name).to_numpy() for part in parts if part.num_rows]) for name in names
    }
    parts.clear()
    return _sorted(columns, order)


def _sorted(columns: dict[str, Array], order: Sequence[str]) -> dict[str, Array]:
    rows = np.lexsort([columns[name] for name in reversed(order)])
    for name in columns:
        columns[name] = columns[name][rows]
    return columns


def _folded(columns: dict[str, Array], keys: Sequence[str]) -> dict[str, Array]:
    """Return ordered columns with rows of equal keys added."""
    if not columns:
        return columns
    starts = _starts([columns[name] for name in keys])
    if len(starts) == len(columns["digest"]):
        return columns
    folded = {name: columns[name][starts] for name in keys}
    folded |= {name: np.add.reduceat(columns[name], starts) for name in (*SUMS, APPROXIMATE)}
    folded["digest"] = np.bitwise_xor.reduceat(columns["digest"].astype(np.uint64), starts)
    return folded


def _starts(keys: Sequence[Array]) -> npt.NDArray[np.intp]:
    changed = np.zeros(len(keys[0]), dtype=np.bool_)
    changed[0] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changed)


def _table(columns: dict[str, Array], schema: pa.Schema) -> pa.Table:
    if not columns:
        return schema.empty_table()
    if float(np.abs(columns[APPROXIMATE]).max()) > SUM_MAX:
        raise Poison("usage_too_large", "a sum of quantities exceeds 64 bits: ask for smaller segments, or by resource")
    return pa.table([pa.array(columns[f.name]).cast(f.type) for f in schema], schema=schema)
