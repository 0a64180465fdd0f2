"""One charge that is more than quantity times price: from its rows to its lines."""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm

import numpy as np

from rating.charge import Charge
from rating.components import COMMITMENT, FEE, LEVELS, OFF, PERCENT, key_of
from rating.conversion import each_converted
from rating.desk import Desk
from rating.digests import line_digests, segment_digests
from rating.evaluate import Component, Portion, at_group, finished, kept, priced, signed
from rating.exact import MICRO_DIGITS
from rating.fees import account_due, resource_due
from rating.groups import I64, Exact, Sorted, each_keys, exact_sums, first_windows, running_totals, sorted_rows
from rating.levels import levels_of
from rating.lines import Lines, checked_amounts
from rating.measure import Quantity, measured
from rating.parts import Side, in_parts, of_parts
from rating.percentage import percent_of, percentages
from rating.placing import gathered, pieces_of, placed
from rating.pools import pooled
from rating.rows import Rows, distinct_rows, numbered
from rating.scale import Context, Scale, Scales, fits, reductions, scale_of
from rating.spans import Due, due, seconds_of_spans, share_due, span_seconds, window_seconds
from rating.tariff import Tariff
from rating.tiers import Levels
from schemas.ids import key32, key64
from schemas.period import Period


def charge_lines(charge: Charge, rows: Rows, tariff: I64, desk: Desk, *, fee: bool = False) -> list[Lines]:
    """Return the lines of one charge, some evaluation windows at a time; see `_charge_lines`."""
    window = np.array(desk.segments.window_of, np.int64)[rows.segment]
    pieces = pieces_of(first_windows(desk.segments)[window])
    found = [_charge_lines(charge, rows.take(p), tariff[p], desk, fee=fee) for p in pieces]
    return [lines for lines in found if lines is not None]


def _charge_lines(charge: Charge, rows: Rows, tariff: I64, desk: Desk, *, fee: bool = False) -> Lines | None:
    """Return the lines of one charge.

    Args:
        charge: the definition that all the tariffs belong to.
        rows: usage that the charge applies to, and rows of quantity zero where something is due without usage.
        tariff: tariff number of each row.
        desk: the rest.
        fee: of a committed charge, its fee rather than its usage.

    Raises:
        Poison: ``amount_too_large`` or ``beyond_last_tier``.
    """
    if not len(rows):
        return None
    number, used = numbered(tariff)
    tariffs = [desk.tariffs[one] for one in used.tolist()]
    recurring = fee or charge.model == "recurring"
    timed = charge.aggregate in LEVELS and tariffs[0].price.unit.level is not None
    once = recurring and (fee or charge.settings.prorate == "none")  # a full fee is due once, however many parts
    apart = charge.settings.parts == "independent" or timed
    running = once or not apart
    each = np.zeros(len(rows), np.uint64) if fee else each_keys(charge, rows, desk.sets)
    if charge.convert is not None and charge.convert.at == "observation" and not fee:
        rows = each_converted(rows, tariffs[0], desk)
    by_value = charge.model == "percentage" or charge.aggregate == "last"
    # What is committed at one price is no part of what is committed at the next.
    by_price = charge.model == "committed" and not fee
    found = sorted_rows(
        rows, number, each, tariffs, desk.segments, running=running, by_price=by_price, by_value=by_value
    )
    run = _Run(charge, found, tariffs, desk, fee=fee)
    if recurring:
        return run.fees()
    return run.percentages() if charge.model == "percentage" else run.quantities()


def off_lines(charge: Charge, rows: Rows, tariff: I64, desk: Desk) -> Lines | None:
    """Return lines of amount 0 for usage that the power-state policy leaves out."""
    if not len(rows):
        return None
    number, used = numbered(tariff)
    tariffs = [desk.tariffs[one] for one in used.tolist()]
    each = each_keys(charge, rows, desk.sets)
    found = sorted_rows(rows, number, each, tariffs, desk.segments, running=False)
    run = _Run(charge, found, tariffs, desk, fee=False)
    return run.off()


@dataclass(frozen=True)
class Totals:
    """Components of groups with amounts of zero or more in shares over `per`, and the sign of their quantities."""

    components: list[Component]
    per: Exact | int
    sign: Exact

    def kept(self, there: np.ndarray) -> "Totals":
        """Return the totals of groups that are there."""
        return replace(self, components=kept(self.components, there))


