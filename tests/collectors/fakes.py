"""A clock that stands until it is moved, rows that are quick to make, and a collector that follows a list."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from collectors.health import HealthTracker
from collectors.interface import Health, Poll
from schemas.batch import table_of
from schemas.period import SECOND

T0 = 1_790_812_800
"""2026-10-01T00:00:00Z."""


class FakeClock:
    def __init__(self, seconds: int = T0) -> None:
        self.now = seconds * SECOND

    def __call__(self) -> int:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


def rows_of(count: int, first: int = 0, resource: str = "vm/a") -> pa.RecordBatch:
    return table_of(
        {
            "resource": [resource] * count,
            "meter": ["vm.running"] * count,
            "cell_start": [T0 + 300 * (first + k) for k in range(count)],
            "cell_seconds": [300] * count,
            "quantity": [300] * count,
        }
    )


class ListedCollector:
    """Yields a list of portions, or raises an error that stands in it; its position is the index in the list."""

    def __init__(self, steps: Iterable[Poll | Exception], name: str = "c1") -> None:
        self._steps = list(steps)
        self._name = name
        self._tracker = HealthTracker()
        self._at = 0
        self.resumed: list[str] = []

    @property
    def site(self) -> str:
        return "site-1"

    @property
    def name(self) -> str:
        return self._name

    def resume(self, position: str) -> None:
        self.resumed.append(position)
        self._at = int(position or 0)

    def poll(self, now: int) -> Iterator[Poll]:
        with self._tracker.attempt(now):
            while self._at < len(self._steps):
                step = self._steps[self._at]
                if isinstance(step, Exception):
                    self._steps.pop(self._at)
                    raise step
                yield self._tracker.handed_out(step, now // SECOND)
                self._at += 1

    def health(self) -> Health:
        return self._tracker.snapshot()
