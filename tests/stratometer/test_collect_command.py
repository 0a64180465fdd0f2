"""`collect replay`: a recorded trace through the embedded deployment has the totals that the trace implies."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collectors.replay import TraceReplay
from schemas.period import FOREVER
from sinks.warehouse.protocol import UsageRequest
from stratometer.compose import open_parts
from tests.collectors.test_replay import ROWS, written
from tests.stratometer.conftest import Command

SHARED = Path(__file__).resolve().parents[3] / "shared" / "traces" / "bitbrains-small"


def totals(command: Command) -> tuple[dict[str, int], int, int]:
    """Return base units by meter, unique samples and rows stored."""
    with open_parts(command.settings) as parts:
        usage = parts.warehouse.usage(UsageRequest(None, [0, FOREVER], group=frozenset()))
        names = {m.id: m.key for m in parts.registry}
        found = zip(usage["meter_id"].to_pylist(), usage["quantity"].to_pylist(), strict=True)
        counters = parts.warehouse.counters()
        return {names[meter]: quantity for meter, quantity in found}, counters.unique, counters.stored


def replayed_twice(command: Command, folder: Path) -> None:
    """Invariants 1, 2 and 6: to the last digit, also when the command is repeated."""
    expected = TraceReplay(folder).expected_totals()
    first = command("collect", "replay", folder, "--json").json
    by_meter, unique, stored = totals(command)
    assert by_meter == {meter: total for meter, total in expected.by_meter().items() if total or meter in by_meter}
    assert unique == expected.samples
    assert first["spooled"] == first["samples_this_run"] == stored
    again = command("collect", "replay", folder, "--json").json
    assert (again["samples_this_run"], again["spooled"]) == (0, stored)
    assert totals(command) == (by_meter, unique, stored)
    assert all(c["holds"] for c in command("reconcile", "--json").json["checks"])


def test_a_small_trace(command: Command, tmp_path: Path) -> None:
    replayed_twice(command, written(tmp_path, ROWS))


def test_the_shared_trace(command: Command) -> None:
    if not SHARED.is_dir():
        pytest.skip("shared traces are not beside this clone")
    replayed_twice(command, SHARED)


def test_a_folder_without_a_trace(command: Command, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (
        "trace" in command("collect", "replay", empty, status=2).err
        or "meta" in command("collect", "replay", empty, status=2).err
    )
    table = pa.table({"timestamp": [datetime(2013, 8, 1, tzinfo=UTC)]})
    for name in ("trace.parquet", "meta.parquet"):
        pq.write_table(table, empty / name)
    command("collect", "replay", empty, status=2)
