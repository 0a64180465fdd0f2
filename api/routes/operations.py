"""For operators: alive, ready, metrics, reconciliation."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.auth import PROVIDER, access
from api.models import Health, Ready, Reconciliation
from api.parameters import refuse_unknown
from api.problems import ErrorItem, unavailable
from api.services import Use
from schemas.errors import Transient

router = APIRouter(tags=["operations"])


@router.get("/v1/health", operation_id="getHealth", **access("public"))
def get_health(request: Request, use: Use) -> Health:
    """Tell that the process answers; asks no store."""
    refuse_unknown(request)
    return Health(status="ok", version=use.version)


@router.get("/v1/ready", operation_id="getReady", **access("public"))
def get_ready(request: Request, use: Use) -> Ready:
    """Tell whether both stores answer; 503 names the one that does not."""
    refuse_unknown(request)
    away = []
    try:
        use.warehouse.ping()
    except Transient:
        away.append(ErrorItem(pointer="warehouse", detail="does not answer: start it, or mend warehouse.url"))
    try:
        use.books.account("ready")  # one row by its key; whether it exists does not matter
    except Transient:
        away.append(ErrorItem(pointer="books", detail="do not answer: start them, or mend books.url"))
    if away:
        raise unavailable(f"{' and '.join(a.pointer for a in away)}: no answer", away)
    return Ready(status="ready", warehouse="ok", books="ok")


@router.get("/v1/reconcile", operation_id="getReconciliation", **access("provider", "admin"))
def get_reconciliation(request: Request, use: Use) -> Reconciliation:
    """Return the counters over everything stored, and whether they add up."""
    refuse_unknown(request)
    c = use.warehouse.counters()
    return Reconciliation(
        accepted=c.accepted,
        replayed=c.replayed,
        stored=c.stored,
        dead=c.dead,
        unique=c.unique,
        messages=c.messages,
        balanced=c.accepted + c.replayed == c.stored + c.dead,
    )


def metrics_router(*, to_anyone: bool) -> APIRouter:
    """Return the router of /metrics, open to the provider's keys or, inside a closed network, to anyone."""
    own = APIRouter(tags=["operations"])
    text = {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text format"}
    declared = access("public") if to_anyone else access("provider", *PROVIDER)

    @own.get("/metrics", operation_id="getMetrics", response_class=Response, responses={200: text}, **declared)
    def get_metrics(request: Request, use: Use) -> Response:
        """Return every metric of this process in Prometheus' text format."""
        refuse_unknown(request)
        return Response(generate_latest(use.metrics), media_type=CONTENT_TYPE_LATEST)

    return own
