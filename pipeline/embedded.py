"""The embedded runner: metering, live rating and settling as threads of one process, over the spools.

The same functions as in the Faust shell; the spool's cursor stands where Kafka's offsets stand, and is moved only after
the write is durable.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from pipeline.durable import Stopped
from pipeline.rate_queue import LiveRating, RateQueue
from pipeline.settle import Settler
from pipeline.spool_feed import SpoolFeed
from schemas.errors import Transient

log = structlog.get_logger(__name__)

IDLE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between the runner's recurring steps."""

    rate_debounce: float
    sweep: float
    settle: float


class EmbeddedRunner:
    """Runs the stream in this process. Use as: start, …, stop; or drain for one pass."""

    def __init__(self, feed: SpoolFeed, queue: RateQueue, live: LiveRating, settler: Settler, pace: Pace) -> None:
        """Keep the collaborators; `queue` is filled by the durable write."""
        self._feed, self._queue, self._live, self._settler, self._pace = feed, queue, live, settler, pace
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._rating = threading.Lock()
        self.failed: BaseException | None = None

    def drain(self, progress: Callable[[int], None] = lambda _backlog: None) -> None:
        """Meter everything in the spools and rate what it touched, in this thread."""
        while self._feed.step():
            progress(self._feed.backlog())
        self.sweep_and_rate()

    def sweep_and_rate(self) -> int:
        """Rate what waits and what an earlier process left unrated; return how many windows changed."""
        self._sweep()
        return self.rate_waiting()

    def rate_waiting(self) -> int:
        """Rate the accounts that wait; return how many windows changed. One caller at a time."""
        with self._rating:
            waiting = self._queue.take()
            try:
                return self._live.rate(waiting)
            except Transient:
                for account, cells in waiting.items():
                    self._queue.add(account, cells)
                raise

    def start(self) -> None:
        """Start the threads."""
        loops: dict[str, tuple[Callable[[], object], float]] = {
            "meter": (self._feed.step, IDLE_SECONDS),
            "rate": (self.rate_waiting, self._pace.rate_debounce),
            "sweep": (self._sweep, self._pace.sweep),
            "settle": (self._settle, self._pace.settle),
        }
        for name, (step, pause) in loops.items():
            thread = threading.Thread(target=self._loop, args=(name, step, pause), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout_seconds: float = 20.0) -> None:
        """Ask the threads to end and wait for them; nothing is acknowledged that is not durable."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout_seconds)
        self._feed.close()

    def _sweep(self) -> None:
        for account, cells in self._live.sweep().items():
            self._queue.add(account, cells)

    def _settle(self) -> None:
        with self._rating:
            report = self._settler.run()
        if report.settlements:
            log.info("settled", settlements=len(report.settlements))

    def _loop(self, name: str, step: Callable[[], object], pause: float) -> None:
        while not self._stop.is_set():
            try:
                busy = step() and name == "meter"
            except Transient as error:
                log.warning("step failed, trying again", step=name, error=str(error))
                busy = False
            except Stopped:
                return
            except BaseException as error:
                log.critical("step failed", step=name, exc_info=error)
                self.failed = error
                self._stop.set()
                return
            if not busy:
                self._stop.wait(pause)
