"""The spool in everyday life: sequences, totals, limits, readers, trimming, locks."""

import errno
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from collectors.spool import Spool, SpoolSettings
from collectors.spool.batches import descriptors_of
from collectors.spool.frame import Tally
from collectors.spool.opening import totals_of
from collectors.spool.reader import SpoolReader, scan
from collectors.spool.segment import segments
from schemas import batch as sample_batch
from schemas.errors import Invariant, Misconfigured, Poison, Transient
from schemas.resource import Descriptor
from tests.collectors.fakes import T0, FakeClock, rows_of

SMALL = SpoolSettings(spool_bytes_max=20_000, segment_bytes=2_000, retention_seconds=0)


def payloads(spool: Spool) -> list[bytes]:
    return [record.payload for record in scan(spool.directory)]


def test_sequences_have_no_holes_and_totals_survive(tmp_path: Path) -> None:
    with Spool(tmp_path, "c1", SMALL) as spool:
        assert [spool.append("samples", b"x" * 500, samples=3) for _ in range(10)] == list(range(1, 11))
        assert spool.append("dead", b"y", {"reason": "bad"}) == 11
    with Spool(tmp_path, "c1", SMALL) as spool:
        assert spool.repair == []
        assert spool.totals() == {"samples": Tally(10, 30), "dead": Tally(1, 0)}
        assert spool.append("samples", b"z", samples=1) == 12
        assert spool.appended_samples == 31
        assert [r.sequence for r in scan(tmp_path)] == list(range(1, 13))
        assert next((r.kind, r.headers) for r in scan(tmp_path, 11)) == ("dead", {"reason": "bad"})


def test_a_batch_carries_its_own_sequence(tmp_path: Path) -> None:
    with Spool(tmp_path, "c1") as spool:
        spool.append("other", b"")
        assert spool.append_batch(rows_of(5), "site-1", 77, position="p5") == [2]
        assert spool.append_batch(rows_of(0), "site-1", 77) == []
    with Spool(tmp_path, "c1") as spool:
        assert spool.position == "p5"
        (record,) = scan(tmp_path, 2)
        rows, meta = sample_batch.decode(record.payload)
        assert rows.equals(rows_of(5))
        assert meta == sample_batch.BatchMeta("site-1", spool.batch_collector, 2, 77)
        assert (record.headers, record.samples) == ({"site": "site-1"}, 5)


def test_batches_of_two_spools_of_one_collector_have_different_names(tmp_path: Path) -> None:
    def collector_of_newest(directory: Path, token: str) -> str:
        with Spool(directory, "c1", token=lambda size: token[: 2 * size]) as spool:
            spool.append_batch(rows_of(1), "site-1", 77)
            assert spool.collector == "c1"
        *_, record = scan(directory)
        return sample_batch.decode(record.payload)[1].collector

    one, other = tmp_path / "1", tmp_path / "2"
    assert collector_of_newest(one, "0123abcd") == "c1.0123abcd"
    assert collector_of_newest(other, "4567ef89") == "c1.4567ef89"
    assert collector_of_newest(one, "ffffffff") == "c1.0123abcd", "an id stays"
    (one / "id").unlink()
    assert collector_of_newest(one, "89abcdef") == "c1.89abcdef", "a folder of an earlier version gets one"
    (one / "id").write_bytes(b"")
    assert collector_of_newest(one, "76543210") == "c1.76543210", "a broken one is replaced"
    assert totals_of(one) == {"samples": Tally(4, 4)}


def test_a_batch_beyond_the_limits_is_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.spool.batches.BATCH_ROWS_MAX", 100)
    monkeypatch.setattr("collectors.spool.batches.BATCH_BYTES_MAX", 4_000)
    with Spool(tmp_path, "c1") as spool:
        sequences = spool.append_batch(rows_of(1000), "site-1", 77)
        assert len(sequences) >= 10
        parts = [sample_batch.decode(record.payload) for record in scan(tmp_path)]
        assert [meta.sequence for _, meta in parts] == sequences
        cells = [cell for rows, _ in parts for cell in rows["cell_start"].to_pylist()]
        assert cells == rows_of(1000)["cell_start"].to_pylist()
        assert spool.appended_samples == 1000
        with pytest.raises(Poison, match="one row"):
            spool.append_batch(rows_of(1, resource="vm/" + os.urandom(5000).hex()), "site-1", 77)


