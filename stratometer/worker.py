"""The Faust worker of the cluster deployment: a parent that keeps workers alive, and the worker itself.

A worker that cannot reach its brokers, or meets anything unexpected, exits; the parent starts it again with back-off.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Final

import structlog
from prometheus_client import start_http_server

from pipeline.agents.app import Tuning, Work, build
from pipeline.agents.watchdog import Pulse, start
from pipeline.kafka import TouchProducer, create_topics
from pipeline.message import Message
from schemas.errors import Poison
from schemas.period import Period
from schemas.resource import decode
from stratometer.compose import durable_writer, kafka_config, open_dead_letters, open_parts
from stratometer.guard import guarded
from stratometer.log import configure
from stratometer.metrics import Sources, registry_of
from stratometer.settings import Settings, load

log = structlog.get_logger(__name__)

BACKOFF_SECONDS_FIRST: Final = 0.5
BACKOFF_SECONDS_MAX: Final = 30.0
STEADY_SECONDS: Final = 60.0
"""A worker that ran this long is started again without waiting."""
STOP_SECONDS: Final = 30.0
LOOPBACK: Final = "127.0.0.1"
GROUP: Final = "stratometer"


def supervise(command: Sequence[str], workers: int) -> int:
    """Keep `workers` child processes running until SIGTERM or SIGINT; return the exit status."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    threads = [threading.Thread(target=_keep, args=([*command, str(n)], stopping)) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0


def _keep(command: Sequence[str], stopping: threading.Event) -> None:
    pause = BACKOFF_SECONDS_FIRST
    while not stopping.is_set():
        started = time.monotonic()
        try:
            child = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own command line
        except OSError as error:  # no memory or no process left: that passes
            log.error("worker cannot start, trying again", error=str(error))
            stopping.wait(BACKOFF_SECONDS_MAX)
            continue
        while child.poll() is None and not stopping.wait(0.2):
            pass
        if stopping.is_set():
            _end(child)
            return
        steady = time.monotonic() - started > STEADY_SECONDS
        pause = BACKOFF_SECONDS_FIRST if steady else min(pause * 2, BACKOFF_SECONDS_MAX)
        log.warning("worker ended, starting it again", status=child.returncode, pause_seconds=pause)
        stopping.wait(pause)


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()  # loses nothing: what is not durable was not acknowledged
        child.wait()


def child_command(number_follows: Sequence[str] = ()) -> list[str]:
    """Return the command line of a worker process; its number is appended."""
    return [sys.executable, "-m", "stratometer.worker", *number_follows]


def run(settings: Settings, number: int) -> None:
    """Run one worker until it is told to stop; does not return."""
    import mode.loop

    mode.loop.use("uvloop")
    import faust

    kafka = kafka_config(settings)
    create_topics(kafka)
    with open_parts(settings) as parts, open_dead_letters(settings) as dead_letters:
        touches = TouchProducer(kafka)
        writer = durable_writer(parts, dead_letters, touches.touch)

        def describe(messages: Sequence[Message]) -> None:
            found = []
            for message in messages:
                try:
                    found.append(decode(message.payload))
                except Poison as error:
                    writer.refuse(message, error)
            if found:
                writer.describe(found)

        def sweep() -> None:
            for account, cells in parts.live.sweep().items():
                touches.touch(account, cells)

        def rate(touched: dict[str, Period]) -> None:
            writer.until_done("rating", lambda: parts.live.rate(touched))

        stream = settings.stream
        tuning = Tuning(
            stream.take_messages_max, stream.take_within_seconds, stream.rate_debounce_seconds, stream.sweep_seconds
        )
        pulse = Pulse()
        work = Work(meter=writer.write, rate=rate, describe=describe, sweep=sweep)
        folder = settings.data_dir / "workers" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        app = build(kafka.topic(GROUP), kafka, folder, work, tuning, pulse)
        start(pulse, settings.stream.watchdog_seconds)
        if settings.stream.metrics_port:
            metrics = registry_of(Sources(parts.clock, writer.progress))
            start_http_server(settings.stream.metrics_port + number, LOOPBACK, metrics)
        try:
            faust.Worker(app, loglevel="WARNING", quiet=True, redirect_stdouts=False).execute_from_commandline()
        finally:
            writer.stop()  # a write that is being retried gives up: its messages come again
            touches.close()


def main() -> None:
    """Run the worker whose number is the last argument."""

    def work() -> None:
        settings = load(serves=False)
        configure(json=settings.log_json)
        run(settings, int(sys.argv[-1]))

    sys.exit(guarded(work))


if __name__ == "__main__":
    main()
