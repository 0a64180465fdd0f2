"""The windows of a simulation: those of live rating, of which the ones that begin inside the period count."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from rating.passes import passes_of
from rating.price_list import PriceList
from rating.spans import span_seconds
from rating.tariff import Tariffs
from rating.terms import Terms
from rating.windows import segments_of
from schemas.calendar import Size
from schemas.period import Period


@dataclass(frozen=True)
class Side:
    """One of the two lists, for accounts that are alike.

    Attributes:
        price_list: the effective list.
        tariffs: of these accounts.
        cycle: how often they are billed: windows are cut into such pieces.
        terms: of one of them; what differs between them does not matter to its prices.
    """

    price_list: PriceList
    tariffs: Tariffs
    cycle: Size
    terms: Terms

    @classmethod
    def of(cls, price_list: PriceList, terms: Terms, cycle: Size) -> "Side":
        """Return a side."""
        return cls(price_list, Tariffs(price_list, terms), cycle, terms)


@dataclass(frozen=True)
class Grid:
    """The segments of one pass whose windows begin inside the period.

    Attributes:
        size: of the pass.
        home: whether unpriced usage is told by this pass.
        edges: ascending; n + 1 of n segments.
        epochs: starts of the stretches in which nothing changes that an amount depends on; the first edge is one.
        spans: start of each window, ascending, with the start of the evaluation window that holds it.
    """

    size: Size
    home: bool
    edges: tuple[int, ...]
    epochs: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]

    def span_start(self, instant: int) -> int:
        """Return the start of the evaluation window that holds an instant."""
        return self.spans[bisect_right(self.spans, instant, key=lambda pair: pair[0]) - 1][1]


def grids_of(side: Side, period: Period, dues: Sequence[int]) -> list[Grid]:
    """Return the grids of a list's passes, the home pass first; one without windows is left out.

    Args:
        side: list and account.
        period: windows count that begin inside it.
        dues: ascending instants at which windows of the account's terms begin or end, of either list.
    """
    found = []
    for one in passes_of(side.price_list):
        own = segments_of(period, side.price_list, side.terms.zone, one.size, side.cycle, side.terms)
        chosen = [(w, s) for w, s in zip(own.windows, own.spans, strict=True) if w.start in period]
        if not chosen:
            continue
        inside = Period(chosen[0][0].start, chosen[-1][0].end)
        edges = tuple(edge for edge in own.edges if inside.start <= edge <= inside.end)
        cuts = set(side.tariffs.cuts(inside)) | _changes(side, chosen, dues)
        spans = tuple((w.start, s.start) for w, s in chosen)
        found.append(Grid(one.size, one.home, edges, (inside.start, *sorted(cuts)), spans))
    return found


def _changes(side: Side, windows: Sequence[tuple[Period, Period]], dues: Sequence[int]) -> set[int]:
    """Return the windows, the first aside, with which another month's length or another due begins."""
    units = {(price.unit.span, price.charge.settings) for price in side.price_list.prices if price.unit.span}
    states = [
        (
            bisect_right(dues, w.start),
            tuple(span_seconds(u, s.start, settings, side.terms.zone) for u, settings in units),
        )
        for w, s in windows
    ]
    return {windows[n][0].start for n in range(1, len(windows)) if states[n] != states[n - 1]}
