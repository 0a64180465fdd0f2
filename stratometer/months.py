"""Calendar months in UTC, as the commands name them."""

import re

from schemas import calendar
from schemas.errors import Misconfigured
from schemas.period import Period, iso, parse_instant


def month_period(text: str) -> Period:
    """Return the period of ``2026-10``; raises Misconfigured for anything else."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        raise Misconfigured([f"{text!r} is not a month: write year and month, for example 2026-10"])
    return calendar.window_of(parse_instant(f"{text}-01T00:00:00Z"), "month", "UTC")


def month_before(now: int) -> str:
    """Return the last whole UTC month before an instant (seconds since 1970), as ``2026-10``."""
    return month_name(calendar.window_of(now, "month", "UTC").start - 1)


def month_name(instant: int) -> str:
    """Return the UTC month of an instant (seconds since 1970), as ``2026-10``."""
    return iso(instant)[:7]
