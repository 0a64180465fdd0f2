"""Parameters that several routes share: instants, pages, cursors. What a route does not know it refuses."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import orjson
from fastapi import Query, Request
from pydantic import AfterValidator, AwareDatetime

from api.problems import ErrorItem, Problem, invalid
from schemas.period import FOREVER, SECOND, Period

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _in_range(moment: datetime) -> datetime:
    if not 0 <= micros_of(moment) <= FOREVER * SECOND:
        raise ValueError("lies outside 1970 to 2100")
    return moment


def _whole(moment: datetime) -> datetime:
    if moment.microsecond:
        raise ValueError("has a fraction of a second: use whole seconds")
    return moment


def micros_of(moment: datetime) -> int:
    """Return microseconds since 1970, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def stamp(micros: int) -> str:
    """Return an ISO 8601 instant with the fraction it has, in UTC."""
    return (_EPOCH + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")


Instant = Annotated[AwareDatetime, AfterValidator(_in_range)]
WholeInstant = Annotated[Instant, AfterValidator(_whole)]
From = Annotated[WholeInstant, Query(alias="from", description="first instant, ISO 8601 with a zone (write + as %2B)")]
To = Annotated[WholeInstant, Query(alias="to", description="first instant no longer included")]
AsOf = Annotated[
    Instant | None, Query(alias="as_of", description="answer with what was stored and known before this instant")
]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="items of a page")]
Cursor = Annotated[str | None, Query(max_length=512, description="next_cursor of the page before")]


def period_of(start: datetime, end: datetime) -> Period:
    """Return the half-open period; answers 422 when it is empty or ends before it starts."""
    if end <= start:
        raise invalid("to", "must lie after from: periods are half-open")
    return Period(micros_of(start) // SECOND, micros_of(end) // SECOND)


def as_of_micros(moment: datetime | None) -> int | None:
    """Return the cut-off in microseconds, None for now."""
    return None if moment is None else micros_of(moment)


def _fingerprint(request: Request) -> str:
    asked = sorted((k, v) for k, v in request.query_params.multi_items() if k not in ("cursor", "limit"))
    text = orjson.dumps([request.url.path, asked])
    return hashlib.sha256(text).hexdigest()[:16]


def next_cursor(request: Request, position: Sequence[int]) -> str:
    """Return the opaque cursor of the page after a position; it is good for the same query only."""
    raw = orjson.dumps([_fingerprint(request), *map(str, position)])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def position_of(request: Request, cursor: str | None, parts: int) -> tuple[int, ...] | None:
    """Return the position in a cursor, None without one; answers 422 for one of another query."""
    if not cursor:
        return None
    try:
        fields = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        mark, *position = fields
        numbers = tuple(int(part) for part in position if isinstance(part, str) and len(part) <= 20)
    except (binascii.Error, orjson.JSONDecodeError, ValueError, TypeError) as error:
        raise invalid("cursor", "is not a cursor: take next_cursor as it came", "invalid-cursor") from error
    if mark != _fingerprint(request) or len(numbers) != parts or any(not 0 <= n < 2**64 for n in numbers):
        raise invalid("cursor", "belongs to another query: keep the other parameters as they were", "invalid-cursor")
    return numbers


def refuse_unknown(request: Request, prefix: str | None = None) -> None:
    """Answer 422 for a query parameter that the route does not have: a misspelt filter must not widen the answer."""
    route = request.scope.get("route")
    operations = request.app.openapi()["paths"].get(getattr(route, "path", ""), {})
    operation = operations.get(request.method.lower(), {})
    known = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
    unknown = sorted(k for k in request.query_params if k not in known and not (prefix and k.startswith(prefix)))
    if unknown:
        listed = ", ".join(sorted(known)) or "none"
        errors = [ErrorItem(pointer=name, detail=f"no such parameter here; there are: {listed}") for name in unknown]
        raise Problem("invalid-request", f"unknown parameter {', '.join(unknown)}", errors)
