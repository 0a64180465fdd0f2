"""GET ratings: each rated window, and how far it has come in its life."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request

from api.auth import READ, access
from api.models import Page, RatingItem
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
)
from api.present import amount, hexed, window
from api.problems import invalid
from api.scope import Scope, Scoped
from api.services import Services, Use
from billing.window_life import state_of
from schemas.period import SECOND, Period
from sinks.warehouse.protocol import Rating

router = APIRouter(prefix="/v1", tags=["rated lines"])

DAYS_MAX: Final = 800


@router.get("/ratings", operation_id="listRatings", **access("tenant", *READ))
def list_ratings(
    request: Request,
    scope: Scope,
    use: Use,
    start: From,
    end: To,
    accounts: Annotated[
        list[str] | None, Query(alias="account", max_length=100, description="whose; all within reach unless given")
    ] = None,
    as_of: AsOf = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[RatingItem]:
    """Return the valid rating of each window that overlaps the period, by account and window."""
    refuse_unknown(request)
    period, position = period_of(start, end), position_of(request, cursor, 4)
    if period.seconds > DAYS_MAX * 86_400:
        raise invalid("from", f"more than {DAYS_MAX} days: ask for a shorter time", "too-much")
    chosen = {scoped.key: scoped for scoped in scope.chosen(accounts)}
    cutoff = as_of_micros(as_of)
    if cutoff is None:
        cutoff = position[0] if position else use.clock()
    found = sorted(use.warehouse.ratings(sorted(chosen), period, cutoff), key=_key) if chosen else []
    rest = [r for r in found if position is None or _key(r) > position[1:]]
    settled = _settled(use, chosen, as_of is None)
    more = next_cursor(request, [cutoff, *_key(rest[limit - 1])]) if len(rest) > limit else None
    return Page(items=[_item(use, chosen[r.account_id], r, settled) for r in rest[:limit]], next_cursor=more)


def _key(rating: Rating) -> tuple[int, int, int]:
    return rating.account_id, rating.window.start, rating.window.end


def _settled(use: Services, chosen: Mapping[int, Scoped], now: bool) -> Mapping[str, list[Period]]:
    """Return the cycles that have a settlement, by account; the books know only those of now."""
    if not now:
        return {}
    cycles: dict[str, list[Period]] = {}
    whose = next(iter(chosen.values())).account.id if len(chosen) == 1 else None
    for one in use.books.settlements(whose):
        cycles.setdefault(one.account, []).append(Period(one.cycle_start, one.cycle_end))
    return cycles


def _item(use: Services, scoped: Scoped, rating: Rating, settled: Mapping[str, list[Period]]) -> RatingItem:
    posted = rating.settled or any(
        cycle.start <= rating.window.start and rating.window.end <= cycle.end
        for cycle in settled.get(scoped.account.id, ())
    )
    return RatingItem(
        account=scoped.account.id,
        window=window(rating.window.start, rating.window.end),
        state=state_of(rating.window.end, use.clock() // SECOND, use.grace_seconds, settled=posted),
        revision=rating.revision,
        price_list=rating.price_list,
        version=rating.price_list_version,
        lines=rating.lines,
        unpriced=rating.unpriced,
        amount=amount(rating.amount_micros, rating.currency),
        digest=hexed(rating.digest),
    )
