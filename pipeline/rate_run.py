"""Rates an account's billing cycles under a list, window by window, without writing anything.

Each pass of the list reads usage for windows of its size. Months and years are evaluated one at a time, days and hours
in chunks; all lines of one window, whichever pass they come from, are handed on together.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from billing.cycles import SIZES as CYCLE_SIZES
from pipeline.directory import Directory
from pipeline.late import Late
from pipeline.pools import Pools, pools_of
from pipeline.rate_job import Job as Job
from pipeline.rate_plan import Due, Piece, Plan, blocks, joined, largest, plan_of, reach, runs
from pipeline.rate_usage import needs_site
from pipeline.usage_reader import Reading, UsageReader
from rating.account_terms import account_lines, account_windows
from rating.engine import rate
from rating.exact import grouped_totals
from rating.exact import total as exact_total
from rating.lists import PriceList
from rating.passes import Pass, passes_of
from rating.tables import LINE_SCHEMA
from rating.tariff import Tariffs
from rating.totals import WindowTotal
from rating.windows import Segments, segments
from schemas import calendar
from schemas.calendar import SIZES, Size
from schemas.claim import Claim
from schemas.meters import Registry
from schemas.period import FOREVER, Period

SHORT: Final[tuple[Size, ...]] = ("hour", "day")
"""Sizes of spans that are evaluated many at a time; longer ones one by one."""


@dataclass(frozen=True, slots=True)
class RatedWindows:
    """Windows that are done.

    Attributes:
        totals: one for each window, those without lines, too.
        lines: of these windows, as LINE_SCHEMA.
    """

    totals: Sequence[WindowTotal]
    lines: pa.Table


def sizes_of(price_list: PriceList) -> tuple[Size, ...]:
    """Return the sizes of all windows of a list, those of the account's terms among them; the list's own first."""
    return tuple(dict.fromkeys([*(p.size for p in passes_of(price_list)), *account_windows(price_list)]))


@dataclass
class _Block:
    """What is known of a block so far.

    Attributes:
        plan: what to rate.
        lines: of windows that are not handed on yet, one table for each run.
        totals: of the same windows.
        spent: for each due, micro-units by product and charge.
        behind: for each due, xor of the digests of the lines counted.
    """

    plan: Plan
    lines: list[pa.Table] = field(default_factory=list)
    totals: dict[Period, WindowTotal] = field(default_factory=dict)
    spent: dict[Due, dict[tuple[str, str], int]] = field(default_factory=dict)
    behind: dict[Due, int] = field(default_factory=dict)

    def add(self, totals: Sequence[WindowTotal], lines: pa.Table, wanted: Callable[[Period], bool]) -> None:
        """Keep the wanted windows of a run."""
        own = [total for total in totals if wanted(total.window)]
        for total in own:
            before = self.totals.get(total.window)
            self.totals[total.window] = total if before is None else _sum(before, total)
        if lines.num_rows:
            self.lines.append(lines if len(own) == len(totals) else lines_of(lines, [total.window for total in own])[0])

    def take(self, done: Callable[[Period], bool]) -> RatedWindows:
        """Return the windows that are done and forget them."""
        windows = [window for window in sorted(self.totals) if done(window)]
        pairs = [lines_of(table, windows) for table in self.lines]
        self.lines = [rest for _, rest in pairs if rest.num_rows]
        taken = [own for own, _ in pairs if own.num_rows]
        lines = pa.concat_tables(taken) if taken else LINE_SCHEMA.empty_table()
        return RatedWindows([self.totals.pop(window) for window in windows], lines)


class Run:
    """One job on the stores."""

    def __init__(
        self, job: Job, directory: Directory, reader: UsageReader, registry: Registry, late: Late | None = None
    ) -> None:
        """Read what holds for the whole job: claims and terms as of the cut-off.

        Args:
            job: what to rate.
            directory: claims, terms, attribute sets.
            reader: reads usage.
            registry: the meters.
            late: reads the account's usage instead, where late usage is charged when it arrives.
        """
        self._job, self._directory, self._reader, self._registry = job, directory, reader, registry
        self._usage: Late | UsageReader = late or reader
        self._claims: Sequence[Claim] = directory.claims(job.account.id, job.cutoff)
        self._terms = directory.terms(job.account, job.cutoff)
        self._sites = needs_site(job.price_list)
        self._zone = job.account.timezone
        self._passes = passes_of(job.price_list)
        self._by_key = job.price_list.by_key

    def windows(self) -> Iterator[RatedWindows]:
        """Yield all wanted windows, each once; a block of them at a time.

        Raises:
            Poison: an amount or a sum of usage that is too large, usage that the list refuses.
        """
        job, sizes = self._job, sizes_of(self._job.price_list)
        cycle = CYCLE_SIZES[job.account.cycle]
        far = reach(job.stretch, sizes, cycle, self._zone, FOREVER) if job.stretch else None
        for block in blocks(job.asked, far, largest(sizes), self._zone):
            own = [p.size for p in self._passes]
            terms = account_windows(job.price_list)
            plan = plan_of(block, job.asked, job.stretch, own, terms, job.cycles_over, self._zone, job.only)
            yield from self._block(plan)

    def _block(self, plan: Plan) -> Iterator[RatedWindows]:
        block = _Block(plan)
        for one in self._passes:
            if one.size not in SHORT:
                for run in runs(plan.pieces[one.size]):
                    self._evaluate(one, run, block)
        short = [one for one in self._passes if one.size in SHORT]
        late = {due.posted for due in plan.dues}
        for chunk in self._chunks(plan, short):
            for one in short:
                for run in runs(plan.pieces[one.size], chunk):
                    self._evaluate(one, run, block)
            yield block.take(_inside(chunk, late))
        for due in plan.dues:
            self._account(due, block)
        yield block.take(lambda _: True)

    def _chunks(self, plan: Plan, short: Sequence[Pass]) -> list[Period]:
        """Return the days of a block that have windows to rate, put together as far as they are read at once."""
        spans = sorted({piece.span for one in short for piece in plan.pieces[one.size]})
        if not spans:
            return []
        starts = [span.start for span in spans]
        days = calendar.windows(Period(starts[0], spans[-1].end), "day", self._zone)
        return joined([day for day in days if bisect_left(starts, day.start) < bisect_left(starts, day.end)])

    def _evaluate(self, one: Pass, run: Sequence[Piece], block: _Block) -> None:
        """Rate windows that follow on each other and keep what is wanted of them."""
        job, period = self._job, Period(run[0].window.start, run[-1].window.end)
        cuts = Tariffs(job.price_list, self._terms).cuts(period)
        grid = segments([piece.window for piece in run], cuts, [piece.span for piece in run])
        reading = Reading(self._claims, grid.edges, job.cutoff, one.meters, one.resources, self._sites)
        usage = self._usage.usage(reading)
        cells = self._usage.cells(replace(reading, meters=one.cell_meters)) if one.cell_meters else None
        keys = {key for table in (usage, cells) if table for key in table.column("attributes_id").unique().to_pylist()}
        sets = self._directory.attribute_sets(sorted(keys))
        terms = replace(self._terms, pools=self._pools(one, grid))
        rated = rate(usage, job.price_list, self._registry, sets, grid, one_pass=one, cells=cells, terms=terms)
        wanted = {piece.window for piece in run if piece.wanted}
        self._spend(block, rated.lines, block.plan.dues)
        block.add(rated.windows, rated.lines, wanted.__contains__)

    def _pools(self, one: Pass, grid: Segments) -> Pools:
        job = self._job
        return pools_of(
            job.account,
            job.price_list,
            one.size,
            grid,
            job.cutoff,
            self._terms,
            self._directory,
            self._reader,
            self._registry,
        )

    def _spend(self, block: _Block, lines: pa.Table, dues: Sequence[Due]) -> None:
        """Add what lines come to, by product and charge, to the dues in whose time their windows lie."""
        if not lines.num_rows or not dues:
            return
        start, end = (lines.column(name).to_numpy() for name in ("window_start", "window_end"))
        keys, place = np.unique(lines.column("price_id").to_numpy(), return_inverse=True)
        found = [self._by_key.get(key) for key in keys.tolist()]
        names = [(price.product, price.charge) if price else ("", "") for price in found]
        amount, digest = (lines.column(name).to_numpy() for name in ("amount_micros", "digest"))
        for due in dues:
            inside = (start >= due.window.start) & (end <= due.window.end)
            sums = grouped_totals(amount[inside], place[inside], len(keys))
            spent = block.spent.setdefault(due, {})
            for name, micros in zip(names, sums, strict=True):
                spent[name] = spent.get(name, 0) + micros
            block.behind[due] = block.behind.get(due, 0) ^ _xor(digest[inside])

    def _account(self, due: Due, block: _Block) -> None:
        """Add the lines of the account's terms to the window in which they are posted, and to longer terms."""
        spent, behind = block.spent.get(due, {}), block.behind.get(due, 0)
        made = account_lines(spent, due.window, due.size, self._job.price_list, self._terms, behind)
        self._spend(
            block, made, [other for other in block.plan.dues if SIZES.index(other.size) > SIZES.index(due.size)]
        )
        lines = _moved(made, due.posted)
        amounts = lines.column("amount_micros").to_numpy()
        total = WindowTotal(due.posted, len(amounts), 0, exact_total(amounts), _xor(lines.column("digest").to_numpy()))
        block.add([total], lines, lambda _: True)


