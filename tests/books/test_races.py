"""Several writers at once have the effect of one: invariant 12."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TypeVar

import pytest

from billing.auditor import audit
from billing.catalogue_values import Act, CouponLimits, Publication
from billing.journal import all_transfers
from billing.ledger import grant
from billing.protocol import Account, Books, MappingRule
from schemas.errors import Conflict
from schemas.money import Money
from schemas.period import SECOND
from sinks.books.connect import open_books
from tests.books.stories import ACME, DAY, decide, rated

Answer = TypeVar("Answer")
WRITERS = 4
ROUNDS = 5


def race(url: str, writer: int) -> list[object]:
    """What each process does; returns what it was told."""
    books = open_books(url)
    said: list[object] = []
    for number in range(ROUNDS):
        said.append(books.post(grant("acme", Money(1, "CU"), f"shared {number}", 0), writer))
        said.append(books.post(grant("acme", Money(1, "CU"), f"{writer} {number}", 0), writer))
        decided = decide(books, ACME, DAY, rated({"vm": number + 1}, digest=number, cutoff=number))
        try:
            said.append(decided is not None and books.settle(*decided, writer))
        except Conflict:
            said.append("conflict")
    books.close()
    return said


@pytest.mark.parametrize("how", ["threads", "processes"])
def test_transfers_and_settlements(books: Books, books_url: str, how: str) -> None:
    books.put_account(ACME)
    if how == "threads":
        pool: ThreadPoolExecutor | ProcessPoolExecutor = ThreadPoolExecutor(WRITERS)
    else:
        pool = ProcessPoolExecutor(WRITERS, mp_context=multiprocessing.get_context("spawn"))
    with pool:
        said = list(pool.map(race, [books_url] * WRITERS, range(WRITERS)))
    shared = sum(answers[0::3].count(True) for answers in said)
    settled = sum(answers[2::3].count(True) for answers in said)
    journal = list(all_transfers(books))
    assert shared == ROUNDS
    assert len(journal) == ROUNDS + WRITERS * ROUNDS + len([s for s in books.settlements() if s.transfer_id])
    assert settled == len(books.settlements())
    assert books.balance("grants", "CU") == -(ROUNDS + WRITERS * ROUNDS)
    assert books.balance("wallet:acme", "CU") == ROUNDS + WRITERS * ROUNDS - books.settlements()[-1].total_micros
    assert [p.sequence for p in journal] == list(range(1, len(journal) + 1))
    assert audit(journal, books.settlements(), books.balances()) == []


def test_one_settlement_is_recorded_once(books: Books) -> None:
    books.put_account(ACME)
    decided = decide(books, ACME, DAY, rated({"vm": 5}))
    assert decided is not None
    assert sorted(together(lambda _: books.settle(*decided, 1))) == [False] * (2 * WRITERS - 1) + [True]
    assert books.balance("wallet:acme", "CU") == -5


def test_versions_and_rules_are_assigned_once(books: Books) -> None:
    books.put_account(Account("acme", "x"))
    versions = together(lambda n: books.put_price_list("default", f"document {n}", 100).version)
    assert sorted(versions) == list(range(1, 2 * WRITERS + 1))
    assert set(together(lambda _: books.put_price_list("gold", "same", 100).version)) == {1}
    assert set(together(lambda _: books.add_rule(MappingRule(0, "vc", "t", "acme"), 1).id)) == {1}
    assert (
        sorted(together(lambda n: books.add_rule(MappingRule(0, "vc", f"u{n}", "acme"), 1).id))[-1] == 2 * WRITERS + 1
    )


def test_limits_of_coupons_and_drafts_hold_for_many_writers(books: Books) -> None:
    books.put_account(Account("acme", "x"))

    def redeem(number: int) -> bool:
        try:
            books.redeem("SALE", "acme", CouponLimits(redemptions=3, per_account=100), Act("k", number * SECOND))
        except Conflict:
            return False
        return True

    def save(number: int) -> bool:
        try:
            books.put_draft("default", f"document {number}", 0, Act("k", 1))
        except Conflict:
            return False
        return True

    def publish(number: int) -> bool:
        try:
            books.put_price_list("default", f"document {number}", 1, Publication(expected=0))
        except Conflict:
            return False
        return True

    assert sum(together(redeem)) == 3
    assert sum(together(save)) == 1
    assert sum(together(publish)) == 1
    entries = books.catalogue_audit()
    assert [e.sequence for e in entries] == list(range(len(entries), 0, -1))
    assert len(entries) == 5


def test_a_reader_that_follows_the_journal_misses_nothing(books: Books) -> None:
    books.put_account(ACME)
    seen: list[int] = []
    with ThreadPoolExecutor(WRITERS) as pool:
        writes = [pool.submit(books.post, grant("acme", Money(1, "CU"), str(n), 0), 1) for n in range(40)]
        while not all(write.done() for write in writes):
            seen += [p.sequence for p in books.transfers(None, seen[-1] if seen else 0)]
    seen += [p.sequence for p in books.transfers(None, seen[-1] if seen else 0)]
    assert seen == list(range(1, 41))


def test_migrations_at_once(books_url: str) -> None:
    def migrate(_: int) -> list[str]:
        books = open_books(books_url)
        applied = list(books.migrate())
        books.close()
        return applied

    assert sorted(together(migrate, 3)) == [[], [], ["0001", "0002"]]


def together(do: Callable[[int], Answer], times: int = 2 * WRITERS) -> list[Answer]:
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(do, range(times)))
