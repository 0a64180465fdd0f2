"""Rating windows of a period, cut where prices change: the grid on which usage is asked for and lines are made.

A **window** is what a price is evaluated over (an hour, day or month of the account's zone) and what is rated,
settled and replaced as a whole. A **segment** is a part of a window in which no price changes; usage comes by segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from rating.price_list import PriceList
from schemas import calendar
from schemas.errors import Invariant
from schemas.period import Period, iso

WindowSize = Literal["hour", "day", "month"]


@dataclass(frozen=True, slots=True)
class Segments:
    """Contiguous segments, in order.

    Attributes:
        edges: n + 1 ascending instants of n segments, as `UsageRequest.edges` wants them.
        windows: contiguous windows over the same time.
        window_of: for each segment the position of its window, ascending.
    """

    edges: tuple[int, ...]
    windows: tuple[Period, ...]
    window_of: tuple[int, ...]

    @property
    def period(self) -> Period:
        """All the time covered; raises Invariant when there is none."""
        if not self.windows:
            raise Invariant("an empty period has no segments")
        return Period(self.edges[0], self.edges[-1])

    def __len__(self) -> int:
        """Return the number of segments."""
        return len(self.window_of)

    def columns(self) -> tuple[npt.NDArray[np.int64], ...]:
        """Return int64 columns by segment: window start, window end, segment start, segment end."""
        edges = np.array(self.edges, dtype=np.int64)
        bounds = np.array([(w.start, w.end) for w in self.windows], dtype=np.int64).reshape(-1, 2)
        of = np.array(self.window_of, dtype=np.int64)
        return bounds[of, 0], bounds[of, 1], edges[:-1], edges[1:]


def segments(windows: Sequence[Period], cuts: Sequence[int]) -> Segments:
    """Return the windows cut at the given instants; cuts outside or on an edge change nothing.

    Raises:
        Invariant: windows that do not follow on each other.
    """
    for before, after in pairwise(windows):
        if before.end != after.start:
            raise Invariant(f"windows leave a gap or overlap between {iso(before.end)} and {iso(after.start)}")
    if not windows:
        return Segments((), (), ())
    starts = {w.start for w in windows}
    inside = {cut for cut in cuts if windows[0].start < cut < windows[-1].end}
    edges = sorted(starts | inside)
    window_of, window = [], -1
    for edge in edges:
        window += edge in starts
        window_of.append(window)
    return Segments((*edges, windows[-1].end), tuple(windows), tuple(window_of))


def segments_of(period: Period, price_list: PriceList, zone: str) -> Segments:
    """Return the segments of every window of the list's size that overlaps the period.

    Windows are whole: the first may begin before the period and the last may end after it, because a window is rated
    and replaced as a whole.

    Args:
        period: what must be covered.
        price_list: gives the window size and the instants at which prices change.
        zone: IANA name of the account's time zone.

    Raises:
        ValueError: an unknown zone, or more windows than `schemas.calendar` answers.
    """
    windows = calendar.windows(period, price_list.window, zone)
    span = Period(windows[0].start, windows[-1].end) if windows else period
    return segments(windows, price_list.cuts(span))
