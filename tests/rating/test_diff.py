"""What changed between two versions, for people; and from when on they rate differently."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.catalogue.diff import Change, changed_from, diff
from rating.lists import PriceList
from schemas.period import iso, parse_instant
from tests.rating.documents import FEB, JAN, MAR, TIERS, charge, listed, priced
from tests.rating.helpers import list_of, price

AT = {instant: parse_instant(instant) for instant in (JAN, FEB, MAR)}
RATES = [{"currency": "USD", "rate": "1", "to": FEB}, {"currency": "USD", "rate": "2", "from": FEB}]


def dated(**more: Any) -> dict[str, Any]:
    """A charge whose one price begins in January."""
    return charge(prices=[{"amount": "1", "from": JAN, **more.pop("price", {})}], **more)


def texts(old: PriceList | None, new: PriceList) -> list[tuple[str, str, str, str]]:
    return [(c.path, c.kind, c.before, c.after) for c in diff(old, new)]


def test_items_are_named_by_their_ids() -> None:
    old = listed(
        charge("b", prices=[{"id": "x", "amount": "1", "to": JAN}, {"id": "y", "amount": "1", "from": JAN}]),
        priced("graduated", {"tiers": TIERS}, id="t"),
        rates=RATES,
        campaigns=[{"id": "k", "percent": "5"}],
    )
    new = listed(
        priced("graduated", {"tiers": [TIERS[0], {"amount": "1.5"}]}, id="t"),
        charge("b", prices=[{"id": "y", "amount": "2", "from": JAN}]),
        rates=[RATES[1], {**RATES[0], "rate": "3"}],
        account={"minimum": {"amount": "5"}},
        name="New",
    )
    assert texts(old, new) == [
        ("name", "changed", "L", "New"),
        ("rates[USD].rate", "changed", "1", "3"),
        ("products[p].charges[b].prices[y].amount", "changed", "1", "2"),
        ("products[p].charges[b].prices[x]", "removed", f'{{"id": "x", "to": "{JAN}", "amount": "1"}}', ""),
        ("products[p].charges[t].prices[t].tiers[2].amount", "changed", "1", "1.5"),
        ("account", "added", "", '{"minimum": {"amount": "5", "every": "month"}}'),
        (
            "campaigns[k]",
            "removed",
            '{"id": "k", "name": "k", "percent": "5", "stacking": "multiply", "priority": 0}',
            "",
        ),
    ]
    assert diff(old, old) == ()


def test_short_forms_lists_of_words_and_units() -> None:
    old = list_of(price("a", when={"tier": "x"}), units={"net.in.bytes": {"u": "5"}})
    new = list_of(price("a", when={"tier": ["x", "y"]}), units={"net.in.bytes": {"u": "6"}})
    assert texts(old, new) == [
        ("units.net.in.bytes.u", "changed", "5", "6"),
        ("prices[a].when.tier", "changed", "x", '["x", "y"]'),
    ]
    stages = ["free", "convert", "price", "discount", "maximum", "minimum"]
    (order,) = texts(list_of(price("a")), list_of(price("a"), settings={"order": stages}))
    assert (order[0], order[1], order[3]) == ("settings.order", "changed", str(stages).replace("'", '"'))


def test_a_first_version_adds_everything() -> None:
    assert {c.kind for c in diff(None, listed(charge()))} == {"added"}
    assert Change("id", "added", "", "l") in diff(None, listed(charge()))


def test_spelling_a_default_out_changes_nothing() -> None:
    spelled = charge(each="resource", window="day", aggregate="sum", settings={"blocks": "whole"}, name="c")
    assert diff(listed(charge()), listed(spelled)) == ()
    assert diff(listed(charge()), listed(charge(settings={"blocks": "whole"}), settings={"blocks": "down"})) != ()


@pytest.mark.parametrize(
    ("old", "new", "since"),
    [
        # nothing that rates
        (listed(dated()), listed(dated(name="Other name")), None),
        (listed(dated()), listed(dated(), name="Other name"), None),
        (listed(dated()), listed(products=[{"id": "p", "name": "Renamed", "charges": [dated()]}]), None),
        (listed(dated()), listed(dated(price={"id": "other"})), None),
        # one price, cut in two that go on alike
        (
            listed(dated()),
            listed(charge(prices=[{"amount": "1", "from": JAN, "to": FEB}, {"amount": "1", "from": FEB}])),
            None,
        ),
        # a successor, an end, a beginning
        (
            listed(dated()),
            listed(charge(prices=[{"amount": "1", "from": JAN, "to": FEB}, {"amount": "2", "from": FEB}])),
            FEB,
        ),
        (listed(dated()), listed(dated(price={"to": MAR})), MAR),
        (listed(dated(price={"to": FEB})), listed(dated(price={"to": MAR})), FEB),
        (listed(dated()), listed(dated(price={"from": FEB})), JAN),
        (listed(dated()), listed(dated(), charge("d", prices=[{"amount": "1", "from": MAR}])), MAR),
        # what has no date of its own
        (listed(dated()), listed(dated(price={"amount": "2"})), JAN),
        (listed(dated()), listed(dated(window="month")), JAN),
        (listed(dated()), listed(dated(settings={"bounds": "exclusive"})), JAN),
        (listed(dated()), listed(dated(), settings={"bounds": "exclusive"}), JAN),
        (listed(dated()), listed(dated(), rounding={"digits": 2}), JAN),
        (listed(dated()), listed(dated(), currency="USD"), JAN),
        (listed(dated()), listed(dated(factors=[{"factor": "2"}])), JAN),
        (listed(dated()), listed(dated(), inherits="default"), iso(0)),
        # campaigns and terms of the account
        (listed(dated()), listed(dated(), campaigns=[{"id": "k", "percent": "5", "from": FEB}]), FEB),
        (
            listed(dated(), campaigns=[{"id": "k", "percent": "5", "from": JAN, "to": MAR}]),
            listed(dated(), campaigns=[{"id": "k", "name": "Sale", "percent": "5", "from": JAN, "to": FEB}]),
            FEB,
        ),
        (
            listed(dated(), campaigns=[{"id": "k", "percent": "5", "products": ["p"]}]),
            listed(
                products=[{"id": "p", "name": "Renamed", "charges": [dated()]}],
                campaigns=[{"id": "k", "percent": "5", "products": ["p"]}],
            ),
            None,
        ),
        (listed(dated()), listed(dated(), account={"minimum": {"amount": "5", "from": MAR}}), MAR),
        (listed(dated()), listed(dated(), account={"maximum": {"amount": "5"}}), iso(0)),
        (listed(dated()), listed(dated(), account={"commitments": [{"id": "a", "amount": "1", "from": FEB}]}), FEB),
        # exchange rates
        (listed(dated()), listed(dated(), rates=RATES), None),
        (
            listed(dated(price={"currency": "USD"}), rates=RATES),
            listed(dated(price={"currency": "USD"}), rates=[RATES[0], {**RATES[1], "rate": "3"}]),
            FEB,
        ),
        (
            listed(dated(price={"currency": "USD", "from": FEB}), rates=RATES),
            listed(dated(price={"currency": "USD", "from": FEB}), rates=[{**RATES[0], "rate": "3"}, RATES[1]]),
            None,
        ),
        # the short form: the product is its name
        (list_of(price("a")), list_of(price("a", product="Other")), JAN),
        # the first version
        (None, listed(charge("a", prices=[{"amount": "1", "from": MAR}]), dated()), JAN),
    ],
)
def test_from_when_on(old: PriceList | None, new: PriceList, since: str | None) -> None:
    assert changed_from(old, new) == (None if since is None else parse_instant(since))
    if old is not None:
        assert changed_from(new, old) == changed_from(old, new)


def test_the_version_of_the_books_changes_nothing() -> None:
    made = listed(dated())
    assert changed_from(made, made.with_version(9)) is None
    assert changed_from(listed(inherits="a"), listed(inherits="b")) == 0


AMOUNTS = st.lists(st.sampled_from("12"), min_size=6, max_size=6)


@given(AMOUNTS, AMOUNTS)
def test_the_first_day_with_another_amount(old: list[str], new: list[str]) -> None:
    def by_day(amounts: list[str]) -> PriceList:
        days = [f"2026-01-{day:02}T00:00:00Z" for day in range(1, 8)]
        items = [{"amount": a, "from": days[n], "to": days[n + 1]} for n, a in enumerate(amounts)]
        return listed(charge(prices=items))

    differing = [day for day, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    expected = AT[JAN] + differing[0] * 86400 if differing else None
    assert changed_from(by_day(old), by_day(new)) == expected
