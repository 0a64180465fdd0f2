"""Two settle runs at once, and runs that are killed between two stores: one effect, whatever happens."""

import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from billing.protocol import Books
from infra.dev.postgres import PostgresServer
from schemas.errors import Transient
from sinks.books.connect import open_books
from tests.pipeline.fakes import Clock
from tests.pipeline.provider import Provider, level, other_run, provider_in
from tests.pipeline.rows import DAY, HOUR, T0

PER_VCPU_HOUR = 10_000


class Killed(BaseException):
    """The process ended here."""


def filled(provider: Provider) -> None:
    provider.account("acme", cycle="daily")
    provider.account("beta", cycle="hourly", timezone="Europe/Prague")
    provider.send([*level(hours=48), *level(1, hours=6, tenant="beta", resource="vm/b")])


@pytest.mark.parametrize(
    "dies_at", ["before the warehouse", "after the warehouse", "after the first settlement", "before the cursor"]
)
def test_a_run_that_was_killed_is_made_up_for(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    """Invariants 10 and 12: between any two steps."""
    filled(provider)
    provider.rate()
    provider.clock.move_to(T0 + 4 * DAY)
    books, warehouse = type(provider.books), type(provider.parts.warehouse)

    def die(*_: object, **__: object) -> None:
        raise Killed

    def die_after(method: Callable[..., Any], times: int) -> Callable[..., Any]:
        left = [times]

        def call(*given: Any, **named: Any) -> Any:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return method(*given, **named)

        return call

    targets: dict[str, tuple[type, str, Callable[..., Any]]] = {
        "before the warehouse": (warehouse, "write_rating", die),
        "after the warehouse": (books, "settle", die),
        "after the first settlement": (books, "settle", die_after(books.settle, 1)),
        "before the cursor": (books, "advance", die),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*targets[dies_at])
        with pytest.raises(Killed):
            other_run(provider).run()
    provider.settle(T0 + 4 * DAY + HOUR)
    assert provider.debited() == (96 + 6) * PER_VCPU_HOUR
    assert len(provider.books.settlements()) == 2 + 6
    assert all(s.live_micros == s.total_micros for s in provider.books.settlements()), "a kill is no drift"
    provider.holds()
    assert provider.settle().settlements == []


def run_at_once(provider: Provider, others: list[Books]) -> list[BaseException]:
    """Run a settler for each store at the same time, each with a clock of its own."""
    gate, failures = threading.Barrier(len(others)), list[BaseException]()
    settlers = [other_run(provider, Clock(provider.clock.micros + 7 * n), books) for n, books in enumerate(others)]

    def run(number: int) -> None:
        gate.wait()
        try:
            for _ in range(3):
                try:
                    settlers[number].run()
                    return
                except Transient:
                    continue
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(others))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def test_runs_at_the_same_time_post_once(
    request: pytest.FixtureRequest, tmp_path: Path, chdb_folder: Path, engine: str
) -> None:
    """Invariant 12: several processes settle the same cycles with cut-offs of their own."""
    url = f"sqlite:///{tmp_path / 'books.db'}"
    if engine == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database(f"race_{uuid.uuid4().hex}")
    with provider_in(tmp_path, chdb_folder, books_url=url) as provider:
        provider.price()
        filled(provider)
        provider.clock.move_to(T0 + 4 * DAY)
        others = [open_books(url) for _ in range(3)]
        try:
            assert run_at_once(provider, others) == []
            assert provider.debited() == (96 + 6) * PER_VCPU_HOUR
            provider.clock.move_to(T0 + 4 * DAY + HOUR)  # what is stored later is later by every clock
            provider.send(level(start=T0 + HOUR, hours=1, resource="vm/late"))
            provider.clock.move_to(T0 + 5 * DAY)
            assert run_at_once(provider, others) == []
        finally:
            for books in others:
                books.close()
        assert provider.debited() == (98 + 6) * PER_VCPU_HOUR
        provider.holds()
        numbers = [(s.account, s.cycle_start, s.number) for s in provider.books.settlements()]
        assert len(set(numbers)) == len(numbers) == 2 + 6 + 1


