"""GET lines: what is charged; and the whole way from one line back to its samples."""

from typing import Annotated, Final

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
from api.scope import Scope
from api.services import Services, Use
from rating.explain import LineNames, Step, explain, verify
from schemas.errors import Invariant
from schemas.period import iso
from sinks.warehouse.protocol import UsageRequest

router = APIRouter(prefix="/v1", tags=["rated lines"])

SAMPLES_MAX: Final = 100_000
"""Samples behind one line: a month of the finest grid has 8,928 cells; events of a busy resource may be more."""


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
    question, usage = lines.recompute(use, scope, scoped, priced.line, priced.revision)
    item = line_items(use, [priced])[0]
    first = position[0] if position else 0
    samples, more = _samples(use, question, priced, first, limit)
    text = _explained(use, priced, item)
    price = priced.price_list.by_key.get(priced.line.price_id)
    return models.Explanation(
        line=item,
        superseded=superseded,
        sentence=text[0],
        steps=[models.Step(name=step.name, text=step.text) for step in text[1]],
        price_list_digest=priced.price_list.digest,
        valid=window(price.valid.start, price.valid.end) if price else None,
        verification=_verified(usage, priced, item),
        samples=samples,
        next_cursor=next_cursor(request, [first + limit]) if more else None,
    )


def _explained(use: Services, priced: Priced, item: LineItem) -> tuple[str, tuple[Step, ...]]:
    meter = use.registry.by_id.get(priced.line.meter_id)
    unit = (meter.display_unit, meter.display[meter.display_unit]) if meter else ("base units", 1)
    names = LineNames(item.resource.key, item.meter, item.attributes, unit)
    if priced.price_list is None:
        raise Invariant("only a line with its price list is explained")
    found = explain(priced.line, priced.price_list, names)
    return found.sentence, found.steps


def _verified(usage: lines.Recomputed, priced: Priced, item: LineItem) -> Verification:
    line = priced.line
    if priced.price_list is None:
        raise Invariant("only a line with its price list is verified")
    verdict = verify(line, priced.price_list, item.attributes)
    pairs = (
        ("quantity", line.quantity, usage.quantity),
        ("covered seconds", line.covered_seconds, usage.covered_seconds),
        ("usage digest", line.usage_digest, usage.digest),
    )
    differences = [f"{name} is {said}, the samples give {due}" for name, said, due in pairs if said != due]
    return Verification(
        proved=verdict.proved and not differences,
        differences=[*verdict.differences, *differences],
        usage_quantity=usage.quantity,
        usage_samples=usage.samples,
        usage_digest=hexed(usage.digest),
        amount_micros=verdict.amount_micros,
        digest=hexed(verdict.digest),
    )


def _samples(
    use: Services, question: UsageRequest, priced: Priced, first: int, limit: int
) -> tuple[list[SampleItem], bool]:
    """Return samples first … first + limit, and whether more follow."""
    # The limit of the warehouse counts every attribute set of the resource, so the page is cut here.
    table = use.warehouse.samples(question, priced.line.resource_id, SAMPLES_MAX)
    own = [row for row in table.to_pylist() if row["attributes_id"] == priced.line.attributes_id]
    shown = own[first : first + limit]
    items = [
        SampleItem(
            cell_start=iso(row["cell_start"]),
            cell_seconds=row["cell_seconds"],
            covered_seconds=row["covered_seconds"],
            quantity=row["quantity"],
            revision=row["revision"],
            versions=row["versions"],
            stored_at=stamp(row["stored_at"]),
        )
        for row in shown
    ]
    return items, len(own) > first + limit
