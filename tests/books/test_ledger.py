"""The ledger on both engines: invariants 10, 11 and 12."""

from dataclasses import replace

import pytest

from billing.auditor import audit
from billing.journal import all_transfers
from billing.ledger import grant
from billing.protocol import TRANSFERS_PAGE_MAX, Account, Books, Entry
from schemas.errors import Conflict, Invariant
from schemas.money import Money
from schemas.period import Period
from tests.books.stories import ACME, DAY, decide, rated, settle

GRANT = grant("acme", Money(5_000_000, "CU"), "order 7", 99, {"by": "Žofie", "note": "start"})


@pytest.fixture(autouse=True)
def accounts(books: Books) -> None:
    books.put_account(ACME)
    books.put_account(Account("beta", "Beta"))


def test_post_has_one_effect(books: Books) -> None:
    assert books.post(GRANT, 1)
    assert not books.post(GRANT, 2)
    assert not books.post(replace(GRANT, entries=GRANT.entries[::-1]), 2), "the order of entries is no part of a body"
    for other in (
        replace(GRANT, effective_at=100),
        replace(GRANT, details={}),
        replace(GRANT, currency="EUR"),
        replace(GRANT, entries=(Entry("wallet:acme", 1), Entry("grants", -1))),
    ):
        with pytest.raises(Conflict, match="another body"):
            books.post(other, 3)
    assert books.balances() == {("grants", "CU"): -5_000_000, ("wallet:acme", "CU"): 5_000_000}
    assert books.balance("wallet:acme", "CU") == 5_000_000
    assert books.balance("wallet:acme", "EUR") == 0
    posted = books.transfer(GRANT.id)
    assert posted is not None
    assert (posted.transfer, posted.sequence, posted.posted_at) == (GRANT, 1, 1)
    assert books.transfer("nothing") is None


def test_unsound_transfers_leave_no_trace(books: Books) -> None:
    with pytest.raises(Invariant, match="sum to 1"):
        books.post(replace(GRANT, entries=(Entry("wallet:acme", 1), Entry("grants", 0))), 1)
    with pytest.raises(Conflict, match="unknown"):
        books.post(grant("nobody", Money(1, "CU"), "k", 0), 1)
    assert books.balances() == {}
    assert books.transfers(None) == []


def test_largest_amounts_survive(books: Books) -> None:
    largest = grant("acme", Money(2**63 - 1, "CU"), "all", 0)
    assert books.post(largest, 1)
    assert books.balance("grants", "CU") == -(2**63 - 1)
    assert [p.transfer for p in books.transfers(None)] == [largest]


def test_journal_pages_by_sequence(books: Books) -> None:
    for number in range(7):
        books.post(grant("acme" if number % 2 else "beta", Money(1 + number, "CU"), f"k{number}", 0), 10 * number)
    everything = books.transfers(None)
    assert [p.sequence for p in everything] == [1, 2, 3, 4, 5, 6, 7]
    assert [p.sequence for p in books.transfers(["acme"], after=2, limit=2)] == [4, 6]
    assert [p.sequence for p in books.transfers(["acme", "beta"], after=5)] == [6, 7]
    assert [p.sequence for p in books.transfers(None, as_of=30)] == [1, 2, 3]
    assert books.transfers([]) == []
    assert books.transfers(["nobody"]) == []
    many = [f"none-{n}" for n in range(2_500)] + ["acme"]
    assert [p.sequence for p in books.transfers(many, limit=2)] == [2, 4]
    assert list(all_transfers(books)) == everything
    for limit in (0, -1, TRANSFERS_PAGE_MAX + 1):
        with pytest.raises(ValueError, match="limit"):
            books.transfers(None, limit=limit)


def test_settle_posts_differences(books: Books) -> None:
    first = settle(books, rated({"vm": 100, "disk": 50, "ip": 0}, digest=2**64 - 1))
    assert first is not None
    assert (first.number, first.posted_micros) == (0, 150)
    assert settle(books, rated({"vm": 100, "disk": 50}, digest=2**64 - 1)) is None, "nothing changed"
    second = settle(books, rated({"vm": 130}, digest=2))
    assert second is not None
    assert second.posted_micros == -20
    assert books.settled_cycle("acme", DAY.start).posted == {"revenue:disk": 0, "revenue:vm": 130, "wallet:acme": -130}
    moved = settle(books, rated({"disk": 130}, digest=3))
    assert moved is not None
    assert moved.posted_micros == 0
    assert moved.transfer_id, "products differ though the total does not"
    same_sum = settle(books, rated({"disk": 130}, digest=4))
    assert same_sum is not None
    assert same_sum.transfer_id == ""
    assert books.settlements() == [first, second, moved, same_sum]
    assert books.settlements("acme", DAY.start) == books.settlements("acme")
    assert books.settlements("beta") == []
    assert [p.transfer.kind for p in books.transfers(["acme"])] == ["debit", "adjustment", "adjustment"]
    assert books.balance("wallet:acme", "CU") == -130
    assert audit(all_transfers(books), books.settlements(), books.balances()) == []


def test_settle_repeated_has_one_effect(books: Books) -> None:
    decided = decide(books, ACME, DAY, rated({"vm": 1}))
    assert decided is not None
    settlement, transfer = decided
    assert books.settle(settlement, transfer, 1)
    assert not books.settle(settlement, transfer, 2)
    assert transfer is not None
    with pytest.raises(Conflict, match="another body"):
        books.settle(replace(settlement, cutoff=8), transfer, 2)
    with pytest.raises(Conflict, match="another body"):
        books.settle(settlement, replace(transfer, effective_at=0), 2)
    empty = decide(books, ACME, Period(0, 86_400), rated({}))
    assert empty is not None
    assert books.settle(*empty, 1)
    assert not books.settle(*empty, 1)
    assert books.balance("wallet:acme", "CU") == -1


def test_settle_refuses_what_would_charge_twice(books: Books) -> None:
    settle(books, rated({"vm": 1}))
    week = Period(DAY.start - 86_400, DAY.end + 86_400)
    overlapping = decide(books, ACME, week, rated({"vm": 7}))
    assert overlapping is not None
    with pytest.raises(Conflict, match="overlaps"):
        books.settle(*overlapping, 1)
    with pytest.raises(Conflict, match="recorded cycle"):
        decide(books, ACME, Period(DAY.start, DAY.end + 1), rated({"vm": 7}))
    with pytest.raises(Conflict, match="currency"):
        decide(books, ACME, DAY, rated({"vm": 7}, currency="EUR"))
    later = decide(books, ACME, DAY, rated({"vm": 2}, digest=2))
    assert later is not None
    settlement, transfer = later
    assert transfer is not None
    with pytest.raises(Conflict, match="next number"):
        books.settle(replace(settlement, number=2), transfer, 1)
    with pytest.raises(Conflict, match="currency"):
        books.settle(replace(settlement, currency="EUR"), replace(transfer, currency="EUR"), 1)
    with pytest.raises(Invariant, match="total"):
        books.settle(replace(settlement, total_micros=9), transfer, 1)
    with pytest.raises(Invariant, match="another amount"):
        books.settle(replace(settlement, posted_micros=9), transfer, 1)
    with pytest.raises(Invariant, match="another transfer"):
        books.settle(settlement, None, 1)
    assert books.balance("wallet:acme", "CU") == -1
    unknown = decide(books, replace(ACME, id="nobody"), DAY, rated({"vm": 1}))
    assert unknown is not None
    with pytest.raises(Conflict, match="unknown"):
        books.settle(*unknown, 1)
