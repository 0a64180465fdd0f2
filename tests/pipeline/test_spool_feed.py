"""The embedded feed: a record is acknowledged only after everything in it is durable."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from collectors.spool import RESOURCES, SAMPLES, Spool, SpoolSettings
from pipeline.durable import DurableWriter, Stopped
from pipeline.message import Message
from pipeline.spool_feed import BYTES_MAX, RECORDS_MAX, SpoolFeed
from schemas.batch import table_of
from schemas.period import SECOND
from schemas.resource import Descriptor
from sinks.warehouse.protocol import Warehouse
from tests.pipeline.fakes import Clock, KeptBlocks, KeptLetters, KeptTriggers
from tests.pipeline.rows import NOW, REGISTRY, T0, Row, columns


class Feeding:
    """Spools under a folder, and a feed that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.letters, self.blocks = KeptLetters(), KeptBlocks()
        self.feed = self.start()

    def start(self) -> SpoolFeed:
        writer = DurableWriter(
            cast(Warehouse, self.blocks), self.letters, REGISTRY, Clock(NOW * SECOND), KeptTriggers()
        )
        self.feed = SpoolFeed(self.folder, writer)
        return self.feed

    def killed(self) -> SpoolFeed:
        """The process ends; its cursors lie where they were."""
        self.feed.close()
        return self.start()

    def spool(self, name: str) -> Spool:
        return Spool(self.folder / name, name, SpoolSettings(fsync="close"))


@pytest.fixture
def feeding(tmp_path: Path) -> Feeding:
    return Feeding(tmp_path / "spools")


def rows(count: int, first: int = 0) -> object:
    return table_of(columns([Row(start=T0 + 300 * (first + i)) for i in range(count)]))


def test_it_follows_every_spool_also_later_ones(feeding: Feeding) -> None:
    assert (feeding.feed.step(), feeding.feed.backlog()) == (0, 0)
    with feeding.spool("a") as a:
        a.append_batch(rows(3), "vc-1", 1)
        assert (feeding.feed.step(), feeding.blocks.samples) == (1, 3)
        with feeding.spool("b") as b:
            b.append_batch(rows(2), "vc-2", 1)
            assert feeding.feed.backlog() == 1
            assert (feeding.feed.step(), feeding.blocks.samples) == (1, 5)
    assert (feeding.feed.step(), feeding.feed.backlog()) == (0, 0)
    assert {i.origin for b in feeding.blocks.blocks for i in b.intake} == {"spool/a/1", "spool/b/1"}


@pytest.mark.parametrize("dies_at", ["before the write", "before the cursor"])
def test_a_kill_before_the_acknowledgement_loses_nothing(
    feeding: Feeding, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    """Invariant 3: what was not durable, or durable and not acknowledged, comes again."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    target = (
        "pipeline.durable.DurableWriter.write" if dies_at == "before the write" else "collectors.spool.cursor.store"
    )
    with feeding.spool("a") as a:
        a.append_batch(rows(3), "vc-1", 1)
        feeding.feed.backlog()
        with monkeypatch.context() as patch:
            patch.setattr(target, killed)
            with pytest.raises(KeyboardInterrupt):
                feeding.feed.step()
        assert feeding.killed().backlog() == 1
        assert feeding.feed.step() == 1
    keys = {i.sequence for b in feeding.blocks.blocks for i in b.intake}
    assert keys == {1}
    assert len(feeding.blocks.blocks) == (1 if dies_at == "before the write" else 2)
    assert feeding.killed().backlog() == 0


def test_the_same_process_reads_again_what_failed(feeding: Feeding, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 3: a step that gave up is repeated from the acknowledged record, not from the one read last."""

    def gives_up(*_: object) -> None:
        raise Stopped("warehouse")

    with feeding.spool("a") as a:
        a.append_batch(rows(3), "vc-1", 1)
        with monkeypatch.context() as patch:
            patch.setattr(DurableWriter, "write", gives_up)
            with pytest.raises(Stopped):
                feeding.feed.step()
        assert (feeding.feed.backlog(), feeding.feed.step(), feeding.blocks.samples) == (1, 1, 3)


def test_each_step_takes_a_bounded_number(feeding: Feeding) -> None:
    """Invariant 5."""
    assert BYTES_MAX <= 64 * 1024 * 1024
    with feeding.spool("a") as a:
        for i in range(RECORDS_MAX + 5):
            a.append_batch(rows(1, i), "vc-1", 1)
        assert [feeding.feed.step(), feeding.feed.step(), feeding.feed.step()] == [RECORDS_MAX, 5, 0]


def test_descriptors_are_stored_and_bad_ones_are_letters_of_their_spool(feeding: Feeding) -> None:
    """Invariant 4: two spools with a bad record at the same place make two letters."""
    for name in ("a", "b"):
        with feeding.spool(name) as spool:
            spool.append(RESOURCES, b"{not json")
            spool.append_descriptors([Descriptor("vc-1", f"vm/{name}", f"VM {name}", "acme", 5)])
            feeding.feed.step()
    found = list(feeding.letters.all())
    assert sorted(f.letter.origin for f in found) == ["spool/a/1", "spool/b/1"]
    assert {f.letter.reason for f in found} == {"bad_descriptor"}
    assert sorted(name for n in feeding.blocks.names for name, _ in n.values()) == ["VM a", "VM b"]
    assert feeding.feed.backlog() == 0


def test_what_cannot_be_read_moves_on(feeding: Feeding) -> None:
    """Invariant 4."""
    with feeding.spool("a") as a:
        a.append(SAMPLES, b"not arrow", samples=1)
        a.append_batch(rows(2), "vc-1", 1)
        feeding.feed.step()
    assert feeding.blocks.samples == 2
    assert [f.letter.key for f in feeding.letters.all()] == ["message spool/a/1"]


def test_messages_go_in_the_order_of_the_spool(feeding: Feeding, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def note(_: object, messages: Sequence[Message]) -> None:
        seen.extend(m.origin for m in messages)

    monkeypatch.setattr(DurableWriter, "write", note)
    with feeding.spool("a") as a:
        for i in range(5):
            a.append_batch(rows(1, i), "vc-1", 1)
        feeding.feed.step()
    assert seen == [f"spool/a/{i}" for i in range(1, 6)]
