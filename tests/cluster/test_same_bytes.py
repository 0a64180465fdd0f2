"""The same samples through both deployments give the same bytes: invariants 1, 2, 4 and 10."""

import time
from pathlib import Path

import orjson
import pytest

from infra.dev.deployment import Cluster, Deployment
from tests.cluster.acting import OWN_METER
from tests.cluster.conftest import MakeCluster
from tests.cluster.helpers import CUTOFF_SECONDS, PROVIDER, number, wait_caught_up, wait_until, warehouse_of

pytestmark = pytest.mark.server

ACTING = "tests.cluster.acting"
WIDGETS = orjson.dumps(
    [
        {
            "key": OWN_METER,
            "name": "Widgets",
            "kind": "counter",
            "base": "widget",
            "cell": 300,
            "aggregation": "sum",
            "gap": "measured",
            "display": {"widget": 1},
        }
    ]
).decode()
REASONS = {
    "bad_arrow": 3,
    "wrong_version": 1,
    "unknown_meter": 1,
    "negative": 1,
    "in_the_future": 1,
}
Documents = dict[str, bytes]


def exported(deployment: Deployment, name: str) -> bytes:
    target = deployment.folder / f"{name}.json"
    deployment.run("export", "2026-10", "--to", str(target))
    return target.read_bytes()


def letters(deployment: Deployment) -> dict[str, int]:
    found: dict[str, int] = {}
    for letter in deployment.json("deadletters", "list"):
        found[letter["reason"]] = found.get(letter["reason"], 0) + letter["rows"]
        assert letter["detail"]
        assert letter["origin"]
    return found


def embedded(folder: Path) -> Documents:
    """Run the story in the embedded deployment."""
    deployment = Deployment(folder, {"DEPLOYMENT": "embedded", "SETTLE__CUTOFF_MARGIN_SECONDS": "0"})
    deployment.run("apply", str(PROVIDER))
    deployment.run("fleet", module=ACTING)
    deployment.run("bad", module=ACTING)
    assert letters(deployment) == REASONS
    deployment.run("settle")
    first = exported(deployment, "first")
    deployment.env["STRATOMETER_METERS"] = WIDGETS
    deployment.run("deadletters", "replay", "--reason", "unknown_meter")
    deployment.run("drain", module=ACTING)
    deployment.run("settle")
    deployment.run("reconcile")
    return {"first": first, "second": exported(deployment, "second"), "totals": usage(deployment)}


def clustered(cluster: Cluster) -> Documents:
    """Run the story on Kafka, Faust, ClickHouse and PostgreSQL."""
    with cluster.workers(2) as worker:
        cluster.run("fleet", module=ACTING)
        cluster.run("bad", module=ACTING)
        wait_caught_up(cluster, worker)
        rated_live(cluster)
    assert letters(cluster) == REASONS
    time.sleep(CUTOFF_SECONDS)
    cluster.run("settle")
    first = exported(cluster, "first")
    cluster.env["STRATOMETER_METERS"] = WIDGETS
    cluster.run("deadletters", "replay", "--reason", "unknown_meter")
    with cluster.workers() as worker:
        wait_caught_up(cluster, worker)
    time.sleep(CUTOFF_SECONDS)
    cluster.run("settle")
    cluster.run("reconcile")
    return {"first": first, "second": exported(cluster, "second"), "totals": usage(cluster)}


def usage(deployment: Deployment) -> bytes:
    return deployment.run("totals", module=ACTING).encode()


def rated_live(cluster: Cluster) -> None:
    """Triggers made the workers rate (no sweep ran yet), and descriptors became names."""
    with warehouse_of(cluster) as warehouse:
        wait_until("live ratings", lambda: number(warehouse, "SELECT uniqExact(account_id) AS n FROM ratings") == 3)
        assert number(warehouse, "SELECT count() AS n FROM ratings WHERE settled") == 0
        assert number(warehouse, "SELECT uniqExact(resource_id) AS n FROM resource_names") > 13


@pytest.mark.timeout(280)
def test_both_runners_give_the_same_bytes(tmp_path: Path, make_cluster: MakeCluster) -> None:
    here, there = embedded(tmp_path / "embedded"), clustered(make_cluster("same_bytes"))
    assert here["totals"] == there["totals"]
    assert here["first"] == there["first"]
    assert here["second"] == there["second"]
    assert here["first"] != here["second"], "the replayed letter is a line of its own"
    document = orjson.loads(here["second"])
    assert {line["meter"] for line in document["lines"]} >= {OWN_METER, "vm.vcpu", "image.deployment"}
    assert {transfer["account"] for transfer in document["transfers"]} == {"acme", "birch", "cobalt"}