def own_list(currency: str) -> str:
    return (
        f"id: own\nname: Own\ncurrency: {currency}\nwindow: day\nprices: [{{id: v, product: Compute, meter: vm.vcpu, "
        'amount: "1", per: vCPU·h, from: 2026-01-01T00:00:00Z}]\n'
    )


def test_an_account_that_cannot_be_settled_does_not_stop_the_others(provider: Provider) -> None:
    """Invariant 10: it is reported, tried again, and nothing of it is posted twice."""
    filled(provider)
    provider.books.put_price_list("own", own_list("CU"), provider.clock())
    provider.account("acme", cycle="daily", price_list="own")
    provider.settle(T0 + DAY + 3 * HOUR)
    provider.books.put_price_list("own", own_list("EUR"), provider.clock())
    provider.send(level(1, hours=1, tenant="beta", resource="vm/late"))
    report = provider.settle(T0 + 4 * DAY)
    assert len(report.problems) == 1
    assert "acme" in report.problems[0]
    assert {s.account for s in report.settlements} >= {"beta"}
    provider.books.put_price_list("own", own_list("CU"), provider.clock())
    assert provider.settle(T0 + 5 * DAY).problems == []
    provider.holds()


def test_another_list_for_an_account_is_no_correction_of_what_is_settled(provider: Provider) -> None:
    """Invariant 9: a settled cycle keeps its list, also in another currency; the next cycles take the new one."""
    filled(provider)
    provider.settle(T0 + DAY + 3 * HOUR)
    before = {s.cycle_start: s.total_micros for s in provider.books.settlements("acme")}
    assert before
    provider.books.put_price_list("own", own_list("EUR"), provider.clock())
    provider.account("acme", cycle="daily", price_list="own")
    report = provider.settle(T0 + 5 * DAY)
    assert report.problems == []
    for settlement in provider.books.settlements("acme"):
        settled_before = settlement.cycle_start in before
        assert settlement.currency == ("CU" if settled_before else "EUR")
        assert not settled_before or settlement.number == 0
    assert any(s.currency == "EUR" for s in report.settlements)


def test_an_amount_beyond_every_ledger_stops_its_own_account_only(provider: Provider) -> None:
    """Invariant 4: one absurd quantity or price neither ends the stream nor keeps others from being billed."""
    filled(provider)
    absurd = own_list("CU").replace('amount: "1"', 'amount: "999999999999"')
    provider.books.put_price_list("own", absurd, provider.clock())
    provider.account("acme", cycle="daily", price_list="own")
    provider.rate()
    report = provider.settle(T0 + 5 * DAY)
    assert [p.partition(":")[0] for p in report.problems] == ["acme"]
    assert {s.account for s in report.settlements} == {"beta"}
    provider.books.put_price_list("own", own_list("CU"), provider.clock())
    assert provider.settle(T0 + 6 * DAY).problems == []
    assert {s.account for s in provider.books.settlements()} == {"acme", "beta"}


def test_an_account_that_gets_its_list_after_the_cycle_closed_is_billed(tmp_path: Path, chdb_folder: Path) -> None:
    """Invariant 9: what had no price is unpriced and waits; giving the account a list settles it."""
    with provider_in(tmp_path, chdb_folder) as provider:  # there is no default list
        provider.account("acme", cycle="daily")
        provider.books.put_price_list("own", own_list("CU"), provider.clock())
        provider.send(level(hours=2))
        provider.rate()
        assert provider.settle(T0 + 5 * DAY).settlements == []
        provider.clock.move_to(T0 + 6 * DAY)
        provider.account("acme", price_list="own")
        (settlement,) = provider.settle(T0 + 6 * DAY + HOUR).settlements
        assert (settlement.currency, settlement.total_micros) == ("CU", 4_000_000)  # two vCPUs for two hours
        provider.holds()
