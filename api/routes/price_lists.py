"""Price lists: documents in, checked as a whole; a change is a new version and the old ones stay."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from api.auth import PROVIDER, access
from api.models import Page, PriceListView
from api.parameters import LIMIT_DEFAULT, AsOf, Limit, as_of_micros, refuse_unknown, stamp
from api.problems import Problem, invalid
from api.services import Services, Use
from billing.protocol import PriceListVersion
from pipeline.rate import NO_PRICE_LIST
from rating.price_list import parse

router = APIRouter(prefix="/v1/price-lists", tags=["catalogue"])

DOCUMENT_BYTES_MAX: Final = 4 * 1024 * 1024
MEDIA_TYPES: Final = ("application/yaml", "application/json", "text/yaml", "text/x-yaml", "text/plain")
_DOCUMENT: Final = {"type": "object", "description": "the document of docs/pricing.md"}
_BODY: Final = {
    "required": True,
    "content": {
        "application/yaml": {"schema": {"type": "string"}},
        "text/plain": {"schema": {"type": "string"}},
        "application/json": {"schema": _DOCUMENT},
    },
}
PriceListId = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9._-]*$", max_length=64, description="id of the list")]


@router.get("", operation_id="listPriceLists", **access("provider", *PROVIDER))
def list_price_lists(
    request: Request,
    use: Use,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Annotated[str | None, Query(max_length=64, description="next_cursor of the page before")] = None,
) -> Page[PriceListView]:
    """Return the newest version of each list, by id."""
    refuse_unknown(request)
    rest = [one for one in use.books.price_lists() if cursor is None or one.id > cursor]
    more = rest[limit - 1].id if len(rest) > limit else None
    return Page(items=[_view(use, one) for one in rest[:limit]], next_cursor=more)


@router.get("/{price_list}", operation_id="getPriceList", **access("provider", *PROVIDER))
def get_price_list(request: Request, price_list: PriceListId, use: Use, as_of: AsOf = None) -> PriceListView:
    """Return the newest version recorded before an instant."""
    refuse_unknown(request)
    found = use.books.price_list(price_list, as_of_micros(as_of))
    if found is None:
        raise Problem("not-found", f"there is no price list {price_list!r}")
    return _view(use, found)


@router.put(
    "/{price_list}",
    operation_id="putPriceList",
    **access("provider", "admin", "product", requestBody=_BODY),
)
async def put_price_list(request: Request, price_list: PriceListId, use: Use) -> PriceListView:
    """Record a new version; the same document as the newest version changes nothing."""
    refuse_unknown(request)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in MEDIA_TYPES:
        text = f"content type {media or 'none'} is not read here: send one of {', '.join(MEDIA_TYPES)}"
        raise Problem("unsupported-media-type", text, headers={"Accept": ", ".join(MEDIA_TYPES)})
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > DOCUMENT_BYTES_MAX:
            text = f"a price list holds at most {DOCUMENT_BYTES_MAX} bytes"
            raise Problem("too-large", text, headers={"Connection": "close"})
    return await run_in_threadpool(_record, use, price_list, bytes(body))


def _record(use: Services, price_list: str, body: bytes) -> PriceListView:
    try:
        document = body.decode()
    except UnicodeDecodeError as error:
        raise invalid("/", f"the document is not UTF-8: {error.reason} at byte {error.start}") from error
    if "\0" in document:
        raise invalid("/", "the document holds a NUL character: remove it")
    parsed = parse(document, use.registry)
    if parsed.id != price_list:
        raise invalid("/id", f"is {parsed.id!r}, the address says {price_list!r}: make them the same")
    if price_list == NO_PRICE_LIST.id:
        raise Problem("conflict", f"{price_list} stands for usage without a price list: choose another id")
    recorded = use.books.put_price_list(price_list, document, use.clock())
    use.directory.refresh()
    return _view(use, recorded)


def _view(use: Services, stored: PriceListVersion) -> PriceListView:
    parsed = parse(stored.document, use.registry, version=stored.version)
    return PriceListView(
        id=stored.id,
        version=stored.version,
        recorded_at=stamp(stored.recorded_at),
        currency=parsed.currency,
        digest=parsed.digest,
        warnings=list(parsed.warnings),
        document=stored.document,
    )
