"""What a running cluster does by itself: events from the API to ClickHouse, and the sweep that misses no account."""

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import orjson
import pytest

from infra.dev.deployment import ADMIN_TOKEN, Cluster, Running
from pipeline.message import Message
from pipeline.metering import Seen, meter, portions
from schemas.batch import CONTENT_TYPE, BatchMeta, encode, table_of
from schemas.ids import account_id
from schemas.meters import builtin
from tests.cluster.acting import MONTH_START
from tests.cluster.conftest import MakeCluster
from tests.cluster.helpers import number, wait_until, warehouse_of

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def cluster(make_cluster: MakeCluster) -> Cluster:
    return make_cluster("live")


@pytest.fixture(scope="module")
def worker(cluster: Cluster) -> Iterator[Running]:
    with cluster.workers(STREAM__SWEEP_SECONDS="2") as running:
        yield running


def vcpus(tenant: str, cell: int, collector: str) -> bytes:
    rows = {"resource": [f"vm/{collector}"], "meter": ["vm.vcpu"], "cell_start": [cell], "cell_seconds": [300]}
    return encode(
        table_of({**rows, "quantity": [600], "tenant": [tenant]}), BatchMeta("sim-live", collector, 1, 1_000_000)
    )


def test_the_sweep_finds_an_account_that_no_trigger_named(cluster: Cluster, worker: Running) -> None:
    """Rows that got into the warehouse without a trigger, as when a worker dies between the two."""
    (portion,) = portions([Message(vcpus("birch", MONTH_START, "silent"), "samples/0/0")])
    now = time.time_ns() // 1000
    with warehouse_of(cluster) as warehouse:
        warehouse.write(meter(portion, builtin(), now, Seen()).block, now)
        rated = f"SELECT count() AS n FROM ratings WHERE account_id = {account_id('birch')}"
        wait_until("the sweep's rating", lambda: number(warehouse, rated) > 0, 60, worker)


@pytest.mark.parametrize("media", ["application/cloudevents+json", CONTENT_TYPE])
def test_an_event_reaches_clickhouse_through_spool_and_kafka(cluster: Cluster, worker: Running, media: str) -> None:
    event = {
        "specversion": "1.0",
        "id": "deploy-1",
        "source": "cluster-test",
        "type": "image.deployment",
        "subject": "image/ubuntu",
        "tenant": "acme",
        "time": "2026-10-02T00:00:00Z",
        "data": {"image": "ubuntu-24.04"},
    }
    body = orjson.dumps(event) if media != CONTENT_TYPE else vcpus("acme", MONTH_START + 300, "posted")
    with warehouse_of(cluster) as warehouse, cluster.start("api", API__PORT="0") as api:
        before = number(warehouse, "SELECT count() AS n FROM intake")
        wait_until("the API's address", lambda: "http://" in api.text(), 60, api)
        found = re.search(r"http://[\d.:]+", api.text())
        assert found
        post(f"{found[0]}/v1/events", media, body)
        wait_until("the event is stored", lambda: number(warehouse, STORED) > before, 30, worker)
        assert number(warehouse, "SELECT sum(dead) AS n FROM intake") == 0


STORED = "SELECT count() AS n FROM intake"


def post(url: str, media: str, body: bytes) -> None:
    headers = {"Content-Type": media, "Authorization": f"Bearer {ADMIN_TOKEN}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as answer:
            assert answer.status in (200, 202, 204)
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error
