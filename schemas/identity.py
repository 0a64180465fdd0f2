"""Sample identity: the only place that says when two samples are the same one.

- A **cell sample** is (site, resource, meter, cell start).
- An **event sample** is (source, id), as in CloudEvents, within its site, so that no sender can displace another
  site's events. Its copies may carry different times (a client that retries without a time gets a new stamp): the
  earliest counts.

Never the value, never the arrival time, never anything random. Of several versions of one sample the one with the
highest *rank* counts: more seconds covered, then the higher revision, then a hash of the content, so that even two
contradicting copies give the same answer in whatever order they arrive.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

U64 = npt.NDArray[np.uint64]

COVERED_BITS: Final = 20
REVISION_BITS: Final = 12
CONTENT_BITS: Final = 32
COVERED_SECONDS_MAX: Final = (1 << COVERED_BITS) - 1
REVISION_MAX: Final = (1 << REVISION_BITS) - 1
EVENT_CONTENT_BITS: Final = 20

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)


def mix(value: U64) -> U64:
    """Return the splitmix64 finalizer of each element (Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195)."""
    z = value + _GOLDEN
    shifted = z >> np.uint64(30)
    z ^= shifted
    z *= _MIX_1
    np.right_shift(z, np.uint64(27), out=shifted)
    z ^= shifted
    z *= _MIX_2
    np.right_shift(z, np.uint64(31), out=shifted)
    z ^= shifted
    return z


def mix_columns(*columns: npt.NDArray[np.generic]) -> U64:
    """Return one 64-bit hash a row over integer columns of equal length; order of the columns matters."""
    state = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        state = mix(state ^ column.astype(np.uint64, copy=False))
    return state


def event_key(site: str, source: str, event: str) -> tuple[int, int]:
    """Return the 128-bit key of an event as (high, low) unsigned 64-bit halves."""
    both = xxhash.xxh3_128_intdigest(f"event\0{site}\0{source}\0{event}".encode())
    return both >> 64, both & 0xFFFF_FFFF_FFFF_FFFF


def cell_rank(covered_seconds: U64, revision: U64, content: U64) -> U64:
    """Return the rank of each version of a cell sample: covered, then revision, then content."""
    return (
        (covered_seconds << np.uint64(REVISION_BITS + CONTENT_BITS))
        | (revision << np.uint64(CONTENT_BITS))
        | (content >> np.uint64(64 - CONTENT_BITS))
    )


def event_rank(revision: U64, cell_start: U64, content: U64) -> U64:
    """Return the rank of each version of an event: revision, then the earliest time, then content."""
    earliest_first = np.uint64(0xFFFF_FFFF) - cell_start
    return (
        (revision << np.uint64(32 + EVENT_CONTENT_BITS))
        | (earliest_first << np.uint64(EVENT_CONTENT_BITS))
        | (content >> np.uint64(64 - EVENT_CONTENT_BITS))
    )
