"""`stratometer rate`: a usage file and price list files in, rated lines out, without any store.

The same engine as everywhere: the list is rated in passes, one for each size of window, then the account's own terms.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa

from rating.account_terms import account_lines, account_windows
from rating.catalogue.chain import combined
from rating.charge import Charge
from rating.engine import rate
from rating.exact import grouped_totals, total
from rating.files.corrections import corrections
from rating.files.usage_cells import cell_table
from rating.files.usage_late import on_arrival
from rating.files.usage_rows import UsageRow, span_of, usage_rows
from rating.files.usage_spread import row_columns, usage_table
from rating.passes import Pass, passes_of
from rating.price_list import PriceList, parse
from rating.terms import Terms
from rating.windows import Segments, segments_of
from schemas import calendar
from schemas.errors import Misconfigured
from schemas.ids import key32
from schemas.meters import Registry, builtin
from schemas.period import Period
from stratometer.usage_files import read_rows, read_text

LINE_ORDER: Final = ("window_start", "window_end", "segment_start", "segment_end")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked beside usage and prices; see `rate_files`."""

    terms: Terms
    period: Period | None
    grace_seconds: int


@dataclass(frozen=True, slots=True)
class FileRating:
    """Lines, what they come to, and the names behind their keys.

    Attributes:
        lines: as `rating.tables.LINE_SCHEMA`, of all passes and the account's terms, in order of time.
        price_list: the effective list.
        resources: resource_id → name.
        attribute_sets: attributes_id → attributes.
        registry: the meters, the price list's own included.
        terms: of the account, with the zone of the windows.
        warnings: what may be a mistake in the lists.
    """

    lines: pa.Table
    price_list: PriceList
    resources: Mapping[int, str]
    attribute_sets: Mapping[int, Mapping[str, str]]
    registry: Registry
    terms: Terms
    warnings: tuple[str, ...] = ()

    @property
    def total_micros(self) -> int:
        """Sum of all lines."""
        return total(self.lines["amount_micros"].to_numpy())

    @property
    def unpriced_meters(self) -> tuple[str, ...]:
        """Keys of the meters with usage that no price is for."""
        bare = self.lines["meter_id"].to_numpy()[self.lines["price_id"].to_numpy() == 0]
        return tuple(sorted(self.registry.by_id[meter].key for meter in np.unique(bare).tolist()))


def rate_files(
    usage_path: Path,
    prices_paths: Path | Sequence[Path],
    zone: str = "UTC",
    terms: Terms | None = None,
    registry: Registry | None = None,
    *,
    period: Period | None = None,
    grace_seconds: int = 0,
) -> FileRating:
    """Rate a usage file under price list files.

    Args:
        usage_path: see `stratometer.usage_files`.
        prices_paths: YAML or JSON; of several the first is the account's own, the others follow where it has no price.
        zone: IANA name of the zone whose hours, days, months and years are the windows.
        terms: the account; its zone is the one given here.
        registry: the meters; the built-in ones unless given.
        period: rated in whole windows, also where there is no usage.
        grace_seconds: how long a window waits for its usage, see `rating.files.usage_late`.

    Raises:
        Misconfigured: lists every problem of the files, each with its file and its row or path.
        Poison: ``amount_too_large``, ``beyond_last_tier``.
    """
    asked = _Asked(replace(terms or Terms(), zone=zone), period, grace_seconds)
    paths = [prices_paths] if isinstance(prices_paths, Path) else list(prices_paths)
    problems: list[str] = []
    meters = registry or builtin()
    lists: list[PriceList] = []
    for path in reversed(paths):  # a list may use the meters of those behind it
        found = _of(path, problems, lambda path=path, meters=meters: parse(read_text(path), meters))  # type: ignore[misc]
        if found is not None:
            lists.insert(0, found)
            meters = _with_meters(meters, found)
    raw = _of(usage_path, problems, lambda: read_rows(usage_path))
    rows = None if raw is None else _of(usage_path, problems, lambda: _rows(raw, lists, meters, asked))
    if problems or rows is None:
        raise Misconfigured(problems)
    try:
        return _rated(lists, rows, meters, asked)
    except Misconfigured as error:
        raise Misconfigured([f"{usage_path.name}: {p}" for p in error.problems]) from error


