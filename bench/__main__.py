"""`python -m bench [--quick]`: every figure in one run, as JSON on standard output."""

import argparse
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import orjson

from bench import end_to_end, parts, plain, rating, simulation
from bench.load import Load
from bench.servers import servers
from schemas.clock import system_clock
from schemas.period import SECOND, iso

LARGE, QUICK = 10_000, 1_000
"""Batches of 1,000 samples in the end-to-end runs."""


def main() -> None:
    """Measure everything; progress goes to standard error."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data: a look, not a measurement")
    batches = QUICK if parser.parse_args().quick else LARGE
    load, part = Load(batches), Load(max(batches // 4, 500))
    vms = simulation.LARGE if batches == LARGE else simulation.QUICK
    report: dict[str, Any] = {"machine": machine(), "batch_samples": load.rows_per_batch, "results": {}}

    def measure(name: str, action: Callable[[], dict[str, Any]]) -> None:
        sys.stderr.write(f"{name} …\n")
        report["results"][name] = action() | {"load_average_1m": round(os.getloadavg()[0], 1)}

    measure("metering core alone, samples", lambda: parts.core(part))
    measure("rating alone, usage rows", lambda: rating.run(batches * 200))
    measure("price simulator: a month of hourly usage under two lists", lambda: simulation.own_process(vms))
    measure("embedded: spool to chDB, samples", lambda: parts.embedded(part))
    with servers() as real:
        for workers in (1, 2):
            name = f"end to end: Kafka, {workers} Faust worker(s), ClickHouse, samples"
            measure(name, lambda workers=workers: asdict(end_to_end.run(real, load, workers)))  # type: ignore[misc]
        url = real.clickhouse.database_url("bench1w")
        measure("baseline: bare columnar insert, rows", lambda: parts.bare_insert(url, "samples", part))
        measure("baseline: plain Faust, one JSON event a message", lambda: plain.run(real, batches * 20))
    sys.stdout.buffer.write(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")


def machine() -> dict[str, Any]:
    """Return where it was measured."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "at": iso(system_clock() // SECOND),
        "load_average_1m": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    main()
