"""Accounts: the tree of who pays."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth import READ, Caller, access, actor_of
from api.models import AccountBody, AccountView, Page
from api.parameters import LIMIT_DEFAULT, Limit, refuse_unknown
from api.problems import Problem, invalid
from api.scope import Scope
from api.services import Use
from billing.accounts import UNATTRIBUTED, check_account
from billing.accounts import put_account as write_account
from billing.catalogue_values import Act
from billing.protocol import Account

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

AccountId = Annotated[str, Path(max_length=63, description="id of the account")]
NewAccountId = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,62}$", description="id of the account")]
RESERVED: Final = frozenset({UNATTRIBUTED})


@router.get("", operation_id="listAccounts", **access("tenant", *READ))
def list_accounts(
    request: Request,
    scope: Scope,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Annotated[str | None, Query(max_length=63, description="next_cursor of the page before")] = None,
) -> Page[AccountView]:
    """Return the accounts within reach, by id."""
    refuse_unknown(request)
    rest = [one.account for one in scope.accounts() if cursor is None or one.account.id > cursor]
    more = rest[limit - 1].id if len(rest) > limit else None
    return Page(items=[view(account) for account in rest[:limit]], next_cursor=more)


@router.get("/{account}", operation_id="getAccount", **access("tenant", *READ))
def get_account(request: Request, account: AccountId, scope: Scope) -> AccountView:
    """Return one account."""
    refuse_unknown(request)
    return view(scope.account(account).account)


@router.put(
    "/{account}",
    operation_id="putAccount",
    responses={201: {"model": AccountView, "description": "created"}},
    **access("provider", "admin", "product"),
)
def put_account(
    request: Request, response: Response, account: NewAccountId, body: AccountBody, scope: Scope, key: Caller, use: Use
) -> AccountView:
    """Create an account (201) or change it (200)."""
    refuse_unknown(request)
    if account in RESERVED:
        raise Problem("conflict", f"{account} stands for usage that no rule maps: choose another id")
    wanted = Account(id=account, **{**body.model_dump(), "groups": tuple(body.groups)})
    try:
        check_account(wanted)
    except ValueError as error:
        raise invalid("/", str(error)) from error
    known = {one.account.id for one in scope.accounts()}
    now = use.clock()
    write_account(use.books, wanted, now, Act(actor_of(key), now))
    use.directory.refresh()
    response.status_code = 200 if account in known else 201
    return view(use.books.account(account) or wanted)


def view(account: Account) -> AccountView:
    """Return an account as it goes out."""
    return AccountView(
        id=account.id,
        name=account.name,
        parent=account.parent,
        timezone=account.timezone,
        cycle=account.cycle,
        price_list=account.price_list,
        groups=list(account.groups),
    )
