"""GET lines: what is charged; and the whole way from one line back to its samples."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from api import lines, models
from api.auth import READ, access
from api.models import LineItem, Page, SampleItem, Verification
from api.parameters import (
    LIMIT_DEFAULT,
    AsOf,
    Cursor,
    From,
    Limit,
    To,
    as_of_micros,
    next_cursor,
    period_of,
    position_of,
    refuse_unknown,
    stamp,
)
from api.present import Priced, hexed, line_items, window
from api.prices import PriceVersions
from api.problems import Problem
from api.proof import Prover
from api.scope import Scope
from api.services import Services, Use
from rating.explain import LineNames, Step, explain
from rating.terms import Terms
from schemas.errors import Invariant
from schemas.period import iso

router = APIRouter(prefix="/v1", tags=["rated lines"])


def versions_of(request: Request) -> PriceVersions:
    """Return the price list versions that this application keeps."""
    found: PriceVersions = request.app.state.price_versions
    return found


@router.get("/lines", operation_id="listLines", **access("tenant", *READ))
def list_lines(
    request: Request,
    scope: Scope,
    use: Use,
    account: Annotated[str, Query(description="whose lines")],
    start: From,
    end: To,
    priced: Annotated[bool | None, Query(description="false: only lines that no price matched")] = None,
    as_of: AsOf = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[LineItem]:
    """Return the valid rated lines of windows inside the period, one page."""
    refuse_unknown(request)
    scoped, position = scope.account(account), position_of(request, cursor, 2)
    cutoff = as_of_micros(as_of)
    if cutoff is None:
        cutoff = position[0] if position else use.clock()
    after = min(position[1], 2**62) if position else 0
    found = lines.page(use, versions_of(request), scoped, period_of(start, end), cutoff, after, limit, priced)
    more = None if found.next_after is None else next_cursor(request, [cutoff, found.next_after])
    return Page(items=line_items(use, found.lines), next_cursor=more)


@router.get("/lines/{digest}/explain", operation_id="explainLine", **access("tenant", *READ))
def explain_line(
    request: Request,
    scope: Scope,
    use: Use,
    digest: Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="digest of the line")],
    account: Annotated[str, Query(description="whose line")],
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> models.Explanation:
    """Recompute a line from what is stored, and return every step and the samples behind it, one page of them."""
    refuse_unknown(request)
    scoped, position = scope.account(account), position_of(request, cursor, 1)
    found = lines.find(use, versions_of(request), scoped, int(digest, 16))
    if found is None:
        raise Problem("not-found", f"there is no line {digest} of account {account!r} within reach of this key")
    priced, superseded = found
    if priced.price_list is None:
        raise Problem("not-found", "the price list version of this line is not in the books, so it cannot be proved")
    whole = versions_of(request).effective(scoped.account, priced.rating) if priced.rating else None
    price_list = whole or priced.price_list
    priced = replace(priced, price_list=price_list)
    item = line_items(use, [priced])[0]
    prover = Prover(use, scope, scoped, priced)
    first = position[0] if position else 0
    samples, total = prover.samples(first, limit)
    text = _explained(use, priced, item, prover.terms)
    price = price_list.by_key.get(priced.line.price_id)
    return models.Explanation(
        line=item,
        superseded=superseded,
        sentence=text[0],
        steps=[models.Step(name=step.name, text=step.text) for step in text[1]],
        price_list_digest=price_list.digest,
        valid=window(price.valid.start, price.valid.end) if price else None,
        verification=_verified(prover, item, total),
        samples=[_sample(row) for row in samples],
        next_cursor=next_cursor(request, [first + limit]) if total > first + limit else None,
    )


def _explained(use: Services, priced: Priced, item: LineItem, terms: Terms) -> tuple[str, tuple[Step, ...]]:
    meter = use.registry.by_id.get(priced.line.meter_id)
    unit = (meter.display_unit, meter.display[meter.display_unit]) if meter else ("base units", 1)
    names = LineNames(item.resource.key, item.meter, item.attributes, unit)
    if priced.price_list is None:
        raise Invariant("only a line with its price list is explained")
    found = explain(priced.line, priced.price_list, names, terms)
    return found.sentence, found.steps


def _verified(prover: Prover, item: LineItem, samples: int) -> Verification:
    proof = prover.prove(item.attributes)
    return Verification(
        proved=not proof.differences,
        differences=list(proof.differences),
        usage_quantity=proof.usage.quantity,
        usage_samples=samples,
        usage_digest=hexed(proof.usage.digest),
        amount_micros=proof.amount_micros,
        digest=hexed(proof.digest),
    )


def _sample(row: Mapping[str, int]) -> SampleItem:
    return SampleItem(
        cell_start=iso(row["cell_start"]),
        cell_seconds=row["cell_seconds"],
        covered_seconds=row["covered_seconds"],
        quantity=row["quantity"],
        revision=row["revision"],
        versions=row["versions"],
        stored_at=stamp(row["stored_at"]),
    )
