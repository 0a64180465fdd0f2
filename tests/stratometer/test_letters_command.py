"""From a bad message to a mended one: dead letters and reconciliation, on the embedded stores."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from collectors.spool import SAMPLES
from schemas.batch import table_of
from schemas.clock import system_clock
from schemas.period import SECOND
from stratometer.compose import embedded, open_dead_letters, open_parts, open_spool
from stratometer.exit_codes import Exit
from tests.pipeline.rows import Row, columns
from tests.stratometer.conftest import Command

MAGIC = '[{"key": "vm.magic", "name": "Magic", "kind": "gauge", "base": "s", "display": {"h": 3600}}]'
START = system_clock() // SECOND // 86400 * 86400 - 5 * 86400


def collect(command: Command, rows: Sequence[Row], *, broken: bool = False) -> None:
    """Put rows, and perhaps something unreadable, into a collector's spool."""
    with open_spool(command.settings, "c1") as spool:
        spool.append_batch(table_of(columns(rows)), "vc-1", system_clock())
        if broken:
            spool.append(SAMPLES, b"broken", samples=1)


def meter(command: Command) -> None:
    """What `up` does with what lies in the spools."""
    with open_parts(command.settings) as parts, open_dead_letters(command.settings) as letters:
        stream = embedded(parts, letters)
        stream.runner.drain()
        stream.stop()


@pytest.fixture
def metered(command: Command) -> Command:
    """Three good rows, two of an unknown meter, one negative, and one message that cannot be read."""
    command("migrate")
    good = [Row(start=START + 300 * i) for i in range(3)]
    bad = [Row(meter="vm.magic", start=START + 300 * i) for i in range(2)]
    collect(command, [*good, *bad], broken=True)
    collect(command, [Row(start=START + 900, quantity=-1)])
    meter(command)
    return command


def counters(command: Command, status: int = 0) -> dict[str, int]:
    return dict(command("reconcile", "--json", status=status).json["counters"])


def test_every_letter_is_listed_with_reason_and_origin(metered: Command) -> None:
    """Invariants 1 and 4."""
    found = metered("deadletters", "list", "--json").json
    assert sorted((f["reason"], f["rows"], f["origin"]) for f in found) == [
        ("bad_arrow", 1, "spool/c1/2"),
        ("negative", 1, "spool/c1/3"),
        ("unknown_meter", 2, "spool/c1/1"),
    ]
    assert len(metered("deadletters", "list", "--reason", "negative", "--json").json) == 1
    assert "3 dead letters" in metered("deadletters", "list").out
    assert metered("reconcile").out.count("holds") >= 4


def test_a_meter_that_is_declared_later_mends_its_letters(metered: Command) -> None:
    """Invariants 1, 2 and 4: the replay stores the rows once, and every counter still adds up."""
    before = counters(metered)
    (letter,) = [f["key"] for f in metered("deadletters", "list", "--json").json if f["reason"] == "unknown_meter"]
    mended = replace(metered, environment={**metered.environment, "STRATOMETER_METERS": MAGIC})
    mended("deadletters", "replay", letter)
    for _ in range(2):
        meter(mended)
    after = counters(mended)
    assert after["stored"] == after["unique samples"] == before["stored"] + 2
    assert (after["metered (distinct messages)"], after["replayed"]) == (before["metered (distinct messages)"], 2)
    assert (after["dead letters waiting"], after["dead letters replayed"]) == (2, 2)
    assert "no letter waits" in mended("deadletters", "replay", letter, status=Exit.USAGE).err


def test_a_letter_that_is_still_bad_comes_back(metered: Command) -> None:
    """Invariant 4: replayed before the cause was mended, it is a letter again, and nothing is lost."""
    metered("deadletters", "replay", "--reason", "unknown_meter")
    meter(metered)
    found = metered("deadletters", "list", "--reason", "unknown_meter", "--json").json
    assert [(f["rows"], f["state"]) for f in found] == [(2, "waiting")]
    after = counters(metered)
    assert (after["dead letters waiting"], after["dead letters replayed"], after["stored"]) == (4, 2, 3)


def test_dropped_letters_stay_counted(metered: Command) -> None:
    """Invariant 1."""
    metered("deadletters", "drop", "--all")
    assert metered("deadletters", "list", "--json").json == []
    assert {f["state"] for f in metered("deadletters", "list", "--handled", "--json").json} == {"dropped"}
    assert counters(metered)["dead letters dropped"] == 4


def test_what_cannot_be_read_cannot_be_replayed(metered: Command) -> None:
    assert "drop it" in metered("deadletters", "replay", "--reason", "bad_arrow", status=Exit.USAGE).err
    assert "name letters by key" in metered("deadletters", "replay", status=Exit.USAGE).err
    assert len(metered("deadletters", "list", "--json").json) == 3


def test_reconcile_fails_when_a_row_is_missing(metered: Command) -> None:
    """Invariant 1: what is in the spool and not in the warehouse is seen."""
    assert counters(metered)
    collect(metered, [Row(start=START + 7200)])
    found = metered("reconcile", "--json", status=Exit.CHECK_FAILED).json
    assert [c["name"] for c in found["checks"] if not c["holds"]] == ["collected = metered"]
    assert "DIFFERS by 1" in metered("reconcile", status=Exit.CHECK_FAILED).out
    meter(metered)
    assert counters(metered)


def test_reconcile_fails_when_a_letter_is_missing(metered: Command) -> None:
    """Invariant 1."""
    folder = metered.settings.data_dir / "dead-letters"
    for segment in folder.glob("*.segment"):
        segment.unlink()
    found = metered("reconcile", "--json", status=Exit.CHECK_FAILED).json
    assert [c["name"] for c in found["checks"] if not c["holds"]] == ["dead rows = dead letters"]
