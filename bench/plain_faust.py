"""Baseline: a plain Faust agent with one JSON event a message, as Faust's own guide shows it; counts and no more.

`python -m bench.plain_faust BOOTSTRAP TOPIC MESSAGES FOLDER` prints messages a second from the first to the last.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import faust

SHUTDOWN = 0


def build(bootstrap: str, topic: str, wanted: int, folder: Path) -> faust.App:
    """Return the application; it ends its process when all messages have come."""
    app = faust.App(
        "bench-plain",
        broker=f"kafka://{bootstrap}",
        datadir=str(folder),
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
    )
    channel = app.topic(topic, value_serializer="json")
    began: list[float] = []
    count = [0, 0]

    @app.agent(channel)
    async def total(stream: Any) -> None:
        async for event in stream:
            if not began:
                began.append(time.perf_counter())
            count[0] += 1
            count[1] += event["quantity"]
            if count[0] == wanted:
                sys.stdout.write(f"\n{time.perf_counter() - began[0]}\n")  # apart from what Faust prints there
                sys.stdout.flush()
                os._exit(SHUTDOWN)

    return app


def main() -> None:
    """Run the worker under uvloop, as ours does."""
    import mode.loop

    mode.loop.use("uvloop")
    bootstrap, topic, wanted, folder = sys.argv[1:]
    app = build(bootstrap, topic, int(wanted), Path(folder))
    faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
