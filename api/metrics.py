"""Every metric that the API adds to the process's registry, in one place; docs/api.md lists them."""

import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METRICS: Final = {
    "stratometer_api_requests_total": "requests by route template, method and status",
    "stratometer_api_request_seconds": "time to the first byte of the answer, by route template",
    "stratometer_api_events_accepted_total": "rows made durable by POST events",
    "stratometer_api_events_refused_total": "requests of events refused, by reason",
    "stratometer_api_streams": "live streams open now",
}
_BUCKETS: Final = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)


class ApiMetrics:
    """The API's metrics, registered once in a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register them."""

        def about(name: str) -> tuple[str, str]:
            return name, METRICS[name]

        self.requests = Counter(
            *about("stratometer_api_requests_total"), ["route", "method", "status"], registry=registry
        )
        self.seconds = Histogram(
            *about("stratometer_api_request_seconds"), ["route"], buckets=_BUCKETS, registry=registry
        )
        self.accepted = Counter(*about("stratometer_api_events_accepted_total"), registry=registry)
        self.refused = Counter(*about("stratometer_api_events_refused_total"), ["reason"], registry=registry)
        self.streams = Gauge(*about("stratometer_api_streams"), registry=registry)


class Observed:
    """ASGI middleware: counts and times requests, and sets the headers that every answer carries."""

    HEADERS: Final = (
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-store"),
    )

    def __init__(self, app: ASGIApp, metrics: ApiMetrics, seconds: Callable[[], float] = time.perf_counter) -> None:
        """Wrap an application; `seconds` is a monotonic clock."""
        self._app, self._metrics, self._seconds = app, metrics, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = self._seconds()

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The template, never the path: ids in labels would grow without bound and tell who asked for whom.
                route = getattr(scope.get("route"), "path", "unknown")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self._metrics.requests.labels(route, method, str(message["status"])).inc()
                self._metrics.seconds.labels(route).observe(self._seconds() - begun)
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in self.HEADERS if h[0] not in present)]
            await send(message)

        await self._app(scope, receive, observed)


_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})
