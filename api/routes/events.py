"""POST events: CloudEvents, one or a batch, and whole Arrow batches; also where OpenMeter's SDK sends them."""

from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.auth import Caller, access
from api.metrics import ApiMetrics
from api.models import Accepted
from api.problems import Problem
from api.services import Services, Use
from billing.protocol import ApiKey
from schemas import batch, cloudevents
from schemas.batch import NAME_LENGTH_MAX
from schemas.errors import Poison
from schemas.period import SECOND

router = APIRouter(tags=["ingest"])

BATCHED: Final[dict[str, bool | None]] = {
    cloudevents.CONTENT_TYPE_ONE: False,
    cloudevents.CONTENT_TYPE_BATCH: True,
    cloudevents.CONTENT_TYPE_JSON: None,
}
"""JSON content type → whether it announces an array; None: either."""

_EVENT: Final = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "subject"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX},
        "source": {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX},
        "type": {"type": "string", "examples": ["image.deployment", cloudevents.SAMPLE_TYPE]},
        "subject": {"type": "string", "minLength": 1, "examples": ["vm/4217-ab"]},
        "time": {"type": ["string", "null"], "format": "date-time"},
        "tenant": {"type": "string", "minLength": 1},
        "site": {"type": "string", "minLength": 1},
        "data": {"type": ["object", "null"]},
    },
}
_EVENTS: Final = {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": cloudevents.EVENTS_MAX}
BODY: Final = {
    "required": True,
    "content": {
        cloudevents.CONTENT_TYPE_ONE: {"schema": _EVENT},
        cloudevents.CONTENT_TYPE_BATCH: {"schema": _EVENTS},
        cloudevents.CONTENT_TYPE_JSON: {"schema": {"oneOf": [_EVENT, _EVENTS]}},
        batch.CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}},
    },
}


@router.post(
    "/v1/events", status_code=202, operation_id="postEvents", **access("ingest", "admin", "ingest", requestBody=BODY)
)
async def post_events(request: Request, key: Caller, use: Use) -> Accepted:
    """Make events durable: all of the request, or none when any of them is wrong."""
    return Accepted(accepted=await _take(request, key, use))


@router.post(
    "/api/v1/events",
    status_code=204,
    operation_id="ingestEvents",
    **access("ingest", "admin", "ingest", requestBody=BODY),
)
async def post_openmeter(request: Request, key: Caller, use: Use) -> Response:
    """Take the same bodies where OpenMeter's clients send them, and answer as they expect."""
    await _take(request, key, use)
    return Response(status_code=204)


async def _take(request: Request, key: ApiKey, use: Services) -> int:
    metrics: ApiMetrics = request.app.state.metrics
    try:
        media = _media_type(request)
        body = await _body(request)
        accepted = await run_in_threadpool(_submit, media, body, key, use)
    except Problem as error:
        metrics.refused.labels(error.kind).inc()
        raise
    except Poison as error:
        metrics.refused.labels(error.reason).inc()
        raise
    metrics.accepted.inc(accepted)
    return accepted


def _submit(media: str, body: bytes, key: ApiKey, use: Services) -> int:
    if media == batch.CONTENT_TYPE:
        _, meta = batch.decode(body)
        if key.site is not None and meta.site != key.site:
            raise Problem("forbidden", f"the batch is of site {meta.site!r}; this key writes to {key.site!r} only")
        return use.ingest.submit_encoded(body)
    events = cloudevents.parse(body, batch=BATCHED[media])
    by_site = cloudevents.rows_by_site(events, use.registry, use.clock() // SECOND, key.site)
    # A failure between two sites is answered 503; what the repeated request sends again has the same identity.
    return sum(use.ingest.submit(rows, site) for site, rows in by_site.items())


def _media_type(request: Request) -> str:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    known = (*BATCHED, batch.CONTENT_TYPE)
    if media not in known:
        raise Problem(
            "unsupported-media-type",
            f"content type {media or 'none'} is not read here: send one of {', '.join(known)}",
            headers={"Accept": ", ".join(known)},
        )
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise Problem("unsupported-media-type", f"content encoding {encoding} is not read here: send the body as it is")
    return media


async def _body(request: Request) -> bytes:
    limit = cloudevents.BODY_BYTES_MAX
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def _too_large(limit: int) -> Problem:
    # The rest of the body is not read, so the connection cannot be used again.
    text = f"a body holds at most {limit} bytes: send several requests"
    return Problem("too-large", text, headers={"Connection": "close"})
