"""The price simulator: a month of hourly usage under two lists at once. `python -m bench.simulation [--quick]`.

10,000 VMs × 10 meters × 744 hours are 74.4 million usage rows, of which one in a hundred is stored in a second version.
Windows are hours, so that every row is a line of its own under each list. The process measured holds chDB, too.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from bench.load import METERS, START
from billing.protocol import Account, MappingRule
from pipeline.directory import Directory
from pipeline.simulation.cohorts import Asked
from pipeline.simulation.model import Simulation
from pipeline.simulation.run import Simulator
from schemas import ids
from schemas.batch import canonical_attributes
from schemas.clock import system_clock
from schemas.meters import builtin
from sinks.books.connect import open_books
from sinks.warehouse.connect import open_warehouse
from sinks.warehouse.digest import int_hash64
from sinks.warehouse.protocol import Names
from sinks.warehouse.store import Store

LARGE, QUICK = 10_000, 200
"""VMs."""
HOURS: Final = 744
ACCOUNTS: Final = 50
AGAIN: Final = 100
"""One cell in so many is stored twice: a first version, and one with more seconds covered."""
INSERT_VMS: Final = 500
SITE: Final = "bench"
GOLD: Final = canonical_attributes({"tier": "gold"})
HEAD: Final = "id: default\nname: Bench\ncurrency: CU\nwindow: hour\n"
TIERED: Final = """products:
  - id: network
    name: Network
    charges:
      - id: out
        meter: net.out.bytes
        per: GB
        model: graduated
        window: month
        prices: [{tiers: [{up_to: "1000", amount: "0.03"}, {amount: "0.02"}]}]
