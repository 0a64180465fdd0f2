"""Triggers: they say where to look; losing, repeating or reordering one changes no number."""

from dataclasses import replace
from itertools import permutations
from typing import Any, cast

import pytest

from pipeline.agents.watchdog import Pulse, verdict
from pipeline.embedded import EmbeddedRunner, Pace
from pipeline.rate_queue import RateQueue
from pipeline.reconcile import checks, duplicates
from pipeline.touched import joined
from schemas.errors import Transient
from schemas.period import Period
from sinks.warehouse.protocol import Counters
from tests.pipeline.rows import DAY, T0


def test_the_queue_joins_what_waits_and_forgets_what_was_taken() -> None:
    for order in permutations([Period(5, 6), Period(1, 2), Period(9, 12)]):
        queue = RateQueue()
        for cells in order:
            queue.add("acme", cells)
        queue.add("beta", Period(3, 4))
        assert queue.take() == {"acme": Period(1, 12), "beta": Period(3, 4)}
        assert queue.take() == {}


class Live:
    """A live rating that fails as often as told."""

    def __init__(self) -> None:
        self.failures, self.rated = 0, list[dict[str, Period]]()

    def rate(self, touched: dict[str, Period]) -> int:
        if self.failures:
            self.failures -= 1
            raise Transient("the warehouse is away")
        self.rated.append(touched)
        return len(touched)


def test_what_could_not_be_rated_waits_on() -> None:
    queue, live = RateQueue(), Live()
    runner = EmbeddedRunner(cast(Any, None), queue, cast(Any, live), cast(Any, None), Pace(1, 1, 1))
    queue.add("acme", Period(1, 2))
    live.failures = 1
    with pytest.raises(Transient):
        runner.rate_waiting()
    queue.add("acme", Period(7, 8))
    assert runner.rate_waiting() == 1
    assert live.rated == [{"acme": Period(1, 8)}]


def test_days_are_joined() -> None:
    days = {T0 + 2 * DAY, T0, T0 + DAY, T0 + 5 * DAY}
    assert joined(days) == [Period(T0, T0 + 3 * DAY), Period(T0 + 5 * DAY, T0 + 6 * DAY)]


GOOD = Counters(accepted=100, stored=97, dead=8, replayed=5, unique=90, messages=9)
DEAD = {"waiting": 3, "replayed": 5, "dropped": 0}


def test_reconciliation_holds_when_every_row_is_accounted_for() -> None:
    """Invariants 1 and 10: the equations, with a replay among the messages."""
    found = checks(100, GOOD, DEAD, 700, 700)
    assert all(c.holds for c in found)
    assert [c.name for c in found] == [
        "collected = metered",
        "metered = stored + dead",
        "dead rows = dead letters",
        "Σ debits = Σ settled rated lines",
    ]
    assert duplicates(GOOD) == 7
    assert len(checks(None, GOOD, DEAD, 700, 700)) == 3, "the spools are elsewhere"


@pytest.mark.parametrize(
    ("appended", "stored", "letters", "debited", "differs"),
    [
        (101, 97, 3, 700, "collected = metered"),
        (100, 96, 3, 700, "metered = stored + dead"),
        (100, 97, 2, 700, "dead rows = dead letters"),
        (100, 97, 3, 701, "Σ debits = Σ settled rated lines"),
    ],
)
def test_one_row_or_one_micro_unit_is_seen(
    appended: int, stored: int, letters: int, debited: int, differs: str
) -> None:
    """Invariants 1 and 10."""
    counters = replace(GOOD, stored=stored)
    found = checks(appended, counters, DEAD | {"waiting": letters}, 700, debited)
    assert [c.name for c in found if not c.holds] == [differs]


def test_the_watchdog_knows_idle_from_stuck() -> None:
    """Invariant 3's other half: a worker that makes nothing durable exits, and loses nothing by it."""
    assert verdict(Pulse(beat_at=95, durable_at=95, lag=7), 100, 10) is None
    assert verdict(Pulse(beat_at=100, durable_at=0, lag=0), 100, 10) is None, "nothing to do"
    assert verdict(Pulse(beat_at=90, durable_at=90, lag=7), 100, 10) is None, "patience is not over"
    assert "7 messages wait" in (verdict(Pulse(beat_at=100, durable_at=89, lag=7), 100, 10) or "")
    assert "stood still for 11 s" in (verdict(Pulse(beat_at=89, durable_at=100, lag=0), 100, 10) or "")
