"""The simulator as a stream: at each poll the cells since the last one, the current cells as far as they have come.

Everything is a function of plan and time: the same instant gives the same rows in every process, so a restart goes on
where the spool's position says, and what is sent twice is the same sample with as many or more seconds covered.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from collectors.health import HealthTracker
from collectors.interface import Health, Poll
from collectors.simulator.columns import columns_of
from collectors.simulator.fleet import Fleet, build
from collectors.simulator.generate import batches
from collectors.simulator.history import HOURS_PER_POLL, ROWS_PER_BATCH, instant_of, sightings
from collectors.simulator.plan import Plan
from schemas.errors import Misconfigured
from schemas.period import SECOND, Period


@dataclass(frozen=True, slots=True)
class SimulatedTime:
    """How simulated time follows the wall clock.

    Attributes:
        anchor: microseconds since 1970 on the wall clock …
        origin: … at which the fleet's time is so many seconds since 1970.
        factor: simulated seconds for each real second.
    """

    anchor: int
    origin: int
    factor: int = 1

    def at(self, now: int) -> int:
        """Return the simulated second of a wall-clock instant in microseconds."""
        return self.origin + max(0, now - self.anchor) * self.factor // SECOND


class LiveSimulator:
    """Streams a fleet as time goes by; satisfies `Collector`."""

    def __init__(
        self,
        plan: Plan,
        since: int,
        *,
        time: SimulatedTime | None = None,
        name: str = "simulator-live",
        rows_per_batch: int = ROWS_PER_BATCH,
        fleet: Fleet | None = None,
    ) -> None:
        """Build the fleet.

        Args:
            plan: its period must reach beyond the time that will be streamed; the fleet begins as every shorter
                period of the same start and seed does, so it goes on from a month that `Simulator` handed out.
            since: first second to stream on the very first start, seconds since 1970.
            time: how simulated time runs; the wall clock's own unless told.
            name: collector's name.
            rows_per_batch: about so many rows a record batch.
            fleet: the plan's fleet where it is built already.
        """
        if since not in plan.period:
            raise Misconfigured([f"the stream begins at {since}, outside the fleet's period {plan.period}"])
        self.fleet = fleet or build(plan)
        self._plan = plan
        self._name = name
        self._time = time
        self._columns = columns_of(self.fleet)
        self._rows_per_batch = rows_per_batch
        self._done = since
        self._tracker = HealthTracker()

    @property
    def site(self) -> str:
        """The site that it pretends to be."""
        return self._plan.site

    @property
    def name(self) -> str:
        """Name of this collector."""
        return self._name

    def resume(self, position: str) -> None:
        """Go on after an earlier process; the position is the simulated second that was reached."""
        self._done = max(self._done, instant_of(position, self._plan.period.start))

    def poll(self, now: int) -> Iterator[Poll]:
        """Yield the cells from the last poll up to `now` (microseconds); the newest ones are known in part."""
        with self._tracker.attempt(now):
            until = min(self._plan.period.end, self._time.at(now) if self._time else now // SECOND)
            while self._done < until:
                window = Period(self._done, min(self._done + HOURS_PER_POLL * 3600, until))
                made = tuple(batches(self._columns, window, self._rows_per_batch))
                portion = Poll(made, sightings(self.fleet, window), str(window.end))
                yield self._tracker.handed_out(portion, window.end)
                self._done = window.end

    def health(self) -> Health:
        """Return how the simulated collector is doing."""
        return self._tracker.snapshot()