def rate_text(
    documents: str | Sequence[str],
    raw: Sequence[Mapping[str, object]],
    zone: str = "UTC",
    terms: Terms | None = None,
    registry: Registry | None = None,
    *,
    period: Period | None = None,
    grace_seconds: int = 0,
) -> FileRating:
    """Rate rows of a usage file under price list documents.

    Args:
        documents: YAML or JSON; of several the nearest list first.
        raw: rows, values as text, see `rating.files.usage_rows`.
        zone: as for `rate_files`.
        terms: likewise.
        registry: likewise.
        period: likewise.
        grace_seconds: likewise.

    Raises:
        Misconfigured, Poison: as `rate_files`, without the names of files.
    """
    asked = _Asked(replace(terms or Terms(), zone=zone), period, grace_seconds)
    meters = registry or builtin()
    lists: list[PriceList] = []
    for document in reversed([documents] if isinstance(documents, str) else documents):
        lists.insert(0, parse(document, meters))
        meters = _with_meters(meters, lists[0])
    return _rated(lists, _rows(raw, lists, meters, asked), meters, asked)


def corrected(before: FileRating, after: FileRating) -> FileRating:
    """Return the credit and charge lines that turn one rating into another, under the same lists."""
    return replace(
        after,
        lines=corrections(before.lines, after.lines),
        resources={**before.resources, **after.resources},
        attribute_sets={**before.attribute_sets, **after.attribute_sets},
    )


def _of(path: Path, problems: list[str], read: Callable[[], Found]) -> Found | None:
    """Return what was read, or None and the file's problems."""
    try:
        return read()
    except Misconfigured as error:
        problems += [f"{path.name}: {p}" for p in error.problems]
        return None


def _with_meters(registry: Registry, price_list: PriceList) -> Registry:
    return Registry({**registry.meters, **{meter.key: meter for meter in price_list.meters}})


def _rows(
    raw: Sequence[Mapping[str, object]], lists: Sequence[PriceList], registry: Registry, asked: _Asked
) -> list[UsageRow]:
    if not raw and asked.period is not None:
        return []  # fees and minimums are due without usage
    units: dict[str, dict[str, Fraction]] = {}
    for price_list in reversed(lists):
        for meter, named in price_list.units.items():
            units.setdefault(meter, {}).update({name: Fraction(size) for name, size in named.items()})
    return usage_rows(raw, registry, units)


@dataclass(frozen=True, slots=True)
class _Work:
    """What every pass reads."""

    rows: Sequence[UsageRow]
    attribute_sets: Mapping[int, Mapping[str, str]]
    price_list: PriceList
    registry: Registry
    asked: _Asked


def _rated(lists: Sequence[PriceList], rows: Sequence[UsageRow], registry: Registry, asked: _Asked) -> FileRating:
    price_list = combined(lists)
    span, terms = _span(rows, price_list, asked), asked.terms
    try:
        passes = [
            (one, segments_of(span, price_list, terms.zone, one.size, terms=terms)) for one in passes_of(price_list)
        ]
    except ValueError as error:  # no such zone, or too long a time
        raise Misconfigured([str(error)]) from error
    names = row_columns(rows)
    work = _Work(rows, names.attribute_sets, price_list, registry, asked)
    lines = pa.concat_tables([_lines(work, one, segments) for one, segments in passes])
    lines = pa.concat_tables([lines, *_account_tables(lines, price_list, span, terms)])
    order = np.lexsort([lines[name].to_numpy() for name in reversed(LINE_ORDER)])  # equal ones stay as they come
    return FileRating(
        lines=lines.take(pa.array(order)),
        price_list=price_list,
        resources=names.resources,
        attribute_sets=names.attribute_sets,
        registry=registry,
        terms=terms,
        warnings=(*price_list.warnings, *_absent(lists)),
    )


