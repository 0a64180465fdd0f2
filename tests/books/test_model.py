"""The ledger against a model of a few dictionaries, in any order of grants, settlements and retries.

Guards invariants 10 (Σ debits = Σ rated settled), 11 (double entry) and 12 (one effect per id).
"""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from billing.auditor import audit
from billing.journal import all_transfers
from billing.ledger import grant
from billing.protocol import Account, Books, Settlement, Transfer
from schemas.calendar import window_of
from schemas.errors import Conflict
from schemas.money import Money
from sinks.books.connect import open_books
from tests.books.stories import decide, rated

ACCOUNTS = [Account("acme", "Acme", cycle="daily"), Account("beta", "Beta", "acme", cycle="daily")]
MICROS = st.integers(0, 10**12)
PRODUCTS = st.dictionaries(st.sampled_from(["vm", "disk", "ip"]), MICROS)


class Ledger(RuleBasedStateMachine):
    """Runs the same steps on books and model."""

    open_books: Callable[[], Books]

    @initialize()
    def start(self) -> None:
        self.books = self.open_books()
        self.books.migrate()
        for account in ACCOUNTS:
            self.books.put_account(account)
        self.now = 0
        self.grants: dict[tuple[str, str], tuple[int, int]] = {}
        self.totals: dict[tuple[str, int], dict[str, int]] = {}
        self.decided: list[tuple[Settlement, Transfer | None]] = []

    @rule(account=st.sampled_from(ACCOUNTS), key=st.sampled_from("abc"), micros=st.integers(1, 3), at=st.integers(0, 1))
    def give(self, account: Account, key: str, micros: int, at: int) -> None:
        self.now += 1
        transfer = grant(account.id, Money(micros, "CU"), key, at)
        known = self.grants.get((account.id, key))
        if known in (None, (micros, at)):
            assert self.books.post(transfer, self.now) is (known is None)
            self.grants[account.id, key] = (micros, at)
        else:
            with pytest.raises(Conflict):
                self.books.post(transfer, self.now)

    @rule(account=st.sampled_from(ACCOUNTS), day=st.integers(0, 2), products=PRODUCTS, digest=st.integers(0, 2**64 - 1))
    def settle(self, account: Account, day: int, products: dict[str, int], digest: int) -> None:
        self.now += 1
        cycle = window_of(day * 86_400, "day", account.timezone)
        decided = decide(self.books, account, cycle, rated(products, digest))
        if decided is None:
            return
        assert self.books.settle(*decided, self.now)
        assert decide(self.books, account, cycle, rated(products, digest)) is None
        self.totals[account.id, cycle.start] = products
        self.decided.append(decided)

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        if self.decided:
            self.now += 1
            assert not self.books.settle(*data.draw(st.sampled_from(self.decided)), self.now)

    @invariant()
    def books_hold(self) -> None:
        if not hasattr(self, "books"):
            return
        expected: dict[tuple[str, str], int] = {}
        for (account, _), (micros, _at) in self.grants.items():
            _add(expected, f"wallet:{account}", micros)
            _add(expected, "grants", -micros)
        for (account, _start), products in self.totals.items():
            for product, micros in products.items():
                _add(expected, f"revenue:{product}", micros)
                _add(expected, f"wallet:{account}", -micros)
        balances = self.books.balances()
        assert {key: micros for key, micros in balances.items() if micros} == {k: v for k, v in expected.items() if v}
        assert audit(all_transfers(self.books), self.books.settlements(), balances) == []

    def teardown(self) -> None:
        if hasattr(self, "books"):
            self.books.close()


def _add(balances: dict[tuple[str, str], int], name: str, micros: int) -> None:
    balances[name, "CU"] = balances.get((name, "CU"), 0) + micros


def run(opener: Callable[[], Books], examples: int, steps: int) -> None:
    """Run the machine on books of one engine, new ones for each example."""
    machine = type("LedgerOnEngine", (Ledger,), {"open_books": staticmethod(opener)})
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, database=None, suppress_health_check=slow
        ),
    )


def test_ledger_on_sqlite(tmp_path: Path) -> None:
    run(lambda: open_books(f"sqlite:///{tmp_path}/{uuid.uuid4().hex}.db"), examples=25, steps=20)


@pytest.mark.server
def test_ledger_on_postgresql(request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgres_server")
    run(lambda: open_books(server.create_database(f"model_{uuid.uuid4().hex}")), examples=6, steps=20)
