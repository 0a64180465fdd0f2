"""The auditor finds each kind of damage, and nothing in sound books: invariants 10, 11 and 12."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from billing.auditor import audit
from billing.ledger import fold, grant
from billing.protocol import Entry, PostedTransfer, Settlement
from billing.settlement import next_settlement
from schemas.money import Money
from schemas.period import Period
from tests.billing.test_settlement import standing
from tests.books.stories import ACME, DAY, LATER, rated

State = tuple[list[PostedTransfer], list[Settlement], dict[tuple[str, str], int]]


def sound() -> State:
    """Books with a grant, a debit, an adjustment and an empty cycle."""
    first = next_settlement(ACME, DAY, standing([]), rated({"vm": 70, "ip": 5}), LATER)
    assert first is not None
    second = next_settlement(ACME, DAY, standing([first]), rated({"vm": 60}, digest=2), LATER)
    empty = next_settlement(ACME, Period(0, 86_400), standing([]), rated({}), LATER)
    assert second is not None
    assert empty is not None
    made = [grant("acme", Money(500, "CU"), "k", 0)] + [t for _, t in (first, second) if t]
    journal = [PostedTransfer(transfer, place + 1, 0) for place, transfer in enumerate(made)]
    return journal, [second[0], first[0], empty[0]], fold(made)


def test_sound_books_have_no_discrepancy() -> None:
    assert audit(*sound()) == []
    assert audit([], [], {}) == []


def entries(state: State, place: int, new: tuple[Entry, ...]) -> None:
    state[0][place] = replace(state[0][place], transfer=replace(state[0][place].transfer, entries=new))


DAMAGE: dict[str, Callable[[State], object]] = {
    "unbalanced": lambda s: entries(s, 0, (Entry("wallet:acme", 500), Entry("grants", -499))),
    "books_unbalanced": lambda s: entries(s, 0, (Entry("wallet:acme", 500), Entry("grants", -499))),
    "unsound_entry": lambda s: entries(s, 0, (Entry("wallet:beta", 500), Entry("grants", -500))),
    "repeated_id": lambda s: s[0].append(replace(s[0][1], sequence=9)),
    "disordered": lambda s: s[0].reverse(),
    "wrong_balance": lambda s: s[2].update({("wallet:acme", "CU"): 1}),
    "broken_chain": lambda s: s[1].pop(1),
    "overlap": lambda s: s[1].append(replace(s[1][2], cycle_start=5, cycle_end=10)),
    "no_transfer": lambda s: s[0].pop(),
    "wrong_transfer": lambda s: s[1].append(replace(s[1].pop(0), currency="EUR")),
    "no_settlement": lambda s: s[1].pop(0),
    "wrong_total": lambda s: s[1].append(replace(s[1].pop(0), total_micros=61)),
}


@pytest.mark.parametrize("code", DAMAGE)
def test_each_damage_is_found(code: str) -> None:
    state = sound()
    DAMAGE[code](state)
    found = audit(*state)
    assert code in {discrepancy.code for discrepancy in found}
    assert all(discrepancy.invariant in (10, 11, 12) and discrepancy.detail for discrepancy in found)
