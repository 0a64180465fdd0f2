"""Accounts, mapping rules, price lists and keys on both engines."""

from dataclasses import replace

import pytest

from billing.protocol import Account, ApiKey, Books, MappingRule
from schemas.errors import Conflict

RULE = MappingRule(0, site="vc-*", tenant="org/acme", account="acme")
SHA = "ab" * 32


def test_accounts_round_trip_and_change(books: Books) -> None:
    acme = Account("acme", "Acme", None, "Asia/Kathmandu", "hourly", "gold")
    books.put_account(acme)
    books.put_account(Account("a-2", "Child", "acme"))
    assert books.account("acme") == acme
    assert books.account("nobody") is None
    books.put_account(replace(acme, name="ACME Ltd", price_list=None))
    assert [(a.id, a.name) for a in books.accounts()] == [("a-2", "Child"), ("acme", "ACME Ltd")]


def test_tree_refuses_circles_and_unknown_parents(books: Books) -> None:
    for number in range(4):
        books.put_account(Account(f"a{number}", "x", f"a{number - 1}" if number else None))
    with pytest.raises(Conflict, match="circle"):
        books.put_account(Account("a0", "x", "a3"))
    with pytest.raises(Conflict, match="circle"):
        books.put_account(Account("a0", "x", "a0"))
    with pytest.raises(Conflict, match="unknown"):
        books.put_account(Account("b", "x", "nobody"))
    books.put_account(Account("a3", "x", "a0"))
    assert [a.parent for a in books.accounts()] == [None, "a0", "a1", "a0"]


@pytest.mark.parametrize(
    "account",
    [
        Account("Acme", "x"),
        Account("", "x"),
        Account("a:b", "x"),
        Account("a" * 64, "x"),
        Account("a", ""),
        Account("a", "x", timezone="Mars/Olympus"),
        Account("a", "x", timezone="../etc/passwd"),
        Account("a", "x", cycle="weekly"),  # type: ignore[arg-type]
    ],
)
def test_account_fields_are_checked(books: Books, account: Account) -> None:
    with pytest.raises(ValueError, match=r"account|zone"):
        books.put_account(account)
    assert not books.accounts()


def test_rules_are_bitemporal(books: Books) -> None:
    books.put_account(Account("acme", "x"))
    books.put_account(Account("beta", "x"))
    first = books.add_rule(RULE, 100)
    assert (first.id, first.recorded_at, first.retired_at) == (1, 100, None)
    assert books.add_rule(replace(RULE, id=77), 150) == first
    second = books.add_rule(replace(RULE, account="beta", resource="vm/*", start=5, end=9), 200)
    assert second.id == 2
    books.retire_rule(1, 300)
    books.retire_rule(1, 400)
    assert [r.id for r in books.rules()] == [2]
    assert [(r.id, r.retired_at) for r in books.rules(as_of=300)] == [(1, 300), (2, None)]
    assert [r.id for r in books.rules(as_of=301)] == [2]
    assert [r.id for r in books.rules(as_of=200)] == [1]
    assert books.rules(as_of=100) == []
    again = books.add_rule(RULE, 500)
    assert again.id == 3
    with pytest.raises(Conflict, match="unknown"):
        books.retire_rule(9, 1)
    with pytest.raises(Conflict, match="unknown"):
        books.add_rule(replace(RULE, account="nobody"), 1)
    with pytest.raises(ValueError, match="start before"):
        books.add_rule(replace(RULE, start=9, end=9), 1)


def test_price_lists_have_versions(books: Books) -> None:
    one = books.put_price_list("default", "prices: 1", 100)
    assert (one.version, one.recorded_at) == (1, 100)
    assert books.put_price_list("default", "prices: 1", 150) == one
    two = books.put_price_list("default", "prices: 2", 200)
    back = books.put_price_list("default", "prices: 1", 50)
    assert (back.version, back.recorded_at) == (3, 201), "recorded times ascend though a clock went back"
    gold = books.put_price_list("Gold", "prices: 9", 1)
    assert books.price_list("default") == back
    assert books.price_list("default", as_of=201) == two
    assert books.price_list("default", as_of=200) == one
    assert books.price_list("default", as_of=100) is None
    assert books.price_list("none") is None
    assert books.price_lists() == [gold, back]


def test_keys(books: Books) -> None:
    books.put_account(Account("acme", "x"))
    key = ApiKey("k1", SHA, "tenant", "acme", expires_at=9)
    books.put_api_key(key)
    books.put_api_key(ApiKey("a1", SHA, "ingest", site="vc1"))
    assert books.api_key("k1") == key
    books.put_api_key(replace(key, revoked=True))
    assert [(k.id, k.revoked) for k in books.api_keys()] == [("a1", False), ("k1", True)]
    assert books.api_key("other") is None
    with pytest.raises(ValueError, match="account"):
        books.put_api_key(ApiKey("k2", SHA, "tenant"))
    with pytest.raises(ValueError, match="SHA-256"):
        books.put_api_key(ApiKey("k2", "secret", "admin"))
    with pytest.raises(Conflict, match="unknown"):
        books.put_api_key(ApiKey("k2", SHA, "tenant", "nobody"))


def test_cursors_only_move_forward(books: Books) -> None:
    assert books.cursor("settle") == 0
    for to in (5, 9, 7):
        books.advance("settle", to)
    books.advance("other", 1)
    assert (books.cursor("settle"), books.cursor("other")) == (9, 1)
