"""Random price lists and usage: order changes nothing, sums agree, and 64 bits give what Python's integers give."""

import json
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating import charges
from rating.exact import total
from rating.files.corrections import corrections
from stratometer.rate_files import FileRating, rate_text
from tests.rating.golden_runner import HEAD, REGISTRY
from tests.rating.random_lists import AGGREGATES, Case, cases

EXAMPLES = 25
MODELS = ("per_unit", "graduated", "volume", "package", "stairstep", "percentage", "recurring", "committed")
ANY = st.one_of(*(cases((model,)) for model in MODELS), cases(("per_unit", "graduated", "volume"), AGGREGATES))


def _rated(case: Case, rows: Sequence[object] | None = None) -> FileRating:
    text = json.dumps({**HEAD, **case.document}, ensure_ascii=False)
    return rate_text(text, case.rows if rows is None else rows, case.zone, registry=REGISTRY)  # type: ignore[arg-type]


@given(ANY, st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_order_of_rows_and_prices_changes_no_byte(case: Case, random: Random) -> None:
    before = _rated(case)
    rows = list(case.rows)
    random.shuffle(rows)
    document = json.loads(json.dumps(case.document))
    for charge in document["products"][0]["charges"]:
        for number, price in enumerate(charge["prices"], start=1):
            price["id"] = f"{charge['id']}-{number}" if len(charge["prices"]) > 1 else charge["id"]
        random.shuffle(charge["prices"])
    named = _rated(Case(document, case.rows, case.zone))
    assert _rated(Case(document, rows, case.zone)).lines.equals(named.lines)
    assert named.lines["amount_micros"].equals(before.lines["amount_micros"])


@given(ANY)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_64_bits_give_what_unbounded_integers_give(case: Case) -> None:
    narrow = _rated(case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charges, "fits", lambda *_: False)
        wide = _rated(case)
    assert narrow.lines.equals(wide.lines)


@given(ANY, st.data())
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_corrections_turn_an_old_rating_into_a_new_one(case: Case, data: st.DataObject) -> None:
    some = data.draw(st.lists(st.sampled_from(case.rows), min_size=1, unique_by=str))
    old, new = _rated(case, some), _rated(case)
    posted = corrections(old.lines, new.lines)
    assert total(posted["amount_micros"].to_numpy()) == new.total_micros - old.total_micros
    assert total(posted["quantity"].to_numpy()) == sum(
        sign * total(one.lines["quantity"].to_numpy()) for sign, one in ((1, new), (-1, old))
    )


@given(cases(("graduated", "package", "percentage")), st.integers(1, 1000))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_more_usage_never_costs_less(case: Case, more: int) -> None:
    document = json.loads(json.dumps(case.document))
    document.pop("campaigns", None)
    for charge in document["products"][0]["charges"]:
        # Two prices may make a later part cheaper than an earlier one; factors would tell which usage is meant.
        charge["settings"] |= {"parts": "independent", "blocks": "whole", "beyond": "last_price"}
        charge |= {"prices": charge["prices"][-1:], "power": "always"}
        for key in ("from", "to", "when"):
            charge["prices"][0].pop(key, None)
        charge.get("settings", {}).pop("negative", None)
    document["rounding"] = {"per": "charge"}  # lines that are rounded one by one may lose a step each
    case = Case(document, case.rows, case.zone)
    first, *others = case.rows
    larger = {**first, "quantity": str(int(first["quantity"]) * (1 + more))}
    assert _rated(case, [larger, *others]).total_micros >= _rated(case).total_micros


def test_volume_prices_may_cost_less_for_more() -> None:
    tiers = [{"up_to": "10", "amount": "2"}, {"amount": "1"}]
    charge = {
        "id": "c",
        "meter": "image.deployment",
        "per": "deployment",
        "model": "volume",
        "prices": [{"tiers": tiers}],
    }
    document = {"products": [{"id": "p", "charges": [charge]}]}
    row = {"resource": "a", "meter": "image.deployment", "from": "2026-03-28T00:00:00Z"}
    ten, eleven = (_rated(Case(document, [{**row, "quantity": n}], "UTC")).total_micros for n in ("10", "11"))
    assert (ten, eleven) == (20_000_000, 11_000_000)
