"""What the composition hands to the API, and the two protocols that it implements for it."""

from dataclasses import dataclass, field
from typing import Annotated, Protocol

import pyarrow as pa
from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from api.live import LiveFeed
from billing.protocol import Books
from pipeline.directory import Directory
from schemas.meters import Registry
from schemas.period import Clock
from sinks.warehouse.protocol import Warehouse


class Ingest(Protocol):
    """Takes samples in, for ever: what it returned from survives kill -9.

    Both methods raise Transient when the spool is full or the log is away; the sender tries again, which is harmless.
    """

    def submit(self, rows: pa.RecordBatch, site: str) -> int:
        """Append rows (schemas.batch.SCHEMA) of one site under the API's own collector name; return how many."""

    def submit_encoded(self, payload: bytes) -> int:
        """Append a whole sample batch as it came (`schemas.batch.decode` has read it); return how many rows."""


@dataclass(frozen=True)
class Services:
    """Everything the routes use.

    Attributes:
        warehouse, books, directory, registry: the stores, and who pays for what.
        ingest: where accepted events go.
        clock: microseconds since 1970.
        live: the feed of the live page; `api.live.StoreFeed` unless another is wanted.
        metrics: Prometheus registry of the process; `/metrics` shows all of it.
        version: of the product.
        grace_seconds: how long a window waits for late data, as the settle job has it.
        open_docs: serve the OpenAPI document at /v1/openapi.json to anyone.
        dev: development or demo mode; errors still tell nothing internal.
        viewer_key: token of a reader key that the live page carries, for dev on loopback only; None asks the visitor.
        metrics_open: serve /metrics without a key, for a scraper inside a closed network.
        workers_max: threads for requests; also bounds concurrent queries.
        streams_max: live streams at a time.
    """

    warehouse: Warehouse
    books: Books
    directory: Directory
    registry: Registry
    ingest: Ingest
    clock: Clock
    live: LiveFeed
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    version: str = "0.1.0"
    grace_seconds: int = 7200
    open_docs: bool = False
    dev: bool = False
    viewer_key: str | None = None
    metrics_open: bool = False
    workers_max: int = 16
    streams_max: int = 100

    def __post_init__(self) -> None:
        """Refuse a page that hands a key to anyone in production."""
        if self.viewer_key and not self.dev:
            raise ValueError("viewer_key is put into a public page: it needs dev")


def services(request: Request) -> Services:
    """Return the services of the application that serves this request."""
    found: Services = request.app.state.services
    return found


Use = Annotated[Services, Depends(services)]
