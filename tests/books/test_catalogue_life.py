"""Drafts, publishing, groups, coupons and their audit, on both engines."""

from dataclasses import replace

import orjson
import pytest
from sqlalchemy import text

from billing.accounts import ACCOUNTS_CHANGED, PRIORITY_MAX, put_account
from billing.catalogue_values import AUDIT_PAGE_MAX, AccountGroup, Act, CouponLimits, Publication, Redemption
from billing.protocol import Account, Books
from schemas.errors import Conflict
from schemas.period import SECOND
from sinks.books.connect import open_books
from sinks.books.engine import Database

ANNA, BEN = Act("key:anna", 10 * SECOND, "new prices"), Act("key:ben", 20 * SECOND)
ACME, BETA = Account("acme", "Acme"), Account("beta", "Beta")
FREE = CouponLimits()


def test_a_draft_is_saved_by_who_saw_the_save_before(books: Books) -> None:
    first = books.put_draft("eu", "a: 1", 0, ANNA)
    assert (first.document, first.updated_at, first.updated_by) == ("a: 1", ANNA.at, "key:anna")
    with pytest.raises(Conflict, match="read it again"):
        books.put_draft("eu", "a: 2", 0, BEN)
    second = books.put_draft("eu", "a: 2", first.revision, BEN)
    assert second.revision > first.revision
    with pytest.raises(Conflict, match="key:ben"):
        books.put_draft("eu", "a: 3", first.revision, ANNA)
    assert books.put_draft("eu", "a: 2", second.revision, ANNA) == second, "the same text is no change"
    other = books.put_draft("de", "b: 1", 0, ANNA)
    assert books.drafts() == [other, second]
    assert books.draft("eu") == second
    assert books.draft("fr") is None
    with pytest.raises(ValueError, match="id"):
        books.put_draft("", "x", 0, ANNA)


def test_a_revision_never_comes_twice(books: Books) -> None:
    first = books.put_draft("eu", "a: 1", 0, ANNA)
    with pytest.raises(Conflict):
        books.delete_draft("eu", first.revision + 1, ANNA)
    books.delete_draft("eu", first.revision, ANNA)
    books.delete_draft("eu", 0, ANNA)
    with pytest.raises(Conflict, match="does not exist"):
        books.delete_draft("eu", first.revision, ANNA)
    again = books.put_draft("eu", "a: 1", 0, BEN)
    assert again.revision != first.revision
    assert [e.action for e in books.catalogue_audit()] == ["draft.save", "draft.delete", "draft.save"]


def test_a_version_says_who_published_it_and_why(books: Books) -> None:
    draft = books.put_draft("eu", "a: 1", 0, ANNA)
    how = Publication(500, "key:anna", "the market", forced=True, expected=0, draft=draft.revision, changes='[{"n":1}]')
    version = books.put_price_list("eu", "a: 1", 7, how)
    assert (version.effective_from, version.published_by, version.reason, version.forced) == (
        500,
        "key:anna",
        "the market",
        True,
    )
    assert books.price_list("eu") == version
    assert books.draft("eu") is None, "a draft ends with its publication"
    entry = books.catalogue_audit()[0]
    assert (entry.action, entry.subject, entry.version) == ("list.back-date", "eu", 1)
    assert (entry.actor, entry.at, entry.reason) == ("key:anna", 7, "the market")
    assert (entry.digest_before, entry.changes) == ("", '[{"n":1}]')
    second = books.put_price_list("eu", "a: 2", 8, Publication(600, expected=1))
    assert books.catalogue_audit()[0].digest_before == entry.digest_after != ""
    assert books.catalogue_audit()[0].action == "list.publish"
    assert books.price_list_versions("eu") == [version, second]
    assert books.price_list_versions("de") == []


def test_what_changed_meanwhile_is_not_published_over(books: Books) -> None:
    draft = books.put_draft("eu", "a: 1", 0, ANNA)
    changed = books.put_draft("eu", "a: 2", draft.revision, BEN)
    with pytest.raises(Conflict, match="revision"):
        books.put_price_list("eu", "a: 1", 7, Publication(draft=draft.revision))
    books.put_price_list("eu", "a: 0", 7)
    with pytest.raises(Conflict, match="version 1"):
        books.put_price_list("eu", "a: 2", 8, Publication(expected=0, draft=changed.revision))
    assert books.draft("eu") == changed
    assert len(books.price_list_versions("eu")) == 1
    same = books.put_price_list("eu", "a: 0", 9, Publication(expected=1, draft=changed.revision))
    assert (same.version, books.draft("eu")) == (1, None)


