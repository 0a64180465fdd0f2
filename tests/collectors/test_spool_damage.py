"""The spool after power failures and on failing disks: torn tails, damaged middles, cursors ahead of the log."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.spool import Spool, SpoolSettings
from collectors.spool.reader import SpoolReader, scan
from collectors.spool.segment import segments

SETTINGS = SpoolSettings(fsync="close")


@pytest.fixture(autouse=True, scope="module")
def _no_disk() -> Iterator[None]:
    """These tests damage files by hand: waiting for the disk thousands of times would prove nothing more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def filled(path: Path, count: int = 12, settings: SpoolSettings = SETTINGS) -> list[int]:
    """Write records of various lengths and return the file offset at which each ends."""
    ends = []
    with Spool(path, "c1", settings) as spool:
        for number in range(count):
            spool.append("samples", bytes([number]) * (number * 7), samples=number)
            ends.append(segments(path)[-1].stat().st_size)
    return ends


def test_every_possible_torn_tail_is_repaired(tmp_path: Path) -> None:
    original = tmp_path / "original"
    ends = filled(original, 6)
    data = segments(original)[0].read_bytes()
    for length in range(len(data) + 1):
        torn = tmp_path / "torn"
        torn.mkdir(exist_ok=True)
        for old in segments(torn):
            old.unlink()
        (torn / segments(original)[0].name).write_bytes(data[:length])
        whole = sum(end <= length for end in ends)
        with Spool(torn, "c1", SETTINGS) as spool:
            assert spool.last_sequence == whole
            assert [r.sequence for r in scan(torn)] == list(range(1, whole + 1))
            clean = length in (0, *ends) or (whole == 0 and not spool.repair)
            assert clean or "unfinished record" in spool.repair[0]
            assert spool.append("samples", b"next", samples=1) == whole + 1
            assert [r.payload for r in scan(torn)][-1] == b"next"


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damage_anywhere_costs_only_the_records_it_touches(data: st.DataObject, tmp_path_factory: object) -> None:
    path: Path = tmp_path_factory.mktemp("spool")  # type: ignore[attr-defined]
    ends = filled(path)
    segment = segments(path)[0]
    content = bytearray(segment.read_bytes())
    first = ends[0] - (ends[1] - ends[0]) // 2
    at = data.draw(st.integers(first, len(content) - 1))
    length = data.draw(st.integers(1, 200))
    content[at : at + length] = bytes(byte ^ 0xA5 for byte in content[at : at + length])
    segment.write_bytes(content)
    starts = [0, *ends[:-1]]
    hurt = {n + 1 for n, (a, b) in enumerate(zip(starts, ends, strict=True)) if a < at + length and b > at}
    with Spool(path, "c1", SETTINGS) as spool, spool.reader("a") as reader:
        assert spool.append("samples", b"next") == spool.last_sequence
        read = reader.read(100)
        assert {record.sequence for record in read} >= set(range(1, 13)) - hurt - {1}
        assert read[-1].payload == b"next"
        assert spool.repair or not hurt


def test_a_damaged_middle_is_reported_by_writer_and_reader(tmp_path: Path) -> None:
    ends = filled(tmp_path)
    segment = segments(tmp_path)[0]
    content = bytearray(segment.read_bytes())
    content[ends[5] - 1] ^= 1  # payload of record 6
    content[ends[8] + 2] ^= 1  # header of record 10
    segment.write_bytes(content)
    with Spool(tmp_path, "c1", SETTINGS) as spool:
        assert len(spool.repair) == 2
        assert "record 6 in" in spool.repair[0]
        assert "look for a failing disk" in spool.repair[0]
        assert spool.appended_samples == sum(range(12))  # what was appended stays true, so reconciliation sees the loss
        with spool.reader("a") as reader:
            assert [r.sequence for r in reader.read(100)] == [1, 2, 3, 4, 5, 7, 8, 9, 11, 12]
            assert [damage.sequence for damage in reader.corrupt] == [6, None]
            reader.rewind()
            reader.read(100)
            assert len(reader.corrupt) == 2  # the same damage is reported once


def test_a_torn_end_of_an_older_segment_is_reported(tmp_path: Path) -> None:
    filled(tmp_path, 40, SpoolSettings(spool_bytes_max=10**6, segment_bytes=3000))
    older = segments(tmp_path)[0]
    older.write_bytes(older.read_bytes()[:-5])
    with SpoolReader(tmp_path, "a") as reader:
        read = [record.sequence for record in reader.read(100)]
        assert len(read) == 39
        assert read[-1] == 40
        assert len(reader.corrupt) == 1


def test_a_cursor_ahead_of_the_log_costs_no_new_record(tmp_path: Path) -> None:
    ends = filled(tmp_path)
    with SpoolReader(tmp_path, "a") as reader:
        reader.read(100)
        reader.acknowledge(12)
    segment = segments(tmp_path)[0]
    segment.write_bytes(segment.read_bytes()[: ends[7]])  # a disk that lied about fsync
    with Spool(tmp_path, "c1", SETTINGS) as spool:
        assert "records 9 to 12 were acknowledged by a reader and are gone" in spool.repair[0]
        assert spool.append("samples", b"new") == 13
        with spool.reader("a") as reader:
            assert [record.sequence for record in reader.read()] == [13]
    with Spool(tmp_path, "c1", SETTINGS) as spool:
        assert (spool.repair, spool.last_sequence) == ([], 13)


def test_a_reader_waits_for_a_record_that_is_being_written(tmp_path: Path) -> None:
    ends = filled(tmp_path)
    segment = segments(tmp_path)[0]
    whole = segment.read_bytes()
    segment.write_bytes(whole[: ends[10] + 20])
    with SpoolReader(tmp_path, "a") as reader:
        assert len(reader.read(100)) == 11
        assert reader.head() == 11
        segment.write_bytes(whole)
        assert [record.sequence for record in reader.read(100)] == [12]
        assert reader.head() == 12
        assert not reader.corrupt
