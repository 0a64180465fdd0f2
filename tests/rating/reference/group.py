"""One group in one window: quantity, price, discount, bounds, and its rounded lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from schemas import calendar
from schemas.meters import Registry
from schemas.period import Period
from tests.rating.reference import campaigns as offers
from tests.rating.reference.document import Charge, Node, Price, number, optional
from tests.rating.reference.measure import levels_of, measured
from tests.rating.reference.models import (
    ZERO,
    Parts,
    Tier,
    by_level,
    committed,
    percentage,
    tiered,
    tiers_of,
    with_fixed,
)
from tests.rating.reference.numbers import rounded, to_digits
from tests.rating.reference.units import LEVELS, TIMES, is_timed, level_units, time_seconds, unit_size
from tests.rating.reference.usage import Piece


@dataclass(frozen=True)
class Line:
    """One rated line. `quantity` is in base units, None for an amount without one."""

    window: Period
    segment: Period
    charge: str
    product: str
    price: str
    component: str
    resource: str
    quantity: Fraction | None
    amount: int


@dataclass
class Part:
    """A stretch of the window in which nothing changes, and the price in force."""

    segment: Period
    price: Price
    node: Node
    pieces: list[Piece] = field(default_factory=list)
    campaigns: list[Node] = field(default_factory=list)


@dataclass
class Group:
    """What has a quantity of its own."""

    charge: Charge
    window: Period
    parts: list[Part]
    registry: Registry
    zone: str
    active: Period
    units: Node
    pool_free: dict[int, Fraction] = field(default_factory=dict)
    """Part → free quantity so far that the pool granted."""
    alone: bool = False
    """Each part is priced by itself: by the setting, or a plain price, whose lines never depend on another."""

    @property
    def resource(self) -> str:
        names = {p.resource for part in self.parts for p in part.pieces}
        return names.pop() if len(names) == 1 else ""

    @property
    def running(self) -> bool:
        """Whether quantities run on across the parts of the window."""
        by_level = self.charge.raw.get("tiers_on") == "level"
        return self.charge.settings["parts"] != "independent" and not (self.alone or self.timed or by_level)

    def waits(self, k: int) -> bool:
        """Tell whether a part costs nothing because the last one prices everything."""
        return self.running and self.charge.settings["parts"] == "last" and k < len(self.parts) - 1

    def upto(self, k: int) -> list[Part]:
        """Parts that are priced together with part k."""
        return self._there(self.held(k))

    def before(self, k: int) -> list[Part]:
        """Parts that were priced before part k."""
        waits = self.charge.settings["parts"] == "last"
        return self._there(self.parts[:k]) if self.running and not waits else []

    def held(self, k: int) -> list[Part]:
        """Time that counts for the bounds of part k: of the whole window so far, or of the part alone."""
        return self.parts[: k + 1] if self.running else self.parts[k : k + 1]

    def _there(self, parts: list[Part]) -> list[Part]:
        """A resource is not there before its first usage; the account always is."""
        return parts if not self.charge.each or any(part.pieces for part in parts) else []

    def size(self, k: int) -> Fraction:
        meter = self.registry[self.charge.meters[0]] if self.charge.meters else None
        return unit_size(self.charge, self.parts[k].price.per, meter, self.window, self.zone, self.units)

    def quantity(self, parts: Sequence[Part]) -> Fraction:
        pieces = [p for part in parts for p in part.pieces]
        time = [clipped(part.segment, self.active) for part in parts]
        measure = measured(self.charge, pieces, time, self.window, self.registry)
        return measure * sum(t.seconds for t in time) if self.timed else measure

    @property
    def timed(self) -> bool:
        return any(is_timed(self.charge, part.price.per) for part in self.parts)

    def level(self, parts: Sequence[Part], aggregate: str) -> Fraction:
        """What chooses the tier of these parts: a level, in the level unit of `per`."""
        of_level = replace(self.charge, aggregate=aggregate)
        pieces = [p for part in parts for p in part.pieces]
        time = [clipped(part.segment, self.active) for part in parts]
        return measured(of_level, pieces, time, self.window, self.registry) / self.level_size(parts[-1])

    def level_size(self, part: Part) -> Fraction:
        """Base level units in one level unit of `per`: MiB in the GiB of GiB·h."""
        unit = part.price.per.rpartition("·")[0]
        return level_units(self.registry[self.charge.meters[0]])[unit]

    def converted(self, parts: Sequence[Part], k: int) -> Fraction:
        """Quantity in the unit of part k, free quantity aside."""
        how = self.charge.raw.get("convert", {})
        if how.get("at") == "observation":
            digits, size = int(how.get("digits", "0")), self.size(k)
            return sum((to_digits(p.quantity / size, how["mode"], digits) for x in parts for p in x.pieces), ZERO)
        return self.quantity(parts) / self.size(k)

    def meters_below_zero(self, k: int) -> bool:
        return bool(self.charge.meters) and self.quantity(self.upto(k)) < 0

    def counted(self, quantity: Fraction) -> Fraction:
        """Quantity as a line counts it: a level in millionths."""
        is_level = (
            self.charge.aggregate in LEVELS and not self.timed and self.registry[self.charge.meters[0]].kind != "event"
        )
        return Fraction(round(quantity * 10**6)) if is_level else quantity

    def shared(self, parts: Sequence[Part]) -> Fraction:
        """What part of the window these parts are, by the setting `prorate`."""
        return prorated([clipped(p.segment, self.active) for p in parts], self.window, self.charge, self.zone)


def clipped(period: Period, active: Period) -> Period:
    start = max(period.start, active.start)
    return Period(start, max(start, min(period.end, active.end)))


def prorated(times: Sequence[Period], window: Period, charge: Charge, zone: str) -> Fraction:
    how = charge.settings["prorate"]
    times = [t for t in times if t.seconds]
    if how == "none":
        return Fraction(bool(times))
    if how == "day":
        begun = {d for t in times for d in calendar.days(t, zone)}
        return Fraction(len(begun), len(calendar.days(window, zone)))
    seconds, at = 0, 0
    for time in sorted(times):
        seconds += max(0, time.end - max(at, time.start))
        at = max(at, time.end)
    return Fraction(seconds, window.seconds)


def free_of(part: Part) -> Fraction:
    """Free quantity of a group by itself: of the price when it is not pooled, and of campaigns."""
    free = part.node.get("free")
    own = number(free, "quantity") if free and free.get("pool", "each") == "each" else ZERO
    return own + sum((number(c, "free_quantity") for c in part.campaigns), ZERO)


def rounding_of_group(group: Group) -> Node | None:
    """How the quantity of the whole group is rounded, if it is."""
    how = group.charge.raw.get("convert")
    return {"digits": "0", **how} if how and how.get("at", "group") == "group" else None


def taxed(group: Group, parts: Sequence[Part], k: int, pooled: Fraction) -> tuple[Fraction, Fraction]:
    """Return (quantity to be priced, free quantity) after the stages before `price`, in the charge's order."""
    x, free = abs(group.converted(parts, k)), ZERO
    for stage in group.charge.order:
        how = rounding_of_group(group)
        if stage == "convert" and how:
            x = to_digits(x, how["mode"], int(how["digits"]))
        if stage == "free":
            free = min(x, free_of(group.parts[k]) + pooled)
            x -= free
    return x, free


