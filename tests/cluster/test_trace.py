"""A recorded trace through both deployments gives the same totals, to the last digit."""

import datetime
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.dev.deployment import Deployment
from tests.cluster.conftest import MakeCluster
from tests.cluster.helpers import ROOT, caught_up, wait_until

pytestmark = pytest.mark.server

BITBRAINS = ROOT.parent / "shared" / "traces" / "bitbrains-small"
ACTING = "tests.cluster.acting"
START = datetime.datetime(2026, 10, 1, 0, 3, 20, tzinfo=datetime.UTC)
DAY = 86400


def synthetic(folder: Path) -> Path:
    """Write a small trace with the oddities of a real one: drifting stamps, long rows, a hole, an overlap, turbo."""
    rows = []
    for vm in range(5):
        at = START
        for number in range(300):
            seconds = 900 if number % 17 == 3 else 299 if number % 11 == 5 else 300
            at += datetime.timedelta(seconds=seconds + (1 if number % 13 == 7 else 0) + (1200 if number == 150 else 0))
            usage = (vm * 911.7 + number * 13.37) % 5000
            rows.append((str(vm), at, seconds * 1000, 0 if number > 280 and vm == 4 else 1 + vm, usage))
    names = ("id", "timestamp", "duration", "cpu_count", "cpu_usage")
    kinds = (pa.string(), pa.timestamp("ms", "UTC"), pa.int64(), pa.int32(), pa.float64())
    columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    folder.mkdir()
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), folder / "trace.parquet")
    ids = [str(vm) for vm in range(5)]
    meta = {
        "id": ids,
        "mem_capacity": pa.array([4_194_304] * 5),
        "cpu_capacity": [2500.0 * (1 + vm) for vm in range(5)],
    }
    pq.write_table(pa.table(meta), folder / "meta.parquet")
    return folder


@pytest.mark.timeout(290)
def test_a_trace_has_the_same_totals_in_both(tmp_path: Path, make_cluster: MakeCluster) -> None:
    traces = {"synthetic": synthetic(tmp_path / "trace")}
    if BITBRAINS.is_dir():
        traces["bitbrains"] = BITBRAINS
    embedded = Deployment(tmp_path / "embedded", {"DEPLOYMENT": "embedded"})
    cluster = make_cluster("trace")
    with cluster.workers() as worker:
        for site, folder in traces.items():
            for deployment in (embedded, cluster):
                deployment.run("collect", "replay", str(folder), "--site", site)
        wait_until("all is metered", lambda: caught_up(cluster, "samples", "resources"), 120, worker)
    here, there = (deployment.run("totals", module=ACTING) for deployment in (embedded, cluster))
    assert here == there
    found = orjson.loads(here)
    assert found["counters"]["unique"] == found["counters"]["accepted"] > 5000
    assert all(row["quantity"] >= 0 for row in found["usage"])
