"""Simulations: what a past period would have come to under another price list. Nothing is written or charged."""

from collections.abc import Iterable
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from api import simulation_models as views
from api.auth import access
from api.models import Page
from api.parameters import (
    LIMIT_DEFAULT,
    Cursor,
    Limit,
    micros_of,
    next_cursor,
    position_of,
    refuse_unknown,
    stamp,
)
from api.present import amount, window
from api.problems import Problem, invalid, unavailable
from api.scope import Scope
from api.services import Services, Use
from api.simulations import FullError, Job, SimulationJobs
from pipeline.simulation import sheets
from pipeline.simulation.cohorts import Asked
from pipeline.simulation.model import NAMED_MAX, AccountResult, LineDifference, ListName, Pair, Simulation
from rating.price_list import parse
from schemas.errors import Poison
from schemas.period import SECOND, Period

router = APIRouter(prefix="/v1/simulations", tags=["simulations"])

ROLES: Final = ("admin", "product")
CSV: Final = "text/csv"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SimulationId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="id of the simulation")]
_CONTENT: Final = {CSV: {"schema": {"type": "string"}}, XLSX: {"schema": {"type": "string", "format": "binary"}}}


def jobs_of(request: Request) -> SimulationJobs:
    """Return the simulations of this application."""
    found: SimulationJobs = request.app.state.simulations
    return found


@router.post("", status_code=202, operation_id="postSimulation", **access("provider", *ROLES))
def post_simulation(
    request: Request, response: Response, body: views.SimulationBody, scope: Scope, use: Use
) -> views.SimulationView:
    """Take a simulation; it runs in the background, one at a time. Its address is in Location."""
    refuse_unknown(request)
    document = _document(use, body)
    parse(document, use.registry)  # every mistake is told at once, not after minutes of waiting
    accounts = None if body.accounts is None else [scoped.account.id for scoped in scope.chosen(body.accounts)]
    if body.against is not None and use.books.price_list(body.against) is None:
        raise invalid("/against", f"there is no price list {body.against!r}")
    asked = Asked(document, body.period.month or "", _period(body.period), accounts, body.against)
    try:
        job = jobs_of(request).submit(asked)
    except FullError as error:
        raise unavailable("too many simulations are waiting; the same request may be sent again") from error
    response.headers["Location"] = f"/v1/simulations/{job.id}"
    return _view(job)


@router.get("", operation_id="listSimulations", **access("provider", *ROLES))
def list_simulations(request: Request) -> Page[views.SimulationView]:
    """Return the simulations that are kept, the newest first; the oldest are forgotten, all with a restart."""
    refuse_unknown(request)
    return Page(items=[_view(job) for job in jobs_of(request).all()], next_cursor=None)


def _file(kind: str, content: str | bytes) -> Response:
    return Response(content, media_type=kind)


@router.get(
    "/{simulation}.csv",
    operation_id="getSimulationCsv",
    response_class=Response,
    responses={200: {"content": {CSV: _CONTENT[CSV]}}},
    **access("provider", *ROLES),
)
def get_simulation_csv(request: Request, simulation: SimulationId) -> Response:
    """Return accounts and their products as CSV."""
    refuse_unknown(request)
    found = _done(_found(request, simulation))
    return _file(CSV, sheets.csv_text(sheets.ACCOUNT_COLUMNS, sheets.account_rows(found)))


@router.get(
    "/{simulation}.xlsx",
    operation_id="getSimulationXlsx",
    response_class=Response,
    responses={200: {"content": {XLSX: _CONTENT[XLSX]}}},
    **access("provider", *ROLES),
)
def get_simulation_xlsx(request: Request, simulation: SimulationId) -> Response:
    """Return products and accounts as a workbook."""
    refuse_unknown(request)
    return _file(XLSX, sheets.workbook(_done(_found(request, simulation))))


@router.get("/{simulation}", operation_id="getSimulation", **access("provider", *ROLES))
def get_simulation(request: Request, simulation: SimulationId) -> views.SimulationView:
    """Return how far a simulation is, and its result when it is done."""
    refuse_unknown(request)
    return _view(_found(request, simulation))


