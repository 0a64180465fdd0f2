"""Lists over lists: the nearest that has a matching price applies; the rest comes from farther ones."""

from collections.abc import Mapping
from fractions import Fraction

import pytest

from rating.catalogue.chain import CHAIN_MAX, combined, inherits_chain
from rating.catalogue.matching import PriceIndex
from rating.charge import Bound
from rating.lists import PriceList
from schemas.errors import Misconfigured
from tests.rating.documents import charge, listed
from tests.rating.helpers import T0, list_of, price

GOLD = {"tier": "gold"}


def test_one_list_stands_alone() -> None:
    alone = listed(charge())
    assert combined([alone]) is alone
    assert combined([alone, alone]) is alone
    with pytest.raises(Misconfigured, match="there is no price list to rate with"):
        combined([])


def test_the_nearest_list_that_matches_applies_and_beats_specificity() -> None:
    mine = list_of(price("a", "disk.capacity"), id="mine").with_version(7)
    parent = list_of(price("a", "disk.capacity", when=GOLD), price("r"), id="parent").with_version(3)
    both = combined([mine, parent])
    assert (both.id, both.version) == ("mine", 7)
    assert [(p.id, p.level, p.list_id, p.version) for p in both.prices] == [
        ("a", 0, "mine", 7),
        ("a", 1, "parent", 3),
        ("r", 1, "parent", 3),
    ]
    index = PriceIndex(both.prices)
    assert [index.choose("disk.capacity", GOLD, T0), index.choose("vm.running", {}, T0)] == [0, 2]
    assert index.choose("vm.vcpu", {}, T0) is None
    other = PriceIndex(combined([parent, mine]).prices)
    assert [other.choose("disk.capacity", attributes, T0) for attributes in (GOLD, {})] == [0, 1]
    named = {(line.list_id, line.version, line.id) for line in both.by_key.values()}
    assert named == {("mine", 7, "a"), ("parent", 3, "a"), ("parent", 3, "r")}


def test_charges_keep_the_definition_of_their_list() -> None:
    mine = listed(charge("a", window="month", name="Mine"), id="mine")
    parent = listed(charge("a", name="Theirs"), charge("b"), id="parent", rounding={"digits": 2})
    both = combined([mine, parent])
    assert [(c.id, c.name) for c in both.charges] == [("a", "Mine"), ("b", "b")]
    assert [(p.charge.name, p.charge.window, p.charge.rounding.digits) for p in both.prices] == [
        ("Mine", "month", 6),
        ("Theirs", "day", 2),
        ("b", "day", 2),
    ]


def test_campaigns_and_terms_come_from_the_nearest_list_that_has_any() -> None:
    sale = {"id": "s", "percent": "5", "products": ["p"]}
    committed = {"commitments": [{"id": "c", "amount": "1", "products": ["p"]}]}
    rates = [{"currency": "USD", "rate": "2"}]
    bare = listed(charge("a"), id="bare", products=[{"id": "own", "charges": [charge("a")]}])
    first = listed(charge("b"), id="first", account={"maximum": {"amount": "9"}}, rates=rates)
    second = listed(charge("c"), id="second", campaigns=[sale], account=committed, rates=[])
    made = combined([bare, first, second])
    assert [c.id for c in made.campaigns] == ["s"]
    assert made.account.maximum == Bound(Fraction(9), "month")
    assert made.account.commitments == ()
    assert made.rates == first.rates
    assert combined([bare, listed(charge("d"), id="last")]).account == bare.account


def test_filters_know_the_names_of_farther_products() -> None:
    named = {"id": "storage", "name": "Storage", "charges": [charge()]}
    sale = {"id": "s", "percent": "5", "products": ["storage", "none"]}
    committed = {"commitments": [{"id": "c", "amount": "1", "products": ["storage"]}]}
    mine = listed(id="mine", inherits="parent", campaigns=[sale], account=committed)
    assert mine.campaigns[0].products == {"storage", "none"}
    made = combined([mine, listed(id="parent", products=[named])])
    assert made.campaigns[0].products == {"storage", "none", "Storage"}
    assert made.account.commitments[0].products == {"storage", "Storage"}


def test_content_of_every_list_decides_the_digest() -> None:
    mine, parent = listed(charge("a"), id="mine"), listed(charge("b"), id="parent")
    changed = listed(charge("b", window="hour"), id="parent")
    digests = {combined(chain).digest for chain in ([mine, parent], [mine, changed], [parent, mine], [mine])}
    assert len(digests) == 4
    assert combined([mine, parent]).digest == combined([mine, parent.with_version(5)]).digest


def test_warnings_and_own_meters_of_all_lists() -> None:
    calls = {"key": "api.calls", "name": "Calls", "kind": "event", "base": "call", "display": {"k": "1000"}}
    strange = listed(charge(each=["rack"]), id="strange", meters=[calls])
    made = combined([listed(charge("a"), id="mine"), strange])
    assert made.warnings == strange.warnings
    assert [m.key for m in made.meters] == ["api.calls"]


def test_currencies_must_agree() -> None:
    mine, other = listed(charge(), id="mine"), listed(charge(), id="other", currency="USD")
    with pytest.raises(Misconfigured, match="price list mine is in EUR, other in USD"):
        combined([mine, other])


def chain_of(lists: Mapping[str, str | None], first: str) -> tuple[str, ...]:
    made: dict[str, PriceList] = {
        id: listed(charge(), id=id, **({"inherits": parent} if parent else {})) for id, parent in lists.items()
    }
    return tuple(each.id for each in inherits_chain(made[first], made.get))


def test_inheriting_goes_on_until_a_list_stands_alone() -> None:
    assert chain_of({"a": "b", "b": "c", "c": None}, "a") == ("a", "b", "c")
    assert chain_of({"a": "b", "b": "c", "c": None}, "c") == ("c",)


def test_circles_missing_parents_and_endless_chains_are_refused() -> None:
    with pytest.raises(Misconfigured, match="inherit in a circle: a ▸ b ▸ c ▸ b; end it at one of them"):
        chain_of({"a": "b", "b": "c", "c": "b"}, "a")
    with pytest.raises(Misconfigured, match="price list b inherits from 'c', which does not exist"):
        chain_of({"a": "b", "b": "c"}, "a")
    long = {f"l{n}": f"l{n + 1}" for n in range(CHAIN_MAX)}
    with pytest.raises(Misconfigured, match="more than 16 price lists inherit from each other"):
        chain_of({**long, f"l{CHAIN_MAX}": None}, "l0")
    assert len(chain_of({**long, f"l{CHAIN_MAX}": None}, "l1")) == CHAIN_MAX
