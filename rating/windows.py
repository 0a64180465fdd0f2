"""Rating windows of a period, cut where prices change: the grid on which usage is asked for and lines are made.

A **window** (an hour, day or month of the account's zone, or the part of one that lies in a billing cycle) is what is
rated, settled and replaced as a whole. Its **span** is the whole evaluation window it belongs to: tiers and free
quantities run through the span. A **segment** is a part of a window in which no price changes; usage comes by segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rating.lists import PriceList
from rating.tariff import Tariffs
from rating.terms import Terms
from schemas import calendar
from schemas.calendar import SIZES, Size
from schemas.errors import Invariant
from schemas.period import Period, iso


@dataclass(frozen=True, slots=True)
class Segments:
    """Contiguous segments, in order.

    Attributes:
        edges: n + 1 ascending instants of n segments, as `UsageRequest.edges` wants them.
        windows: contiguous windows over the same time.
        window_of: for each segment the position of its window, ascending.
        spans: for each window the evaluation window that holds it; the window itself unless a billing cycle is shorter.
    """

    edges: tuple[int, ...]
    windows: tuple[Period, ...]
    window_of: tuple[int, ...]
    spans: tuple[Period, ...] = ()

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


def segments(windows: Sequence[Period], cuts: Sequence[int], spans: Sequence[Period] = ()) -> Segments:
    """Return the windows cut at the given instants; cuts outside or on an edge change nothing.

    Args:
        windows: in order, following on each other.
        cuts: instants.
        spans: the evaluation window of each window; the windows themselves unless given.

    Raises:
        Invariant: windows that do not follow on each other, or lie outside their spans.
    """
    for before, after in pairwise(windows):
        if before.end != after.start:
            raise Invariant(f"windows leave a gap or overlap between {iso(before.end)} and {iso(after.start)}")
    if not windows:
        return Segments((), (), ())
    spans = tuple(spans) or tuple(windows)
    if len(spans) != len(windows) or any(
        w.start < s.start or w.end > s.end for w, s in zip(windows, spans, strict=True)
    ):
        raise Invariant("each window has one span, and lies in it")
    starts = {w.start for w in windows}
    inside = {cut for cut in cuts if windows[0].start < cut < windows[-1].end}
    edges = sorted(starts | inside)
    window_of, window = [], -1
    for edge in edges:
        window += edge in starts
        window_of.append(window)
    return Segments((*edges, windows[-1].end), tuple(windows), tuple(window_of), spans)


def segments_of(
    period: Period,
    price_list: PriceList,
    zone: str,
    size: Size | None = None,
    cycle: Size | None = None,
    terms: Terms | None = None,
) -> Segments:
    """Return the segments of every evaluation window that overlaps the period.

    Evaluation windows are whole: the first may begin before the period and the last may end after it, because what is
    evaluated as a whole is rated and replaced as a whole.

    Args:
        period: what must be covered.
        price_list: gives the instants at which prices change, and the size unless told.
        zone: IANA name of the account's time zone.
        size: of the evaluation windows; the list's own unless given.
        cycle: how often the account is billed; windows longer than that are cut into such pieces.
        terms: of the account; they say which campaigns apply.

    Raises:
        ValueError: an unknown zone, or more windows than `schemas.calendar` answers.
    """
    size = size or price_list.window
    spans = calendar.windows(period, size, zone)
    if not spans:
        return segments([], ())
    windows, of = spans, spans
    if cycle is not None and (size == "week" or SIZES.index(cycle) < SIZES.index(size)):
        whole = Period(spans[0].start, spans[-1].end)
        edges = {max(w.start, whole.start) for w in calendar.windows(whole, cycle, zone)} | {s.start for s in spans}
        windows = [Period(*pair) for pair in pairwise([*sorted(edges), whole.end])]
        starts = np.array([s.start for s in spans])
        of = [spans[i] for i in (np.searchsorted(starts, [w.start for w in windows], side="right") - 1).tolist()]
    cuts = Tariffs(price_list, terms or Terms()).cuts(Period(spans[0].start, spans[-1].end))
    return segments(windows, cuts, of)
