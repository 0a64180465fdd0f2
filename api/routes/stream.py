"""GET stream: server-sent events, one snapshot a second, cut down to what the viewer's key may see."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from api.auth import READ, access
from api.live import HISTORY_MAX, NewLine, Snapshot
from api.parameters import refuse_unknown, stamp
from api.present import amount, hexed, quantity, window
from api.problems import unavailable
from api.scope import Scope, TenantScope
from api.services import Services, Use
from schemas.period import iso

router = APIRouter(prefix="/v1", tags=["live"])

EVENT_SECONDS: Final = 1.0
STREAM_SECONDS_MAX: Final = 600
"""A stream ends after it and the page comes back, so that a revoked key does not go on watching."""
LINES_SHOWN_MAX: Final = 25
ACCOUNTS_SHOWN_MAX: Final = 200
RETRY_MILLISECONDS: Final = 2_000

_OK: Final = {
    "description": "events named `snapshot`, one a second",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


@router.get(
    "/stream", operation_id="stream", response_class=StreamingResponse, responses={200: _OK}, **access("tenant", *READ)
)
async def stream(request: Request, scope: Scope, use: Use) -> StreamingResponse:
    """Stream what the live page shows; ends after ten minutes, then the viewer connects again."""
    refuse_unknown(request)
    gauge = request.app.state.metrics.streams
    # One event loop runs this, and nothing is awaited between the look and the count: no lock is needed.
    if request.app.state.streams >= use.streams_max:
        raise unavailable(f"{use.streams_max} streams are open, which is the limit; try again soon")
    request.app.state.streams += 1
    gauge.inc()

    def closed() -> None:
        request.app.state.streams -= 1
        gauge.dec()

    return _Stream(_events(request, scope, use), closed)


class _Stream(StreamingResponse):
    """Counts down however the stream ends, also when the viewer left before its first event."""

    def __init__(self, events: AsyncIterator[bytes], closed: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._closed = closed

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Send events until the viewer leaves."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._closed()


async def _events(request: Request, scope: TenantScope, use: Services) -> AsyncIterator[bytes]:
    yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
    for _ in range(int(STREAM_SECONDS_MAX / EVENT_SECONDS)):
        if use.live.stopped or await request.is_disconnected():
            return
        snapshot = use.live.snapshot()
        scope = scope.among(snapshot.accounts)
        body = orjson.dumps(view(snapshot, scope, use))
        yield b"event: snapshot\ndata: " + body + b"\n\n"
        await asyncio.sleep(EVENT_SECONDS)


def view(snapshot: Snapshot, scope: TenantScope, use: Services) -> dict[str, Any]:
    """Return a snapshot as one viewer may see it; figures over all tenants only for those who see everything."""
    names = {one.account.id: one.account.name for one in scope.accounts()}
    costs = sorted(((a, c, m) for (a, c), m in snapshot.costs.items() if a in names), key=lambda row: -row[2])
    totals: dict[str, int] = {}
    for _, currency, micros in costs:
        totals[currency] = totals.get(currency, 0) + micros
    lines = [line for account in names for line in snapshot.lines.get(account, ())]
    lines.sort(key=lambda one: (-one.stored_at, one.line.digest))
    counters = snapshot.counters
    pipeline = {
        "rates": [[at // 1000, round(rate, 1)] for at, rate in snapshot.rates[-HISTORY_MAX:]],
        "accepted": counters.accepted,
        "replayed": counters.replayed,
        "stored": counters.stored,
        "dead": counters.dead,
        "balanced": counters.accepted + counters.replayed == counters.stored + counters.dead,
    }
    newest = snapshot.newest_stored_at if scope.everything else max((one.stored_at for one in lines), default=0)
    return {
        "number": snapshot.number,
        "at": stamp(snapshot.at) if snapshot.at else None,
        "now": stamp(use.clock()),
        "since": iso(snapshot.since),
        "pipeline": pipeline if scope.everything else None,
        "totals": [amount(micros, currency).model_dump() for currency, micros in sorted(totals.items())],
        "accounts": [
            {"id": account, "name": names[account], "amount": amount(micros, currency).model_dump()}
            for account, currency, micros in costs[:ACCOUNTS_SHOWN_MAX]
        ],
        "accounts_more": max(0, len(costs) - ACCOUNTS_SHOWN_MAX),
        "lines": [_line(one, names, use) for one in lines[:LINES_SHOWN_MAX]],
        "newest_line_at": stamp(newest) if newest else None,
        "fault": snapshot.fault,
    }


def _line(one: NewLine, names: dict[str, str], use: Services) -> dict[str, Any]:
    line, meter = one.line, use.registry.by_id.get(one.line.meter_id)
    return {
        "digest": hexed(line.digest),
        "account": one.account,
        "account_name": names[one.account],
        "resource": one.resource,
        "meter": meter.name if meter else f"{line.meter_id:08x}",
        "attributes": dict(one.attributes),
        "segment": window(line.segment_start, line.segment_end).model_dump(),
        "quantity": quantity(line.quantity, meter).model_dump(),
        "price": one.price,
        "amount": amount(line.amount_micros, one.currency).model_dump(),
        "stored_at": stamp(one.stored_at),
    }
