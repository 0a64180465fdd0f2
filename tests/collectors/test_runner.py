"""The collect loop: positions, failing polls, full spools."""

import threading
from pathlib import Path

import pytest

from collectors.interface import Collector, Poll
from collectors.runner import CollectLoop
from collectors.schedule import Schedule
from collectors.spool import Spool, SpoolSettings
from collectors.spool.reader import scan
from schemas.errors import Misconfigured, Transient
from schemas.resource import Descriptor
from tests.collectors.fakes import T0, FakeClock, ListedCollector, rows_of

SCHEDULE = Schedule(60)


def portions(count: int) -> list[Poll | Exception]:
    return [Poll((rows_of(10, 10 * k), rows_of(5, k, "vm/b")), (), str(k + 1)) for k in range(count)]


def test_everything_polled_is_in_the_spool_and_the_position_with_it(tmp_path: Path) -> None:
    seen = (Descriptor("site-1", "vm/a", "a", "acme", T0),)
    collector = ListedCollector([*portions(3), Poll(descriptors=seen, position="4")])
    assert isinstance(collector, Collector)
    with Spool(tmp_path, "c1") as spool:
        loop = CollectLoop(collector, spool, SCHEDULE, FakeClock())
        assert loop.run_once() == 45
        assert (spool.appended_samples, spool.position) == (45, "4")
        assert [record.kind for record in scan(tmp_path)] == ["samples"] * 6 + ["resources"]
        assert (loop.counters.polls, loop.counters.samples, loop.counters.descriptors) == (1, 45, 1)
        assert collector.health().samples == 45
    with Spool(tmp_path, "c1") as spool:
        again = ListedCollector(portions(5))
        CollectLoop(again, spool, SCHEDULE, FakeClock()).run_once()
        assert again.resumed == ["4"]
        assert spool.appended_samples == 60


def test_a_failing_poll_is_tried_again_from_its_position(tmp_path: Path) -> None:
    collector = ListedCollector([*portions(2), Transient("vCenter is away"), ValueError("odd"), *portions(3)[2:]])
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return False

    with Spool(tmp_path, "c1") as spool:
        loop = CollectLoop(collector, spool, SCHEDULE, FakeClock())
        assert loop.run_once(wait) == 45
        assert pauses == [1, 2]
        assert (loop.counters.poll_errors, loop.counters.polls, loop.counters.last_error) == (2, 1, "")
        assert spool.appended_samples == 45
        assert collector.health().errors == 2


def test_without_a_way_to_wait_the_first_failure_is_raised(tmp_path: Path) -> None:
    with Spool(tmp_path, "c1") as spool:
        loop = CollectLoop(ListedCollector([Transient("vCenter is away")]), spool, SCHEDULE, FakeClock())
        with pytest.raises(Transient, match="vCenter is away"):
            loop.run_once()


def test_a_full_spool_holds_the_poll_until_there_is_room(tmp_path: Path) -> None:
    settings = SpoolSettings(spool_bytes_max=16_000, segment_bytes=4_000, retention_seconds=0)
    collector = ListedCollector(portions(20))
    waits = 0
    with Spool(tmp_path, "c1", settings) as spool, spool.reader("a") as reader:
        read = 0

        def wait(_: float) -> bool:
            nonlocal waits, read
            waits += 1
            found = reader.read(4)
            read += sum(record.samples for record in found)
            reader.acknowledge(found[-1].sequence)
            return False

        loop = CollectLoop(collector, spool, SCHEDULE, FakeClock())
        assert loop.run_once(wait) == 300
        assert waits == loop.counters.spool_errors > 0
        assert loop.counters.poll_errors == 0
        while found := reader.read():
            read += sum(record.samples for record in found)
        assert read == 300 == spool.appended_samples


def test_the_loop_stops_while_it_waits_for_room(tmp_path: Path) -> None:
    settings = SpoolSettings(spool_bytes_max=8_000, segment_bytes=4_000, retention_seconds=0)
    stop = threading.Event()
    with Spool(tmp_path, "c1", settings) as spool:
        loop = CollectLoop(ListedCollector(portions(50)), spool, SCHEDULE, FakeClock())
        thread = threading.Thread(target=loop.run, args=(stop,))
        thread.start()
        waiting = threading.Event()
        for _ in range(500):
            if loop.counters.spool_errors or waiting.wait(0.01):
                break
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        assert spool.appended_samples == loop.counters.samples
        assert "is full" in loop.counters.last_error


def test_a_spool_belongs_to_its_collector(tmp_path: Path) -> None:
    with Spool(tmp_path, "other") as spool, pytest.raises(Misconfigured, match="cannot write"):
        CollectLoop(ListedCollector([]), spool, SCHEDULE, FakeClock())
