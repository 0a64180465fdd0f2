"""A simulation as plain JSON values, the same from the command line and the API. Amounts are exact decimal text."""

from pipeline.simulation.model import NAMED_MAX, AccountResult, ListName, Pair, Simulation
from schemas.money import decimal_text
from schemas.period import SECOND, iso

Json = dict[str, object]


def simulation_json(found: Simulation) -> Json:
    """Return a simulation with every account."""
    return {
        "draft": _list(found.draft),
        "digest": found.digest,
        "month": found.month,
        "period": [iso(found.period.start), iso(found.period.end)],
        "cutoff": iso(found.cutoff // SECOND),
        "totals": [{"currency": currency, **pair_json(pair)} for currency, pair in sorted(found.totals.items())],
        "products": [
            {"product": product, "currency": currency, **pair_json(pair)}
            for (currency, product), pair in found.by_product.items()
        ],
        "winners": [account.account for account in found.winners[:NAMED_MAX]],
        "losers": [account.account for account in found.losers[:NAMED_MAX]],
        "accounts": [account_json(account) for account in found.accounts],
        "untouched": found.untouched,
        "lines": {"pushed_down": found.pushed, "streamed": found.streamed},
    }


def account_json(account: AccountResult) -> Json:
    """Return one account."""
    return {
        "account": account.account,
        "name": account.name,
        "currency": account.currency,
        "price_lists": [_list(one) if one else None for one in (account.before, account.after)],
        "period": [iso(account.period.start), iso(account.period.end)],
        **pair_json(account.amount),
        "products": [{"product": product, **pair_json(pair)} for product, pair in account.by_product.items()],
        "lines": [account.lines.before, account.lines.after],
        "unpriced": [account.unpriced.before, account.unpriced.after],
        "problem": account.problem,
    }


def pair_json(pair: Pair) -> Json:
    """Return both amounts and their difference."""
    return {
        "before": decimal_text(pair.before),
        "after": decimal_text(pair.after),
        "difference": decimal_text(pair.difference),
    }


def _list(name: ListName) -> Json:
    return {"id": name.id, "version": name.version}