@router.get("/{simulation}/accounts", operation_id="listSimulatedAccounts", **access("provider", *ROLES))
def list_accounts(
    request: Request, simulation: SimulationId, limit: Limit = LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[views.SimulatedAccount]:
    """Return the accounts that the draft concerns, by id, one page."""
    refuse_unknown(request)
    found, position = _done(_found(request, simulation)), position_of(request, cursor, 1)
    first = min(position[0], len(found.accounts)) if position else 0
    more = next_cursor(request, [first + limit]) if first + limit < len(found.accounts) else None
    return Page(items=[_account(one) for one in found.accounts[first : first + limit]], next_cursor=more)


@router.get(
    "/{simulation}/lines",
    operation_id="listSimulatedLines",
    responses={200: {"content": {CSV: _CONTENT[CSV]}}},
    **access("provider", *ROLES),
)
def list_lines(
    request: Request,
    simulation: SimulationId,
    account: Annotated[str, Query(description="whose lines")],
    scope: Scope,
    use: Use,
    changed: Annotated[bool, Query(description="only lines whose amounts differ")] = False,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[views.SimulatedLine]:
    """Return one account line by line under both lists; with Accept: text/csv all of them as CSV."""
    refuse_unknown(request)
    job, position = _found(request, simulation), position_of(request, cursor, 1)
    result = _done(job)
    whose = scope.account(account).account.id
    currency = next((one.currency for one in result.accounts if one.account == whose), "")
    try:
        lines = jobs_of(request).lines(job, whose)
    except Poison as error:
        raise Problem("too-much" if error.reason == "too_many_lines" else "conflict", error.detail) from error
    wanted = [line for line in lines if line.amount.difference or not changed]
    if request.headers.get("accept", "").partition(";")[0].strip() == CSV:
        rows = sheets.line_rows(wanted, use.warehouse, use.registry)
        return _file(CSV, sheets.csv_text(sheets.LINE_COLUMNS, rows))  # type: ignore[return-value]
    first = min(position[0], len(wanted)) if position else 0
    more = next_cursor(request, [first + limit]) if first + limit < len(wanted) else None
    return Page(items=list(_lines(use, wanted[first : first + limit], currency)), next_cursor=more)


def _document(use: Services, body: views.SimulationBody) -> str:
    if body.draft is not None:
        draft = use.books.draft(body.draft)
        if draft is None:
            raise Problem("not-found", f"there is no draft {body.draft!r}")
        return draft.document
    if isinstance(body.document, dict):
        return orjson.dumps(body.document).decode()
    document = body.document or ""
    if len(document) > views.DOCUMENT_CHARS_MAX:
        raise Problem("too-large", f"a price list holds at most {views.DOCUMENT_CHARS_MAX} characters")
    if "\0" in document:
        raise invalid("/document", "holds a NUL character: remove it")
    return document


def _period(asked: views.SimulationPeriod) -> Period | None:
    if asked.start is None or asked.end is None:
        return None
    return Period(micros_of(asked.start) // SECOND, micros_of(asked.end) // SECOND)


def _found(request: Request, simulation: str) -> Job:
    job = jobs_of(request).find(simulation)
    if job is None:
        raise Problem("not-found", f"there is no simulation {simulation!r}; old ones are forgotten")
    return job


def _done(job: Job) -> Simulation:
    if job.result is None:
        raise Problem("conflict", f"simulation {job.id} is {job.state}: look at it until it is done")
    return job.result


def _view(job: Job) -> views.SimulationView:
    return views.SimulationView(
        id=job.id,
        state=job.state,
        created_at=stamp(job.created_at),
        progress=job.progress,
        step=job.step,
        problems=list(job.problems),
        result=None if job.result is None else _result(job.result),
    )


def _result(found: Simulation) -> views.SimulationResult:
    products = [
        views.ProductAmounts(product=product, **_amounts(pair, currency).model_dump())
        for (currency, product), pair in found.by_product.items()
    ]
    return views.SimulationResult(
        draft=views.ListRef(id=found.draft.id, version=found.draft.version),
        digest=found.digest,
        cutoff=stamp(found.cutoff),
        totals=[_amounts(pair, currency) for currency, pair in sorted(found.totals.items())],
        products=products,
        winners=[_account(one) for one in found.winners[:NAMED_MAX]],
        losers=[_account(one) for one in found.losers[:NAMED_MAX]],
        accounts=len(found.accounts),
        untouched=found.untouched,
        failed=len(found.problems),
    )


def _account(one: AccountResult) -> views.SimulatedAccount:
    products = [
        views.ProductAmounts(product=product, **_amounts(pair, one.currency).model_dump())
        for product, pair in one.by_product.items()
    ]
    return views.SimulatedAccount(
        account=one.account,
        name=one.name,
        period=window(one.period.start, one.period.end),
        price_list_before=_list(one.before),
        price_list_after=_list(one.after),
        amount=_amounts(one.amount, one.currency),
        products=products,
        lines_before=one.lines.before,
        lines_after=one.lines.after,
        unpriced_before=one.unpriced.before,
        unpriced_after=one.unpriced.after,
        problem=one.problem,
    )


def _lines(use: Services, lines: "list[LineDifference]", currency: str) -> Iterable[views.SimulatedLine]:
    for line, row in zip(lines, sheets.line_rows(lines, use.warehouse, use.registry), strict=True):
        named = dict(zip(sheets.LINE_COLUMNS, row, strict=True))
        yield views.SimulatedLine(
            window=window(line.window.start, line.window.end),
            segment=window(line.segment.start, line.segment.end),
            resource=named["resource"],
            meter=named["meter"],
            attributes=named["attributes"],
            product=line.product,
            charge=line.charge,
            component=line.component,
            quantity_before=line.quantity.before,
            quantity_after=line.quantity.after,
            price_before=line.prices[0],
            price_after=line.prices[1],
            amount=_amounts(line.amount, currency),
        )


def _amounts(pair: Pair, currency: str) -> views.Amounts:
    return views.Amounts(
        before=amount(pair.before, currency),
        after=amount(pair.after, currency),
        difference=amount(pair.difference, currency),
    )


def _list(name: ListName | None) -> views.ListRef | None:
    return None if name is None else views.ListRef(id=name.id, version=name.version)
