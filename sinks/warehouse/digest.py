"""The digest of usage, in NumPy and in SQL: the same bits on every engine, so that anyone can recompute a line's input.

The hash of a sample chains ClickHouse's intHash64 (MurmurHash3's 64-bit finalizer over the value xor a constant;
ClickHouse, src/Functions/FunctionsHashing.h) over (cell start and covered seconds), quantity, resource, meter and, for
an event, the two halves of its identity, since two events may be equal in all else and would cancel out. The digest of
many samples is the xor of their hashes: the order does not matter, and digests of parts combine by xor.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]

_SALT: Final = np.uint64(0x4CF2D2BAAE6DA887)
_MUL_1: Final = np.uint64(0xFF51AFD7ED558CCD)
_MUL_2: Final = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT: Final = np.uint64(33)


def int_hash64(value: U64) -> U64:
    """Return ClickHouse's intHash64 of each element."""
    x = value ^ _SALT
    x = (x ^ (x >> _SHIFT)) * _MUL_1
    x = (x ^ (x >> _SHIFT)) * _MUL_2
    return x ^ (x >> _SHIFT)


def sample_hashes(
    cell_start: npt.NDArray[np.generic],
    covered_seconds: npt.NDArray[np.generic],
    quantity: npt.NDArray[np.generic],
    resource_id: npt.NDArray[np.generic],
    meter_id: npt.NDArray[np.generic],
    event_high: npt.NDArray[np.generic] | None = None,
    event_low: npt.NDArray[np.generic] | None = None,
) -> U64:
    """Return the hash of each sample; columns of equal length, event columns None or 0 for cell samples."""
    state = int_hash64((cell_start.astype(np.uint64) << np.uint64(32)) | covered_seconds.astype(np.uint64))
    for column in (quantity.astype(np.int64), resource_id, meter_id):
        state = int_hash64(state ^ column.astype(np.uint64))
    if event_high is None or event_low is None:
        return state
    high, low = event_high.astype(np.uint64), event_low.astype(np.uint64)
    return np.where((high | low) != 0, int_hash64(int_hash64(state ^ high) ^ low), state)


def usage_digest(
    cell_start: npt.NDArray[np.generic],
    covered_seconds: npt.NDArray[np.generic],
    quantity: npt.NDArray[np.generic],
    resource_id: npt.NDArray[np.generic],
    meter_id: npt.NDArray[np.generic],
    event_high: npt.NDArray[np.generic] | None = None,
    event_low: npt.NDArray[np.generic] | None = None,
) -> int:
    """Return the digest of samples, as column `digest` of usage has it; 0 for none."""
    hashes = sample_hashes(cell_start, covered_seconds, quantity, resource_id, meter_id, event_high, event_low)
    return int(np.bitwise_xor.reduce(hashes, initial=np.uint64(0)))


def hash_sql(*, event: bool) -> str:
    """Return the SQL expression of the hash of one row that has the columns of the same names."""
    state = "intHash64(bitOr(bitShiftLeft(toUInt64(cell_start), 32), toUInt64(covered_seconds)))"
    columns = ["toUInt64(quantity)", "resource_id", "toUInt64(meter_id)"]
    for column in columns + (["event_high", "event_low"] if event else []):
        state = f"intHash64(bitXor({state}, {column}))"
    return state


def digest_sql(*, event: bool) -> str:
    """Return the SQL expression of the digest over rows that have the columns of the same names."""
    return f"groupBitXor({hash_sql(event=event)})"
