"""`stratometer collect simulate | replay`: run a collector into its spool and, in a cluster, on to Kafka."""

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from collectors.interface import Collector
from collectors.publisher import Publisher
from collectors.replay import TraceReplay
from collectors.runner import CollectLoop
from collectors.schedule import Schedule
from collectors.simulator import DEMO_TENANTS, Plan, Simulator, TenantPlan
from collectors.spool.reader import SpoolReader
from schemas.clock import system_clock
from schemas.errors import Transient
from schemas.period import SECOND
from stratometer.commands.common import DataDir, Json, start
from stratometer.compose import embedded, open_dead_letters, open_parts, open_spool, publisher_settings, spools_dir
from stratometer.months import month_before, month_period
from stratometer.output import print_json, progress, say
from stratometer.prepare import prepare
from stratometer.settings import Settings

DRAIN_SECONDS = 24 * 3600
PROGRESS_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Run a collector.", no_args_is_help=True)
    app.add_typer(group, name="collect")

    @group.command("simulate")
    def simulate(
        month: Annotated[str | None, typer.Option(help="UTC month; the last whole one unless told.")] = None,
        seed: Annotated[int, typer.Option(help="Another seed, another fleet.")] = 1,
        scale: Annotated[int, typer.Option(min=1, max=1000, help="Multiplies the number of VMs.")] = 1,
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Collect a simulated month of three customers (240 VMs), the same that `demo` shows."""
        period = month_period(month or month_before(system_clock() // SECOND))
        tenants = tuple(TenantPlan(t.name, t.vms * scale) for t in DEMO_TENANTS)
        once(start(data_dir), Simulator(Plan(period, tenants, seed=seed), name="demo"), json=json)

    @group.command("replay")
    def replay(
        folder: Annotated[Path, typer.Argument(help="Folder with trace.parquet and meta.parquet.", file_okay=False)],
        site: Annotated[str, typer.Option(help="Site of all samples.")] = "bitbrains",
        tenant: Annotated[str, typer.Option(help="Owner of all VMs.")] = "bitbrains",
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Collect a recorded trace of VMs."""
        once(start(data_dir), TraceReplay(folder, site=site, name=f"replay-{site}", tenant=tenant), json=json)


def once(settings: Settings, collector: Collector, *, json: bool = False) -> None:
    """Run a collector's one long poll into its spool, and carry everything on: to Kafka, or into the local stores."""
    with ExitStack() as stack:
        spool = stack.enter_context(open_spool(settings, collector.name))
        loop = CollectLoop(collector, spool, Schedule(settings.collect.interval_seconds))
        update = stack.enter_context(progress(f"collecting {collector.site}", "samples", quiet=json))
        thread = threading.Thread(target=loop.run_once, name="collector", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(PROGRESS_SECONDS)
            update(loop.counters.samples, None)
        spool.flush()
        if settings.deployment == "cluster":
            _publish(settings, collector.name)
        else:
            _meter_here(settings)
        result = {
            "collector": collector.name,
            "samples_this_run": loop.counters.samples,
            "spooled": spool.appended_samples,
        }
    if json:
        print_json(result)
    else:
        say(f"{collector.name}: {result['samples_this_run']} samples collected now, {result['spooled']} in all")


def _publish(settings: Settings, name: str) -> None:
    with SpoolReader(spools_dir(settings) / name, "kafka") as reader:
        publisher = Publisher(reader, name, publisher_settings(settings))
        try:
            if not publisher.drain(DRAIN_SECONDS):
                raise Transient("Kafka did not take everything; the rest waits in the spool: run the command again")
        finally:
            publisher.close()


def _meter_here(settings: Settings) -> None:
    with open_parts(settings) as parts, open_dead_letters(settings) as letters:
        prepare(parts)
        stream = embedded(parts, letters)
        stream.runner.drain()
        stream.feed.close()