class _Run:
    """The work on one charge."""

    def __init__(self, charge: Charge, found: Sorted, tariffs: list[Tariff], desk: Desk, *, fee: bool) -> None:
        self._charge, self._found, self._desk = charge, found, desk
        self._parts, self._fee = found.parts, fee or charge.model == "recurring"
        parts = found.parts
        by_window = charge.model == "committed" or any(t.price.unit.span for t in tariffs)
        columns = (parts.tariff, parts.window) if by_window else (parts.tariff,)
        self._of, sample = distinct_rows(*columns)
        self._tariffs = [tariffs[int(parts.tariff[place])] for place in sample.tolist()]
        self._contexts = [self._context(t, int(place)) for t, place in zip(self._tariffs, sample.tolist(), strict=True)]
        bounded = any(t.price.minimum is not None or t.price.maximum is not None for t in tariffs)
        self._bounded = bounded and not fee
        self._pooled = not fee and any(t.price.free is not None and t.price.free.pool != "each" for t in tariffs)

    def _context(self, tariff: Tariff, part: int) -> Context:
        charge, zone = self._charge, self._desk.terms.zone
        window = self._desk.segments.spans[int(self._parts.window[part])]
        span = span_seconds(tariff.price.unit.span, window.start, charge.settings, zone)
        commitment = tariff.price.commitment
        if commitment is None or self._fee:
            return Context(span=span, fee=self._fee)
        held = self._held_for(tariff, window, part)
        share = Fraction(*share_due(window, held, charge.settings.prorate, zone))
        every = window_seconds(window.start, commitment.every, zone)
        return Context(span, held.seconds, share, every, window.seconds)

    def _held_for(self, tariff: Tariff, window: Period, part: int) -> Period:
        """Return when a commitment holds: while its price is valid, across the billing cycles of the window."""
        start, end = tariff.valid.start, tariff.valid.end
        if self._charge.settings.parts == "independent":
            start, end = int(self._parts.start[part]), int(self._parts.end[part])
        active = self._desk.terms.active
        start = max(start, window.start, active.start)
        return Period(start, max(start, min(end, window.end, active.end)))

    def _scales(self, quantity_max: int, per_max: int) -> Scales:
        items = [scale_of(t, c) for t, c in zip(self._tariffs, self._contexts, strict=True)]
        if self._pooled:
            steps = lcm(*(s.before for s in items)), lcm(*(s.after for s in items))
            items = [scale_of(t, c, steps) for t, c in zip(self._tariffs, self._contexts, strict=True)]
        seconds_max = max((s.seconds for s in self._desk.segments.spans), default=1) if self._bounded else 1
        return Scales(items, self._of, wide=not fits(items, quantity_max, per_max, seconds_max))

    def quantities(self) -> Lines:
        """Price by tiers."""
        charge, parts = self._charge, self._parts
        spans = seconds_of_spans(self._desk.segments)[parts.window]
        quantity = self._held(measured(charge, self._found, spans, self._desk.registry, self._desk.sets))
        quantity = quantity.of_one_denominator() if self._pooled else quantity
        most = max(_largest(quantity.now), _largest(quantity.before))
        scales = self._scales(most, max(_largest(quantity.now_per), _largest(quantity.before_per)))
        free_now = free_before = None
        if self._pooled:
            free_now, free_before = pooled(quantity, charge, parts, scales, self._tariffs, self._desk)
        levels = levels_of(charge, self._found, self._desk, scales, self._tariffs, spans)
        there = self._there()
        now = self._priced(quantity.now, quantity.now_per, scales, free_now, levels[0]).kept(there[0])
        before = None
        if quantity.before is not None:
            before = self._priced(quantity.before, quantity.before_per, scales, free_before, levels[1]).kept(there[1])
        return self._lines(self._parted(now, before, scales))

    def _parted(self, now: Totals, before: Totals | None, scales: Scales) -> list[Component]:
        """Return the rounded components of each part, from the totals up to it and before it."""
        parts, charge = self._parts, self._charge
        if before is None:
            return self._finished(now, scales, parts.end)
        if self._bounded or charge.settings.parts == "last" or any(reductions(t) for t in self._tariffs):
            sides = [
                Side(signed(t.components, t.sign, charge), of_parts(scales, t.per, len(parts))) for t in (now, before)
            ]
            until = self._portion(parts.end)
            own = self._added(until)
            return in_parts(sides[0], sides[1], parts, charge, self._of, self._tariffs, until, own)
        alone = parts.first == np.arange(len(parts))
        totals = self._finished(now, scales, parts.end), self._finished(before, scales, parts.start)
        return [_difference(n, b, alone) for n, b in zip(*totals, strict=True)]

    def _held(self, quantity: Quantity) -> Quantity:
        """Return levels times the time for which they are held, where the unit is one of level·time."""
        unit = self._tariffs[0].price.unit
        if self._charge.aggregate not in LEVELS or unit.level is None:
            return quantity
        active = self._desk.terms.active
        seconds = np.minimum(self._parts.end, active.end) - np.maximum(self._parts.start, active.start)
        return Quantity(quantity.now.astype(object) * np.maximum(seconds, 0), quantity.now_per)

    def _priced(
        self, quantity: Exact, per: Exact | int, scales: Scales, free: Exact | None, levels: Levels | None
    ) -> Totals:
        kind = object if scales.wide else np.int64
        own = quantity.astype(kind)
        divisor = _as(per, kind)
        found = priced(np.abs(own), divisor, self._charge, scales, self._tariffs, free, levels)
        return Totals(found, 1 if at_group(self._charge) else divisor, np.where(own < 0, -1, 1))

    def _finished(self, totals: Totals, scales: Scales, until: I64) -> list[Component]:
        portion = self._portion(until)
        found = finished(totals.components, totals.per, self._charge, scales, self._tariffs, portion)
        return signed(found, totals.sign, self._charge)

    def _there(self) -> tuple[np.ndarray, np.ndarray]:
        """Tell whether each part's group has had usage up to it, and before it; the account is always there."""
        parts = self._parts
        if not self._charge.each:
            always = np.ones(len(parts), np.bool_)
            return always, always
        now, before = running_totals(parts.samples, parts.first)
        return now > 0, (now if before is None else before) > 0

    def _added(self, until: Portion | None) -> Portion | None:
        """Return how much each part adds to the share of the window up to it."""
        if until is None:
            return None
        alone = self._parts.first == np.arange(len(self._parts))
        return Portion(until.seconds - np.where(alone, 0, np.roll(until.seconds, 1)), until.of)

    def _portion(self, until: I64) -> Portion | None:
        """Return how much of minimum and maximum is due from the chain's start until an instant."""
        if not self._bounded:
            return None
        begin = self._parts.start[self._parts.first]
        segments, terms = self._desk.segments, self._desk.terms
        found = due(segments, self._parts.window, begin, until, terms, self._charge.settings.prorate)
        return Portion(found.seconds, found.of)

    def fees(self) -> Lines:
        """Price by time."""
        charge, desk = self._charge, self._desk
        rule = charge.settings.prorate
        if charge.meters and charge.each and not self._is_commitment():
            now, before = resource_due(self._found, desk.segments, desk.terms, rule)
        else:
            now, before = account_due(self._parts, desk.segments, desk.terms, rule)
        scales = self._scales(_largest(now.seconds), _largest(now.of))
        several = bool((self._parts.first != np.arange(len(self._parts))).any())
        return self._lines(
            self._parted(self._fee_of(now, scales), self._fee_of(before, scales) if several else None, scales)
        )

    def _fee_of(self, due_for: Due, scales: Scales) -> Totals:
        seconds, of = (a.astype(object) if scales.wide else a for a in (due_for.seconds, due_for.of))
        name = COMMITMENT if self._is_commitment() else FEE
        price = scales.column([s.price[0] for s in scales.items])
        fee = Component((name,) * len(scales.items), seconds, seconds * price, due_for.seconds > 0)
        return Totals([fee], of, np.ones(len(seconds), np.int64))

    def _is_commitment(self) -> bool:
        return self._charge.model == "committed"

    def percentages(self) -> Lines:
        """Price event by event."""
        charge = self._charge
        items = [scale_of(t, c) for t, c in zip(self._tariffs, self._contexts, strict=True)]
        rules = [
            percent_of(t, t.price.percentage, c, s.shares)
            for t, c, s in zip(self._tariffs, self._contexts, items, strict=True)
            if t.price.percentage is not None
        ]
        # The other numbers of each scale are brought to the percentage's denominator.
        items = [_rescaled(s, r.shares // s.shares) for s, r in zip(items, rules, strict=True)]
        scales = Scales(items, self._of, wide=True)
        inclusive, zero = charge.settings.bounds == "inclusive", charge.settings.zero == "first_flat"
        sums = exact_sums(self._found.rows.quantity, self._found.starts).astype(object)
        value, earlier = running_totals(sums, self._parts.first)
        now, before = percentages(self._found, rules, self._of, inclusive=inclusive, zero=zero)
        events = _events(value, now, len(items))
        parted = None if before is None or earlier is None else _events(earlier, before, len(items))
        return self._lines(self._parted(events, parted, scales))

    def off(self) -> Lines:
        """Say what costs nothing."""
        sums = exact_sums(self._found.rows.quantity, self._found.starts)
        names = (OFF,) * len(self._tariffs)
        zero = np.zeros(len(sums), np.int64)
        return self._lines([Component(names, sums, zero, np.ones(len(sums), np.bool_))])

    def _lines(self, components: list[Component]) -> Lines:
        """Return the lines of all components, those of one group next to each other."""
        parts, segments = self._parts, self._desk.segments
        group, which, places = placed(components, parts.samples == 0)
        step = 10 ** (MICRO_DIGITS - self._charge.rounding.digits)
        amount = checked_amounts(gathered([c.amount for c in components], places, len(group)) * step)
        quantity = checked_amounts(gathered([c.quantity for c in components], places, len(group)))
        keys, digests = self._names(components)
        window = parts.window[group]
        begin = np.array([w.start for w in segments.windows], np.int64)[window]
        end = np.array([w.end for w in segments.windows], np.int64)[window]
        scale = self._of[group]
        meter = np.full(len(group), self._meter(), np.uint32)
        price = digests[scale, which]
        context = parts.context[group]
        first, last = parts.start[group], parts.end[group]
        segment = segment_digests(begin, end, first, last)
        resource, attributes = parts.resource[group], parts.attributes[group]
        covered = parts.covered[group]
        columns: dict[str, Exact] = {
            "window": window,
            "window_start": begin,
            "window_end": end,
            "segment_start": first,
            "segment_end": last,
            "resource_id": resource,
            "meter_id": meter,
            "attributes_id": attributes,
            "price_id": keys[scale, which],
            "quantity": quantity,
            "covered_seconds": covered,
            "amount_micros": amount,
            "usage_digest": parts.digest[group],
            "digest": line_digests(segment, price, resource, meter, attributes, quantity, covered, context),
        }
        return Lines(columns)

    def _meter(self) -> int:
        return key32(self._charge.meters[0]) if self._charge.meters and not (self._fee and self._is_commitment()) else 0

    def _names(self, components: list[Component]) -> tuple[np.ndarray, np.ndarray]:
        """Return the price key and the price digest of each component, shape (scales, components)."""
        keys = np.zeros((len(self._tariffs), len(components)), np.uint64)
        digests = np.zeros_like(keys)
        for row, (tariff, context) in enumerate(zip(self._tariffs, self._contexts, strict=True)):
            price = tariff.price
            for column, component in enumerate(components):
                name = component.names[row]
                keys[row, column] = key_of(price.list_id, price.version, price.id, name)
                digests[row, column] = key64("component", f"{tariff.digest}", name, repr(context))
        return keys, digests


def _events(quantity: Exact, amount: Exact, count: int) -> Totals:
    """Return totals of events, which are charges and credits of their own."""
    sign = np.where(amount < 0, -1, 1)
    present = np.ones(len(amount), np.bool_)
    return Totals([Component((PERCENT,) * count, quantity * sign, amount * sign, present)], 1, sign)


def _largest(values: Exact | int | None) -> int:
    if values is None:
        return 0
    if isinstance(values, int):
        return values
    return max(int(values.max()), -int(values.min())) if len(values) else 0


def _as(values: Exact | int, kind: type) -> Exact | int:
    return values if isinstance(values, int) else values.astype(kind)


def _difference(now: Component, before: Component, alone: np.ndarray) -> Component:
    """Return what a part adds to the part before; the first part of a chain is taken as it is."""
    quantity = now.quantity - np.where(alone, 0, before.quantity)
    amount = now.amount - np.where(alone, 0, before.amount)
    present = np.where(alone, now.present, (quantity != 0) | (amount != 0))
    return Component(now.names, quantity, amount, present)


def _rescaled(scale: Scale, factor: int) -> Scale:
    return replace(
        scale,
        shares=scale.shares * factor,
        minimum=None if scale.minimum is None else scale.minimum * factor,
        maximum=None if scale.maximum is None else scale.maximum * factor,
        absolutes=tuple(a * factor for a in scale.absolutes),
        caps=tuple(c * factor if c >= 0 else c for c in scale.caps),
    )
