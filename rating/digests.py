"""The digest of a line: 64 bits over everything the line was computed from.

Columns and single lines go through the same functions, so a line that is read back can be proved years later.
"""

import numpy as np
import numpy.typing as npt

from schemas.identity import mix_columns

U64 = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.generic]


def segment_digests(window_start: Integers, window_end: Integers, start: Integers, end: Integers) -> U64:
    """Return one hash a segment over its bounds and those of its window."""
    return mix_columns(window_start, window_end, start, end)


def line_digests(
    segment: U64,
    price: U64,
    resource_id: Integers,
    meter_id: Integers,
    attributes_id: Integers,
    quantity: Integers,
    covered_seconds: Integers,
    usage_digest: Integers,
) -> U64:
    """Return one hash a line.

    Args:
        segment: from `segment_digests`.
        price: `PriceList.price_digest`, which holds list, version, amount, unit, rounding; or `unpriced_digest`.
        resource_id: key column of the line.
        meter_id: key column of the line.
        attributes_id: key column of the line.
        quantity: base units.
        covered_seconds: seconds metered.
        usage_digest: digest of the samples behind the usage.

    The amount takes no part: it follows from these, and `rating.explain.verify` compares it by itself.
    """
    return mix_columns(segment, price, resource_id, meter_id, attributes_id, quantity, covered_seconds, usage_digest)
