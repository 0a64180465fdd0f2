"""Price lists: documents in, checked as a whole; a change is a new version and the old ones stay."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.auth import PROVIDER, Caller, access, actor_of
from api.catalogue import (
    BODY,
    PriceListId,
    change_views,
    published,
    read_document,
    state_of,
    version_view,
    with_document,
)
from api.catalogue_models import DiffView, PriceListView, VersionView
from api.models import Page
from api.parameters import (
    LIMIT_DEFAULT,
    AsOf,
    Cursor,
    Limit,
    as_of_micros,
    next_cursor,
    position_of,
    refuse_unknown,
)
from api.problems import Problem
from api.services import Services, Use
from billing.catalogue import REASON_LENGTH_MAX, states
from billing.catalogue_values import Act
from billing.protocol import PriceListVersion
from billing.publishing import checked
from rating.catalogue.diff import changed_from, diff
from rating.catalogue.export_list import exported, exported_json
from rating.lists import PriceList
from rating.price_list import parse
from schemas.period import FOREVER, SECOND, iso

router = APIRouter(prefix="/v1/price-lists", tags=["catalogue"])

VERSION_MAX: Final = 2**31 - 1
YAML: Final = "application/yaml"
JSON: Final = "application/json"
_DOCUMENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "the document in its canonical form",
        "content": {YAML: {"schema": {"type": "string"}}, JSON: {"schema": {"type": "object"}}},
    }
}
Version = Annotated[int | None, Query(ge=1, le=VERSION_MAX, description="the newest unless given")]
Force = Annotated[bool, Query(description="change the past, if it must be; needs a reason")]
Reason = Annotated[str, Query(max_length=REASON_LENGTH_MAX, pattern=r"^[^\x00]*$", description="why; kept for ever")]


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
    now = use.clock() // SECOND  # of the newest version no other one decides the state
    shown = [with_document(one, _parsed(use, one), states([one], now)[0]) for one in rest[:limit]]
    return Page(items=shown, next_cursor=more)


@router.get("/{price_list}", operation_id="getPriceList", **access("provider", *PROVIDER))
def get_price_list(request: Request, price_list: PriceListId, use: Use, as_of: AsOf = None) -> PriceListView:
    """Return the newest version recorded before an instant."""
    refuse_unknown(request)
    found = use.books.price_list(price_list, as_of_micros(as_of))
    if found is None:
        raise _absent(price_list)
    return with_document(found, _parsed(use, found), state_of(use, found))


@router.put(
    "/{price_list}",
    operation_id="putPriceList",
    **access("provider", "admin", "product", requestBody=BODY),
)
async def put_price_list(
    request: Request, price_list: PriceListId, key: Caller, use: Use, force: Force = False, reason: Reason = ""
) -> PriceListView:
    """Publish a new version at once; the same document as the newest version changes nothing."""
    refuse_unknown(request)
    document = await read_document(request)
    act = Act(actor_of(key), use.clock(), reason)

    def write() -> PriceListView:
        return published(use, price_list, document, act, force=force)

    return await run_in_threadpool(write)


@router.get("/{price_list}/versions", operation_id="listPriceListVersions", **access("provider", *PROVIDER))
def list_versions(
    request: Request, price_list: PriceListId, use: Use, limit: Limit = LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[VersionView]:
    """Return all versions of a list, newest first, each with its state now."""
    refuse_unknown(request)
    position = position_of(request, cursor, 1)
    versions = use.books.price_list_versions(price_list)
    if not versions:
        raise _absent(price_list)
    known = zip(versions, states(versions, use.clock() // SECOND), strict=True)
    rest = [(one, state) for one, state in known if position is None or one.version < position[0]][::-1]
    more = next_cursor(request, [rest[limit - 1][0].version]) if len(rest) > limit else None
    return Page(items=[version_view(one, state) for one, state in rest[:limit]], next_cursor=more)


@router.get(
    "/{price_list}/document",
    operation_id="exportPriceList",
    response_class=Response,
    responses=_DOCUMENT,
    **access("provider", *PROVIDER),
)
def export_price_list(request: Request, price_list: PriceListId, use: Use, version: Version = None) -> Response:
    """Return the document in its canonical form, as JSON where `Accept` prefers it and as YAML elsewhere."""
    refuse_unknown(request)
    found = _version(use, price_list, version)
    accept = request.headers.get("accept", "")
    if JSON in accept and YAML not in accept:
        return Response(exported_json(found), media_type=JSON)
    return Response(exported(found), media_type=YAML)


@router.get("/{price_list}/diff", operation_id="diffPriceList", **access("provider", *PROVIDER))
def diff_price_list(
    request: Request,
    price_list: PriceListId,
    use: Use,
    before: Annotated[
        int | None, Query(alias="from", ge=1, le=VERSION_MAX, description="version; the one before `to` unless given")
    ] = None,
    after: Annotated[
        str | None, Query(alias="to", pattern="^(draft|[1-9][0-9]{0,8})$", description="version or draft; newest")
    ] = None,
) -> DiffView:
    """Return what changed between two versions, or between the newest version and the draft."""
    refuse_unknown(request)
    to_draft = after == "draft"
    new = _drafted(use, price_list) if to_draft else _version(use, price_list, int(after) if after else None)
    number = before if before is not None else _before(use, price_list, None if to_draft else new.version)
    old = _version(use, price_list, number) if number else None
    since = changed_from(old, new)
    return DiffView(
        price_list=price_list,
        before=number,
        after=None if to_draft else new.version,
        changed_from=None if since is None else iso(min(since, FOREVER)),
        changes=change_views(diff(old, new)),
    )


def _before(use: Services, price_list: str, version: int | None) -> int | None:
    """Return the version before one, or (None: before a draft) the newest; None when there is none."""
    if version is not None:
        return version - 1 or None
    newest = use.books.price_list(price_list)
    return newest.version if newest else None


def _drafted(use: Services, price_list: str) -> PriceList:
    draft = use.books.draft(price_list)
    if draft is None:
        raise Problem("not-found", f"there is no draft of {price_list!r}")
    return checked(draft.document, use.registry)


def _version(use: Services, price_list: str, version: int | None) -> PriceList:
    versions = use.books.price_list_versions(price_list)
    if not versions:
        raise _absent(price_list)
    if version is not None and version > len(versions):
        raise Problem("not-found", f"price list {price_list!r} has no version {version}; the newest is {len(versions)}")
    return _parsed(use, versions[(version or len(versions)) - 1])


def _parsed(use: Services, stored: PriceListVersion) -> PriceList:
    return parse(stored.document, use.registry, version=stored.version)


def _absent(price_list: str) -> Problem:
    return Problem("not-found", f"there is no price list {price_list!r}")