def _xor(digests: npt.NDArray[np.uint64]) -> int:
    return int(np.bitwise_xor.reduce(digests, initial=np.uint64(0)))


def _inside(chunk: Period, late: Collection[Period]) -> Callable[[Period], bool]:
    return lambda window: window not in late and chunk.start <= window.start and window.end <= chunk.end


def _sum(a: WindowTotal, b: WindowTotal) -> WindowTotal:
    return WindowTotal(
        a.window,
        a.lines + b.lines,
        a.unpriced + b.unpriced,
        a.amount_micros + b.amount_micros,
        a.digest ^ b.digest,
    )


def lines_of(lines: pa.Table, windows: Iterable[Period]) -> tuple[pa.Table, pa.Table]:
    """Return the lines of the windows, and the others."""
    # Both bounds in one number: instants lie before 2100, and no window is longer than 68 years.
    wanted = np.array([(w.start << 31) + w.seconds for w in windows], np.int64)
    start, end = (lines.column(name).to_numpy() for name in ("window_start", "window_end"))
    mask = np.isin((start << 31) + (end - start), wanted)
    if mask.all():
        return lines, lines.slice(0, 0)
    return lines.filter(pa.array(mask)), lines.filter(pa.array(~mask))


def _moved(lines: pa.Table, window: Period) -> pa.Table:
    """Return lines under another window."""
    for name, value in (("window_start", window.start), ("window_end", window.end)):
        place = lines.schema.get_field_index(name)
        column = pa.array(np.full(lines.num_rows, value, np.int64))
        lines = lines.set_column(place, lines.schema.field(place), column)
    return lines
