"""Runs the demo's month through the embedded deployment; started again, it takes up where it was."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import TypeVar

from billing.catalogue_values import Act
from collectors.runner import CollectLoop
from collectors.schedule import Schedule
from collectors.simulator import Fleet, Plan, Simulator, build
from collectors.spool import Spool
from pipeline.settle import SettleReport
from pipeline.simulation.cohorts import Asked
from pipeline.simulation.model import Simulation
from pipeline.simulation.run import Simulator as PriceSimulator
from schemas.period import Period
from stratometer import provider_file
from stratometer.compose import Embedded, Parts
from stratometer.months import month_name

T = TypeVar("T")

COLLECTOR = "demo"
PROVIDER = "provider.yaml"
DRAFT = "draft.yaml"


@dataclass
class Timings:
    """Seconds of each stage, for the summary."""

    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, name: str, action: Callable[[], T]) -> T:
        """Run a stage and note how long it took."""
        began = time.monotonic()
        try:
            return action()
        finally:
            self.seconds[name] = round(time.monotonic() - began, 2)


@dataclass(frozen=True, slots=True)
class MonthDone:
    """What the month's run yields."""

    fleet: Fleet
    collected: int
    report: SettleReport
    timings: Timings


def provide(parts: Parts) -> None:
    """Bring the demo's accounts, rules, prices and grants into the books; the second time changes nothing."""
    text = resources.files("stratometer.demo").joinpath(PROVIDER).read_text(encoding="utf-8")
    act = Act("demo", parts.clock(), "the demo brings its own price lists")
    provider_file.apply(provider_file.read(text, parts.registry), parts.books, parts.registry, act, force=True)
    parts.directory.refresh()


def run_month(
    parts: Parts, stream: Embedded, spool: Spool, period: Period, told: Callable[[str, int], None]
) -> MonthDone:
    """Collect, meter, rate and settle the month.

    Args:
        parts: the stores.
        stream: the embedded stream.
        spool: the demo collector's.
        period: the month.
        told: called with a stage's name and a count, for people who wait.
    """
    timings = Timings()
    fleet = timings.run("fleet", lambda: build(Plan(period)))
    simulator = Simulator(Plan(period), name=COLLECTOR, fleet=fleet)
    loop = CollectLoop(simulator, spool, Schedule(300), clock=parts.clock)
    timings.run("collect and meter", lambda: _collect(loop, spool, stream, told))
    told("rating", 0)
    timings.run("rate", stream.runner.sweep_and_rate)
    told("settling", 0)
    report = timings.run("settle", lambda: parts.settler.run(lambda done, _all: told("settling", done)))
    return MonthDone(fleet, spool.appended_samples, report, timings)


def simulate_draft(parts: Parts, period: Period) -> Simulation:
    """Rate the month under the demo's draft beside the list in force; nothing is written."""
    draft = resources.files("stratometer.demo").joinpath(DRAFT).read_text(encoding="utf-8")
    simulator = PriceSimulator(parts.warehouse, parts.books, parts.directory, parts.registry, parts.clock)
    return simulator.simulate(Asked(draft, month=month_name(period.start)))


def _collect(loop: CollectLoop, spool: Spool, stream: Embedded, told: Callable[[str, int], None]) -> None:
    """Collect in one thread and meter in this one, at the same time."""
    failures: list[BaseException] = []

    def collect() -> None:
        try:
            loop.run_once()
            spool.flush()
        except BaseException as error:
            failures.append(error)

    collecting = threading.Thread(target=collect, name="collector", daemon=True)
    collecting.start()
    while collecting.is_alive() or stream.feed.backlog():
        if not stream.feed.step():
            collecting.join(0.02)
        told("metering", stream.writer.progress.samples)
    if failures:
        raise failures[0]
