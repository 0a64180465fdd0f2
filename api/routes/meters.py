"""GET meters: what is measured, in which unit."""

from fastapi import APIRouter, Request

from api.auth import READ, access
from api.models import MeterView, Page
from api.parameters import refuse_unknown
from api.services import Use

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get("/meters", operation_id="listMeters", **access("tenant", *READ, "ingest"))
def list_meters(request: Request, use: Use) -> Page[MeterView]:
    """Return every meter of this installation, in the order of the registry."""
    refuse_unknown(request)
    return Page(
        items=[
            MeterView(
                key=m.key,
                name=m.name,
                kind=m.kind,
                base_unit=m.base,
                cell_seconds=m.cell,
                gap=m.gap,
                attributes=list(m.attributes),
                display=dict(m.display),
                event_type=m.event_type if m.kind == "event" else None,
            )
            for m in use.registry
        ]
    )
