"""Groups of accounts: they share a price list, or campaigns. Which account belongs to which stands at the accounts."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth import PROVIDER, Caller, access, actor_of
from api.catalogue_models import GroupBody, GroupView
from api.models import Page
from api.parameters import LIMIT_DEFAULT, Limit, refuse_unknown
from api.problems import Problem
from api.services import Use
from billing.catalogue_values import AccountGroup, Act

router = APIRouter(prefix="/v1/account-groups", tags=["accounts"])

GroupId = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,62}$", description="id of the group")]


@router.get("", operation_id="listAccountGroups", **access("provider", *PROVIDER))
def list_groups(
    request: Request,
    use: Use,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Annotated[str | None, Query(max_length=63, description="next_cursor of the page before")] = None,
) -> Page[GroupView]:
    """Return the groups, by id."""
    refuse_unknown(request)
    groups = sorted(use.books.groups(), key=lambda group: group.id)
    rest = [one for one in groups if cursor is None or one.id > cursor]
    more = rest[limit - 1].id if len(rest) > limit else None
    return Page(items=[_view(one) for one in rest[:limit]], next_cursor=more)


@router.get("/{group}", operation_id="getAccountGroup", **access("provider", *PROVIDER))
def get_group(request: Request, group: GroupId, use: Use) -> GroupView:
    """Return one group."""
    refuse_unknown(request)
    found = next((one for one in use.books.groups() if one.id == group), None)
    if found is None:
        raise Problem("not-found", f"there is no group {group!r}")
    return _view(found)


@router.put(
    "/{group}",
    operation_id="putAccountGroup",
    responses={201: {"model": GroupView, "description": "created"}},
    **access("provider", "admin", "product"),
)
def put_group(
    request: Request, response: Response, group: GroupId, body: GroupBody, key: Caller, use: Use
) -> GroupView:
    """Create a group (201) or change it (200)."""
    refuse_unknown(request)
    wanted = AccountGroup(id=group, **body.model_dump())
    known = {one.id for one in use.books.groups()}
    use.books.put_group(wanted, Act(actor_of(key), use.clock()))
    use.directory.refresh()
    response.status_code = 200 if group in known else 201
    return _view(wanted)


def _view(group: AccountGroup) -> GroupView:
    return GroupView(id=group.id, name=group.name, price_list=group.price_list, priority=group.priority)
