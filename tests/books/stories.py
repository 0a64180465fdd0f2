"""Short ways to say what happens in tests of billing and books."""

from billing.protocol import Account, Books, Settlement, Transfer
from billing.settlement import Rated, next_settlement
from schemas.period import Period

ACME = Account("acme", "Acme", timezone="Europe/Prague", cycle="daily")
DAY = Period(86_400, 172_800)
LATER = 10 * 86_400


def rated(products: dict[str, int], digest: int = 1, currency: str = "CU", cutoff: int = 7) -> Rated:
    """What a cycle costs."""
    return Rated(products, currency, cutoff, sum(products.values()), len(products), digest, [("default", 1)])


def decide(books: Books, account: Account, cycle: Period, what: Rated) -> tuple[Settlement, Transfer | None] | None:
    """What a settle job would do, from what the books hold."""
    return next_settlement(account, cycle, books.settled_cycle(account.id, cycle.start), what, LATER)


def settle(books: Books, what: Rated, account: Account = ACME, cycle: Period = DAY, now: int = 1) -> Settlement | None:
    """A settle job's step."""
    decided = decide(books, account, cycle, what)
    if decided is None:
        return None
    books.settle(*decided, now)
    return decided[0]