def price_parts(group: Group, parts: Sequence[Part], k: int) -> Parts:
    """Component → (quantity, amount) of these parts together under the price of part k."""
    charge, part = group.charge, group.parts[k]
    if not parts:
        return {}
    if charge.model == "recurring":
        fee = number(part.node, "amount") * number(part.node, "quantity", "1")
        return {"fee": (ZERO, fee * _presence(group, parts))}
    pooled = group.pool_free.get(k if parts[-1] is part else k - 1, ZERO)
    negative = group.quantity(parts) < 0
    if negative and charge.settings["negative"] == "nothing":
        return {"unit": (group.converted(parts, k), ZERO)}
    x, free = taxed(group, parts, k, pooled)
    if charge.model == "percentage":
        found = _events(group, parts, k)
        negative = False  # each event has its own sign
    elif charge.model == "committed":
        found = committed(part.node, x, *_committed_times(group, parts, k))
        if part.node["commitment"].get("every", charge.window) == charge.window:
            found = {"commitment": (ZERO, number(part.node["commitment"], "fee") * group.shared(parts)), **found}
    else:
        fixed = next((optional(c, "fixed_price") for c in part.campaigns if "fixed_price" in c), None)
        tiers = _rounded_units(group, k, with_fixed(tiers_of(charge, part.node), fixed))
        by = charge.raw.get("tier_by", "quantity")
        if charge.raw.get("tiers_on") == "level":
            found = by_level(charge, tiers, _levels(group, parts, k))
        else:
            found = tiered(charge, tiers, x, None if by == "quantity" else group.level(parts, by))
    found = {"free": (free, ZERO), **found} if free else found
    return {name: (-q, -a) for name, (q, a) in found.items()} if negative else found


