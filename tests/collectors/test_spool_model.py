"""The spool against a list: any order of appends, reads, acknowledgements, restarts and trims."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from collectors.spool import Spool, SpoolSettings
from collectors.spool.reader import SpoolReader
from schemas.errors import Transient

READERS = ("a", "b")
SETTINGS = SpoolSettings(spool_bytes_max=6000, segment_bytes=1500, retention_seconds=0, fsync="close")


class SpoolModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp())
        self.spool = Spool(self.path, "c1", SETTINGS)
        self.readers = {name: SpoolReader(self.path, name) for name in READERS}
        self.written: list[bytes] = []
        self.read = dict.fromkeys(READERS, 0)
        self.done = dict.fromkeys(READERS, 0)

    @rule(sizes=st.lists(st.integers(0, 600), min_size=1, max_size=3))
    def append(self, sizes: list[int]) -> None:
        made = [(bytes([len(self.written) % 251]) * size, 1) for size in sizes]
        try:
            sequences = self.spool.append_made("samples", lambda _: made)
        except Transient:
            # Full means that a segment is held back by a reader, or too little is left beside the open one.
            assert self.spool.bytes_used + sum(sizes) + 200 * len(sizes) > SETTINGS.spool_bytes_max - 1500
            return
        assert sequences == list(range(len(self.written) + 1, len(self.written) + 1 + len(made)))
        self.written += [payload for payload, _ in made]

    @rule(name=st.sampled_from(READERS), count=st.integers(1, 5))
    def follow(self, name: str, count: int) -> None:
        records = self.readers[name].read(count)
        start = self.read[name]
        assert [r.sequence for r in records] == list(range(start + 1, min(start + count, len(self.written)) + 1))
        assert [r.payload for r in records] == self.written[start : start + len(records)]
        self.read[name] += len(records)

    @rule(name=st.sampled_from(READERS), back=st.integers(0, 3))
    def acknowledge(self, name: str, back: int) -> None:
        self.done[name] = max(self.done[name], self.read[name] - back)
        self.readers[name].acknowledge(self.done[name])

    @rule(name=st.sampled_from(READERS))
    def restart_reader(self, name: str) -> None:
        self.readers[name].close()
        self.readers[name] = SpoolReader(self.path, name)
        self.read[name] = self.done[name]

    @rule()
    def restart_writer(self) -> None:
        self.spool.close()
        self.spool = Spool(self.path, "c1", SETTINGS)
        assert self.spool.repair == []

    @precondition(lambda self: self.written)
    @rule()
    def trim(self) -> None:
        self.spool.trim()

    @invariant()
    def counts_and_limits_hold(self) -> None:
        assert self.spool.last_sequence == self.spool.appended_samples == len(self.written)
        assert self.spool.bytes_used <= SETTINGS.spool_bytes_max + 1500
        assert self.spool.cursors() == self.done

    def teardown(self) -> None:
        for reader in self.readers.values():
            reader.close()
        self.spool.close()
        shutil.rmtree(self.path)


SpoolModel.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestSpoolModel = SpoolModel.TestCase
