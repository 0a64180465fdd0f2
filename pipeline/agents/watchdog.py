"""The watchdog: a worker with a partition that has lag and gets nowhere, or whose event loop stands still, exits.

Whoever started it starts it again; a fresh process has lost nothing, because nothing was acknowledged.
"""

import os
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

from pipeline.agents.wrapper import die

BEAT_SECONDS = 2.0


@dataclass
class Pulse:
    """What the worker tells its watchdog; times are monotonic seconds.

    Attributes:
        beat_at: the event loop ran.
        durable_at: since then every partition with lag got further, or there was nothing to do.
        lag: messages waiting, as last seen.
    """

    beat_at: float = field(default_factory=time.monotonic)
    durable_at: float = field(default_factory=time.monotonic)
    lag: int = 0
    _since: dict[Hashable, tuple[int, float]] = field(default_factory=dict)

    def beat(self, lagging: Mapping[Hashable, tuple[int, int]], now: float) -> None:
        """Take note of the partitions that have lag, each with its first offset that is not durable, and its lag."""
        before = self._since
        self._since = {
            tp: before[tp] if tp in before and before[tp][0] == position else (position, now)
            for tp, (position, _) in lagging.items()
        }
        self.lag = sum(lag for _, lag in lagging.values())
        self.durable_at = min((since for _, since in self._since.values()), default=now)
        self.beat_at = now


def verdict(pulse: Pulse, now: float, patience_seconds: float) -> str | None:
    """Return why the worker has to exit, or None."""
    if now - pulse.beat_at > patience_seconds:
        return f"the event loop stood still for {now - pulse.beat_at:.0f} s"
    if pulse.lag > 0 and now - pulse.durable_at > patience_seconds:
        return f"{pulse.lag} messages wait and nothing became durable for {now - pulse.durable_at:.0f} s"
    return None


def start(pulse: Pulse, patience_seconds: float, act: Callable[[str], object] = die) -> threading.Thread:
    """Watch in a daemon thread until the process ends; also ends it when whoever started it is gone."""
    parent = os.getppid()

    def watch() -> None:
        while True:
            time.sleep(BEAT_SECONDS)
            if os.getppid() != parent:
                act("whoever started this worker has ended")
                return
            reason = verdict(pulse, time.monotonic(), patience_seconds)
            if reason:
                act(f"watchdog: {reason}")
                return

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    return thread
