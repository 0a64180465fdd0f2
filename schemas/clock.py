"""The only place that reads the wall clock; everything else is handed a `Clock`."""

import time


def system_clock() -> int:
    """Return microseconds since 1970-01-01T00:00:00Z."""
    return time.time_ns() // 1_000
