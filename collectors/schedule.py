"""When to poll: a grid of slots over wall-clock time, each moved by a jitter that only its number and the seed decide.

The slots are a pure function of time. A process that slept, was suspended or was restarted finds its place by asking
for the next slot; the slots that it missed make one run, not a burst.
"""

from dataclasses import dataclass

import xxhash

from schemas.errors import Misconfigured
from schemas.period import SECOND, Clock


@dataclass(frozen=True, slots=True)
class Schedule:
    """A run every `interval_seconds`, each up to `jitter_seconds` after its slot.

    Attributes:
        interval_seconds: distance of the slots; slot k starts at k × interval since 1970.
        jitter_seconds: below the interval, so that slots keep their order; spreads many collectors over a platform.
        seed: usually the collector's name.
    """

    interval_seconds: int
    jitter_seconds: int = 0
    seed: str = ""

    def __post_init__(self) -> None:
        """Refuse an interval below a second, or a jitter that would swap slots."""
        problems = []
        if self.interval_seconds < 1:
            problems.append(f"interval_seconds is {self.interval_seconds}; it must be at least 1")
        if not 0 <= self.jitter_seconds < max(1, self.interval_seconds):
            problems.append(f"jitter_seconds is {self.jitter_seconds}; it must be at least 0 and below the interval")
        if problems:
            raise Misconfigured(problems)

    def next_run(self, after: int) -> int:
        """Return the first run later than `after`; both in microseconds since 1970."""
        slot = after // (self.interval_seconds * SECOND)
        return next(run for run in (self._run(slot - 1), self._run(slot), self._run(slot + 1)) if run > after)

    def _run(self, slot: int) -> int:
        start = slot * self.interval_seconds * SECOND
        if not self.jitter_seconds:
            return start
        return start + xxhash.xxh3_64_intdigest(f"{self.seed}\0{slot}".encode()) % (self.jitter_seconds * SECOND)


class Ticker:
    """Follows a schedule with an injected clock; one run for however many slots were missed."""

    def __init__(self, schedule: Schedule, clock: Clock, *, at_once: bool = True) -> None:
        """Begin now.

        Args:
            schedule: the slots.
            clock: microseconds since 1970.
            at_once: whether the first run is due immediately rather than in the next slot.
        """
        self._schedule = schedule
        self._clock = clock
        self._next = clock() if at_once else schedule.next_run(clock())

    def wait_seconds(self) -> float:
        """Return how long to wait until the next run is due, 0 when it is.

        A clock that was set back would leave the next run far ahead: then the next slot of the new time is taken.
        """
        now = self._clock()
        if self._next - now > 2 * self._schedule.interval_seconds * SECOND:
            self._next = self._schedule.next_run(now)
        return max(0, self._next - now) / SECOND

    def started(self) -> None:
        """Note that the due run starts now; every slot up to this instant is done with."""
        self._next = self._schedule.next_run(self._clock())
