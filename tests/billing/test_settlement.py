"""Settlement, ledger rules and wallets as pure functions: invariants 10, 11 and 12."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import wallet
from billing.ledger import body_sha256, check_transfer, fold, grant, product_of, settlement_id
from billing.protocol import Entry, SettledCycle, Settlement, Transfer
from billing.settlement import check_settlement, drift_micros, next_settlement
from schemas.calendar import window_of
from schemas.errors import Invariant
from schemas.money import Money
from schemas.period import Period
from tests.books.stories import ACME, DAY, LATER, rated

GRANT = grant("acme", Money(5, "CU"), "k", 0)
PRODUCTS = st.dictionaries(st.text("ab:é", min_size=1, max_size=2), st.integers(-(10**15), 10**15))


def standing(decided: list[tuple[Settlement, Transfer | None]]) -> SettledCycle:
    """What books would hold."""
    folded = fold(transfer for _, transfer in decided if transfer)
    return SettledCycle(tuple(s for s, _ in decided), {name: micros for (name, _), micros in folded.items()})


@given(st.lists(st.tuples(PRODUCTS, st.integers(0, 2**64 - 1)), min_size=1, max_size=6))
def test_settlements_telescope(ratings: list[tuple[dict[str, int], int]]) -> None:
    decided: list[tuple[Settlement, Transfer | None]] = []
    for products, digest in ratings:
        found = next_settlement(ACME, DAY, standing(decided), rated(products, digest), LATER)
        if found:
            decided.append(found)
        assert next_settlement(ACME, DAY, standing(decided), rated(products, digest), LATER) is None
        assert sum(s.posted_micros for s, _ in decided) == sum(products.values()) == decided[-1][0].total_micros
        posted = {product_of(name): micros for name, micros in standing(decided).posted.items() if micros}
        posted.pop(None, None)
        assert posted == {product: micros for product, micros in products.items() if micros}
    assert len({t.id for _, t in decided if t}) == sum(t is not None for _, t in decided)


def test_the_first_is_a_debit_and_the_next_an_adjustment_in_the_open_period() -> None:
    first = next_settlement(ACME, DAY, SettledCycle(), rated({"vm": 70, "disk": 30, "ip": 0}), LATER)
    assert first is not None
    settlement, transfer = first
    assert transfer is not None
    assert transfer == Transfer(
        id=settlement_id("acme", DAY, 0),
        kind="debit",
        account="acme",
        currency="CU",
        entries=(Entry("wallet:acme", -100), Entry("revenue:disk", 30), Entry("revenue:vm", 70)),
        effective_at=DAY.end,
        details={
            "cycle": "daily",
            "cycle_start": "1970-01-02T00:00:00Z",
            "cycle_end": "1970-01-03T00:00:00Z",
            "number": "0",
            "price_lists": "default@1",
            "lines": "3",
            "digest": "0000000000000001",
        },
    )
    second = next_settlement(ACME, DAY, standing([first]), rated({"vm": 60}, digest=2), LATER + 5)
    assert second is not None
    again = next_settlement(ACME, DAY, standing([first]), rated({"vm": 60}, digest=2, cutoff=99), LATER + 500)
    assert again is not None
    assert second[1] == again[1], "two jobs at different times build the same transfer"
    assert second[1] is not None
    assert second[1].kind == "adjustment"
    assert second[1].effective_at == window_of(LATER, "day", ACME.timezone).start
    assert second[1].entries == (Entry("wallet:acme", 40), Entry("revenue:disk", -30), Entry("revenue:vm", -10))
    assert settlement.transfer_id != second[0].transfer_id


def test_an_empty_cycle_is_settled_without_a_transfer() -> None:
    found = next_settlement(ACME, DAY, SettledCycle(), rated({}, digest=0), LATER)
    assert found is not None
    assert (found[0].number, found[0].transfer_id, found[1]) == (0, "", None)
    assert drift_micros(replace(found[0], live_micros=5)) == -5


def test_a_broken_chain_stops_the_job() -> None:
    first = next_settlement(ACME, DAY, SettledCycle(), rated({"vm": 70}), LATER)
    assert first is not None
    good = standing([first])
    for broken in (
        replace(good, posted={}),
        replace(good, posted={**good.posted, "revenue:vm": 71}),
        replace(good, settlements=()),
        replace(good, settlements=(replace(first[0], number=1),)),
        replace(good, settlements=(replace(first[0], total_micros=1),)),
        replace(good, settlements=(replace(first[0], account="beta"),)),
    ):
        with pytest.raises(Invariant):
            next_settlement(ACME, DAY, broken, rated({"vm": 1}), LATER)
    with pytest.raises(Invariant, match=r"64-bit.*empty.*currency"):
        check_settlement(replace(first[0], digest=-1, cycle_end=0, currency="EUR"), first[1])


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ((), "0 entries"),
        ((Entry("wallet:acme", 1), Entry("grants", -2)), "sum to -1"),
        ((Entry("wallet:acme", 1), Entry("wallet:acme", -1)), "twice"),
        ((Entry("wallet:beta", 1), Entry("grants", -1)), "not the wallet of acme"),
        ((Entry("wallet:acme", 0), Entry("grants", 0)), "zero"),
        ((Entry("wallet:acme", 2**63), Entry("grants", -(2**63))), "64 bits"),
        ((Entry("wallet:acme", 1), Entry("revenue:", -1)), "no name"),
    ],
)
def test_unsound_entries_are_named(entries: tuple[Entry, ...], problem: str) -> None:
    with pytest.raises(Invariant, match=problem):
        check_transfer(replace(GRANT, entries=entries))


def test_unusable_words_are_named() -> None:
    with pytest.raises(Invariant, match=r"must not be empty.*currency 'eur'"):
        check_transfer(replace(GRANT, id="", currency="eur"))


def test_ids_derive_from_what_is_settled() -> None:
    ids = {settlement_id(a, Period(s, 9), n) for a in ("a", "b") for s in (1, 2) for n in (0, 1)}
    assert len(ids) == 8
    assert grant("acme", Money(9, "CU"), "k", 0).id == GRANT.id
    assert body_sha256(grant("acme", Money(9, "CU"), "k", 0)) != body_sha256(GRANT)
    assert grant("beta", Money(5, "CU"), "k", 0).id != GRANT.id


@pytest.mark.parametrize(("micros", "key"), [(0, "k"), (-1, "k"), (1, "")])
def test_grants_are_positive_and_keyed(micros: int, key: str) -> None:
    with pytest.raises(ValueError, match="grant"):
        grant("acme", Money(micros, "CU"), key, 0)


def test_wallet_views() -> None:
    balances = {
        ("wallet:acme", "CU"): 99,
        ("wallet:acme", "EUR"): -1,
        ("wallet:acme-2", "CU"): 5,
        ("grants", "CU"): -104,
    }
    found = wallet.views("acme", balances, {"CU": 100})
    assert [(v.balance, v.low) for v in found] == [(Money(99, "CU"), True), (Money(-1, "EUR"), False)]
    assert not wallet.view("acme", Money(100, "CU"), Money(100, "CU")).low
    assert wallet.views("nobody", balances) == []
