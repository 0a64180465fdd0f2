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
    threads: ThreadPoolExecutor,
    writes_max: int,
    take_max: int,
    within_seconds: float,
    durable: Callable[[Sequence[Any]], object],
    acknowledged: Callable[[Sequence[Any]], object],
) -> None:
    """Run one agent's stream for ever.

    Args:
        stream: the agent's stream of raw messages.
        threads: this agent's for the life of the process, `writes_max` of them: writes that a cancellation left behind
            count against the limit until they end.
        writes_max: batches being made durable at a time; while one waits for the warehouse, the next is decoded. They
            may end in any order: `Offsets` commits up to the first that has not.
        take_max: messages in one batch.
        within_seconds: longest wait to fill a batch.
        durable: blocks until a batch of events is durable.
        acknowledged: told afterwards which events may be committed.
    """
    loop, free, writes = asyncio.get_running_loop(), asyncio.Semaphore(writes_max), set[asyncio.Task[None]]()

    async def write(events: Sequence[Any]) -> None:
        try:
            await loop.run_in_executor(threads, durable, events)
            acknowledged(events)
            for event in events:
                await stream.ack(event)
        except (asyncio.CancelledError, Stopped):
            return  # a stop: nothing was acknowledged, the messages come again
        except BaseException as error:
            die("an agent met something unexpected", error)
        finally:
            free.release()

    try:
        async for events in stream.noack_take(take_max, within=within_seconds):
            await free.acquire()
            task = asyncio.create_task(write(events))
            writes.add(task)
            task.add_done_callback(writes.discard)
    except asyncio.CancelledError:
        for task in writes:
            task.cancel()
        raise
    except BaseException as error:
        die("an agent met something unexpected", error)