def test_groups_come_by_priority(books: Books) -> None:
    partners, gold = AccountGroup("partners", "Partners", "partner-list", 20), AccountGroup("gold", "Gold", None, 10)
    assert books.put_group(partners, ANNA)
    assert books.put_group(gold, ANNA)
    assert not books.put_group(gold, BEN)
    assert books.cursor(ACCOUNTS_CHANGED) == ANNA.at
    books.put_account(replace(ACME, groups=("partners", "gold")), BEN)
    assert books.groups() == [gold, partners]
    found = books.account("acme")
    assert found is not None
    assert found.groups == ("gold", "partners")
    assert books.put_group(replace(gold, priority=30, price_list="g"), BEN)
    assert books.accounts()[0].groups == ("partners", "gold")
    assert books.cursor(ACCOUNTS_CHANGED) == BEN.at
    with pytest.raises(Conflict, match="group 'none' is unknown"):
        books.put_account(replace(BETA, groups=("none",)))
    assert books.account("beta") is None
    books.put_account(ACME, ANNA)
    assert books.accounts()[0].groups == ()
    told = [(e.action, e.subject, orjson.loads(e.changes)) for e in books.catalogue_audit()]
    assert told[0] == (
        "account.groups",
        "acme",
        [{"path": "groups", "kind": "removed", "before": "gold, partners", "after": ""}],
    )
    assert [c["path"] for c in told[1][2]] == ["price_list", "priority"]
    assert [what for what, _, _ in told] == [
        "account.groups",
        "group.save",
        "account.groups",
        "group.save",
        "group.save",
    ]


@pytest.mark.parametrize(
    "group", [AccountGroup("Gold", "x"), AccountGroup("gold", ""), AccountGroup("gold", "x", None, PRIORITY_MAX + 1)]
)
def test_fields_of_groups_are_checked(books: Books, group: AccountGroup) -> None:
    with pytest.raises(ValueError, match="group"):
        books.put_group(group, ANNA)
    assert books.groups() == []


def test_the_order_of_an_accounts_groups_is_no_change(books: Books) -> None:
    for name in ("a", "b"):
        books.put_group(AccountGroup(name, name), Act("k", 1))
    put_account(books, replace(ACME, groups=("b", "a")), 100, ANNA)
    put_account(books, replace(ACME, groups=("a", "b")), 200, BEN)
    assert books.cursor(ACCOUNTS_CHANGED) == 100
    put_account(books, replace(ACME, groups=("a",)), 300, BEN)
    assert books.cursor(ACCOUNTS_CHANGED) == 300
    assert (books.catalogue_audit()[0].actor, books.catalogue_audit()[0].at) == ("key:ben", 300)
    with pytest.raises(ValueError, match="twice"):
        put_account(books, replace(ACME, groups=("a", "a")), 400)


def test_coupons_have_limits(books: Books) -> None:
    books.put_account(ACME)
    books.put_account(BETA)
    limits = CouponLimits(redemptions=3, per_account=2)
    first = books.redeem("AUTUMN", "acme", limits, ANNA)
    assert first == Redemption("AUTUMN", "acme", 10, ANNA.at)
    assert books.redeem("AUTUMN", "acme", limits, replace(ANNA, at=ANNA.at + 5)) == first, "the same second is a retry"
    second = books.redeem("AUTUMN", "acme", limits, BEN)
    with pytest.raises(Conflict, match="2 times by acme"):
        books.redeem("AUTUMN", "acme", limits, replace(BEN, at=30 * SECOND))
    third = books.redeem("AUTUMN", "beta", limits, BEN)
    with pytest.raises(Conflict, match="3 times"):
        books.redeem("AUTUMN", "beta", limits, replace(BEN, at=30 * SECOND))
    other = books.redeem("SPRING", "acme", FREE, BEN)
    assert books.redeem("SPRING", "acme", FREE, replace(BEN, at=30 * SECOND)) == other, "once is enough"
    assert books.redemptions() == [first, second, third, other]
    assert books.redemptions("acme", "AUTUMN") == [first, second]
    assert books.redemptions(as_of=ANNA.at + 1) == [first]
    assert books.coupons("acme") == {"AUTUMN": 10, "SPRING": 20}
    assert books.coupons("acme", as_of=BEN.at) == {"AUTUMN": 10}
    assert books.coupons("nobody") == {}
    assert books.cursor(ACCOUNTS_CHANGED) == BEN.at
    with pytest.raises(Conflict, match="unknown"):
        books.redeem("AUTUMN", "nobody", FREE, BEN)
    with pytest.raises(ValueError, match="code"):
        books.redeem("", "acme", FREE, BEN)
    assert [e.subject for e in books.catalogue_audit()] == ["SPRING", "AUTUMN", "AUTUMN", "AUTUMN"]


def test_the_audit_is_read_in_pages(books: Books) -> None:
    for number in range(5):
        books.put_price_list("eu" if number % 2 else "de", f"a: {number}", number)
    assert [e.sequence for e in books.catalogue_audit(limit=2)] == [5, 4]
    assert [e.sequence for e in books.catalogue_audit(before=4, limit=2)] == [3, 2]
    assert [e.version for e in books.catalogue_audit(subject="eu")] == [2, 1]
    for limit in (0, AUDIT_PAGE_MAX + 1):
        with pytest.raises(ValueError, match="limit"):
            books.catalogue_audit(limit=limit)


def test_versions_of_older_books_stay_in_force(books_url: str) -> None:
    """A migration keeps what was recorded before it."""
    books = open_books(books_url)
    books.migrate()
    database = Database(books_url)
    with database.write() as connection:
        insert = "INSERT INTO price_list_versions (id, version, document, recorded_at) VALUES ('old', 1, 'x', 5)"
        connection.execute(text(insert))
    found = books.price_list("old")
    assert found is not None
    assert (found.effective_from, found.published_by, found.reason, found.forced) == (0, "", "", False)
    database.close()
    books.close()
