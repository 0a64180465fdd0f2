"""What the catalogue's routes share: reading a document, publishing it, and how versions and changes go out."""

from collections.abc import Sequence
from typing import Annotated, Final

import orjson
from fastapi import Path, Request

from api.catalogue_models import AuditItem, ChangeView, PriceListView, VersionView
from api.parameters import stamp
from api.problems import ErrorItem, Problem, invalid
from api.services import Services
from billing.catalogue import VersionState, states
from billing.catalogue_values import Act, AuditEntry, Draft
from billing.protocol import PriceListVersion
from billing.publishing import checked, plain, publish
from pipeline.rate import NO_PRICE_LIST
from rating.catalogue.diff import Change
from rating.lists import PriceList
from schemas.errors import Misconfigured
from schemas.period import SECOND, iso

DOCUMENT_BYTES_MAX: Final = 4 * 1024 * 1024
MEDIA_TYPES: Final = ("application/yaml", "application/json", "text/yaml", "text/x-yaml", "text/plain")
_DOCUMENT: Final = {"type": "object", "description": "the document of docs/pricing.md; its schema is at /v1/catalogue"}
BODY: Final = {
    "required": True,
    "content": {
        "application/yaml": {"schema": {"type": "string"}},
        "text/plain": {"schema": {"type": "string"}},
        "application/json": {"schema": _DOCUMENT},
    },
}
"""`requestBody` of a route that takes a price list."""
PriceListId = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9._-]*$", max_length=64, description="id of the list")]


async def read_document(request: Request) -> str:
    """Return the body as text; answers 413, 415 or 422 for one that cannot be a price list."""
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
    try:
        document = bytes(body).decode()
    except UnicodeDecodeError as error:
        raise invalid("/", f"the document is not UTF-8: {error.reason} at byte {error.start}") from error
    if "\0" in document:
        raise invalid("/", "the document holds a NUL character: remove it")
    return document


def check_id(price_list: str) -> None:
    """Answer 409 for the id that stands for no price list."""
    if price_list == NO_PRICE_LIST.id:
        raise Problem("conflict", f"{price_list} stands for usage without a price list: choose another id")


def published(
    use: Services, price_list: str, document: str, act: Act, *, force: bool, draft: Draft | None = None
) -> PriceListView:
    """Publish a document under the id of the address and return the version."""
    check_id(price_list)
    parsed = checked(document, use.registry)
    if parsed.id != price_list:
        raise invalid("/id", f"is {parsed.id!r}, the address says {price_list!r}: make them the same")
    version, found = publish(use.books, document, use.registry, act, force=force, draft=draft)
    use.directory.refresh()
    return with_document(version, found, state_of(use, version))


def problems_of(use: Services, draft: Draft) -> tuple[list[ErrorItem], tuple[str, ...]]:
    """Return what keeps a draft from being published, and its warnings."""
    try:
        parsed = checked(draft.document, use.registry)
    except Misconfigured as error:
        return [ErrorItem(pointer=p.partition(":")[0], detail=p) for p in error.problems], ()
    if parsed.id != draft.id:
        text = f"is {parsed.id!r}, the draft's is {draft.id!r}: make them the same"
        return [ErrorItem(pointer="/id", detail=text)], parsed.warnings
    return [], parsed.warnings


def state_of(use: Services, version: PriceListVersion) -> VersionState:
    """Return the state of any version of a list."""
    versions = use.books.price_list_versions(version.id)
    return states(versions, use.clock() // SECOND)[version.version - 1]


def with_document(stored: PriceListVersion, parsed: PriceList, state: VersionState) -> PriceListView:
    """Return a version with its document as it goes out."""
    return PriceListView(
        **version_view(stored, state).model_dump(),
        currency=parsed.currency,
        digest=parsed.digest,
        warnings=list(parsed.warnings),
        document=stored.document,
    )


def version_view(stored: PriceListVersion, state: VersionState) -> VersionView:
    """Return a version as it goes out."""
    return VersionView(
        id=stored.id,
        version=stored.version,
        state=state,
        effective_from=iso(stored.effective_from),
        recorded_at=stamp(stored.recorded_at),
        published_by=stored.published_by,
        reason=stored.reason,
        forced=stored.forced,
    )


def change_views(changes: Sequence[Change]) -> list[ChangeView]:
    """Return changes as they go out."""
    return [ChangeView.model_validate(plain(change)) for change in changes]


def audit_item(entry: AuditEntry) -> AuditItem:
    """Return an audit entry as it goes out."""
    changes = [ChangeView.model_validate(change) for change in orjson.loads(entry.changes)]
    return AuditItem(
        sequence=entry.sequence,
        at=stamp(entry.at),
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        version=entry.version,
        reason=entry.reason,
        digest_before=entry.digest_before,
        digest_after=entry.digest_after,
        changes=changes,
    )
