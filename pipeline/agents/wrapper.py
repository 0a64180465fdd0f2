"""The wrapper around every agent: take a batch, make it durable in a thread, acknowledge; anything unexpected exits.

Faust acknowledges a message whose handler raised, and an orderly stop commits over what was not processed (measured).
So the body never raises: transient trouble is retried inside the durable write, a rebalance's cancellation passes
(nothing was acknowledged), and whatever else comes ends the process before Faust can commit.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import structlog

from pipeline.durable import Stopped

log = structlog.get_logger(__name__)

EXIT_UNEXPECTED = 70


def die(reason: str, error: BaseException | None = None) -> NoReturn:
    """End the process at once: no clean-up of Faust's may run, because it would commit."""
    log.critical("worker exits", reason=reason, exc_info=error)
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_UNEXPECTED)


async def drive(
    stream: Any,  # faust.Stream: untyped
    take_max: int,
    within_seconds: float,
    durable: Callable[[Sequence[Any]], object],
    acknowledged: Callable[[Sequence[Any]], object],
) -> None:
    """Run one agent's stream for ever.

    Args:
        stream: the agent's stream of raw messages.
        take_max: messages in one batch.
        within_seconds: longest wait to fill a batch.
        durable: blocks until a batch of events is durable; runs in one thread, one call at a time.
        acknowledged: told afterwards, for the watchdog.
    """
    thread = ThreadPoolExecutor(max_workers=1)
    loop = asyncio.get_running_loop()
    try:
        async for events in stream.noack_take(take_max, within=within_seconds):
            await loop.run_in_executor(thread, durable, events)
            for event in events:
                await stream.ack(event)
            acknowledged(events)
    except (asyncio.CancelledError, Stopped):
        raise  # a rebalance or a stop: nothing was acknowledged, the messages come again
    except BaseException as error:
        die("an agent met something unexpected", error)
    finally:
        thread.shutdown(wait=False)
