"""`stratometer demo`: a simulated month, metered, rated, debited and checked; then the live page with a stream."""

import resource
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from billing.ledger import wallet
from collectors.runner import CollectLoop
from collectors.schedule import Schedule
from collectors.simulator import Plan
from pipeline.simulation.view import simulation_json
from schemas import calendar
from schemas.clock import system_clock
from schemas.errors import Invariant
from schemas.ids import account_id
from schemas.money import decimal_text
from schemas.period import SECOND, Period
from stratometer.commands.collect import LIVE_COLLECTOR, LIVE_SECONDS, present
from stratometer.commands.common import Json
from stratometer.commands.reconcile import show
from stratometer.commands.simulate import show as show_simulation
from stratometer.compose import Embedded, Parts, embedded, open_dead_letters, open_parts, open_spool
from stratometer.demo.checks import all_checks
from stratometer.demo.month import COLLECTOR, MonthDone, provide, run_month, simulate_draft
from stratometer.exit_codes import Exit
from stratometer.export import document
from stratometer.ingest import COLLECTOR as API_COLLECTOR
from stratometer.ingest import SpoolIngest
from stratometer.log import configure
from stratometer.months import month_before, month_name, month_period
from stratometer.output import print_json, print_table, progress, say
from stratometer.prepare import prepare
from stratometer.serving import bind, services, serving, url_of
from stratometer.settings import load
from stratometer.stopping import stop_event

DAY_SECONDS: Final = 86400
"""The month's first local day begins up to a day before the UTC month."""
DATA_DIR: Final = Path("stratometer-demo")


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def demo(
        once: Annotated[bool, typer.Option("--once", help="End after the checks; exit 0 only when all hold.")] = False,
        month: Annotated[
            str | None, typer.Option(help="UTC month to simulate; the last whole one unless told.")
        ] = None,
        export: Annotated[Path | None, typer.Option(help="Also write the month's canonical JSON export here.")] = None,
        port: Annotated[int, typer.Option(help="Port of the API and the live page; 0 takes a free one.")] = 8080,
        json: Json = False,
        data_dir: Annotated[Path, typer.Option(help="Folder that the demo lives in.")] = DATA_DIR,
    ) -> None:
        """Meter, rate and debit a simulated month of three customers; then serve the live page with a stream."""
        began = time.monotonic()
        settings = load(
            dev=True,
            deployment="embedded",
            data_dir=data_dir,
            warehouse={"url": ""},
            books={"url": ""},
            api={"port": port},
            stream={"rate_debounce_seconds": 2},
            settle={"cutoff_margin_seconds": 0},
        )
        configure(json=settings.log_json)
        period = month_period(month or month_before(system_clock() // SECOND))
        with ExitStack() as stack:
            listener = None if once else bind(settings)
            parts = stack.enter_context(
                open_parts(settings, owner_note=url_of(listener) if listener else "demo --once")
            )
            letters = stack.enter_context(open_dead_letters(settings))
            prepare(parts)
            provide(parts)
            stream = embedded(parts, letters)
            done = _month(parts, stream, period, quiet=json)
            found = all_checks(parts, letters, done, period)
            if export:
                with export.open("wb") as file:
                    file.writelines(document(parts, period))
            trial = simulate_draft(parts, period)
            facts = _facts(parts, done, period, round(time.monotonic() - began, 1))
            if json:
                checks = [asdict(c) | {"holds": c.holds} for c in found]
                print_json(facts | {"checks": checks, "simulation": simulation_json(trial)})
            else:
                _show(facts)
                show(found)
                show_simulation(trial)
            if not all(c.holds for c in found):
                raise typer.Exit(Exit.CHECK_FAILED)
            if listener is not None:
                _live(stack, parts, stream, listener, period)


def _month(parts: Parts, stream: Embedded, period: Period, *, quiet: bool) -> MonthDone:
    with open_spool(parts.settings, COLLECTOR) as spool, progress("starting", quiet=quiet) as update:

        def told(stage: str, count: int) -> None:
            update(count, None, stage)

        return run_month(parts, stream, spool, period, told)


def _facts(parts: Parts, done: MonthDone, period: Period, seconds: float) -> dict[str, Any]:
    """Return the figures of the summary."""
    counters = parts.warehouse.counters()
    accounts = {}
    for account in parts.directory.accounts().values():
        # The month of the account's zone; fees are due of the months after it, too.
        month = calendar.window_of((period.start + period.end) // 2, "month", account.timezone)
        ratings = [r for r in parts.warehouse.ratings([account_id(account.id)], month) if r.window.start in month]
        settlements = [s for s in parts.books.settlements(account.id) if s.cycle_start in month]
        if not ratings:
            continue
        currency = ratings[0].currency
        accounts[account.id] = {
            "name": account.name,
            "cycle": account.cycle,
            "lines": sum(r.lines for r in ratings),
            "rated": decimal_text(sum(r.amount_micros for r in ratings)),
            "debits": sum(1 for s in settlements if s.transfer_id),
            "debited": decimal_text(sum(s.posted_micros for s in settlements)),
            "balance": decimal_text(parts.books.balance(wallet(account.id), currency)),
            "currency": currency,
        }
    return {
        "period": [period.start, period.end],
        "vms": sum(t.vms for t in done.fleet.plan.tenants),
        "samples": {
            "collected": done.collected,
            "stored": counters.stored,
            "unique": counters.unique,
            "dead": counters.dead,
        },
        "accounts": accounts,
        "seconds": seconds,
        "stages": done.timings.seconds,
        "resident_mib_max": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _show(facts: Mapping[str, Any]) -> None:
    columns = ["account", "cycle", "lines", "rated", "debits", "debited", "balance", ""]
    rows = [
        (a["name"], a["cycle"], a["lines"], a["rated"], a["debits"], a["debited"], a["balance"], a["currency"])
        for a in facts["accounts"].values()
    ]
    samples = facts["samples"]
    title = (
        f"{month_name(facts['period'][0])}: {facts['vms']} VMs, {samples['unique']:,} samples, "
        f"in {facts['seconds']} s, {facts['resident_mib_max']} MiB"
    )
    print_table(title, columns, rows, right=[2, 3, 4, 5, 6])


def _live(stack: ExitStack, parts: Parts, stream: Embedded, listener: socket.socket, period: Period) -> None:
    """Serve the page and stream the fleet's present, until told to stop."""
    simulator = present(Plan(period), parts.clock() // SECOND)
    spool = stack.enter_context(open_spool(parts.settings, LIVE_COLLECTOR))
    ingest = SpoolIngest(stack.enter_context(open_spool(parts.settings, API_COLLECTOR)), parts.clock)
    loop = CollectLoop(simulator, spool, Schedule(LIVE_SECONDS), clock=parts.clock)
    feed = services(
        parts,
        ingest,
        since=lambda _now: period.start - DAY_SECONDS,
        accepted=lambda: stream.writer.progress.samples,
        metrics=stream.metrics(parts, {LIVE_COLLECTOR: simulator.health}),
    )
    stack.enter_context(serving(feed, listener))
    stream.runner.start()
    stack.callback(stream.stop)
    with stop_event() as stop:
        collecting = threading.Thread(target=loop.run, args=(stop,), name="collector", daemon=True)
        collecting.start()
        say(f"\nLive page and API: {url_of(listener)}    (Ctrl-C ends it; the next start goes on from here)")
        while not stop.wait(0.5):
            if stream.runner.failed is not None:
                raise Invariant(f"the stream stopped: {stream.runner.failed!r}")
        collecting.join(LIVE_SECONDS)