"""


@dataclass(frozen=True, slots=True)
class World:
    """Stores with a month of usage."""

    warehouse: Store
    simulator: Simulator
    rows: int


def price_list(factor: int, tiered: bool) -> str:
    """Return a list with a price for each meter, disks by tier, in hundredths of a percent of the usual amount."""
    registry, entries = builtin(), []
    for number, key in enumerate(METERS):
        meter = registry[key]
        if tiered and key == "net.out.bytes":
            continue
        amounts = [("", number + 1)] + (
            [("when: {tier: gold}, ", 2 * number + 3)] if "tier" in meter.attributes else []
        )
        for place, (when, amount) in enumerate(amounts):
            entries.append(
                f"  - {{id: p{number}-{place}, product: {key.partition('.')[0].title()}, meter: {key},"
                f' amount: "0.{amount * factor:06d}", per: {meter.display_unit}, {when}from: 2020-01-01T00:00:00Z}}\n'
            )
    return HEAD + "prices:\n" + "".join(entries) + (TIERED if tiered else "")


def run(vms: int) -> dict[str, Any]:
    """Make the usage, then simulate a list of linear prices, and one in which one meter of ten has tiers."""
    with tempfile.TemporaryDirectory(prefix="stratometer-bench-") as folder:
        began = time.perf_counter()
        world = _world(Path(folder), vms)
        filled = time.perf_counter() - began
        found: dict[str, Any] = {"usage_rows": world.rows, "fill_seconds": round(filled, 1)}
        sys.stderr.write(f"{world.rows} usage rows made in {filled:.0f} s\n")
        for name, tiered in (("linear", False), ("one_meter_of_ten_with_tiers", True)):
            found[name] = _simulated(world, price_list(107, tiered))
            sys.stderr.write(f"{name}: {found[name]['seconds']} s\n")
        world.warehouse.close()
    return found


def own_process(vms: int) -> dict[str, Any]:
    """Do the same in a process of its own: chDB takes one folder a process, and its memory is then its own."""
    command = [sys.executable, "-m", "bench.simulation", "--vms", str(vms)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def _simulated(world: World, draft: str) -> dict[str, Any]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak of resident memory begins anew (Linux, proc(5))
    began, used = time.perf_counter(), time.process_time()
    simulation: Simulation = world.simulator.simulate(Asked(draft, month="2026-10"))
    seconds = time.perf_counter() - began
    total = simulation.totals["CU"]
    lines = sum(account.lines.before + account.lines.after for account in simulation.accounts)
    if simulation.problems or len(simulation.accounts) != ACCOUNTS or total.before <= 0:
        raise RuntimeError(f"simulated wrongly: {simulation.problems[:1]}")
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - used, 1),
        "usage_rows_per_second": round(world.rows / seconds),
        "lines": lines,
        "pushed": simulation.pushed,
        "streamed": simulation.streamed,
        "before_micros": total.before,
        "after_micros": total.after,
        "resident_mib_peak": _resident_kib_peak() // 1024,
    }


def _resident_kib_peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def _world(folder: Path, vms: int) -> World:
    registry = builtin()
    warehouse, books = open_warehouse(f"chdb://{folder}/chdb"), open_books(f"sqlite:///{folder}/books.sqlite")
    warehouse.migrate()
    books.migrate()
    _announce(warehouse, vms)
    for first in range(0, vms, INSERT_VMS):
        for again in (False, True):
            warehouse.engine.execute(_fill_sql(first, min(INSERT_VMS, vms - first), again=again))
    now = system_clock()
    books.put_price_list("default", price_list(100, False), now)
    for number in range(ACCOUNTS):
        books.put_account(Account(f"a{number}", f"Account {number}"))
        books.add_rule(MappingRule(0, SITE, f"t{number}", f"a{number}"), now)
    directory = Directory(books, warehouse, registry, system_clock)
    simulator = Simulator(warehouse, books, directory, registry, system_clock)
    return World(warehouse, simulator, vms * len(METERS) * HOURS)


def _announce(warehouse: Store, vms: int) -> None:
    site = ids.site_id(SITE)
    keys = int_hash64(np.arange(vms, dtype=np.uint64)).tolist()
    tenants = [ids.tenant_id(SITE, f"t{number}") for number in range(ACCOUNTS)]
    names = Names(
        sites={site: SITE},
        tenants={tenant: (site, f"t{number}") for number, tenant in enumerate(tenants)},
        resources={key: (site, "vm", str(number)) for number, key in enumerate(keys)},
        resource_tenants=frozenset((tenants[number % ACCOUNTS], key) for number, key in enumerate(keys)),
        attribute_sets={ids.attributes_id(text): text for text in ("{}", GOLD)},
    )
    warehouse.announce(names, system_clock())


def _fill_sql(first: int, vms: int, *, again: bool) -> str:
    """Return the SQL that makes the rows of some VMs; `again`: the second version of one cell in AGAIN."""
    registry, each = builtin(), HOURS * len(METERS)
    tenants = ", ".join(str(ids.tenant_id(SITE, f"t{number}")) for number in range(ACCOUNTS))
    meters = ", ".join(str(registry[key].id) for key in METERS)
    sets = ", ".join(str(ids.attributes_id(text)) for text in ("{}", GOLD))
    covered, wanted = (3600, f"WHERE intHash32(number) % {AGAIN} = 0") if again else (3000, "")
    return (
        "INSERT INTO samples (site_id, tenant_id, resource_id, meter_id, attributes_id, cell_start, cell_seconds,"
        f" covered_seconds, quantity, revision, rank, stored_at) SELECT {ids.site_id(SITE)},"
        f" arrayElement(CAST([{tenants}], 'Array(UInt64)'), intDiv(number, {each}) % {ACCOUNTS} + 1),"
        f" intHash64(intDiv(number, {each})),"
        f" arrayElement(CAST([{meters}], 'Array(UInt32)'), intDiv(number, {HOURS}) % {len(METERS)} + 1),"
        f" arrayElement(CAST([{sets}], 'Array(UInt64)'), intDiv(number, {each}) % 2 + 1),"
        f" {START} + number % {HOURS} * 3600, 3600, {covered},"
        f" intHash64(number) % 20000000 * {covered}, {int(again)}, {covered}, 1"
        f" FROM numbers({first * each}, {vms * each}) {wanted}"
        " SETTINGS optimize_on_insert = 0, max_block_size = 1048576, max_insert_threads = 2"
    )


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} VMs: a look, not a measurement")
    parser.add_argument("--vms", type=int, default=LARGE, help=f"how many; {LARGE} unless told")
    arguments = parser.parse_args()
    found = run(QUICK if arguments.quick else arguments.vms)
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
