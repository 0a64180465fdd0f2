"""Amounts under linear prices in SQL against fractions in Python, which share no code with them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import Final, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating.exact import Mode, Ratio
from schemas.claim import Claim
from schemas.period import Period
from sinks.warehouse.protocol import NOW
from sinks.warehouse.rated_sql import rated_sql
from sinks.warehouse.simulate import CLASSES_MAX, AmountColumn, RatedRequest, RatedSum
from sinks.warehouse.store import Store
from tests.warehouse.stories import CPU, DAY, DEPLOYED, HOUR, RAM, T0, Sample, attributes, block, claim

MODES: Final = get_args(Mode)
EDGES: Final = (T0, T0 + HOUR, T0 + DAY)
GOLD: Final = '{"tier":"gold"}'
BIG: Final = 2**63 - 1


def rounded(value: Fraction, mode: str) -> int:
    """Round as docs/pricing.md says, from the definition of each mode."""
    low, high = floor(value), ceil(value)
    nearer_zero, farther = (low, high) if value >= 0 else (high, low)
    if low == high or mode in ("ceiling", "floor", "up", "down"):
        return {"ceiling": high, "floor": low, "up": farther, "down": nearer_zero}.get(mode, low)
    if value - low != high - value:
        return low if value - low < high - value else high
    return {"half_up": farther, "half_down": nearer_zero, "half_even": low if low % 2 == 0 else high}[mode]


def column(ratio: Ratio, mode: Mode = "half_even", step: int = 1) -> AmountColumn:
    return AmountColumn((ratio,), mode, step)


def asked(*columns: AmountColumn, claims: Mapping[int, Sequence[Claim]] | None = None) -> RatedRequest:
    return RatedRequest(claims or {0: [claim("t1")]}, EDGES, NOW, columns=columns)


def by_class(found: Iterable[RatedSum]) -> dict[tuple[int, int], tuple[int, tuple[int, ...]]]:
    return {(one.account, one.number): (one.lines, one.amounts) for one in found}


@pytest.fixture
def ratings(embedded: Store) -> Store:
    """A warehouse that applies prices."""
    return embedded


def test_an_old_server_says_that_it_cannot(warehouse: Store) -> None:
    assert warehouse.applies_prices == warehouse.engine.capability.modern


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    quantities=st.lists(st.integers(-(10**6), 10**6) | st.integers(-(10**15), 10**15), min_size=1, max_size=30),
    numerator=st.integers(0, 10**6) | st.integers(0, 10**40),
    denominator=st.sampled_from([1, 2, 4, 8, 3600, 3_686_400]) | st.integers(1, 10**30),
    step=st.sampled_from([1, 100, 10**6]),
)
def test_every_mode_rounds_as_it_is_defined(
    ratings: Store, quantities: list[int], numerator: int, denominator: int, step: int
) -> None:
    ratings.engine.execute("TRUNCATE TABLE samples")
    ratings.write(block(*(Sample(vm=f"vm{i}", quantity=q) for i, q in enumerate(quantities))), 1)
    ratio = Ratio(numerator, denominator)
    [found] = ratings.rated(asked(*(column(ratio, mode, step) for mode in MODES)))
    value = Fraction(numerator, denominator)
    lines = {mode: [rounded(q * value, mode) * step for q in quantities] for mode in MODES}
    within = [all(abs(lines[mode][i]) <= BIG for mode in MODES) for i in range(len(quantities))]
    assert (found.lines, found.refused) == (len(quantities), within.count(False))
    assert found.amounts == tuple(sum(a for a, ok in zip(lines[mode], within, strict=True) if ok) for mode in MODES)


def test_a_cell_counts_once_in_its_winning_version_known_before_the_cutoff(ratings: Store) -> None:
    ratings.write(block(Sample(quantity=100, covered=200)), 1)
    ratings.write(block(Sample(quantity=100, covered=200)), 2)
    ratings.write(block(Sample(quantity=170, covered=300)), 10)
    request = asked(column(Ratio(1, 1)))
    assert by_class(ratings.rated(replace(request, cutoff=10))) == {(0, 0): (1, (100,))}
    assert by_class(ratings.rated(request)) == {(0, 0): (1, (170,))}


def test_lines_are_made_by_segment_resource_meter_and_attributes(ratings: Store) -> None:
    halves = [
        Sample(quantity=1),
        Sample(quantity=1, start=T0 + 300),  # the same line as the one before: 2 × ½ is 1 exactly
        Sample(quantity=1, start=T0 + HOUR),
        Sample(quantity=1, vm="vm2"),
        Sample(quantity=1, meter=RAM),
        Sample(quantity=1, vm="vm3"),
        Sample(quantity=1, vm="vm3", start=T0 + 300, labels=GOLD),
    ]
    ratings.write(block(*halves), 1)
    assert by_class(ratings.rated(asked(column(Ratio(1, 2), "up")))) == {(0, 0): (6, (6,))}


def test_classes_tell_meters_signatures_and_epochs_apart(ratings: Store) -> None:
    rows = [
        Sample(quantity=1),
        Sample(quantity=2, start=T0 + HOUR),
        Sample(quantity=4, vm="vm2", labels=GOLD),
        Sample(quantity=8, vm="vm2", labels=GOLD, start=T0 + HOUR),
        Sample(quantity=16, meter=RAM),
        Sample(quantity=32, vm="vm2", meter=RAM, labels=GOLD, start=T0 + HOUR),
    ]
    ratings.write(block(*rows), 1)
    request = RatedRequest(
        {7: [claim("t1")]},
        EDGES,
        NOW,
        meters=[CPU],
        signatures={attributes(GOLD): 1},
        signature_count=2,
        cuts=(T0 + HOUR,),
    )
    prices = [Ratio(10**n, 1) if n != 3 else None for n in range(request.classes)]
    found = by_class(ratings.rated(replace(request, columns=[AmountColumn(tuple(prices), "half_even", 1)])))
    places = {(1, 0, 0): 1, (1, 0, 1): 2, (1, 1, 0): 4, (1, 1, 1): 8, (0, 0, 0): 16, (0, 1, 1): 32}
    numbered = {request.class_of(*place): quantity for place, quantity in places.items()}
    assert sorted(numbered) == [0, 3, 4, 5, 6, 7]
    assert found == {(7, n): (1, (quantity * 10**n if n != 3 else 0,)) for n, quantity in numbered.items()}


def test_meters_can_be_chosen_or_left_out(ratings: Store) -> None:
    rows = [Sample(quantity=1), Sample(quantity=2, meter=RAM), Sample(quantity=4, meter=DEPLOYED, event="e1")]
    ratings.write(block(*rows), 1)
    request = asked(column(Ratio(1, 1)))
    assert by_class(ratings.rated(request)) == {(0, 0): (3, (7,))}
    assert by_class(ratings.rated(replace(request, without=[RAM]))) == {(0, 0): (2, (5,))}
    chosen = replace(request, meters=[RAM], only=True, columns=[AmountColumn((None, Ratio(1, 1)), "half_even", 1)])
    assert by_class(ratings.rated(chosen)) == {(0, 1): (1, (2,))}
    deployed = replace(chosen, meters=[DEPLOYED])
    assert by_class(ratings.rated(deployed)) == {(0, 1): (1, (4,))}


def test_an_event_counts_once_wherever_its_copies_lie(ratings: Store) -> None:
    sent = Sample(quantity=3, meter=DEPLOYED, event="e1")
    ratings.write(block(sent, replace(sent, start=T0 + 5 * DAY)), 1)  # a repeat with another time, outside the window
    ratings.write(block(replace(sent, event="e2"), replace(sent, event="e3")), 2)
    whole = RatedRequest({0: [claim("t1")]}, (T0, T0 + 10 * DAY), NOW, columns=[column(Ratio(1, 2), "up")])
    [found] = ratings.rated(whole)
    assert (found.lines, found.amounts) == (1, (5,))  # 9 × ½ on one line; the copy does not count again


def test_each_account_gets_what_it_claims(ratings: Store) -> None:
    rows = [Sample(vm=vm, quantity=q, owner=t) for vm, q, t in (("a", 1, "t1"), ("b", 2, "t1"), ("c", 4, "t2"))]
    rows += [replace(r, start=T0 + HOUR, quantity=r.quantity * 10) for r in rows]
    ratings.write(block(*rows, Sample(vm="d", quantity=1000, owner="t3")), 1)
    early, late = Period(0, T0 + HOUR), Period(T0 + HOUR, 2**32)
    claims = {
        0: [claim("t1", excluded=["b"])],
        1: [claim("t1", only=["b"]), claim("t2", early)],
        2: [claim("t2", late)],
        3: [claim("nobody")],
    }
    found: dict[int, int] = defaultdict(int)
    for one in ratings.rated(asked(column(Ratio(1, 1)), claims=claims)):
        found[one.account] += one.amounts[0]
    assert found == {0: 11, 1: 2 + 20 + 4, 2: 40}


def test_nothing_is_read_for_claims_outside_the_window(ratings: Store) -> None:
    ratings.write(block(Sample()), 1)
    assert ratings.rated(asked(column(Ratio(1, 1)), claims={0: [claim("t1", Period(0, T0))]})) == []


def test_a_sum_beyond_64_bits_is_refused_and_not_wrapped(ratings: Store) -> None:
    huge = [Sample(start=T0 + 300 * i, quantity=2**62) for i in range(3)]
    ratings.write(block(*huge, Sample(vm="vm2", quantity=5)), 1)
    [found] = ratings.rated(asked(column(Ratio(1, 1))))
    assert (found.lines, found.refused, found.amounts) == (2, 1, (5,))


def test_ranges_of_resources_add_up(ratings: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ratings.write(block(*(Sample(vm=f"vm{i}", quantity=i) for i in range(40))), 1)
    request = asked(column(Ratio(1, 2)))
    whole, steps = ratings.rated(request), list[tuple[int, int]]()
    monkeypatch.setattr("sinks.warehouse.simulate_store.CHUNK_ROWS_MAX", 4)
    assert ratings.rated(request, lambda done, total: steps.append((done, total))) == whole
    assert steps == [(n + 1, 10) for n in range(10)]


def test_the_narrowest_integer_that_holds_every_product_is_taken() -> None:
    narrow, wide = asked(column(Ratio(10**6, 3600))), asked(column(Ratio(10**30, 3600)))
    assert "toInt128(quantity)" in rated_sql("samples", narrow, "IN")
    assert "toInt256(quantity)" in rated_sql("samples", wide, "IN")


def test_what_no_integer_holds_does_not_fit() -> None:
    assert asked(column(Ratio(2**189, 1))).fits
    assert not asked(column(Ratio(2**190, 1))).fits
    assert not asked(column(Ratio(1, 2**256))).fits
    assert not replace(asked(), meters=range(CLASSES_MAX)).fits
    assert not replace(asked(), cuts=range(T0 + 1, T0 + 65)).fits