def _absent(lists: Sequence[PriceList]) -> list[str]:
    """Return a warning for each parent that was not given."""
    given = {price_list.id for price_list in lists}
    return [
        f"list {x.id} inherits {x.inherits}, which was not given" for x in lists if x.inherits not in {None, *given}
    ]


def _span(rows: Sequence[UsageRow], price_list: PriceList, asked: _Asked) -> Period:
    """Return the time to rate: the period asked for, the usage, and where late usage counts then, its arrival."""
    periods = [span_of(rows)] if rows else []
    periods += [asked.period] if asked.period is not None else []
    if any(charge.settings.late == "running" for charge in price_list.definitions):
        periods += [Period(row.received, row.received + 1) for row in rows if row.received is not None]
    return Period(min(p.start for p in periods), max(p.end for p in periods))


def _lines(work: _Work, one: Pass, segments: Segments) -> pa.Table:
    """Return the lines of one pass."""
    charges = [c for c in work.price_list.definitions if c.window == one.size]
    rows = on_arrival(work.rows, _running(charges), segments, work.asked.grace_seconds)
    usage = usage_table([row for row in rows if one.meters is None or row.meter.id in one.meters], segments)
    return rate(
        usage.usage,
        work.price_list,
        work.registry,
        work.attribute_sets,
        segments,
        one_pass=one,
        cells=cell_table(rows, segments, one.cell_meters, _grid(charges, work.registry)) if one.cell_meters else None,
        terms=work.asked.terms,
    ).lines


def _running(charges: Sequence[Charge]) -> frozenset[int]:
    """Return the meters whose late usage counts on arrival.

    Raises:
        Misconfigured: charges of one meter and window that treat it differently; one usage row would have two times.
    """
    late: dict[str, dict[str, str]] = {}
    for charge in charges:
        for meter in charge.meters:
            late.setdefault(meter, {})[charge.settings.late] = charge.id
    problems = [
        f"charges {' and '.join(sorted(ids.values()))} of {meter} differ in `late`; give both the same"
        for meter, ids in late.items()
        if len(ids) > 1
    ]
    if problems:
        raise Misconfigured(problems)
    return frozenset(key32(meter) for meter, ids in late.items() if "running" in ids)


def _grid(charges: Sequence[Charge], registry: Registry) -> dict[int, int]:
    """Return seconds of a cell by meter, for percentiles; two of one meter share the longest that divides both.

    An event is an observation however long it lasts.
    """
    grid: dict[int, int] = {}
    for charge in charges:
        if charge.aggregate == "percentile" and charge.percentile is not None:
            for meter in (key32(key) for key in charge.meters if registry[key].kind != "event"):
                grid[meter] = gcd(grid.get(meter, 0), charge.percentile.cell_seconds)
    return grid


def _account_tables(lines: pa.Table, price_list: PriceList, span: Period, terms: Terms) -> list[pa.Table]:
    """Return the lines of the account's terms, one table a window; a line counts where its window starts."""
    start, key, amount, digest = (
        lines[name].to_numpy() for name in ("window_start", "price_id", "amount_micros", "digest")
    )
    tables = []
    for size in account_windows(price_list):
        for window in calendar.windows(span, size, terms.zone):
            inside = (start >= window.start) & (start < window.end) & (key != 0)
            keys, of = np.unique(key[inside], return_inverse=True)
            spent: dict[tuple[str, str], int] = {}
            for one, micros in zip(keys.tolist(), grouped_totals(amount[inside], of, len(keys)), strict=True):
                entry = price_list.by_key[one]
                spent[entry.product, entry.charge] = spent.get((entry.product, entry.charge), 0) + micros
            behind = int(np.bitwise_xor.reduce(digest[inside])) if len(keys) else 0
            tables.append(account_lines(spent, window, size, price_list, terms, behind))
    return tables
