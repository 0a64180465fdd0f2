"""The replay of a VM trace: a small one written here, and the real one where it lies beside this clone."""

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collectors.interface import Collector
from collectors.replay import TraceReplay
from schemas.batch import SCHEMA
from schemas.errors import Misconfigured, Poison
from schemas.period import SECOND
from tests.collectors.fakes import T0

REAL = Path(__file__).resolve().parents[3] / "shared" / "traces" / "bitbrains-small"
NOW = T0 * SECOND
Row = tuple[str, int, int, int, float]
"""VM, end in seconds after T0, duration in seconds, vCPUs, MHz."""
ROWS: list[Row] = [
    ("7", 346, 300, 2, 11.5),
    ("7", 646, 300, 2, 2.005),
    ("7", 945, 300, 4, 3000.25),  # begins 1 s before the end of the one above
    ("7", 1246, 300, 4, 0.0),  # leaves 1 s uncovered
    ("7", 4000, 1000, 0, 0.0),  # gone, after a hole
    ("8", 100, 100, 1, 9999.9),  # more than its capacity
    ("8", 100_000, 90_000, 1, 1.0),
]


def written(folder: Path, rows: list[Row], ids: tuple[str, ...] = ("7", "8")) -> Path:
    stamps = pa.array([datetime.fromtimestamp(T0 + end, UTC) for _, end, _, _, _ in rows], pa.timestamp("ms", "UTC"))
    trace = pa.table(
        {
            "id": [vm for vm, *_ in rows],
            "timestamp": stamps,
            "duration": pa.array([seconds * 1000 for _, _, seconds, _, _ in rows], pa.int64()),
            "cpu_count": pa.array([vcpus for *_, vcpus, _ in rows], pa.int32()),
            "cpu_usage": [mhz for *_, mhz in rows],
        }
    )
    pq.write_table(trace, folder / "trace.parquet")
    meta = {"id": list(ids), "cpu_capacity": [2600.0] * len(ids), "mem_capacity": [181_352 for _ in ids]}
    pq.write_table(pa.table(meta), folder / "meta.parquet")
    return folder


Samples = dict[tuple[str, str, int], tuple[int, int]]


def collected(replay: TraceReplay) -> Samples:
    samples: Samples = {}
    for poll in replay.poll(NOW):
        for batch in poll.batches:
            assert batch.schema.equals(SCHEMA)
            for row in batch.to_pylist():
                key = (row["resource"], row["meter"], row["cell_start"] - T0)
                assert key not in samples  # a cell comes once, also where portions meet
                samples[key] = (row["quantity"], row["covered_seconds"])
    return samples


def agrees(samples: Samples, replay: TraceReplay) -> None:
    expected = replay.expected_totals()
    totals: dict[tuple[str, str], int] = defaultdict(int)
    for (resource, meter, _), (quantity, _) in samples.items():
        totals[resource.removeprefix("vm/"), meter] += quantity
    assert dict(totals) == dict(expected.quantities)
    assert len(samples) == expected.samples
    running = sum(covered for (_, meter, _), (_, covered) in samples.items() if meter == "vm.running")
    assert running == expected.covered_seconds


def test_rows_are_split_over_cells_in_whole_units(tmp_path: Path) -> None:
    replay = TraceReplay(written(tmp_path, ROWS))
    assert isinstance(replay, Collector)
    samples = collected(replay)
    assert samples["vm/7", "vm.running", 0] == (254, 254)
    assert samples["vm/7", "vm.cpu.used", 0] == (3450 * 254 // 300, 254)
    second = 3450 - 3450 * 254 // 300 + 602 * 254 // 300  # 2.005 MHz × 300 s is 601.5: half to even
    assert samples["vm/7", "vm.cpu.used", 300] == (second, 300)
    assert samples["vm/7", "vm.vcpu", 600] == (2 * 46 + 4 * 254, 300)
    assert samples["vm/7", "vm.running", 900] == (299, 299)  # the uncovered second
    assert samples["vm/7", "vm.memory", 0] == (177 * 254, 254)
    assert max(at for vm, _, at in samples if vm == "vm/7") == 1200
    assert samples["vm/8", "vm.cpu.used", 0] == (999_990, 100)  # turbo is not clamped
    agrees(samples, replay)
    assert [(gap.end - gap.start, gap.reason) for gap in replay.health().gaps] == [
        (1754, "vm/7 has no rows"),
        (9900, "vm/8 has no rows"),
    ]


@pytest.mark.parametrize("rows_per_read", [1, 2, 3, 100])
@pytest.mark.parametrize("mixed", [False, True])
def test_portions_change_nothing(tmp_path: Path, rows_per_read: int, mixed: bool) -> None:
    rows = sorted(ROWS, key=lambda row: row[1]) if mixed else ROWS
    replay = TraceReplay(written(tmp_path, rows), rows_per_read=rows_per_read)
    whole = collected(TraceReplay(tmp_path))
    assert collected(replay) == whole
    agrees(whole, replay)


def test_it_ends_once_and_stays_so_after_a_restart(tmp_path: Path) -> None:
    replay = TraceReplay(written(tmp_path, ROWS))
    polls = list(replay.poll(NOW))
    assert replay.finished
    assert list(replay.poll(NOW)) == []
    assert [poll.position for poll in polls] == [""] * (len(polls) - 1) + ["done"]
    assert [descriptor.resource for descriptor in polls[0].descriptors] == ["vm/7", "vm/8"]
    after = TraceReplay(tmp_path)
    after.resume("done")
    assert list(after.poll(NOW)) == []


def test_traces_that_cannot_be_right_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="is not there"):
        TraceReplay(tmp_path / "nowhere")
    with pytest.raises(Misconfigured, match="does not list"):
        list(TraceReplay(written(tmp_path, ROWS, ("7",))).poll(NOW))
    with pytest.raises(Poison, match="not in time order"):
        list(TraceReplay(written(tmp_path, ROWS[1::-1])).poll(NOW))
    with pytest.raises(Poison, match="negative or not a number"):
        list(TraceReplay(written(tmp_path, [("7", 346, 300, 2, float("nan"))])).poll(NOW))
    pq.write_table(pa.table({"id": ["7"]}), tmp_path / "meta.parquet")
    with pytest.raises(Misconfigured, match="lacks the columns mem_capacity"):
        TraceReplay(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="shared traces are not beside this clone")
def test_the_real_trace_to_the_last_digit() -> None:
    replay = TraceReplay(REAL, rows_per_read=7_777)
    totals: dict[str, int] = defaultdict(int)
    rows = 0
    for poll in replay.poll(NOW):
        for batch in poll.batches:
            rows += batch.num_rows
            sums = pa.table(batch.select(["meter", "quantity"]).columns, names=["meter", "quantity"])
            for group in sums.group_by("meter").aggregate([("quantity", "sum")]).to_pylist():
                totals[group["meter"]] += group["quantity_sum"]
    expected = replay.expected_totals()
    assert dict(totals) == expected.by_meter()
    assert rows == expected.samples == 1_537_196
    assert totals["vm.running"] == expected.covered_seconds == 115_129_895
