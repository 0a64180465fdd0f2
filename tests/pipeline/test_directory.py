"""The directory: whose prices an account has, and answers as of an instant."""

import pytest

from billing.catalogue_values import AccountGroup, Act, CouponLimits
from billing.protocol import Account
from schemas.errors import Poison
from schemas.ids import attributes_id, tenant_id
from tests.pipeline.provider import Provider, level, prices
from tests.pipeline.rows import DAY, HOUR, SITE, T0, Row


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


def listed(provider: Provider, name: str, price: str = "0.01", inherits: str = "", currency: str = "CU") -> None:
    parent = f"inherits: {inherits}\n" if inherits else ""
    text = (
        f"id: {name}\nname: {name}\ncurrency: {currency}\nwindow: day\n{parent}"
        f'prices: [{{id: {name}-p, product: P, meter: vm.vcpu, amount: "{price}", per: vCPU·h}}]\n'
    )
    provider.books.put_price_list(name, text, provider.clock())


def chain(provider: Provider, account: Account) -> list[str]:
    """Return the lists of an account from the nearest to the farthest, as its prices tell them."""
    found = provider.parts.directory.price_list(account)
    assert found is not None
    return [price.list_id for price in sorted(found.prices, key=lambda p: p.level)]


def test_a_group_stands_between_an_account_and_what_it_would_have_without(provider: Provider) -> None:
    for name, priority in (("partners", 5), ("first", 1), ("plain", 0)):
        price_list = None if name == "plain" else f"l-{name}"
        provider.books.put_group(AccountGroup(name, name, price_list, priority), Act(at=provider.clock()))
    for name in ("l-partners", "l-first", "own", "above", "default"):
        listed(provider, name)
    top = provider.account("top", tenant="", price_list="above")
    assert chain(provider, provider.account("a", tenant="", parent=top.id)) == ["above"]
    assert chain(provider, provider.account("a", groups=("plain",))) == ["above"], "a group without a list gives none"
    member = provider.account("a", groups=("first", "partners", "plain"))
    assert chain(provider, member) == ["l-first", "l-partners", "above", "default"]
    assert chain(provider, provider.account("a", price_list="own")) == [
        "own", "l-first", "l-partners", "above", "default",
    ]  # fmt: skip


def test_a_list_that_inherits_comes_with_its_parents_and_without_it_stands_alone(provider: Provider) -> None:
    listed(provider, "default")
    listed(provider, "base", inherits="default")
    listed(provider, "own", inherits="base")
    account = provider.account("a", tenant="", price_list="own")
    assert chain(provider, account) == ["own", "base", "default"]
    provider.books.put_group(AccountGroup("g", "g", "grouped"), Act(at=provider.clock()))
    listed(provider, "grouped")
    assert chain(provider, provider.account("a", groups=("g",))) == ["own", "base", "grouped", "default"]
    listed(provider, "own", price="0.02")
    assert chain(provider, provider.account("a", groups=())) == ["own"]
    named = provider.parts.directory.price_list_named("base")
    assert named is not None
    assert [p.list_id for p in sorted(named.prices, key=lambda p: p.level)] == ["base", "default"]


def test_lists_that_do_not_go_together_stop_their_account_alone(provider: Provider) -> None:
    listed(provider, "euro", inherits="default", currency="EUR")
    broken = provider.account("broken", cycle="daily", price_list="euro")
    provider.account("fine", cycle="daily")
    with pytest.raises(Poison, match="price_list_unusable"):
        provider.parts.directory.price_list(broken)
    assert provider.parts.directory.present_list(broken) is None
    for name in ("broken", "fine"):
        provider.send(level(hours=1, tenant=name, resource=f"vm/{name}"))
    assert provider.rate() == 1
    report = provider.settle(T0 + 2 * DAY)
    assert [s.account for s in report.settlements] == ["fine"]
    assert len(report.problems) == 1
    assert "EUR" in report.problems[0]


def test_a_list_that_inherits_itself_or_nothing_is_refused(provider: Provider) -> None:
    listed(provider, "ring", inherits="round")
    listed(provider, "round", inherits="ring")
    listed(provider, "orphan", inherits="nowhere")
    for name in ("ring", "orphan"):
        with pytest.raises(Poison, match="price_list_unusable"):
            provider.parts.directory.price_list(provider.account("a", tenant="", price_list=name))


def test_terms_tell_groups_and_the_coupons_known_then(provider: Provider) -> None:
    provider.books.put_group(AccountGroup("g", "g"), Act(at=provider.clock()))
    account = provider.account("acme", timezone="Europe/Prague", groups=("g",))
    before = provider.clock()
    provider.books.redeem("AUTUMN", "acme", CouponLimits(), Act(at=provider.clock()))
    now = provider.parts.directory.terms(account)
    assert (now.account, now.groups, now.zone) == ("acme", frozenset({"g"}), "Europe/Prague")
    assert now.coupons == {"AUTUMN": T0}
    assert provider.parts.directory.terms(account, before).coupons == {}


def test_a_site_becomes_an_attribute_whose_name_is_stored(provider: Provider) -> None:
    account = provider.account()
    provider.send(level(hours=1, attributes='{"tier":"gold"}'))
    provider.send(level(hours=1, resource="vm/2"), site="vc-2")
    directory = provider.parts.directory
    claims = directory.by_site(directory.claims(account.id))
    assert {site: [c.tenant_id for c in found] for site, found in claims.items()} == {
        site: [tenant_id(site, "acme")] for site in ("vc-1", "vc-2")
    }
    gold = attributes_id('{"tier":"gold"}')
    derived = directory.with_site([gold], "vc-2")
    assert directory.with_site([gold], "vc-2") == derived
    assert directory.attribute_sets([derived[gold]]) == {derived[gold]: {"site": "vc-2", "tier": "gold"}}
    assert directory.with_site([12345], "vc-2") == {}
