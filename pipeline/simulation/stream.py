"""What is no plain number goes through the rating engine, account by account, as live rating does it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from billing.cycles import cycles_between
from billing.protocol import Account
from pipeline.directory import Directory
from pipeline.rate_run import Job, Run
from pipeline.simulation.grid import Side
from pipeline.usage_reader import Reading, UsageReader
from rating.charge import AccountTerms
from schemas.meters import Registry
from schemas.period import Period
from sinks.warehouse.protocol import Warehouse


@dataclass(frozen=True, slots=True)
class Streamer:
    """Rates without writing. The account's terms are left out: they are over lines that may not stream."""

    warehouse: Warehouse
    directory: Directory
    registry: Registry

    def lines(
        self, account: Account, side: Side, period: Period, meters: frozenset[int] | None, cutoff: int
    ) -> Iterator[pa.Table]:
        """Yield lines (LINE_SCHEMA) of windows that begin inside a period, a bounded stretch of time at once.

        Args:
            account: who pays.
            side: its list.
            period: seconds since 1970.
            meters: keys of the meters whose usage is rated; None: all. What is due without usage is rated in any case.
            cutoff: microseconds; only rows stored before it.

        Raises:
            Poison: usage that the list refuses, or an amount that is too large.
        """
        bare = replace(side.price_list, account=AccountTerms())
        cycles = cycles_between(period.start, period.end, account.cycle, account.timezone)
        job = Job(account, bare, cycles, period, frozenset(), cutoff)
        reader = UsageReader(self.warehouse, self.directory)
        if meters is not None:
            reader = _Some(self.warehouse, self.directory, meters)
        for done in Run(job, self.directory, reader, self.registry).windows():
            start = done.lines.column("window_start").to_numpy()
            inside = (start >= period.start) & (start < period.end)
            yield done.lines if inside.all() else done.lines.filter(pa.array(inside))


class _Some(UsageReader):
    """Reads the usage of some meters alone."""

    def __init__(self, warehouse: Warehouse, directory: Directory, meters: frozenset[int]) -> None:
        super().__init__(warehouse, directory)
        self._meters = meters

    def usage(self, reading: Reading) -> pa.Table:
        return super().usage(self._narrowed(reading))

    def cells(self, reading: Reading) -> pa.Table:
        return super().cells(self._narrowed(reading))

    def _narrowed(self, reading: Reading) -> Reading:
        return replace(reading, meters=self._meters if reading.meters is None else reading.meters & self._meters)
