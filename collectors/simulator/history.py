"""The simulator as a collector of a past period: polls of some hours each, in whole cells."""

from collections.abc import Iterator
from typing import Final

from collectors.health import HealthTracker
from collectors.interface import Health, Poll
from collectors.simulator.columns import columns_of
from collectors.simulator.fleet import Fleet, build
from collectors.simulator.generate import batches
from collectors.simulator.plan import GRID_SECONDS, Plan
from schemas.errors import Misconfigured
from schemas.period import SECOND, Period, iso
from schemas.resource import Descriptor

HOURS_PER_POLL: Final = 6
ROWS_PER_BATCH: Final = 40_000


class Simulator:
    """Hands out a fleet's samples from its period's start up to now, or to its end; satisfies `Collector`.

    It is stateless but for the position: a restart takes up where the spool's newest position says, and polling a
    stretch again gives the same rows.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        name: str = "simulator",
        hours_per_poll: int = HOURS_PER_POLL,
        rows_per_batch: int = ROWS_PER_BATCH,
        fleet: Fleet | None = None,
    ) -> None:
        """Build the fleet.

        Args:
            plan: what to simulate.
            name: collector's name; a second collector of the same site has another.
            hours_per_poll: length of one `Poll`; bounds memory together with the fleet's size.
            rows_per_batch: about so many rows a record batch.
            fleet: the plan's fleet where it is built already.
        """
        if hours_per_poll < 1 or rows_per_batch < 1:
            raise Misconfigured(["hours_per_poll and rows_per_batch must be at least 1"])
        self.fleet = fleet or build(plan)
        self._plan = plan
        self._name = name
        self._columns = columns_of(self.fleet)
        self._poll_seconds = hours_per_poll * 3600
        self._rows_per_batch = rows_per_batch
        self._done = plan.period.start
        self._tracker = HealthTracker()

    @property
    def site(self) -> str:
        """The site that it pretends to be."""
        return self._plan.site

    @property
    def name(self) -> str:
        """Name of this collector."""
        return self._name

    @property
    def finished(self) -> bool:
        """Whether the whole period was handed out."""
        return self._done >= self._plan.period.end

    def resume(self, position: str) -> None:
        """Go on after an earlier process; the position is the first second that was not handed out."""
        self._done = instant_of(position, self._plan.period.start)

    def poll(self, now: int) -> Iterator[Poll]:
        """Yield what is left of the period up to `now` (microseconds), oldest first; see `Collector.poll`."""
        with self._tracker.attempt(now):
            until = min(self._plan.period.end, now // SECOND // GRID_SECONDS * GRID_SECONDS)
            while self._done < until:
                window = Period(self._done, min(self._done + self._poll_seconds, until))
                yield self._tracker.handed_out(self._portion(window), window.end)
                self._done = window.end
                for gap in self._plan.gaps:
                    if gap.end in Period(window.start + 1, window.end + 1):
                        self._tracker.gap(gap)

    def health(self) -> Health:
        """Return how the simulated collector is doing."""
        return self._tracker.snapshot()

    def _portion(self, window: Period) -> Poll:
        made = tuple(batches(self._columns, window, self._rows_per_batch))
        return Poll(made, sightings(self.fleet, window), str(window.end))


def sightings(fleet: Fleet, window: Period) -> tuple[Descriptor, ...]:
    """Return the descriptors that changed within a window."""
    return tuple(each for each in fleet.script.sightings if each.seen_at in window)


def instant_of(position: str, start: int) -> int:
    """Return the second that a stored position names, `start` for ""; raises Misconfigured when it is none."""
    if not position:
        return start
    if not position.isdecimal() or int(position) < start:
        raise Misconfigured(
            [f"the spool stands at {position!r}, which is no instant from {iso(start)} on: use another"]
        )
    return int(position)
