"""The canonical document: reading what was written gives the same list, whatever it was written from."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rating.catalogue.chain import combined
from rating.catalogue.export_list import document_of, exported, exported_json
from rating.lists import PriceList
from rating.price_list import parse
from schemas.errors import Invariant
from tests.rating.documents import FEB, JAN, TIERS, charge, listed, priced
from tests.rating.helpers import EXAMPLES, REGISTRY, list_of, price

CALLS = {"key": "api.calls", "name": "Calls", "kind": "event", "base": "call", "display": {"k": "1000"}}
LISTS: list[PriceList] = [
    listed(charge()),
    listed(inherits="default"),
    list_of(price("a", when={"tier": ["b", "a"]}), price("b", "disk.capacity", per="GiB·month", to=FEB)),
    listed(priced("volume", {"tiers": TIERS, "when": {"power": "always", "aggregate": "sum"}})),
    listed(charge(meter="vm.cpu", per="GHz·h", basis="max_usage_reservation", each="account", window="month")),
    listed(priced("recurring", {"amount": "1", "every": "month"}, meter=None, per=None), name="null", window="year"),
    listed(
        charge(factors=[{"factor": "2"}], free={"quantity": "1"}, settings={"month": "720"}), settings={"month": "730"}
    ),
    listed(charge(meter="api.calls", per="dozen"), meters=[CALLS], units={"api.calls": {"dozen": "12", "from": "1/3"}}),
    listed(charge("a"), charge("007"), account={"maximum": {"amount": "1"}}, id="1e3", name="on"),
    listed(
        charge(prices=[{"amount": "1", "currency": "USD"}]),
        rates=[{"currency": "USD", "rate": "1", "to": FEB}, {"currency": "USD", "rate": "2", "from": FEB}],
        campaigns=[{"id": "k", "absolute": "5", "coupon": "X", "limits": {"windows": 3}, "when": {"from": "x"}}],
    ),
]


@pytest.mark.parametrize("made", LISTS, ids=range(len(LISTS)))
def test_what_was_written_reads_the_same(made: PriceList) -> None:
    for write in (exported, exported_json):
        again = parse(write(made), REGISTRY)
        assert again.digest == made.digest
        assert (again.charges, again.prices, again.campaigns) == (made.charges, made.prices, made.campaigns)
        assert (again.account, again.rates, again.rounding, again.window) == (
            made.account,
            made.rates,
            made.rounding,
            made.window,
        )
        assert write(again) == write(made)


def test_the_example_is_written_as_a_person_would() -> None:
    example = parse((EXAMPLES / "prices.yaml").read_text(encoding="utf-8"), REGISTRY)
    first = yaml.load(exported(example), Loader=yaml.BaseLoader)["prices"][0]
    assert first == {
        "id": "deployment-2026",
        "product": "Images",
        "meter": "image.deployment",
        "amount": "2.5",
        "per": "deployment",
        "from": JAN,
    }


def test_only_what_differs_from_the_list_is_written() -> None:
    made = listed(charge(window="month", settings={"month": "720", "zero": "nothing"}), charge("d", window="day"))
    first, second = document_of(made)["products"][0]["charges"]
    assert (first["window"], first["settings"]) == ("month", {"month": "720"})
    assert {"window", "settings"} & set(second) == set()


def test_order_and_style_change_nothing() -> None:
    tidy = {"tier": ["a", "b"], "site": "x"}
    wild = {"site": ["x"], "tier": ["b", "a"]}
    one = listed(charge("a", prices=[{"amount": "1", "when": tidy}]), charge("b", prices=[{"id": "q", "amount": "2"}]))
    other = listed(
        charge("b", prices=[{"id": "q", "amount": "2.0"}]), charge("a", prices=[{"amount": "01", "when": wild}])
    )
    assert one.digest == other.digest
    assert exported(one) == exported(other)


def test_the_size_of_units_is_part_of_the_digest() -> None:
    def sized(calls: int) -> PriceList:
        registry = REGISTRY.extended([{**CALLS, "display": {"k": calls}}])
        document = json.loads(exported_json(listed(charge())))
        document["products"][0]["charges"][0] |= {"meter": "api.calls", "per": "k"}
        return parse(json.dumps(document), registry)

    assert sized(1000).digest != sized(1024).digest
    assert document_of(sized(1000)) == document_of(sized(1024))


def test_a_chain_is_no_document() -> None:
    with pytest.raises(Invariant, match="price list l was not read from one document"):
        document_of(combined([listed(charge()), listed(charge(), id="m")]))


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(str.strip)


@settings(deadline=None)
@given(TEXTS, st.dictionaries(TEXTS.map(str.strip), TEXTS, max_size=3), TEXTS)
def test_any_text_survives(name: str, when: dict[str, Any], product: str) -> None:
    made = list_of(price("a", when=when, product=product), name=name)
    assert parse(exported(made), REGISTRY).prices == made.prices
    assert parse(exported(made), REGISTRY).digest == made.digest
