"""Runs the API: builds its services and a server on them, in this process."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version

import uvicorn

from api.app import create_app
from api.keys import key_of, new_key
from api.live import StoreFeed, month_of
from api.services import Ingest, Services
from billing.protocol import Books
from schemas.errors import Misconfigured
from stratometer.compose import Parts
from stratometer.metrics import Drift, Sources, registry_of
from stratometer.settings import Settings

LOOPBACK = ("127.0.0.1", "::1", "localhost")
STOP_SECONDS = 10
VIEWER_ID = "viewer"


def bind(settings: Settings) -> socket.socket:
    """Return the listening socket; raises Misconfigured when the address is taken."""
    host, port = settings.api.host, settings.api.port
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
        )
    except OSError as error:
        raise Misconfigured(
            [f"api.port: cannot listen on {host}:{port} ({error.strerror}); choose another, 0 takes a free one"]
        ) from error


def url_of(listener: socket.socket) -> str:
    """Return the address for a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def services(
    parts: Parts,
    ingest: Ingest,
    *,
    since: Callable[[int], int] | None = None,
    accepted: Callable[[], int] | None = None,
    metrics: Sources | None = None,
) -> Services:
    """Return what the API works with.

    Args:
        parts: the stores.
        ingest: where accepted events go.
        since: now → first second from which the live page sums costs; None: this month.
        accepted: samples taken by this process so far, for the rate on the live page; None asks the warehouse.
        metrics: what else /metrics shows; None: what the books know.
    """
    settings = parts.settings
    admit_admin(parts.books, settings)
    live = StoreFeed(
        parts.warehouse, parts.directory, parts.registry, parts.clock, since=since or month_of, accepted=accepted
    )
    return Services(
        warehouse=parts.warehouse,
        books=parts.books,
        directory=parts.directory,
        registry=parts.registry,
        ingest=ingest,
        clock=parts.clock,
        live=live,
        metrics=registry_of(metrics or Sources(parts.clock, drift=Drift(parts.books))),
        version=version("stratometer"),
        grace_seconds=settings.settle.grace_seconds,
        open_docs=settings.dev,
        dev=settings.dev,
        viewer_key=viewer_key(parts.books) if settings.dev and settings.api.host in LOOPBACK else None,
    )


def admit_admin(books: Books, settings: Settings) -> None:
    """Make the admin token of the settings valid."""
    books.put_api_key(key_of(settings.api.admin_token.get_secret_value(), "admin"))


def viewer_key(books: Books) -> str:
    """Return the token of a fresh reader key for the live page of this process; the one before is revoked."""
    for key in books.api_keys():
        if key.id.startswith(VIEWER_ID) and not key.revoked:
            books.put_api_key(replace(key, revoked=True))
    _, token = new_key("reader")
    prefix, _, rest = token.partition("_")
    token = f"{prefix}_{VIEWER_ID}{rest}"
    books.put_api_key(key_of(token, "reader"))
    return token


@contextmanager
def serving(services: Services, listener: socket.socket) -> Iterator[threading.Thread]:
    """Serve in a thread while the block runs."""
    config = uvicorn.Config(create_app(services), log_level="warning", access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="api", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        services.live.stop()
        server.should_exit = True
        thread.join(STOP_SECONDS)
        listener.close()
