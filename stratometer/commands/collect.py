"""`stratometer collect simulate | replay`: run a collector into its spool and, in a cluster, on to Kafka."""

import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from collectors.interface import Collector
from collectors.publisher import Publisher
from collectors.replay import TraceReplay
from collectors.runner import CollectLoop
from collectors.schedule import Schedule
from collectors.simulator import DEMO_TENANTS, LiveSimulator, Plan, Simulator, TenantPlan
from collectors.spool.reader import SpoolReader
from schemas.clock import system_clock
from schemas.errors import Held, Invariant, Transient
from schemas.period import SECOND, Period
from stratometer.commands.common import DataDir, Json, start
from stratometer.compose import embedded, open_dead_letters, open_parts, open_spool, publisher_settings, spools_dir
from stratometer.months import month_before, month_period
from stratometer.output import print_json, progress, say
from stratometer.prepare import prepare
from stratometer.settings import Settings
from stratometer.stopping import stop_event

DRAIN_SECONDS: Final = 24 * 3600
PROGRESS_SECONDS: Final = 0.5
STOP_SECONDS: Final = 10
LIVE_COLLECTOR: Final = "demo-live"
LIVE_SECONDS: Final = 5
LIVE_DAYS: Final = 3700
QUARTER_SECONDS: Final = 900


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Run a collector.", no_args_is_help=True)
    app.add_typer(group, name="collect")

    @group.command("simulate")
    def simulate(
        month: Annotated[str | None, typer.Option(help="UTC month; the last whole one unless told.")] = None,
        seed: Annotated[int, typer.Option(help="Another seed, another fleet.")] = 1,
        scale: Annotated[int, typer.Option(min=1, max=1000, help="Multiplies the number of VMs.")] = 1,
        live: Annotated[bool, typer.Option("--live", help="Stream the present instead, until Ctrl-C.")] = False,
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Collect a simulated month of three customers (240 VMs), the same that `demo` shows."""
        now = system_clock() // SECOND
        period = month_period(month or month_before(now))
        tenants = tuple(TenantPlan(t.name, t.vms * scale) for t in DEMO_TENANTS)
        if live:
            stream(start(data_dir), present(Plan(period, tenants, seed=seed), now))
        else:
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


def present(plan: Plan, now: int) -> LiveSimulator:
    """Return the stream of a month's fleet as it lives on at `now` (seconds since 1970)."""
    longer = replace(plan, period=Period(plan.period.start, plan.period.end + LIVE_DAYS * 86400))
    return LiveSimulator(longer, now // QUARTER_SECONDS * QUARTER_SECONDS, name=LIVE_COLLECTOR)


def once(settings: Settings, collector: Collector, *, json: bool = False) -> None:
    """Run a collector's one long poll into its spool, and carry everything on: to Kafka, or into the local stores."""
    with ExitStack() as stack:
        spool = stack.enter_context(open_spool(settings, collector.name))
        loop = CollectLoop(collector, spool, Schedule(settings.collect.interval_seconds))
        failures: list[BaseException] = []
        thread = threading.Thread(target=_poll, args=(loop, failures), name="collector", daemon=True)
        with progress(f"collecting {collector.site}", "samples", quiet=json) as update:
            thread.start()
            while thread.is_alive():
                thread.join(PROGRESS_SECONDS)
                update(loop.counters.samples, None)
        if failures:
            raise failures[0]
        spool.flush()
        went = _publish(settings, collector.name) if settings.deployment == "cluster" else _meter_here(settings)
        result = {
            "collector": collector.name,
            "samples_this_run": loop.counters.samples,
            "spooled": spool.appended_samples,
        }
    if json:
        print_json(result | {"went": went})
    else:
        say(f"{collector.name}: {result['samples_this_run']} samples collected now, {result['spooled']} in all; {went}")


def stream(settings: Settings, collector: Collector) -> None:
    """Poll again and again and carry on what comes, until told to stop."""
    with ExitStack() as stack:
        spool = stack.enter_context(open_spool(settings, collector.name))
        loop = CollectLoop(collector, spool, Schedule(LIVE_SECONDS))
        stop = stack.enter_context(stop_event())
        threads = [threading.Thread(target=loop.run, args=(stop,), name="collector", daemon=True)]
        if settings.deployment == "cluster":
            reader = stack.enter_context(SpoolReader(spools_dir(settings) / collector.name, "kafka"))
            publisher = Publisher(reader, collector.name, publisher_settings(settings))
            threads.append(threading.Thread(target=publisher.run, args=(stop,), name="publisher", daemon=True))
        for thread in threads:
            thread.start()
        say(f"{collector.name} collects every {LIVE_SECONDS} s. Ctrl-C ends it.")
        while not stop.wait(PROGRESS_SECONDS):
            if not all(thread.is_alive() for thread in threads):
                raise Invariant(f"{collector.name} stopped; what it collected is in its spool")
        for thread in threads:
            thread.join(STOP_SECONDS)


def _poll(loop: CollectLoop, failures: list[BaseException]) -> None:
    try:
        loop.run_once()
    except BaseException as error:
        failures.append(error)


def _publish(settings: Settings, name: str) -> str:
    with SpoolReader(spools_dir(settings) / name, "kafka") as reader:
        publisher = Publisher(reader, name, publisher_settings(settings))
        try:
            if not publisher.drain(DRAIN_SECONDS):
                raise Transient("Kafka did not take everything; the rest waits in the spool: run the command again")
        finally:
            publisher.close()
    return "all of it is in Kafka"


def _meter_here(settings: Settings) -> str:
    """Meter the spools, unless a running `up` holds the stores: then it does."""
    try:
        with open_parts(settings) as parts, open_dead_letters(settings) as letters:
            prepare(parts)
            stream = embedded(parts, letters)
            stream.runner.drain()
            stream.feed.close()
    except Held as held:
        return f"the running process meters it ({held})"
    return "metered and rated"
