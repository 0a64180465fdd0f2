"""Mapping rules: which tenant's usage which account pays for. A change moves usage; it never leaves it with both."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.auth import PROVIDER, access
from api.models import Page, RuleBody, RuleView
from api.parameters import (
    LIMIT_DEFAULT,
    AsOf,
    Cursor,
    Limit,
    as_of_micros,
    next_cursor,
    position_of,
    refuse_unknown,
    stamp,
)
from api.problems import Problem, invalid
from api.scope import Scope
from api.services import Use
from billing.protocol import MappingRule
from schemas.period import FOREVER, iso, parse_instant

router = APIRouter(prefix="/v1/mapping-rules", tags=["mapping"])


@router.get("", operation_id="listMappingRules", **access("provider", *PROVIDER))
def list_rules(
    request: Request, use: Use, as_of: AsOf = None, limit: Limit = LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[RuleView]:
    """Return the rules known at an instant, in the order of recording."""
    refuse_unknown(request)
    position = position_of(request, cursor, 1)
    rest = [rule for rule in use.books.rules(as_of_micros(as_of)) if position is None or rule.id > position[0]]
    more = next_cursor(request, [rest[limit - 1].id]) if len(rest) > limit else None
    return Page(items=[_view(rule) for rule in rest[:limit]], next_cursor=more)


@router.post("", status_code=201, operation_id="postMappingRule", **access("provider", "admin", "product"))
def post_rule(request: Request, body: RuleBody, scope: Scope, use: Use) -> RuleView:
    """Record a rule; the same live rule again returns the first."""
    refuse_unknown(request)
    account = scope.account(body.account).account
    start, end = _instant("/start", body.start, 0), _instant("/end", body.end, FOREVER)
    if end <= start:
        raise invalid("/end", "must lie after start: periods are half-open")
    rule = MappingRule(0, body.site, body.tenant, account.id, body.resource, start, end)
    recorded = use.books.add_rule(rule, use.clock())
    use.directory.refresh()
    return _view(recorded)


@router.delete("/{rule}", status_code=204, operation_id="retireMappingRule", **access("provider", "admin", "product"))
def retire_rule(request: Request, rule: Annotated[int, Path(ge=1, le=2**62)], use: Use) -> Response:
    """Drop a rule from now on; as-of questions about the past still know it."""
    refuse_unknown(request)
    if all(known.id != rule for known in use.books.rules()):
        raise Problem("not-found", f"there is no live mapping rule {rule}")
    use.books.retire_rule(rule, use.clock())
    use.directory.refresh()
    return Response(status_code=204)


def _instant(pointer: str, text: str | None, default: int) -> int:
    try:
        second = default if text is None else parse_instant(text)
    except (ValueError, OverflowError) as error:
        raise invalid(pointer, str(error)) from error
    if not 0 <= second <= FOREVER:
        raise invalid(pointer, "lies outside 1970 to 2100")
    return second


def _view(rule: MappingRule) -> RuleView:
    return RuleView(
        id=rule.id,
        account=rule.account,
        site=rule.site,
        tenant=rule.tenant,
        resource=rule.resource,
        start=iso(rule.start),
        end=iso(rule.end),
        recorded_at=stamp(rule.recorded_at),
    )