def test_rows_of_another_layout_are_refused(tmp_path: Path) -> None:
    with Spool(tmp_path, "c1") as spool, pytest.raises(Poison, match="table_of"):
        spool.append_batch(rows_of(2).select(["resource"]), "site-1", 77)


def test_descriptors_travel_many_to_a_record(tmp_path: Path) -> None:
    seen = [Descriptor("site-1", f"vm/{k}", f"name\n{k}", "acme", T0, {"host": "esx"}) for k in range(1500)]
    with Spool(tmp_path, "c1") as spool:
        assert spool.append_descriptors(seen) == [1, 2]
        assert [each for record in scan(tmp_path) for each in descriptors_of(record.payload)] == seen


def test_readers_are_independent_and_remember(tmp_path: Path) -> None:
    with Spool(tmp_path, "c1", SMALL) as spool:
        for number in range(20):
            spool.append("samples", bytes([number]) * 300)
        with spool.reader("a") as a, spool.reader("b") as b:
            assert [r.sequence for r in a.read(7)] == list(range(1, 8))
            a.acknowledge(5)
            assert [r.sequence for r in b.read(bytes_max=700)] == [1, 2, 3]
            assert (a.backlog(), b.backlog(), a.head()) == (15, 20, 20)
            a.rewind()
            assert a.read(1)[0].sequence == 6
            with pytest.raises(Invariant, match="has read only up to 6"):
                a.acknowledge(7)
            a.acknowledge(3)
            assert a.acknowledged == 5
        assert spool.cursors() == {"a": 5, "b": 0}
        with spool.reader("a") as a:
            assert [r.sequence for r in a.read(100)] == list(range(6, 21))
            assert a.read() == []
            spool.append("samples", b"new")
            assert [r.payload for r in a.read()] == [b"new"]


def test_a_reader_name_is_held_by_one(tmp_path: Path) -> None:
    with Spool(tmp_path, "c1") as spool, spool.reader("a"):
        with pytest.raises(Transient, match=rf"reader 'a' .* in use by process {os.getpid()}"):
            SpoolReader(tmp_path, "a")
        with pytest.raises(Misconfigured, match="reader name"):
            spool.reader("../a")


def test_one_writer_and_the_message_says_who(tmp_path: Path) -> None:
    with Spool(tmp_path, "c1"), pytest.raises(Transient, match=rf"in use by process {os.getpid()} on .* since 20"):
        Spool(tmp_path, "c1")
    with Spool(tmp_path, "c1"):
        pass
    with pytest.raises(Misconfigured, match="is the spool of 'c1'"):
        Spool(tmp_path, "c2")


def test_trimming_keeps_what_a_reader_needs_and_what_is_young(tmp_path: Path) -> None:
    clock = FakeClock()
    settings = SpoolSettings(spool_bytes_max=10**6, segment_bytes=2_000, retention_seconds=1000)
    with Spool(tmp_path, "c1", settings, clock) as spool:
        for _ in range(30):
            spool.append("samples", b"x" * 400, samples=1)
        total = len(segments(tmp_path))
        assert spool.trim() == 0  # nobody has read anything
        with spool.reader("a") as a, spool.reader("b") as b:
            a.acknowledge(a.read(1000)[-1].sequence)
            clock.move(5000)
            assert spool.trim() == 0  # b has not
            b.read(10)
            b.acknowledge(10)
            assert spool.trim() > 0
            assert 1 < len(segments(tmp_path)) < total
            assert b.read(1)[0].sequence == 11
            spool.forget("b")
        spool.trim()
        assert len(segments(tmp_path)) == 1
        assert spool.bytes_used == sum(path.stat().st_size for path in segments(tmp_path))
    with Spool(tmp_path, "c1", settings, clock) as spool:
        assert (spool.appended_samples, spool.last_sequence) == (30, 30)


