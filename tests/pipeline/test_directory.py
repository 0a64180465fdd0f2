"""The directory: whose prices an account has, and answers as of an instant."""

from schemas.ids import tenant_id
from tests.pipeline.provider import Provider, level, prices
from tests.pipeline.rows import HOUR, SITE, T0, Row


def test_a_price_list_is_inherited_from_the_nearest_ancestor(provider: Provider) -> None:
    """Invariant 9: one list for each account; its own, an ancestor's, then the default."""
    directory, books = provider.parts.directory, provider.books
    for name in ("gold", "own"):
        books.put_price_list(name, prices().replace("id: default", f"id: {name}"), provider.clock())
    reseller = provider.account("reseller", tenant="", price_list="gold")
    middle = provider.account("middle", tenant="", parent="reseller")
    customer = provider.account("customer", tenant="", parent="middle")
    stranger = provider.account("stranger", tenant="")
    found = {a.id: directory.price_list(a) for a in (reseller, middle, customer, stranger)}
    assert {n: p.id for n, p in found.items() if p} == {
        "reseller": "gold", "middle": "gold", "customer": "gold", "stranger": "default",
    }  # fmt: skip
    own = directory.price_list(provider.account("customer", price_list="own"))
    assert own is not None
    assert own.id == "own"


def test_lists_and_claims_as_of_an_instant(provider: Provider) -> None:
    """Invariant 8: what a settle run read can be read again."""
    account = provider.account()
    provider.send(level(hours=1))
    before = provider.clock()
    provider.price(vcpu="0.02")
    provider.account("beta", tenant="")
    provider.rule("acme", "beta")
    directory = provider.parts.directory
    versions = [p.version for p in (directory.price_list(account, before), directory.price_list(account)) if p]
    assert versions == [1, 2]
    assert directory.claims("beta", before) == ()
    assert [c.tenant_id for c in directory.claims("beta")] == [tenant_id(SITE, "acme")]
    assert directory.price_list(account, T0) is None, "nothing was known then"


def test_a_tenant_that_was_never_seen_is_looked_up_at_once(provider: Provider) -> None:
    provider.account("acme")
    provider.send(level(hours=1))
    known = provider.parts.directory.accounts_of_tenants([tenant_id(SITE, "acme")])
    assert known == {"acme"}
    provider.send([Row(tenant="nobody", start=T0 + HOUR)])
    assert provider.parts.directory.accounts_of_tenants([tenant_id(SITE, "nobody")]) == {"unattributed"}