def _levels(group: Group, parts: Sequence[Part], k: int) -> list[tuple[Fraction, Fraction]]:
    part = group.parts[k]
    size, level = group.size(k), group.level_size(part)
    pieces = [p for x in parts for p in x.pieces]
    return [(x / level, seconds * level / size) for x, seconds in levels_of(group.charge, pieces)]


def _rounded_units(group: Group, k: int, tiers: Sequence[Tier]) -> list[Tier]:
    rounding = group.charge.rounding
    if rounding.unit_price_digits is None:
        return list(tiers)
    per, times = rounding.unit_price_per, Fraction(1)
    if per is not None:  # the price of an hour, say, of a month's
        meter = group.registry[group.charge.meters[0]]
        times = unit_size(group.charge, per, meter, group.window, group.zone, group.units) / group.size(k)
    return [
        replace(t, amount=to_digits(t.amount * times, rounding.mode, rounding.unit_price_digits) / times) for t in tiers
    ]


def _presence(group: Group, parts: Sequence[Part]) -> Fraction:
    """How much of the window a fee is due for: of a resource, while it was there."""
    if group.charge.meters and group.charge.each:
        times = [clipped(Period(p.start, p.end), group.active) for part in parts for p in part.pieces]
        return prorated(times, group.window, group.charge, group.zone)
    return group.shared(parts)


def _committed_times(group: Group, parts: Sequence[Part], k: int) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    charge = group.charge
    seconds = sum(clipped(p.segment, group.active).seconds for p in parts)
    time = group.parts[k].price.per.rpartition("·")[2]
    timed = time in (*TIMES, "month", "year")
    unit = time_seconds(time, group.window, group.zone, charge.settings) if timed else Fraction(1)
    every = group.parts[k].node["commitment"].get("every", charge.window)
    whole = calendar.window_of(group.window.start, every, group.zone)
    fees = Fraction(whole.seconds, group.window.seconds)
    return Fraction(seconds, unit), group.shared(parts), Fraction(whole.seconds, unit), fees


def _events(group: Group, parts: Sequence[Part], k: int) -> Parts:
    size = group.size(k)
    pieces = sorted((p for part in parts for p in part.pieces), key=lambda p: (p.start, p.resource, p.quantity))
    return percentage(group.charge, group.parts[k].node, [Fraction(p.quantity) / size for p in pieces])