def test_a_full_spool_refuses_and_loses_nothing(tmp_path: Path) -> None:
    settings = SpoolSettings(spool_bytes_max=10_000, segment_bytes=2_000, retention_seconds=10**6)
    with Spool(tmp_path, "c1", settings) as spool:
        with pytest.raises(Transient, match="nobody has read it"):
            deque((spool.append("samples", b"x" * 400) for _ in range(1000)), maxlen=0)
        held = spool.last_sequence
        assert len(payloads(spool)) == held
        assert spool.bytes_used <= 10_000
        with spool.reader("slow") as reader:
            with pytest.raises(Transient, match=rf"reader 'slow' has done 0 of {held} records"):
                spool.append("samples", b"x" * 400)
            reader.acknowledge(reader.read(held)[-1].sequence)
            assert spool.append("samples", b"x" * 400) == held + 1  # acknowledged ones go before their retention


def failing(code: int, after: int) -> Callable[..., int]:
    """A pwrite that takes half of the bytes and then fails, from the given call on."""
    calls, real = [0], os.pwrite

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        calls[0] += 1
        if calls[0] == after:
            return real(descriptor, data[: len(data) // 2], offset)
        if calls[0] > after:
            raise OSError(code, os.strerror(code))
        return real(descriptor, data, offset)

    return pwrite


def test_a_full_disk_in_mid_record_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Spool(tmp_path, "c1") as spool:
        spool.append("samples", b"first", samples=1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", failing(errno.ENOSPC, 1))
            with pytest.raises(Transient, match="No space left on device; nothing was appended"):
                spool.append("samples", b"second", samples=1)
        assert payloads(spool) == [b"first"]
        assert spool.append("samples", b"second", samples=1) == 2
        assert spool.appended_samples == 2
    with Spool(tmp_path, "c1") as spool:
        assert (spool.repair, payloads(spool)) == ([], [b"first", b"second"])


def test_a_failed_fsync_stops_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    spool = Spool(tmp_path, "c1", SpoolSettings(fsync="close"))
    spool.append("samples", b"first")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(Invariant, match="fsync of"):
            spool.append("samples", b"second", durable=True)
    with pytest.raises(Invariant, match="start the process again"):
        spool.append("samples", b"third")
    with pytest.raises(Invariant, match="fsync of"):
        spool.close()
    with Spool(tmp_path, "c1") as again:
        assert len(payloads(again)) == 2  # what was written is still there; nothing says it was durable


@pytest.mark.parametrize("policy", ["always", "group", "close"])
def test_fsync_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    settings = SpoolSettings(fsync=policy, group_milliseconds=10)  # type: ignore[arg-type]
    with Spool(tmp_path, "c1", settings) as spool:
        synced.clear()
        for _ in range(5):
            spool.append("samples", b"x")
        if policy == "always":
            assert len(synced) == 5
        if policy == "close":
            assert synced == []
            spool.append("samples", b"x", durable=True)
            assert len(synced) == 1
            spool.flush()
            assert len(synced) == 1  # nothing new to sync
    assert len(synced) >= 1


def test_impossible_settings_are_refused_with_every_problem() -> None:
    with pytest.raises(Misconfigured) as caught:
        SpoolSettings(spool_bytes_max=1, segment_bytes=1, group_milliseconds=0, retention_seconds=-1)
    assert len(caught.value.problems) == 4


def test_a_record_may_not_be_larger_than_any_reader_expects(tmp_path: Path) -> None:
    with Spool(tmp_path, "c1") as spool, pytest.raises(Poison, match="split it"):
        spool.append("samples", bytes(17 * 1024 * 1024))
