"""Whatever stands anywhere in a document, reading it lists problems or gives a list that can be written and read."""

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rating.catalogue.diff import changed_from, diff
from rating.catalogue.export_list import exported
from rating.charge import STAGES
from rating.price_list import parse
from schemas.errors import Misconfigured
from tests.rating.documents import FEB, JAN, TIERS, charge, document, priced
from tests.rating.helpers import REGISTRY, price

CALLS = {"key": "api.calls", "name": "Calls", "kind": "event", "base": "call", "display": {"k": 1000}}
COMMITTED = {
    "commitment": {"level": "1", "fee": "5", "every": "day"},
    "overage": {"factor": "2"},
    "currency": "USD",
    "from": FEB,
}
FULL: dict[str, Any] = json.loads(
    document(
        charge("a", each=["tier"], window="month", settings={"order": list(STAGES), "month": "720"}),
        charge("b", aggregate="percentile", percentile={"rank": "95", "cell": 300}, per="GiB", free={"quantity": "1"}),
        charge(
            "c",
            meter="vm.cpu",
            per="GHz·h",
            basis="usage",
            factors=[{"when": {"os": "x", "cores": {"from": "4", "below": "8"}}, "factor": "2"}],
        ),
        charge(
            "d",
            meter=None,
            meters=["net.in.bytes", "net.out.bytes"],
            combine="max",
            combine_at="window",
            per="GB",
            convert={"mode": "up", "at": "observation"},
        ),
        priced("graduated", {"tiers": [{"up_to": "1", "percent": "1", "flat": "2"}, *TIERS[1:]], "from": JAN}, id="e"),
        priced("percentage", {"percent": "1", "free_events": 3, "when": {"tier": ["a", "b"]}}, id="f"),
        priced("committed", COMMITTED, id="g"),
        priced("recurring", {"amount": "1", "every": "month", "minimum": "1"}, id="h", meter=None, per=None),
        rounding={"mode": "up", "unit_price_digits": 3, "unit_price_per": "GiB·h"},
        meters=[CALLS],
        units={"api.calls": {"dozen": "12"}},
        rates=[{"currency": "USD", "rate": "0.9", "from": JAN}],
        prices=[price("s", "vm.vcpu", when={"tier": "x"}, to=FEB)],
        campaigns=[
            {
                "id": "k",
                "percent": "5",
                "coupon": "X",
                "limits": {"windows": 3},
                "products": ["p"],
                "when": {"size": {"below": "3"}},
            }
        ],
        account={"minimum": {"amount": "1"}, "commitments": [{"id": "m", "amount": "1", "true_up": True}]},
        inherits="default",
    )
)


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document, its root aside."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


WORDS = st.sampled_from(
    ["", "1", "-1", "each", "resource", "account", "GiB", "vm.cpu", "month", JAN, "9" * 40, "no.such"]
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | WORDS, inner, max_size=3),
    max_leaves=5,
)
PLACES = st.sampled_from(sorted(places(FULL), key=str))


@given(st.lists(st.tuples(PLACES, ANY, st.sampled_from(["put", "drop", "twice"])), min_size=1, max_size=3))
@settings(max_examples=400, deadline=None)
def test_any_value_anywhere(changes: list[tuple[tuple[Any, ...], object, str]]) -> None:
    changed = copy.deepcopy(FULL)
    for path, value, what in changes:
        with suppress(KeyError, IndexError, TypeError, AttributeError):  # an earlier change took this place away
            node = changed
            for part in path[:-1]:
                node = node[part]
            if what == "put":
                node[path[-1]] = value
            elif what == "drop":
                del node[path[-1]]
            else:
                node.append(node[path[-1]])  # type: ignore[attr-defined]
    try:
        made = parse(json.dumps(changed), REGISTRY)
    except Misconfigured:
        return
    again = parse(exported(made), REGISTRY)
    assert again.digest == made.digest
    assert (diff(made, again), changed_from(made, again)) == ((), None)


def test_the_document_that_is_changed_is_sound() -> None:
    assert len(parse(json.dumps(FULL), REGISTRY).prices) == 10
