"""The durable write: decode, dead letters, warehouse, then the trigger; only after it may a message be acknowledged.

This is the one place where both shells (Faust and the embedded runner) hand over samples. It retries what is
transient for ever, with back-off, and never half-acknowledges: when it returns, everything is durable.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from pipeline.dead_letters import DeadLetters
from pipeline.descriptors import describe
from pipeline.message import DeadLetter, Message
from pipeline.metering import Metered, Seen, meter, portions
from schemas.errors import Poison, Transient
from schemas.meters import Registry
from schemas.period import Clock, Period
from schemas.resource import Descriptor
from sinks.warehouse.protocol import Names, Warehouse

log = structlog.get_logger(__name__)

BACKOFF_SECONDS_FIRST = 0.1
BACKOFF_SECONDS_MAX = 10.0


class Stopped(Exception):
    """The process was asked to stop before the write succeeded; nothing was acknowledged."""


@dataclass
class Progress:
    """Counters of this process, for metrics and for the watchdog."""

    messages: int = 0
    samples: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    durable_at: float = 0.0


class DurableWriter:
    """Makes messages durable; several threads may write at once, names are remembered only once they are durable."""

    def __init__(
        self,
        warehouse: Warehouse,
        dead_letters: DeadLetters,
        registry: Registry,
        clock: Clock,
        touch: Callable[[Mapping[int, Period]], None],
    ) -> None:
        """Keep the collaborators.

        Args:
            warehouse: where samples go.
            dead_letters: where refused rows go.
            registry: meters known.
            clock: microseconds since 1970.
            touch: told which tenants' cells have new rows; durable or not, a sweep finds what it misses.
        """
        self._warehouse, self._dead, self._registry, self._clock, self._touch = (
            warehouse,
            dead_letters,
            registry,
            clock,
            touch,
        )
        self._seen = Seen()
        self._counting = threading.Lock()
        self._stop = threading.Event()
        self.progress = Progress(durable_at=clock() / 1e6)

    def stop(self) -> None:
        """Make a write that is being retried give up with Stopped."""
        self._stop.set()

    def write(self, messages: Sequence[Message]) -> None:
        """Make messages durable; blocks while the warehouse is away.

        Raises:
            Stopped: `stop` was called before it succeeded.
        """
        for portion in portions(messages):
            metered = meter(portion, self._registry, self._clock(), self._seen)
            self._write(metered)
        with self._counting:
            self.progress.messages += len(messages)

    def _write(self, metered: Metered) -> None:
        if metered.dead:
            self.until_done("dead letters", lambda: self._dead.put(metered.dead))
        names = metered.block.names
        if names != Names():  # before the stamp: the facts must be in place soon after it
            self.until_done("names", lambda: self._warehouse.announce(names, self._clock()))
            self._seen.remember(names)
        facts = replace(metered.block, names=Names())
        self.until_done("warehouse", lambda: self._warehouse.write(facts, self._clock()))
        if metered.touched:
            self.until_done("trigger", lambda: self._touch(metered.touched))
        self._count(metered)

    def refuse(self, message: Message, error: Poison) -> None:
        """Put a message that is no sample batch (a bad descriptor) to the dead letters."""
        letter = DeadLetter(
            f"message {message.origin}", message.origin, error.reason, error.detail, 0, message.payload, self._clock()
        )
        self.until_done("dead letters", lambda: self._dead.put([letter]))
        self.progress.dead[error.reason] += 1

    def describe(self, descriptors: Sequence[Descriptor]) -> None:
        """Store the names of resources; blocks while the warehouse is away."""
        self.until_done("names", lambda: describe(self._warehouse, descriptors))

    def _count(self, metered: Metered) -> None:
        progress = self.progress
        with self._counting:
            progress.samples += len(metered.block.samples["rank"])
            progress.durable_at = self._clock() / 1e6
            for letter in metered.dead:
                progress.dead[letter.reason] += letter.rows
        for letter in metered.dead:
            log.warning("dead letter", key=letter.key, reason=letter.reason, detail=letter.detail, rows=letter.rows)

    def until_done(self, what: str, action: Callable[[], object]) -> None:
        """Repeat an action that is safe to repeat until it succeeds, with back-off; raises Stopped."""
        pause = BACKOFF_SECONDS_FIRST
        while True:
            try:
                action()
                return
            except Transient as error:
                self.progress.retries += 1
                log.warning("write failed, trying again", what=what, error=str(error), pause_seconds=round(pause, 2))
            if self._stop.wait(pause):
                raise Stopped(what)
            pause = min(pause * 2, BACKOFF_SECONDS_MAX)
