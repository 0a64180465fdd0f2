"""The wall clock: the one place of this package that asks the operating system for the time."""

import time

from schemas.period import SECOND

__all__ = ["SECOND", "wall"]


def wall() -> int:
    """Return microseconds since 1970-01-01T00:00:00Z, as `schemas.period.Clock` wants them."""
    return time.time_ns() // 1000
