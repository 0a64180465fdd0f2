"""The catalogue as a whole: the schema of its documents, checking one, and the audit of who changed what."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.auth import PROVIDER, access
from api.catalogue import BODY, audit_item, read_document
from api.catalogue_models import AuditItem, Checked
from api.models import Page
from api.parameters import LIMIT_DEFAULT, Cursor, Limit, next_cursor, position_of, refuse_unknown
from api.services import Use
from billing.publishing import checked
from rating.catalogue.json_schema import json_schema

router = APIRouter(prefix="/v1/catalogue", tags=["catalogue"])


@router.get("/schema", operation_id="getCatalogueSchema", **access("provider", *PROVIDER))
def get_schema(request: Request, response: Response) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a price list document."""
    refuse_unknown(request)
    response.headers["Cache-Control"] = "max-age=300"
    return json_schema()


@router.post("/validate", operation_id="validatePriceList", **access("provider", *PROVIDER, requestBody=BODY))
async def validate(request: Request, use: Use) -> Checked:
    """Check a document without keeping it; every mistake is listed at its path."""
    refuse_unknown(request)
    document = await read_document(request)
    parsed = await run_in_threadpool(checked, document, use.registry)
    return Checked(id=parsed.id, digest=parsed.digest, warnings=list(parsed.warnings))


@router.get("/audit", operation_id="listCatalogueAudit", **access("provider", *PROVIDER))
def list_audit(
    request: Request,
    use: Use,
    subject: Annotated[
        str | None, Query(max_length=64, pattern=r"^[^\x00]*$", description="id of a list, group, account or coupon")
    ] = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[AuditItem]:
    """Return the changes of the catalogue, newest first."""
    refuse_unknown(request)
    position = position_of(request, cursor, 1)
    before = min(position[0], 2**62) if position else None
    found = use.books.catalogue_audit(before, limit, subject)
    more = next_cursor(request, [found[-1].sequence]) if len(found) == limit and found[-1].sequence > 1 else None
    return Page(items=[audit_item(entry) for entry in found], next_cursor=more)
