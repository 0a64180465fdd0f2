"""`rate()`: usage in, rated lines out. Pure, deterministic and total.

Every usage row is priced by each charge that concerns it, or becomes an unpriced line (price 0, amount 0), which is
shown and never dropped. The same rows in another order give the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rating import lines as line_columns
from rating import totals
from rating.catalogue.matching import When
from rating.charge import Charge, due_without_usage, needs_cells
from rating.charges import charge_lines, off_lines
from rating.choice import NONE, Choices, epochs_of
from rating.components import LEVELS
from rating.desk import Desk
from rating.exact import grouped_totals
from rating.filling import completed, joined, without_usage
from rating.groups import changed, each_keys, first_windows
from rating.linear import layers_of, linear_lines
from rating.lines import Lines
from rating.lists import PriceList
from rating.passes import Pass, passes_of
from rating.price import Price
from rating.rows import I64, Rows, cell_rows, encoded, usage_rows
from rating.tables import LINE_SCHEMA
from rating.tariff import Tariffs
from rating.terms import Terms
from rating.windows import Segments
from schemas.meters import Registry
from schemas.period import Period

POWER = "power"
ON = "on"
"""Attribute of usage that says in which power state it arose, and its value for running machines."""


@dataclass(frozen=True, slots=True)
class Rated:
    """Lines and what they come to. Breakdowns by product and meter sum to the total exactly.

    Attributes:
        lines: as LINE_SCHEMA.
        price_list: id of the list.
        version: its version.
        currency: of all amounts.
        total_micros: sum of all lines.
        unpriced: number of lines without a price.
        unpriced_meters: keys (hexadecimal id where the registry lacks the meter) of the meters of such lines.
        by_product: micro-units by product, each product of the list that has lines or not.
        by_meter: micro-units by meter key; "" for lines without a meter.
        windows: every window in order, also those without lines.
    """

    lines: pa.Table
    price_list: str
    version: int
    currency: str
    total_micros: int
    unpriced: int
    unpriced_meters: tuple[str, ...]
    by_product: Mapping[str, int]
    by_meter: Mapping[str, int]
    windows: tuple[totals.WindowTotal, ...]


def rate(
    usage: pa.Table,
    price_list: PriceList,
    registry: Registry,
    attribute_sets: Mapping[int, Mapping[str, str]],
    segments: Segments,
    *,
    one_pass: Pass | None = None,
    cells: pa.Table | None = None,
    terms: Terms | None = None,
) -> Rated:
    """Rate usage under a price list, the charges of one pass.

    Args:
        usage: sums by segment as USAGE_SCHEMA, in any order; `segment_start` must be one of the segments'.
        price_list: the account's effective list.
        registry: the meters.
        attribute_sets: attributes_id → attributes of every set in the usage; 0 is the empty set unless given.
        segments: from `rating.windows.segments_of` with the same list, terms and the size of the pass.
        one_pass: which of `passes_of(price_list)`; the home pass unless given.
        cells: single observations as CELL_SCHEMA, of the pass's `cell_meters`.
        terms: of the account.

    Raises:
        Invariant: usage outside the segments, null values, another schema, unknown attribute set, a price change
            inside a segment.
        Poison: ``amount_too_large``, a line's amount exceeds 2^63 - 1 micro-units; ``beyond_last_tier``.
    """
    terms = terms or Terms()
    one_pass = one_pass or passes_of(price_list)[0]
    if not len(segments):
        return _rated(price_list, registry, segments, Lines(_no_columns()))
    tariffs = Tariffs(price_list, terms)
    choices = Choices(tariffs, epochs_of(tariffs, segments), registry, attribute_sets)
    desk = Desk(tariffs.items, segments, registry, attribute_sets, terms)
    summed, seen = choices.check(usage_rows(usage, segments)), choices.check(cell_rows(cells, segments))
    work = _Work(price_list, one_pass, choices, desk)
    blocks = [*work.rows_of(summed), *work.groups_of(summed, seen)]
    return _rated(
        price_list,
        registry,
        segments,
        line_columns.joined(blocks, len(segments.windows)) if blocks else Lines(_no_columns()),
    )


class _Work:
    """One run: tables of tariffs by pair and epoch, and the lines that they lead to."""

    def __init__(self, price_list: PriceList, one_pass: Pass, choices: Choices, desk: Desk) -> None:
        self._list, self._pass, self._choices, self._desk = price_list, one_pass, choices, desk
        self._tables: dict[tuple[int, str], I64] = {}

    def _table(self, rows: Rows, family: str) -> I64:
        key = (id(rows), family)
        if key not in self._tables:
            self._tables[key] = self._choices.table(family, rows.pairs)
        return self._tables[key]

    def _families(self, rows: Rows) -> list[str]:
        """Return the charges that look at a meter of the rows."""
        by_id = self._desk.registry.by_id
        meters = {by_id[meter].key for meter, _ in rows.pairs if meter in by_id}
        tariffs = self._choices.tariffs
        return sorted(f for f in tariffs.families if tariffs.meters_of(f) & meters)

    def rows_of(self, rows: Rows) -> list[Lines]:
        """Return the lines of linear prices, one for each row, and those of unpriced rows."""
        items = self._choices.tariffs.items
        shape = (len(rows.pairs), len(self._choices.epochs.edges))
        priced = np.zeros(shape, np.bool_)
        tables: list[I64] = []
        apart: list[tuple[I64, npt.NDArray[np.bool_]]] = []
        for family in self._families(rows):
            table = self._table(rows, family)
            priced |= table != NONE
            mine = np.array([t.linear and t.price.charge.window == self._pass.size for t in items] + [False])
            own = np.where(mine[table], table, NONE)
            mixed = self._mixed(rows, family)
            if mixed is None:
                tables.append(own)
            else:
                apart.append((self._choices.of_rows(own, rows), mixed))
        layers = layers_of(tables) or [np.full(shape, NONE, np.int64)]
        bare = self._list.unpriced_digest
        blocks = []
        for tariff, mixed in apart:
            wanted = (tariff != NONE) & ~mixed
            blocks.append(linear_lines(rows.take(wanted), tariff[wanted], self._desk, bare))
        for number, layer in enumerate(layers):
            tariff = self._choices.of_rows(layer, rows)
            wanted = tariff != NONE
            if number == 0 and self._pass.home:
                wanted |= ~priced.reshape(-1)[rows.pair * shape[1] + self._choices.epochs.of[rows.segment]]
            some = rows if wanted.all() else rows.take(wanted)
            blocks.append(linear_lines(some, tariff[wanted] if some is not rows else tariff, self._desk, bare))
        return blocks

    def _mixed(self, rows: Rows, family: str) -> npt.NDArray[np.bool_] | None:
        """Tell which rows of a linear price lie in an evaluation window in which the charge has another price, too.

        The parts of such a window hang together, so all of it is evaluated by groups. None: there are none.
        """
        items, table, size = self._choices.tariffs.items, self._table(rows, family), self._pass.size
        own = [t.price.charge.window == size for t in items]
        plain = np.array([o and t.linear for o, t in zip(own, items, strict=True)] + [False])[table]
        other = np.array([o and not t.linear for o, t in zip(own, items, strict=True)] + [False])[table]
        if not (plain.any() and other.any()):
            return None
        first = first_windows(self._desk.segments)[list(self._desk.segments.window_of)]
        starts = np.flatnonzero(changed(first))
        by_span = np.logical_or.reduceat(other[:, self._choices.epochs.of], starts, axis=1)
        span = np.cumsum(changed(first)) - 1
        found: npt.NDArray[np.bool_] = by_span[rows.pair, span[rows.segment]]
        return found

    def groups_of(self, summed: Rows, seen: Rows) -> list[Lines]:
        """Return the lines of all other charges of the pass."""
        blocks: list[Lines | None] = []
        for charge in self._list.definitions:
            rows = seen if needs_cells(charge) else summed
            if charge.window == self._pass.size:
                blocks += self._charge(charge, rows)
            if charge.model == "committed" and self._has_fee(charge):
                blocks += self._fees(charge)
        return [b for b in blocks if b is not None]

    def _fees(self, charge: Charge) -> list[Lines | None]:
        """Return the fees of a committed charge: each of its price series has one, whatever usage there is."""
        found: list[Lines | None] = []
        for when in dict.fromkeys(p.when for p in self._list.prices if p.charge == charge):
            due, tariff = without_usage(self._choices, charge, self._desk.segments, dict(when))
            chosen = self._fee_every(tariff, when)
            found += charge_lines(charge, due.take(chosen), tariff[chosen], self._desk, fee=True)
        return found

    def _has_fee(self, charge: Charge) -> bool:
        return any(
            p.commitment is not None and p.commitment.every == self._pass.size
            for p in self._list.prices
            if p.charge == charge
        )

    def _fee_every(self, tariff: I64, when: When) -> npt.NDArray[np.bool_]:
        items, size = self._choices.tariffs.items, self._pass.size
        found = [items[number].price for number in tariff.tolist()]
        return np.array(
            [p.when == when and p.commitment is not None and p.commitment.every == size for p in found], np.bool_
        )

    def _charge(self, charge: Charge, rows: Rows) -> list[Lines | None]:
        items = self._choices.tariffs.items
        used, tariff = rows.take(np.zeros(0, np.int64)), np.zeros(0, np.int64)
        if charge.id in self._families(rows):
            table = self._table(rows, charge.id)
            mine = np.array([t.price.charge == charge for t in items] + [False])
            linear = np.array([t.linear for t in items] + [False])
            table = np.where(mine[table], table, NONE)
            if bool((mine & ~linear)[table].any()):
                concerned = (table != NONE).any(axis=1)
                mixed = self._mixed(rows, charge.id)
                used = rows
                if not concerned.all():
                    own = np.flatnonzero(concerned[rows.pair])
                    used, mixed = rows.take(own), None if mixed is None else mixed[own]
                tariff = self._choices.of_rows(table, used)
                chosen = tariff != NONE
                if linear.any():
                    chosen &= ~(linear[tariff] & (True if mixed is None else ~mixed))
                if not chosen.all():
                    used, tariff = used.take(chosen), tariff[chosen]
        off: Lines | None = None
        if charge.power != "always":
            on = self._on(charge, used)
            off = off_lines(charge, used.take(~on), tariff[~on], self._desk)
            used, tariff = used.take(on), tariff[on]
        if due_without_usage(charge):
            bare, extra = without_usage(self._choices, charge, self._desk.segments, {})
            wanted = self._wanted(charge, used, tariff, bare, extra)
            if bool(wanted.any()):
                used, tariff = joined(used, bare.take(wanted)), np.concatenate([tariff, extra[wanted]])
        if self._whole(charge):
            each = each_keys(charge, used, self._desk.sets)
            table = self._choices.table(charge.id, used.pairs)
            table = np.where(np.array([t.price.charge == charge for t in items] + [False])[table], table, NONE)
            used, tariff = completed(charge, used, tariff, each, table, self._choices, self._desk.segments)
        return [off, *charge_lines(charge, used, tariff, self._desk)]

    def _whole(self, charge: Charge) -> bool:
        """Tell whether what a part costs depends on parts of its window without usage: on their time, or their end."""
        if charge.model == "recurring" and not charge.each:
            return True
        prices = [t.price for t in self._choices.tariffs.items if t.price.charge == charge]
        if charge.aggregate in LEVELS and any(p.unit.level is not None for p in prices):
            return False  # a level for the time it is held: each part by itself
        every_cell = charge.percentile is not None and charge.percentile.missing == "zero"
        bounded = any(p.minimum is not None or p.maximum is not None for p in prices)
        settings = charge.settings
        return settings.parts == "last" or (settings.parts == "running" and (bounded or every_cell))

    def _wanted(self, charge: Charge, used: Rows, tariff: I64, bare: Rows, extra: I64) -> npt.NDArray[np.bool_]:
        """Tell which windows are looked at although the usage in them does not ask for it.

        Those in which something may be due; and not those whose usage a factor or a campaign sets apart: there the
        group that has usage pays what is due.
        """
        items, active = self._choices.tariffs.items, self._desk.terms.active
        first = first_windows(self._desk.segments)[list(self._desk.segments.window_of)]
        seen: dict[tuple[object, ...], bool] = {}
        for number, span in set(zip(tariff.tolist(), first[used.segment].tolist(), strict=True)):
            key = (span, *items[number].price_series)
            seen[key] = seen.get(key, False) or items[number].plain
        found = []
        for number, segment, start in zip(extra.tolist(), bare.segment.tolist(), bare.start.tolist(), strict=True):
            item = items[number]
            apart = not seen.get((int(first[segment]), *item.price_series), True)
            window = self._desk.segments.windows[self._desk.segments.window_of[segment]]
            until = min(window.end, item.valid.end)
            found.append(_due(charge, item.price) and active.overlaps(Period(start, until)) and not apart)
        return np.array(found, np.bool_)

    def _on(self, charge: Charge, rows: Rows) -> npt.NDArray[np.bool_]:
        """Tell which rows count under the charge's power-state policy."""
        states = [self._choices.attributes(key).get(POWER, ON) == ON for _, key in rows.pairs]
        on = np.array(states, np.bool_)[rows.pair] if states else np.zeros(0, np.bool_)
        if charge.power == "on":
            return on
        span = first_windows(self._desk.segments)[np.array(self._desk.segments.window_of, np.int64)[rows.segment]]
        code, distinct = encoded(rows.resource)
        group = code * len(self._desk.segments.windows) + span
        once = np.zeros(len(distinct) * len(self._desk.segments.windows), np.bool_)
        once[group[on]] = True
        return once[group]


