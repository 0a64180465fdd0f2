"""Puts the API together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from api import openapi, problems
from api.metrics import ApiMetrics, Observed
from api.prices import PriceVersions
from api.routes import (
    accounts,
    catalogue,
    catalogue_coupons,
    catalogue_drafts,
    catalogue_groups,
    events,
    lines,
    meters,
    operations,
    page,
    price_lists,
    ratings,
    rules,
    simulations,
    stream,
    usage,
    wallets,
)
from api.services import Services
from api.simulations import SimulationJobs

DESCRIPTION = "Metering, rating and billing for VMware cloud providers. docs/api.md has examples for each route."
ROUTERS = (
    events.router,
    meters.router,
    usage.router,
    lines.router,
    ratings.router,
    accounts.router,
    wallets.router,
    rules.router,
    price_lists.router,
    catalogue.router,
    catalogue_drafts.router,
    catalogue_groups.router,
    catalogue_coupons.router,
    simulations.router,
    stream.router,
    operations.router,
    page.router,
)


def create_app(services: Services) -> FastAPI:
    """Return the ASGI application over the given services.

    Its lifespan starts and stops the live feed; the stores belong to the caller. Before a server is asked to shut
    down, call `services.live.stop()`, so that open streams end at once instead of holding it up.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Routes that ask the stores block, so each runs in a thread; this bounds threads and concurrent queries.
        current_default_thread_limiter().total_tokens = services.workers_max
        services.live.start()
        try:
            yield
        finally:
            services.live.stop()
            app.state.simulations.stop()

    app = FastAPI(
        title="Stratometer",
        version=services.version,
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json" if services.open_docs else None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.metrics = ApiMetrics(services.metrics)
    app.state.price_versions = PriceVersions(services)
    app.state.simulations = SimulationJobs(services)
    app.state.streams = 0
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(operations.metrics_router(to_anyone=services.metrics_open))
    problems.install(app)
    openapi.install(app)
    app.add_middleware(Observed, metrics=app.state.metrics)
    return app
