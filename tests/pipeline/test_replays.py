"""Permutation, duplication, other batches, whole replay: the stores end in the same bytes. On chDB and SQLite."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import pytest

from schemas.period import Period
from sinks.warehouse.protocol import UsageRequest
from tests.pipeline.provider import Provider, prices, provider_in
from tests.pipeline.rows import DAY, HOUR, NOW, T0, Row, message

SEEDS: Final = (1,)
MONTH: Final = Period(T0 - DAY, T0 + 4 * DAY)
ACCOUNTS: Final = {
    "acme": ("hourly", "Europe/Prague"),
    "beta": ("daily", "UTC"),
    "cora": ("monthly", "America/New_York"),
}


def samples(chance: Random) -> list[Row]:
    """Return rows of all sorts: partial coverage, versions that contradict each other, events, shared resources."""
    rows = []
    for _ in range(90):
        tenant = chance.choice([*ACCOUNTS, "stray"])
        kind = chance.choice(["vm.vcpu", "vm.vcpu", "disk.capacity", "image.deployment"])
        start = T0 + chance.randrange(30) * HOUR
        if kind == "image.deployment":
            name = f"order-{chance.randrange(8)}"
            rows.append(Row(f"vm/{tenant}", kind, start, chance.randrange(3), 1, tenant=tenant, event=("portal", name)))
            continue
        cell = 900 if kind == "disk.capacity" else 300
        tier = chance.choice(['{"tier":"gold"}', '{"tier":"silver"}', "{}"])
        row = Row(
            f"vm/{chance.randrange(6)}", kind, start, chance.randrange(10**6), cell, tenant=tenant, attributes=tier
        )
        rows.append(row)
        for _ in range(chance.choice([0, 0, 1, 2])):
            covered = chance.choice([cell, cell // 2, 1])
            rows.append(replace(row, quantity=chance.randrange(10**6), covered=covered, revision=chance.randrange(3)))
    return rows


def outcome(
    provider: Provider, deliveries: Sequence[Sequence[Row]]
) -> tuple[bytes, dict[str, list[dict[str, object]]]]:
    """Deliver, rate, settle; return the export's bytes and the usage tables."""
    provider.price(text=prices())
    for name, (cycle, zone) in ACCOUNTS.items():
        provider.account(name, cycle=cycle, timezone=zone)
    provider.clock.move_to(NOW)
    for sequence, rows in enumerate(deliveries):
        provider.deliver([message(rows, sequence)])
        if sequence == 1:
            provider.rate()
    provider.settle()
    provider.holds()
    return provider.export(MONTH), usage(provider)


def usage(provider: Provider) -> dict[str, list[dict[str, object]]]:
    edges = [T0, T0 + HOUR, T0 + DAY, MONTH.end]
    claims = provider.parts.directory.all_claims()
    return {
        account: provider.parts.warehouse.usage(UsageRequest(found, edges)).to_pylist()
        for account, found in sorted(claims.items())
    }


def split(chance: Random, rows: Sequence[Row]) -> list[list[Row]]:
    """Cut into batches of random size."""
    edges = sorted({0, len(rows), *(chance.randrange(len(rows)) for _ in range(6))})
    return [list(rows[a:b]) for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_the_way_the_bytes_are_the_same(tmp_path: Path, chdb_folder: Path, seed: int) -> None:
    """Invariants 2 and 10; the seed is the test's parameter, so that a failure repeats."""
    rows = samples(Random(seed))
    chance = Random(seed + 1000)
    shuffled = chance.sample(rows, len(rows))
    doubled = chance.sample([*rows, *chance.choices(rows, k=100)], len(rows) + 100)
    ways = {
        "as they came": [rows],
        "shuffled and split": split(chance, shuffled),
        "doubled, shuffled, split, and all of it again": [*split(chance, doubled), *split(chance, shuffled)],
    }
    results = {}
    for way, deliveries in ways.items():
        with provider_in(tmp_path, chdb_folder) as provider:
            results[way] = outcome(provider, deliveries)
    expected = results.pop("as they came")
    assert len(expected[0]) > 10_000
    for way, found in results.items():
        assert found[1] == expected[1], f"usage differs: {way}"
        assert found[0] == expected[0], f"lines or debits differ: {way}"


def test_replaying_everything_after_settling_posts_nothing(tmp_path: Path, chdb_folder: Path) -> None:
    """Invariants 2 and 12: a whole topic read again, after the month was billed."""
    rows = samples(Random(99))
    with provider_in(tmp_path, chdb_folder) as provider:
        before = outcome(provider, [rows])
        debits = len(provider.books.settlements())
        provider.clock.move_to(NOW + 3 * DAY)
        for sequence, again in enumerate(split(Random(5), rows)):
            provider.deliver([message(again, sequence)])
        provider.rate()
        assert provider.settle().settlements == []
        assert len(provider.books.settlements()) == debits
        assert (provider.export(MONTH), usage(provider)) == before


def test_late_rows_end_where_early_rows_would_have(tmp_path: Path, chdb_folder: Path) -> None:
    """Invariant 10: settled in parts, with adjustments, every account has paid the same as in one go."""
    rows = samples(Random(7))
    balances, lines = [], []
    for parts in ([rows], [rows[::2], rows[1::2]]):
        with provider_in(tmp_path, chdb_folder) as provider:
            outcome(provider, [parts[0]])
            for number, late in enumerate(parts[1:], start=1):
                provider.clock.move_to(NOW + number * DAY)
                provider.deliver([message(late, 100 + number)])
                provider.settle()
                provider.holds()
            balances.append(provider.books.balances())
            lines.append(provider.export(MONTH).partition(b'"transfers"')[0])
    assert balances[0] == balances[1]
    assert lines[0] == lines[1]
