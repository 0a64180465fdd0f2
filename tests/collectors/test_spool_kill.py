"""Real processes, really killed: what was acknowledged as durable is there, in order, once."""

import random
import subprocess
import sys
import time
from pathlib import Path

from collectors.spool import Spool
from collectors.spool.reader import SpoolReader, scan


def start(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.collectors.spool_writer", str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_killed_writers_lose_nothing_that_was_durable(tmp_path: Path) -> None:
    rng, last = random.Random(7), 0
    with SpoolReader(tmp_path, "follower") as follower:
        followed: list[int] = []
        for _ in range(5):
            writer = start(tmp_path)
            assert writer.stdout is not None
            assert writer.stdout.readline().startswith("opened ")
            deadline = time.monotonic() + rng.uniform(0.02, 0.3)
            while time.monotonic() < deadline:  # another process reads while it is being written
                followed += [record.sequence for record in follower.read()]
                follower.acknowledge(follower.position)
            writer.kill()
            lines = writer.stdout.read().split("\n")
            writer.stdout.close()
            writer.wait()
            durable = max((int(line) for line in lines[:-1] if line), default=last)
            records = list(scan(tmp_path))
            assert [record.sequence for record in records] == list(range(1, len(records) + 1))
            assert len(records) >= durable >= last
            last = len(records)
        followed += [record.sequence for record in follower.read(10**6, 10**9)]
    assert followed == list(range(1, last + 1))
    assert last > 50
    for record in scan(tmp_path):
        assert record.payload == record.sequence.to_bytes(8, "big") * (record.sequence % 300)
    with Spool(tmp_path, "c1") as spool:
        assert spool.last_sequence == last
        assert spool.appended_samples == 2 * last
