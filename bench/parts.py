"""The parts by themselves: metering core, bare insert, embedded deployment."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_driver
import numpy as np
import orjson

from bench.load import START, Load
from collectors.spool import Spool, SpoolSettings
from pipeline.message import Message
from pipeline.metering import Metered, Seen, meter, portions
from schemas.meters import builtin

TAKE_MESSAGES = 200


def per_second(count: int, seconds: float) -> dict[str, Any]:
    """Return a figure with what it was computed from."""
    return {"count": count, "seconds": round(seconds, 2), "per_second": round(count / seconds)}


def metered(load: Load) -> Iterator[Metered]:
    """Meter a load as a worker does, in portions of TAKE_MESSAGES."""
    registry, seen, now = builtin(), Seen(), time.time_ns() // 1000
    for first in range(0, load.batches, TAKE_MESSAGES):
        last = min(first + TAKE_MESSAGES, load.batches)
        messages = [Message(payload, f"bench/0/{first}") for payload in load.payloads(first, last)]
        for portion in portions(messages):
            found = meter(portion, registry, now, seen)
            seen.remember(found.block.names)
            yield found


def core(load: Load) -> dict[str, Any]:
    """Decode, check and place in cells, nothing stored."""
    payloads = list(load.payloads())
    registry, seen, now = builtin(), Seen(), time.time_ns() // 1000
    began = time.perf_counter()
    for first in range(0, load.batches, TAKE_MESSAGES):
        for portion in portions([Message(p, "bench/0/0") for p in payloads[first : first + TAKE_MESSAGES]]):
            seen.remember(meter(portion, registry, now, seen).block.names)
    return per_second(load.samples, time.perf_counter() - began)


def bare_insert(url: str, table: str, load: Load) -> dict[str, Any]:
    """clickhouse-driver's columnar insert of the same rows into an empty table of the same layout."""
    blocks = [dict(found.block.samples) for found in metered(load)]
    client = clickhouse_driver.Client.from_url(f"{url}?compression=lz4&use_numpy=1")
    names = [name for name in blocks[0] if not name.startswith("event_")]
    client.execute(f"DROP TABLE IF EXISTS {table}_bare")
    client.execute(f"CREATE TABLE {table}_bare AS {table}")
    stored_at = np.full(len(blocks[0]["rank"]), time.time_ns() // 1000, np.uint64)
    sql = f"INSERT INTO {table}_bare ({', '.join([*names, 'stored_at'])}) VALUES"
    began = time.perf_counter()
    for block in blocks:
        columns = [*(block[name] for name in names), stored_at[: len(block["rank"])]]
        client.execute(sql, columns, columnar=True)
    seconds = time.perf_counter() - began
    stored = client.execute(f"SELECT count() FROM {table}_bare")[0][0]
    client.execute(f"DROP TABLE {table}_bare")
    client.disconnect()
    if stored > load.samples:
        raise RuntimeError(f"{stored} rows stored, {load.samples} sent")
    return per_second(load.samples, seconds)


def embedded(load: Load) -> dict[str, Any]:
    """Spool → metering core → chDB, in a process of its own (chDB's memory is then its own, too)."""
    with tempfile.TemporaryDirectory(prefix="stratometer-bench-") as folder:
        spools = Path(folder) / "spools" / "bench"
        spools.mkdir(parents=True)
        with Spool(spools, "bench", SpoolSettings()) as spool:
            for number in range(load.batches):
                spool.append_batch(load.rows(number), load.site, START * 1_000_000)
            spool.flush()
        command = [sys.executable, "-m", "bench.embedded_drain", folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = orjson.loads(done.stdout.splitlines()[-1])
    if found["unique"] != load.samples:
        raise RuntimeError(f"{found['unique']} unique samples stored, {load.samples} sent")
    return per_second(load.samples, found["seconds"]) | {"resident_mib": found["resident_mib"]}
