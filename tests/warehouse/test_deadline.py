"""Rows are in place within the insert time-out of their stamp, or the attempt fails and the next one stamps anew."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import pytest

from schemas.errors import Transient
from sinks.warehouse.engine import Engine, Values
from sinks.warehouse.protocol import MeteredBlock, Names
from sinks.warehouse.store import Store
from tests.warehouse.stories import DEPLOYED, T0, Sample, columns, message, names_of

ROWS = (Sample(), Sample(meter=DEPLOYED, event="e1"))


@dataclass
class SlowEngine:
    """Takes some seconds for an insert, by a clock of its own, and notes the time-outs that it was given."""

    seconds: Mapping[str, float]
    insert_timeout_seconds: int = 20
    now: float = 100.0
    inserts: list[tuple[str, float | None]] = field(default_factory=list)

    def insert(self, table: str, columns: Mapping[str, Values], timeout_seconds: float | None = None) -> None:
        assert columns
        self.inserts.append((table, timeout_seconds))
        self.now += self.seconds.get(table, 0.0)


def slow(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> tuple[SlowEngine, Store]:
    engine = SlowEngine(seconds)
    monkeypatch.setattr("sinks.warehouse.store.monotonic", lambda: engine.now)
    return engine, Store(cast(Engine, engine), lambda: T0)


def test_each_insert_gets_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, store = slow(monkeypatch, touches=4, samples=9, events=6, intake=60)
    store.write(MeteredBlock(columns(ROWS), Names(), [message(1, 2)]), 1)
    assert engine.inserts == [("touches", 20), ("samples", 16), ("events", 7), ("intake", None)]


@pytest.mark.parametrize(("table", "reached"), [("touches", 1), ("samples", 2), ("events", 3)])
def test_what_takes_too_long_fails_before_the_next_insert(
    monkeypatch: pytest.MonkeyPatch, table: str, reached: int
) -> None:
    """After the last one, too: its rows are there, and the next attempt's touches make a settle run look again."""
    engine, store = slow(monkeypatch, **{table: 20})
    with pytest.raises(Transient, match="20 s"):
        store.write(MeteredBlock(columns(ROWS), Names(), [message(1, 2)]), 1)
    assert [name for name, _ in engine.inserts] == ["touches", "samples", "events"][:reached]


def test_names_have_all_the_time_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, store = slow(monkeypatch, sites=15, tenants=15, resources=15)
    store.announce(names_of(ROWS), 1)
    assert [limit for _, limit in engine.inserts] == [None] * 5


def test_chdb_waits_for_its_turn_no_longer_than_the_time_out(embedded: Store) -> None:
    calls = embedded.engine._folder.calls  # type: ignore[attr-defined]
    taken, over = threading.Event(), threading.Event()

    def query() -> None:
        with calls:
            taken.set()
            over.wait(30)

    other = threading.Thread(target=query)
    other.start()
    assert taken.wait(30)
    with pytest.raises(Transient, match="busy"):
        embedded.put("sites", {"site": ["a"]}, 1, timeout_seconds=0.05)
    over.set()
    other.join(30)
