"""What is particular to one engine: equal digests, dead servers, one owner a folder."""

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from infra.dev.clickhouse import ClickHouseServer
from infra.dev.ports import free_port
from schemas.errors import Held, Invariant, Misconfigured, Transient
from sinks.warehouse.connect import open_warehouse
from sinks.warehouse.digest import digest_sql, int_hash64, usage_digest
from sinks.warehouse.engine import server_error
from sinks.warehouse.folder_lock import FolderLock
from sinks.warehouse.native import _arguments
from sinks.warehouse.protocol import MeteredBlock, UsageRequest
from sinks.warehouse.store import Store
from tests.warehouse.stories import CPU, DAY, DEPLOYED, T0, Sample, block, columns, names_of, with_rank


def test_numpy_knows_inthash64(warehouse: Store) -> None:
    values = np.array([0, 1, 2**63, 2**64 - 1, 12345678901234567890], dtype=np.uint64)
    listed = ", ".join(f"toUInt64({v})" for v in values)
    found = warehouse.engine.select(f"SELECT intHash64(arrayJoin([{listed}])) AS h")["h"].to_pylist()
    assert found == int_hash64(values).tolist()


@pytest.mark.server
def test_both_engines_and_numpy_agree_on_usage(embedded: Store, clickhouse_server: ClickHouseServer) -> None:
    draw = np.random.default_rng(5)
    rows = [
        Sample(
            f"vm{draw.integers(9)}",
            T0 + 300 * int(draw.integers(288)),
            int(draw.integers(-(10**15), 10**15)),
            covered=int(draw.integers(1, 301)),
            owner=f"t{draw.integers(3)}",
            meter=CPU if number % 7 else DEPLOYED,
            event="" if number % 7 else f"e{draw.integers(40)}",
        )
        for number in range(2_000)
    ]
    native = open_warehouse(clickhouse_server.database_url("digests"))
    native.migrate()
    request = UsageRequest(None, range(T0, T0 + DAY + 1, 3600), group=frozenset({"tenant", "resource", "attributes"}))
    results = []
    for store in (embedded, native):
        store.write(MeteredBlock(with_rank(columns(rows)), names_of(rows), ()), 1)
        results.append(store.usage(request))
    native.close()
    assert results[0].equals(results[1])
    assert results[0].num_rows > 100


def test_the_digest_as_text_and_of_nothing() -> None:
    none = np.array([], dtype=np.uint64)
    assert usage_digest(none, none, none, none, none) == 0
    assert digest_sql(event=True).count("intHash64") == 6


def test_a_server_that_is_away_is_transient_and_tells_no_password() -> None:
    store = open_warehouse(f"clickhouse://user:sesame@127.0.0.1:{free_port()}/db", insert_timeout_seconds=2)
    calls = (store.ping, store.migrate, store.counters, lambda: store.write(block(Sample()), 1))
    for call in calls:
        with pytest.raises(Transient) as caught:
            call()
        assert "sesame" not in str(caught.value)


@pytest.mark.server
def test_a_server_that_comes_back_is_used_again(clickhouse_server: ClickHouseServer) -> None:
    database = clickhouse_server.database_url("comes_back")
    dead = f"127.0.0.1:{free_port()}"
    store = open_warehouse(database.replace("@", f"@{dead},"))  # the first host is dead: the next one answers
    store.migrate()
    store.write(block(Sample()), 1)
    for connections in store.engine._idle.values():  # type: ignore[attr-defined]
        for client in connections:
            client.connection.socket.shutdown(socket.SHUT_RDWR)
    store.write(block(Sample()), 2)
    assert store.counters().unique == 1
    store.close()


@pytest.mark.parametrize(("code", "kind"), [(241, Transient), (252, Transient), (159, Transient), (47, Invariant)])
def test_codes_become_errors_of_ours(code: int, kind: type[Exception]) -> None:
    error = server_error(code, "DB::Exception: first line\nStack trace:\n0. x")
    assert type(error) is kind
    assert "Stack" not in str(error)


def test_urls() -> None:
    host, arguments = _arguments(
        "clickhouse://u:p%40@h1:9440,h2:9441/d?secure=1&verify=0&ca_certs=/ca.pem&alt_hosts=h3"
    )
    assert host == "h1"
    assert arguments["alt_hosts"] == "h2:9441,h3"
    assert (arguments["password"], arguments["secure"], arguments["ca_certs"]) == ("p@", True, "/ca.pem")
    for bad in ("http://h/d", "chdb://relative/x", "chdb:///", "clickhouse:///d", "clickhouse://u:sesame@h:port/d"):
        with pytest.raises(Misconfigured) as caught:
            open_warehouse(bad)
        assert "sesame" not in str(caught.value)
    with pytest.raises(Misconfigured, match="no cluster"):
        open_warehouse("chdb:///x/y", cluster="c")


def test_a_folder_has_one_owner_who_is_named(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from sinks.warehouse.folder_lock import FolderLock\n"
        "lock = FolderLock(pathlib.Path(sys.argv[1]), 'http://127.0.0.1:8080')\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(Held, match=rf"process {child.pid}, reachable at http://127.0.0.1:8080"):
            FolderLock(tmp_path)
        child.kill()
        child.wait(10)
    FolderLock(tmp_path).release()


def test_this_process_opens_one_folder_and_shares_it(embedded: Store, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="chDB takes one"):
        open_warehouse(f"chdb://{tmp_path}/other")
    folder = embedded.engine._folder.path  # type: ignore[attr-defined]
    second = open_warehouse(f"chdb://{folder}?database={embedded.engine.database}")
    embedded.write(block(Sample()), 1)
    assert second.counters().unique == 1
    second.close()
    second.close()
    with pytest.raises(Invariant, match="closed"):
        second.ping()
    assert embedded.counters().unique == 1


def test_too_little_memory_is_transient(chdb_folder: Path) -> None:
    store = open_warehouse(f"chdb://{chdb_folder}?database=tiny", query_memory_bytes_max=20_000_000)
    with pytest.raises(Transient, match="241"):
        store.query("SELECT uniqExact(number), groupArray(number) FROM numbers(30000000)")
    store.close()