class Bill:
    """The lines of one group in one window, part after part."""

    def __init__(self, group: Group, terms: Mapping[str, Any]) -> None:
        self.group, self.terms = group, terms
        self.lines: list[Line] = []
        self.taken: dict[str, Fraction] = {}
        self.posted = ZERO
        self.amount = {"minimum": ZERO, "maximum": ZERO}
        for k in range(len(group.parts)):
            if not group.running:
                self._forget()
            self._part(k)

    def _forget(self) -> None:
        self.taken, self.posted = {}, ZERO
        self.amount = {"minimum": ZERO, "maximum": ZERO}

    def _part(self, k: int) -> None:
        if self.group.waits(k):
            return
        now = price_parts(self.group, self.group.upto(k), k)
        before = price_parts(self.group, self.group.before(k), k)
        entries: list[tuple[str, Fraction | None, Fraction, Fraction]] = []  # component, quantity, amount now, before
        for name in dict.fromkeys((*before, *now)):
            (q1, a1), (q0, a0) = now.get(name, (ZERO, ZERO)), before.get(name, (ZERO, ZERO))
            entries.append((name, self.group.counted((q1 - q0) * self.group.size(k)), a1, a0))
        left = sum((a1 - a0 for _, _, a1, a0 in entries), ZERO)
        for stage in self.group.charge.order:
            if stage == "discount":
                sign = -1 if left < 0 else 1
                found = offers.discounts(self.group.parts[k].campaigns, abs(left), self.taken)
                for name, off in found.items():
                    self.taken[name] = self.taken.get(name, ZERO) + off
                    entries.append((f"campaign:{name}", None, -sign * off, ZERO))
                    left -= sign * off
            if stage in ("minimum", "maximum"):
                extra = self._bound(stage, k, left)
                entries.append((stage, None, extra, ZERO))
                left += extra
        self._write(k, entries)

    def _bound(self, stage: str, k: int, left: Fraction) -> Fraction:
        """What the bound adds (or, negative, takes).

        The minimum looks at the window's last part only; the maximum at the window so far, in every part. Of a credit
        both are credits, too: it is what the quantity without its sign costs.
        """
        group = self.group
        self.amount[stage] += left
        sign = -1 if group.meters_below_zero(k) else 1
        amount, held = sign * self.amount[stage], group.held(k)
        if stage == "minimum":
            if not group.upto(k) or (group.running and k < len(group.parts) - 1):
                return ZERO
            return sign * max(ZERO, self._minimum(k) - amount) if any("minimum" in p.node for p in held) else ZERO
        bound = optional(group.parts[k].node, stage)
        due = ZERO if bound is None else sign * min(ZERO, bound * group.shared(held) - amount)
        extra, self.posted = due - self.posted, due
        return extra

    def _minimum(self, k: int) -> Fraction:
        """The least that the window costs: each part's minimum for its share, or in full the last one's."""
        group, held = self.group, self.group.held(k)
        if group.charge.settings["prorate"] == "none":
            return number(held[-1].node, "minimum") * group.shared(held)
        shares = [group.shared(held[: i + 1]) - group.shared(held[:i]) for i in range(len(held))]
        return sum((number(p.node, "minimum") * share for p, share in zip(held, shares, strict=True)), ZERO)

    def _write(self, k: int, entries: Sequence[tuple[str, Fraction | None, Fraction, Fraction]]) -> None:
        group, part, rounding = self.group, self.group.parts[k], self.group.charge.rounding
        sum_now = sum_before = ZERO
        for name, quantity, now, before in entries:
            if rounding.per == "charge":
                start = micros(sum_now, rounding) - micros(sum_before, rounding)
                sum_now, sum_before = sum_now + now, sum_before + before
                amount = micros(sum_now, rounding) - micros(sum_before, rounding) - start
            else:
                amount = micros(now, rounding) - micros(before, rounding)
            if amount or quantity:
                self.lines.append(
                    Line(
                        group.window,
                        part.segment,
                        group.charge.id,
                        group.charge.product_id,
                        part.price.id,
                        name,
                        group.resource,
                        quantity,
                        amount,
                    )
                )


def micros(amount: Fraction, rounding: Any) -> int:
    return rounded(amount * 10**rounding.digits, rounding.mode) * 10 ** (6 - rounding.digits)
