"""Coupons: codes that an account redeems, so that the campaigns which ask for them apply from then on."""

from fastapi import APIRouter, Request

from api.auth import PROVIDER, Caller, access, actor_of
from api.catalogue_models import CouponBody, CouponView
from api.models import Page
from api.parameters import LIMIT_DEFAULT, Cursor, Limit, next_cursor, position_of, refuse_unknown
from api.problems import invalid
from api.routes.accounts import AccountId
from api.scope import Scope
from api.services import Use
from billing.catalogue_values import Act, Redemption
from billing.coupons import limits_of
from schemas.period import SECOND, iso

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])


@router.get("/{account}/coupons", operation_id="listCoupons", **access("provider", *PROVIDER))
def list_coupons(
    request: Request, account: AccountId, scope: Scope, use: Use, limit: Limit = LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[CouponView]:
    """Return what an account redeemed, in order of time."""
    refuse_unknown(request)
    position = position_of(request, cursor, 1)
    done = position[0] if position else 0
    rest = use.books.redemptions(scope.account(account).account.id)[done:]
    more = next_cursor(request, [done + limit]) if len(rest) > limit else None
    return Page(items=[_view(one) for one in rest[:limit]], next_cursor=more)


@router.post(
    "/{account}/coupons", status_code=201, operation_id="redeemCoupon", **access("provider", "admin", "product")
)
def redeem_coupon(
    request: Request, account: AccountId, body: CouponBody, scope: Scope, key: Caller, use: Use
) -> CouponView:
    """Redeem a code from now on, if a campaign in force in the account's list knows it and its limits allow it."""
    refuse_unknown(request)
    found = scope.account(account).account
    now = use.clock()
    price_list = use.directory.price_list(found)
    limits = limits_of(price_list.campaigns, body.code, now // SECOND) if price_list else None
    if limits is None:
        raise invalid("/code", f"no campaign that is in force for {found.id} has the code {body.code!r}")
    redeemed = use.books.redeem(body.code, found.id, limits, Act(actor_of(key), now))
    use.directory.refresh()
    return _view(redeemed)


def _view(redemption: Redemption) -> CouponView:
    return CouponView(code=redemption.code, account=redemption.account, redeemed_at=iso(redemption.redeemed_at))