def _due(charge: Charge, price: Price) -> bool:
    """Tell whether a price costs something without usage: an account's fee, a minimum, a first tier's flat fee."""
    if price.recurring is not None:
        return not charge.meters
    return price.minimum is not None or (charge.settings.zero == "first_flat" and bool(price.tiers))


def _no_columns() -> dict[str, npt.NDArray[np.int64]]:
    return {name: np.zeros(0, np.int64) for name in ("window", *LINE_SCHEMA.names)}


def _rated(price_list: PriceList, registry: Registry, segments: Segments, lines: Lines) -> Rated:
    columns = lines.columns
    amount, price = columns["amount_micros"], columns["price_id"].astype(np.uint64, copy=False)
    code, keys = lines.slots or encoded(price)
    sums: dict[int, int] = {}
    for key, micros in zip(keys.tolist(), grouped_totals(amount, code, len(keys)), strict=True):
        sums[key] = sums.get(key, 0) + micros
    has_price = price != 0
    bare = np.unique(columns["meter_id"][~has_price]).tolist()
    names = {m: registry.by_id[m].key if m in registry.by_id else f"{m:08x}" for m in bare}
    return Rated(
        lines=line_columns.table(lines),
        price_list=price_list.id,
        version=price_list.version,
        currency=price_list.currency,
        total_micros=sum(sums.values()),
        unpriced=int((~has_price).sum()),
        unpriced_meters=tuple(sorted(names.values())),
        by_product=totals.by_product(price_list.by_key, sums),
        by_meter=totals.by_meter(price_list.by_key, sums),
        windows=totals.by_window(segments, columns["window"], has_price, amount, columns["digest"]),
    )
