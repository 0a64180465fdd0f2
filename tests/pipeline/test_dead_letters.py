"""Dead letters: the newest record under a key is the letter's state; what was handled stays handled."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from collectors.spool import Spool, SpoolSettings
from pipeline.dead_letters import Filed, counts, filed_of, fold, headers_of, replayable
from pipeline.message import DeadLetter
from pipeline.spool_dead_letters import SpoolDeadLetters
from schemas.batch import decode
from schemas.errors import Misconfigured
from tests.pipeline.rows import Row, batch, message, metered

LETTER = DeadLetter("batch vc-1/c1/7/", "samples/0/7", "unknown_meter", "meter 'ü' …", 3, b"payload", 1)


def test_fold_keeps_the_order_and_the_newest_state() -> None:
    other = replace(LETTER, key="message samples/0/9")
    records = [Filed(LETTER, "waiting"), Filed(other, "waiting"), Filed(replace(LETTER, payload=b""), "replayed")]
    assert [(f.letter.key, f.state) for f in fold(iter(records))] == [(LETTER.key, "replayed"), (other.key, "waiting")]


def test_a_redelivery_does_not_wake_what_was_handled() -> None:
    """Invariant 2: the log may deliver the bad message again after it was dropped or replayed."""
    for order in permutations(["waiting", "waiting", "dropped"]):
        if order[0] != "waiting":
            continue
        (filed,) = fold(Filed(LETTER, state) for state in order)  # type: ignore[arg-type]
        assert filed.state == "dropped"


def test_headers_and_back() -> None:
    assert filed_of(headers_of(LETTER, "waiting"), b"payload") == Filed(LETTER, "waiting")
    with pytest.raises(StopIteration):
        filed_of(headers_of(LETTER, "waiting") | {"state": "eaten"}, b"")


def test_a_replay_is_the_same_rows_under_the_letters_name() -> None:
    """Invariant 1: a replay is told from new samples by `replay_of`."""
    bad = Row(meter="vm.magic")
    (letter,) = metered(message([Row(), bad], sequence=7)).dead
    rows, meta = decode(replayable(letter))
    assert rows.to_pylist() == decode(batch([bad]))[0].to_pylist()
    assert (meta.site, meta.collector, meta.sequence, meta.replay_of) == ("vc-1", "c1", 7, letter.key)
    with pytest.raises(Misconfigured, match="drop it"):
        replayable(LETTER)


def test_the_spool_keeps_letters_over_a_restart(tmp_path: Path) -> None:
    """Invariants 1 and 4: put and mark are durable when they return; the same letter twice counts once."""
    settings = SpoolSettings(fsync="always")
    with Spool(tmp_path, "dead-letters", settings) as spool:
        letters = SpoolDeadLetters(spool, tmp_path)
        letters.put([LETTER, replace(LETTER, key="k2", rows=5), replace(LETTER, key="k3", rows=7)])
        letters.put([LETTER])
        letters.mark(LETTER, "replayed")
        assert counts(letters) == {"waiting": 12, "replayed": 3, "dropped": 0}
    with Spool(tmp_path, "dead-letters", settings) as spool:
        letters = SpoolDeadLetters(spool, tmp_path)
        letters.put([LETTER])
        letters.mark(replace(LETTER, key="k2", rows=5), "dropped")
        assert counts(letters) == {"waiting": 7, "replayed": 3, "dropped": 5}
        assert [(f.letter.key, f.letter.payload) for f in letters.all() if f.state == "waiting"] == [("k3", b"payload")]
        assert all(f.letter.detail == LETTER.detail for f in letters.all())
