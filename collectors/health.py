"""Keeps the figures of `interface.Health` for a collector, so that each collector does not count its own way."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from collectors.interface import Gap, Health, Poll
from schemas.period import SECOND

GAPS_KEPT_MAX: Final = 100
"""Gaps remembered one by one; their total length is kept for all."""


class HealthTracker:
    """Counts polls, samples, errors and gaps; safe to read from any thread."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._lock = threading.Lock()
        self._last_success: int | None = None
        self._last_error = ""
        self._last_error_at: int | None = None
        self._covered_until: int | None = None
        self._lag_seconds = 0
        self._samples = 0
        self._errors = 0
        self._gaps: deque[Gap] = deque(maxlen=GAPS_KEPT_MAX)
        self._gap_seconds = 0

    @contextmanager
    def attempt(self, now: int) -> Iterator[None]:
        """Record success or failure of the poll inside the block; `now` in microseconds. Errors pass through.

        A poll that its consumer closes early (GeneratorExit) counts as neither.
        """
        try:
            yield
        except GeneratorExit:
            raise
        except Exception as error:
            with self._lock:
                self._errors += 1
                self._last_error = f"{type(error).__name__}: {error}"
                self._last_error_at = now // SECOND
                self._measure_lag(now)
            raise
        with self._lock:
            self._last_success = now // SECOND
            self._last_error = ""
            self._measure_lag(now)

    def handed_out(self, poll: Poll, covered_until: int | None = None) -> Poll:
        """Count a portion's samples, note up to which second the site is now known, and return the portion."""
        with self._lock:
            self._samples += poll.rows
            if covered_until is not None:
                self._covered_until = max(covered_until, self._covered_until or covered_until)
        return poll

    def gap(self, gap: Gap) -> None:
        """Record a stretch of time that is not known."""
        with self._lock:
            self._gaps.append(gap)
            self._gap_seconds += gap.end - gap.start

    def snapshot(self) -> Health:
        """Return the figures as they are now."""
        with self._lock:
            return Health(
                last_success=self._last_success,
                last_error=self._last_error,
                last_error_at=self._last_error_at,
                lag_seconds=self._lag_seconds,
                samples=self._samples,
                errors=self._errors,
                gaps=tuple(self._gaps),
                gap_seconds=self._gap_seconds,
            )

    def _measure_lag(self, now: int) -> None:
        if self._covered_until is not None:
            self._lag_seconds = max(0, now // SECOND - self._covered_until)
