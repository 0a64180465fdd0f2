"""The wrapper around every agent: take a batch, make it durable in a thread, acknowledge; anything unexpected exits.

Faust acknowledges a message whose handler raised, and what it skips in a rebalance (measured). So the body never
raises: transient trouble is retried inside the durable write, a cancellation passes, and whatever else comes ends the
process. Offsets are committed by what the durable write reports alone, see `consumer.py`.
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
    thread: ThreadPoolExecutor,
    take_max: int,
    within_seconds: float,
    durable: Callable[[Sequence[Any]], object],
    acknowledged: Callable[[Sequence[Any]], object],
) -> None:
    """Run one agent's stream for ever.

    Args:
        stream: the agent's stream of raw messages.
        thread: of one worker, and this agent's for the life of the process: a write that a cancellation left behind
            ends before the next one starts.
        take_max: messages in one batch.
        within_seconds: longest wait to fill a batch.
        durable: blocks until a batch of events is durable; one call at a time.
        acknowledged: told afterwards which events may be committed.
    """
    loop = asyncio.get_running_loop()
    try:
        async for events in stream.noack_take(take_max, within=within_seconds):
            await loop.run_in_executor(thread, durable, events)
            acknowledged(events)
            for event in events:
                await stream.ack(event)
    except (asyncio.CancelledError, Stopped):
        raise  # a stop: nothing was acknowledged, the messages come again
    except BaseException as error:
        die("an agent met something unexpected", error)
