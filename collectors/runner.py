"""The collect loop: wait for the schedule, poll, append to the spool.

What a poll has yielded is never dropped: when the spool or the disk is full the loop holds that one portion and tries
again until it fits. A poll that fails is tried again with growing pauses; it starts at the collector's own position,
and what comes twice is the same sample.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog

from collectors.interface import Collector, Poll
from collectors.schedule import Schedule, Ticker
from collectors.spool import Spool
from schemas.clock import system_clock
from schemas.errors import Invariant, Misconfigured, Transient
from schemas.period import Clock

BACK_OFF_SECONDS_MIN: Final = 1.0
BACK_OFF_SECONDS_MAX: Final = 60.0

_log = structlog.get_logger(__name__)

Wait = Callable[[float], bool]
"""Waits so many seconds, or until the loop shall stop; returns whether it shall."""


@dataclass(frozen=True, slots=True)
class CollectCounters:
    """Figures for metrics, since the process started.

    Attributes:
        polls: polls that ended without an error.
        poll_errors: polls that failed.
        spool_errors: appends that had to be tried again.
        samples: samples appended to the spool.
        descriptors: descriptors appended to the spool.
        last_error: newest failure, "" after a success.
    """

    polls: int = 0
    poll_errors: int = 0
    spool_errors: int = 0
    samples: int = 0
    descriptors: int = 0
    last_error: str = ""


class _StoppedError(Exception):
    """The loop was told to stop while it waited."""


class CollectLoop:
    """Runs one collector into one spool; from one thread. `counters` may be read from any."""

    def __init__(self, collector: Collector, spool: Spool, schedule: Schedule, clock: Clock = system_clock) -> None:
        """Prepare, and give the collector the position that the spool remembers.

        Raises:
            Misconfigured: the spool is another collector's.
        """
        if spool.collector != collector.name:
            raise Misconfigured([f"collector {collector.name!r} cannot write to the spool of {spool.collector!r}"])
        self._collector = collector
        self._spool = spool
        self._schedule = schedule
        self._clock = clock
        self.counters = CollectCounters()
        collector.resume(spool.position)

    def run(self, stop: threading.Event) -> None:
        """Poll by the schedule until told to stop.

        Raises:
            Invariant: a promise is broken (for example, fsync failed): the process has to start again.
        """
        ticker = Ticker(self._schedule, self._clock)
        while not stop.wait(ticker.wait_seconds()):
            ticker.started()
            self.run_once(stop.wait)

    def run_once(self, wait: Wait | None = None) -> int:
        """Poll once, trying again until it succeeds or the loop shall stop; return the samples appended.

        Args:
            wait: how to pause between tries; without it the first failure is raised.

        Raises:
            Exception: what the poll or the append raised, when there is no `wait`.
            Invariant: a promise is broken.
        """
        before, pause = self.counters.samples, BACK_OFF_SECONDS_MIN
        while True:
            try:
                for poll in self._collector.poll(self._clock()):
                    self._store(poll, wait)
            except _StoppedError:
                break
            except Invariant:
                raise
            except Exception as error:
                self._note(poll_errors=1, error=error)
                _log.warning("poll_failed", collector=self._collector.name, error=repr(error), next_try_seconds=pause)
                if wait is None:
                    raise
                if wait(pause):
                    break
                pause = min(pause * 2, BACK_OFF_SECONDS_MAX)
            else:
                self._note(polls=1)
                break
        return self.counters.samples - before

    def _store(self, poll: Poll, wait: Wait | None) -> None:
        """Append one portion: descriptors first, so that a name is there before the first sample of it.

        The position goes with the last record: until that is in, a restart polls the whole portion again.
        """
        batches = [batch for batch in poll.batches if batch.num_rows]
        if poll.descriptors:
            at = "" if batches else poll.position
            self._append(partial(self._spool.append_descriptors, poll.descriptors, position=at), wait)
            self._note(descriptors=len(poll.descriptors))
        for left, batch in zip(range(len(batches) - 1, -1, -1), batches, strict=True):
            at = "" if left else poll.position
            site, clock = self._collector.site, self._clock()
            append = partial(self._spool.append_batch, batch, site, clock, position=at, durable=bool(at))
            self._append(append, wait)
            self._note(samples=batch.num_rows)

    def _append(self, append: Callable[[], object], wait: Wait | None) -> None:
        pause = BACK_OFF_SECONDS_MIN
        while True:
            try:
                append()
            except Transient as error:
                self._note(spool_errors=1, error=error)
                _log.error("append_failed", collector=self._collector.name, error=str(error), next_try_seconds=pause)
                if wait is None:
                    raise
                if wait(pause):
                    raise _StoppedError from error
                pause = min(pause * 2, BACK_OFF_SECONDS_MAX)
            else:
                return

    def _note(self, *, error: Exception | None = None, **more: int) -> None:
        counted = {name: getattr(self.counters, name) + value for name, value in more.items()}
        self.counters = replace(self.counters, last_error=str(error) if error else "", **counted)
