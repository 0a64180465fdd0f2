"""Wallets: balance, unit transactions, and grants, which happen once however often they are sent."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from api.auth import READ, Caller, access
from api.models import Amount, Balance, EntryView, GrantBody, Page, Transaction
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
from api.present import amount
from api.problems import Problem, invalid
from api.routes.accounts import AccountId
from api.scope import Scope
from api.services import Services, Use
from billing.journal import all_transfers
from billing.ledger import GRANT, MICROS_MAX, fold, grant, wallet_micros
from billing.protocol import PostedTransfer, Transfer
from billing.wallet import views
from schemas.errors import Conflict, Invariant
from schemas.ids import derived_id
from schemas.money import Money, micros_of
from schemas.period import SECOND, iso

router = APIRouter(prefix="/v1/accounts/{account}", tags=["wallets"])

IdempotencyKey = Annotated[
    str,
    Header(alias="Idempotency-Key", min_length=1, max_length=128, pattern="^[!-~]+$", description="one for each grant"),
]


@router.get("/balance", operation_id="getBalance", **access("tenant", *READ))
def get_balance(request: Request, account: AccountId, scope: Scope, use: Use, as_of: AsOf = None) -> Balance:
    """Return what is left in each of the account's wallets."""
    refuse_unknown(request)
    scoped = scope.account(account)
    balances = (
        use.books.balances()
        if as_of is None
        else fold(p.transfer for p in all_transfers(use.books, [scoped.account.id], as_of=as_of_micros(as_of)))
    )
    found = views(scoped.account.id, balances)
    return Balance(account=account, wallets=[amount(w.balance.micros, w.balance.currency) for w in found])


@router.get("/transactions", operation_id="listTransactions", **access("tenant", *READ))
def list_transactions(
    request: Request,
    account: AccountId,
    scope: Scope,
    use: Use,
    as_of: AsOf = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[Transaction]:
    """Return the transfers of an account in the order of the journal."""
    refuse_unknown(request)
    scoped, position = scope.account(account), position_of(request, cursor, 1)
    after = min(position[0], 2**62) if position else 0
    found = use.books.transfers([scoped.account.id], after, limit + 1, as_of_micros(as_of))
    more = next_cursor(request, [found[limit - 1].sequence]) if len(found) > limit else None
    return Page(items=[_transaction(one) for one in found[:limit]], next_cursor=more)


@router.post(
    "/grants",
    status_code=201,
    operation_id="postGrant",
    responses={200: {"model": Transaction, "description": "posted before under this key"}},
    **access("provider", "admin", "finance"),
)
def post_grant(
    request: Request,
    response: Response,
    account: AccountId,
    body: GrantBody,
    key: IdempotencyKey,
    caller: Caller,
    scope: Scope,
    use: Use,
) -> Transaction:
    """Grant units to a wallet: 201 the first time, 200 when the same request comes again."""
    refuse_unknown(request)
    scoped = scope.account(account)
    money = Money(micros_of(body.amount), body.currency)
    if not 0 < money.micros <= MICROS_MAX:
        raise invalid("/amount", "must be more than zero")
    details = {"reason": body.reason, "granted_by": caller.id}
    standing = use.books.transfer(derived_id(GRANT, scoped.account.id, key))
    if standing is None:
        now = use.clock()
        wanted = grant(scoped.account.id, money, key, now // SECOND, details)
        try:
            first = use.books.post(wanted, now)
        except Conflict:
            # Another request with this key was faster; what it posted is compared below.
            first = False
        standing = _posted(use, wanted)
        response.status_code = 201 if first else 200
    else:
        response.status_code = 200
    if not _same(standing.transfer, money, body.reason):
        raise Problem(
            "idempotency-conflict",
            "this Idempotency-Key was used for another grant of this account: take a new key for a new grant",
        )
    return _transaction(standing)


def _posted(use: Services, wanted: Transfer) -> PostedTransfer:
    posted = use.books.transfer(wanted.id)
    if posted is None:
        raise Invariant(f"transfer {wanted.id} was posted and cannot be found")
    return posted


def _same(stands: Transfer, money: Money, reason: str) -> bool:
    """Tell whether a grant is the one asked for; who repeats it and when makes no difference."""
    return (
        stands.currency == money.currency
        and wallet_micros(stands) == money.micros
        and stands.details.get("reason") == reason
    )


def _transaction(posted: PostedTransfer) -> Transaction:
    transfer = posted.transfer

    def money(micros: int) -> Amount:
        return amount(micros, transfer.currency)

    return Transaction(
        id=transfer.id,
        kind=transfer.kind,
        account=transfer.account,
        amount=money(wallet_micros(transfer)),
        entries=[EntryView(ledger_account=e.ledger_account, amount=money(e.micros)) for e in transfer.entries],
        effective_at=iso(transfer.effective_at),
        posted_at=stamp(posted.posted_at),
        sequence=posted.sequence,
        details=dict(transfer.details),
    )
