"""`Simulator`: rates a past period's stored usage under a draft list beside the list in force. Writes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import orjson
import pyarrow as pa

from billing.protocol import Account, Books
from pipeline.directory import Directory
from pipeline.simulation.classes import EVERYTHING_STREAMS, Signatures, Split, split
from pipeline.simulation.cohorts import Asked, Cohort, admitted
from pipeline.simulation.grid import Side, grids_of
from pipeline.simulation.lines import differences
from pipeline.simulation.lists import DraftLists
from pipeline.simulation.model import AccountResult, LineDifference, ListName, Pair, Simulation, Update
from pipeline.simulation.stream import Streamer
from pipeline.simulation.tally import Tally
from schemas.claim import Claim
from schemas.errors import Poison
from schemas.meters import Registry
from schemas.period import Clock
from sinks.warehouse.claims import within
from sinks.warehouse.protocol import Warehouse
from sinks.warehouse.rated_sql import is_whole

SINGLE_CLAIMS_MAX: Final = 50
"""Accounts of one request that claim more or less than whole tenants: each is a condition of its own."""
LINES_MAX: Final = 1_000_000
"""Lines of one account, under both lists together, that are compared one by one."""


class Simulator:
    """Simulates price lists."""

    def __init__(
        self, warehouse: Warehouse, books: Books, directory: Directory, registry: Registry, clock: Clock
    ) -> None:
        """Keep the collaborators; `clock` gives microseconds since 1970."""
        self._warehouse, self._books, self._directory, self._registry = warehouse, books, directory, registry
        self._clock = clock
        self._streamer = Streamer(warehouse, directory, registry)

    def simulate(self, asked: Asked, update: Update | None = None) -> Simulation:
        """Return what the period would have come to.

        Raises:
            Misconfigured: every problem of the draft; an account, month or list that does not exist.
            Transient: a store is away.
        """
        cutoff = self._clock()
        lists = self._lists(asked, cutoff)
        found = admitted(asked, lists, self._directory, cutoff)
        job = _Job(self._warehouse, self._directory, self._streamer, cutoff, update or _silent)
        results = list(found.problems)
        for cohort in found.cohorts.values():
            results += job.rated(cohort)
        return Simulation(
            draft=ListName(lists.draft.id, lists.draft.version),
            digest=lists.draft.digest,
            month=asked.month,
            period=asked.period_in("UTC"),
            cutoff=cutoff,
            accounts=sorted(results, key=lambda result: result.account),
            untouched=found.untouched,
            pushed=job.pushed,
            streamed=job.streamed,
        )

    def lines(self, asked: Asked, account: str, cutoff: int | None = None) -> Sequence[LineDifference]:
        """Return one account line by line under both lists, those alike included; [] when the draft spares it.

        Args:
            asked: as of the simulation.
            account: id.
            cutoff: of the simulation, microseconds; None: now.

        Raises:
            Misconfigured: as `simulate`.
            Poison: the account cannot be rated, or has more than LINES_MAX lines.
        """
        cutoff = self._clock() if cutoff is None else cutoff
        found = admitted(replace(asked, accounts=[account]), self._lists(asked, cutoff), self._directory, cutoff)
        for problem in found.problems:
            raise Poison("not_simulated", problem.problem)
        for cohort in found.cohorts.values():
            tally = Tally(cohort.bounds)
            tables = [
                self._all_lines(cohort.accounts[0], cohort, side, tally, cutoff) for side in range(len(cohort.sides))
            ]
            return differences(tables, cohort.lists)
        return []

    def _all_lines(self, account: Account, cohort: Cohort, side: int, tally: Tally, cutoff: int) -> list[pa.Table]:
        own, tables = cohort.sides[side], list[pa.Table]()
        if own is None:
            return tables
        for table in self._streamer.lines(account, own, cohort.period, None, cutoff):
            tally.add_lines(side, table, own.price_list)
            tables.append(table)
            if sum(tally.lines) > LINES_MAX:
                raise Poison(
                    "too_many_lines", f"{account.id} has more than {LINES_MAX} lines: ask for a shorter period"
                )
        terms = tally.account_lines(side, own, cohort.period)
        return tables if terms is None else [*tables, terms]

    def _lists(self, asked: Asked, cutoff: int) -> DraftLists:
        return DraftLists(asked.document, self._books, self._directory, self._registry, asked.against, cutoff)


class _Job:
    """One simulation on its way."""

    def __init__(
        self, warehouse: Warehouse, directory: Directory, streamer: Streamer, cutoff: int, update: Update
    ) -> None:
        self._warehouse, self._directory, self._streamer = warehouse, directory, streamer
        self._cutoff, self._update = cutoff, update
        self._sets: Mapping[int, Mapping[str, str]] | None = None
        self.pushed = self.streamed = 0

    def rated(self, cohort: Cohort) -> Iterator[AccountResult]:
        """Yield the results of a cohort's accounts."""
        if not cohort.accounts:
            return
        bounds = cohort.bounds
        how = self._split(cohort, bounds)
        tallies = {account.id: Tally(bounds) for account in cohort.accounts}
        refused = self._push(cohort, how, tallies)
        for number, account in enumerate(cohort.accounts):
            self._update(number, len(cohort.accounts), f"rating {account.id}")
            streamed = EVERYTHING_STREAMS.streamed if account.id in refused else how.streamed
            tally = Tally(bounds) if account.id in refused else tallies[account.id]
            try:
                yield self._result(account, cohort, tally, streamed)
            except Poison as error:
                yield cohort.result(account, str(error))

    def _split(self, cohort: Cohort, bounds: Sequence[int]) -> Split:
        if not self._warehouse.applies_prices:
            return EVERYTHING_STREAMS
        grids = [() if side is None else tuple(grids_of(side, cohort.period, bounds)) for side in cohort.sides]
        signatures = Signatures.of([one for one in cohort.lists if one is not None], self._attribute_sets())
        return split(cohort.sides, grids, signatures, self._cutoff)

    def _attribute_sets(self) -> Mapping[int, Mapping[str, str]]:
        if self._sets is None:
            self._sets = {key: orjson.loads(text) for key, text in self._warehouse.attribute_sets().items()}
        return self._sets

    def _push(self, cohort: Cohort, how: Split, tallies: Mapping[str, Tally]) -> set[str]:
        """Let the warehouse apply the linear prices; return the accounts with a line that no table holds."""
        refused: set[str] = set()
        batches = list(self._batches(cohort))
        for number, pushed in enumerate(how.pushed):
            for place, batch in enumerate(batches):
                done, total = number * len(batches) + place, len(how.pushed) * len(batches)
                names = list(batch)
                request = replace(pushed.request, claims=dict(enumerate(batch.values())))

                def update(part: int, parts: int, done: int = done, total: int = total) -> None:
                    self._update(done * 100 + 100 * part // parts, total * 100, "linear prices")

                for found in self._warehouse.rated(request, update):
                    account = names[found.account]
                    tallies[account].add_pushed(pushed, found)
                    if found.refused:
                        refused.add(account)
        self.pushed += sum(sum(tally.lines) for account, tally in tallies.items() if account not in refused)
        return refused

    def _batches(self, cohort: Cohort) -> Iterator[dict[str, Sequence[Claim]]]:
        """Yield claims by account: all whose claims are whole tenants together, the others a few at a time."""
        simple: dict[str, Sequence[Claim]] = {}
        single: list[tuple[str, Sequence[Claim]]] = []
        for account in cohort.accounts:
            claims = within(self._directory.claims(account.id, self._cutoff), cohort.period)
            if all(is_whole(claim, cohort.period) for claim in claims):
                simple[account.id] = claims
            else:
                single.append((account.id, claims))
        if simple:
            yield simple
        for at in range(0, len(single), SINGLE_CLAIMS_MAX):
            yield dict(single[at : at + SINGLE_CLAIMS_MAX])

    def _result(
        self, account: Account, cohort: Cohort, tally: Tally, streamed: Sequence[frozenset[int] | None]
    ) -> AccountResult:
        for place, (side, meters) in enumerate(zip(cohort.sides, streamed, strict=True)):
            if side is None:
                continue
            if meters is None or meters or _due_without_meter(side):
                before = sum(tally.lines)
                for table in self._streamer.lines(account, side, cohort.period, meters, self._cutoff):
                    tally.add_lines(place, table, side.price_list)
                self.streamed += sum(tally.lines) - before
            tally.account_lines(place, side, cohort.period)
        return replace(
            cohort.result(account),
            by_product=tally.by_product(),
            lines=Pair(*tally.lines),
            unpriced=Pair(*tally.unpriced),
        )


def _due_without_meter(side: Side) -> bool:
    return any(not charge.meters for charge in side.price_list.definitions)


def _silent(_done: int, _total: int | None, _label: str | None) -> None:
    """Show nothing."""
