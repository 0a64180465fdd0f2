"""Drafts of price lists: saved with or without mistakes, by whoever saw the save before; published when sound."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.auth import PROVIDER, Caller, access, actor_of
from api.catalogue import BODY, PriceListId, check_id, problems_of, published, read_document
from api.catalogue_models import DraftName, DraftView, PriceListView, PublishBody
from api.models import Page
from api.parameters import LIMIT_DEFAULT, Limit, refuse_unknown, stamp
from api.problems import Problem
from api.services import Services, Use
from billing.catalogue_values import Act, Draft
from schemas.errors import Conflict

router = APIRouter(prefix="/v1/catalogue/drafts", tags=["catalogue"])

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=64, description="ETag of the draft as you read it; * for any; none: a new one"),
]


@router.get("", operation_id="listDrafts", **access("provider", *PROVIDER))
def list_drafts(
    request: Request,
    use: Use,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Annotated[str | None, Query(max_length=64, description="next_cursor of the page before")] = None,
) -> Page[DraftName]:
    """Return the drafts, by id."""
    refuse_unknown(request)
    rest = [one for one in use.books.drafts() if cursor is None or one.id > cursor]
    more = rest[limit - 1].id if len(rest) > limit else None
    return Page(items=[_name(one) for one in rest[:limit]], next_cursor=more)


@router.get("/{price_list}", operation_id="getDraft", **access("provider", *PROVIDER))
def get_draft(request: Request, response: Response, price_list: PriceListId, use: Use) -> DraftView:
    """Return a draft with what keeps it from being published; its ETag goes into If-Match."""
    refuse_unknown(request)
    return _view(use, response, _found(use, price_list))


@router.put(
    "/{price_list}",
    operation_id="putDraft",
    responses={201: {"model": DraftView, "description": "created"}},
    **access("provider", "admin", "product", requestBody=BODY),
)
async def put_draft(
    request: Request, response: Response, price_list: PriceListId, key: Caller, use: Use, if_match: IfMatch = None
) -> DraftView:
    """Save a draft, with or without mistakes: create it (201), or change it (200) under its ETag."""
    refuse_unknown(request)
    check_id(price_list)
    document = await read_document(request)

    def write() -> DraftView:
        expected = _expected(use, price_list, if_match)
        try:
            saved = use.books.put_draft(price_list, document, expected, Act(actor_of(key), use.clock()))
        except Conflict as error:
            raise Problem("precondition-failed", str(error)) from error
        response.status_code = 200 if expected else 201
        return _view(use, response, saved)

    return await run_in_threadpool(write)


@router.delete("/{price_list}", status_code=204, operation_id="deleteDraft", **access("provider", "admin", "product"))
def delete_draft(
    request: Request, price_list: PriceListId, key: Caller, use: Use, if_match: IfMatch = None
) -> Response:
    """Drop a draft."""
    refuse_unknown(request)
    _found(use, price_list)
    expected = _expected(use, price_list, if_match)
    try:
        use.books.delete_draft(price_list, expected, Act(actor_of(key), use.clock()))
    except Conflict as error:
        raise Problem("precondition-failed", str(error)) from error
    return Response(status_code=204)


@router.post("/{price_list}/publish", operation_id="publishDraft", **access("provider", "admin", "product"))
def publish_draft(
    request: Request, price_list: PriceListId, body: PublishBody, key: Caller, use: Use, if_match: IfMatch = None
) -> PriceListView:
    """Make a draft the next version of its list, for ever; the draft ends with it."""
    refuse_unknown(request)
    draft = _found(use, price_list)
    if if_match is not None and _expected(use, price_list, if_match) != draft.revision:
        raise Problem("precondition-failed", f"draft {price_list!r} is at revision {draft.revision}: read it again")
    act = Act(actor_of(key), use.clock(), body.reason)
    return published(use, price_list, draft.document, act, force=body.force, draft=draft)


def _found(use: Services, price_list: str) -> Draft:
    draft = use.books.draft(price_list)
    if draft is None:
        raise Problem("not-found", f"there is no draft of {price_list!r}")
    return draft


def _expected(use: Services, price_list: str, if_match: str | None) -> int:
    """Return the revision that If-Match names: 0 without it; answers 412 for what is no revision."""
    if if_match is None:
        return 0
    if if_match.strip() == "*":
        draft = use.books.draft(price_list)
        return draft.revision if draft else 0
    digits = if_match.strip().removeprefix("W/").strip('"')
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        raise Problem("precondition-failed", "If-Match is no ETag of a draft: take the one that GET answers with")
    return int(digits)


def _view(use: Services, response: Response, draft: Draft) -> DraftView:
    response.headers["ETag"] = f'"{draft.revision}"'
    problems, warnings = problems_of(use, draft)
    return DraftView(**_name(draft).model_dump(), problems=problems, warnings=list(warnings), document=draft.document)


def _name(draft: Draft) -> DraftName:
    return DraftName(
        id=draft.id, revision=draft.revision, updated_at=stamp(draft.updated_at), updated_by=draft.updated_by
    )
