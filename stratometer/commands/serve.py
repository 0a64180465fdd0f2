"""`stratometer up` (everything in one process) and `stratometer api` (the cluster's API)."""

import threading
from contextlib import ExitStack

import typer

from collectors.publisher import Publisher
from collectors.spool.reader import SpoolReader
from schemas.errors import Invariant, Misconfigured
from stratometer.commands.common import DataDir, start
from stratometer.compose import embedded, open_dead_letters, open_parts, open_spool, publisher_settings, spools_dir
from stratometer.ingest import COLLECTOR, SpoolIngest
from stratometer.output import say
from stratometer.prepare import prepare
from stratometer.serving import bind, services, serving, url_of
from stratometer.settings import Settings
from stratometer.stopping import stop_event


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def up(data_dir: DataDir = None) -> None:
        """Run everything in this process: metering, rating, settling, API and live page. Ctrl-C ends it."""
        settings = start(data_dir, serves=True)
        if settings.deployment != "embedded":
            raise Misconfigured(
                ["deployment: `up` is the embedded deployment; a cluster runs `worker`, `api`, `collect`"]
            )
        run_embedded(settings)

    @app.command()
    def api(data_dir: DataDir = None) -> None:
        """Run the cluster's API and live page. Ctrl-C ends it."""
        settings = start(data_dir, serves=True)
        if settings.deployment != "cluster":
            raise Misconfigured(["deployment: `api` belongs to a cluster; the embedded deployment runs `up`"])
        run_api(settings)


def run_embedded(settings: Settings) -> None:
    """Run the embedded deployment until it is told to stop."""
    listener = bind(settings)
    url = url_of(listener)
    with ExitStack() as stack:
        parts = stack.enter_context(open_parts(settings, owner_note=url))
        letters = stack.enter_context(open_dead_letters(settings))
        prepare(parts)
        spool = stack.enter_context(open_spool(settings, COLLECTOR))
        stream = embedded(parts, letters)
        ingest = SpoolIngest(spool, parts.clock)
        stack.enter_context(serving(services(parts, ingest, metrics=stream.metrics(parts)), listener))
        stream.runner.start()
        stack.callback(stream.stop)
        say(f"Stratometer is up: {url}")
        with stop_event() as stop:
            while not stop.wait(0.5):
                if stream.runner.failed is not None:
                    raise Invariant(f"the stream stopped: {stream.runner.failed!r}")


def run_api(settings: Settings) -> None:
    """Run the cluster's API, and forward what it takes in to Kafka, until told to stop."""
    listener = bind(settings)
    with ExitStack() as stack:
        parts = stack.enter_context(open_parts(settings))
        spool = stack.enter_context(open_spool(settings, COLLECTOR))
        reader = stack.enter_context(SpoolReader(spools_dir(settings) / COLLECTOR, "kafka"))
        publisher = Publisher(reader, COLLECTOR, publisher_settings(settings))
        stack.enter_context(serving(services(parts, SpoolIngest(spool, parts.clock)), listener))
        with stop_event() as stop:
            forward = threading.Thread(target=publisher.run, args=(stop,), name="publisher", daemon=True)
            forward.start()
            say(f"API and live page: {url_of(listener)}")
            while not stop.wait(0.5):
                if not forward.is_alive():
                    raise Invariant("what the API takes in is no longer forwarded to Kafka; it waits in the spool")
            forward.join(10)
