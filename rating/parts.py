"""Windows that are cut in parts which hang together: each part adds what the total now is more than the total before.

Discounts are taken from what a part adds, and what earlier parts took counts against a campaign's amount and cap; the
maximum bounds the running total; the minimum is due in the last part. This is done chain by chain in exact fractions:
there are as many steps as parts, never as many as usage rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from rating.charge import Campaign, Charge
from rating.components import CAMPAIGN, MAXIMUM, MINIMUM
from rating.evaluate import Component, Portion
from rating.exact import rounded
from rating.groups import I64, Exact, Parts
from rating.scale import Scales, reductions
from rating.tariff import Tariff


@dataclass(frozen=True)
class Side:
    """Components of every part, for the total up to it (or before it), and the denominators of their amounts."""

    components: list[Component]
    divisor: Exact


@dataclass
class _Chain:
    """What the parts of a chain so far came to, in rounding steps: ahead of each of both bounds, and altogether."""

    uncut: Fraction = Fraction(0)
    short: Fraction = Fraction(0)
    minimum: Fraction = Fraction(0)
    cut: Fraction = Fraction(0)
    taken: dict[str, Fraction] = field(default_factory=dict)
    bound: dict[str, Fraction] = field(default_factory=dict)
    exact: Fraction = Fraction(0)


def in_parts(
    now: Side,
    before: Side,
    parts: Parts,
    charge: Charge,
    of: I64,
    tariffs: Sequence[Tariff],
    until: Portion | None,
    own: Portion | None,
) -> list[Component]:
    """Return the components of each part, rounded.

    Args:
        now: totals up to each part, under the part's prices.
        before: totals before each part, under the same prices.
        parts: the parts.
        charge: with its settings and rounding.
        of: number of each part's tariff in `tariffs`.
        tariffs: by number.
        until: how much of the window lies before the end of each part, for the maximum; None: there is no bound.
        own: how much of it each part is, for the minimum.
    """
    count = len(parts)
    campaigns = [reductions(t) for t in tariffs]
    slots = max((len(c) for c in campaigns), default=0)
    made = {name: np.zeros(count, object) for name in (*(f"{CAMPAIGN}{i}" for i in range(slots)), MAXIMUM, MINIMUM)}
    amounts = [np.zeros(count, object) for _ in now.components]
    chain = _Chain()
    last = np.append(parts.first[1:] == np.arange(1, count), True) if count else np.zeros(0, np.bool_)
    for place in range(count):
        alone = parts.first[place] == place
        chain = _Chain() if alone else chain
        tariff = tariffs[int(of[place])]
        steps = _increments(now, before, place, charge, alone=alone, last=bool(last[place]))
        stages = _Stages(tariff, charge, chain, bool(last[place]), _share(until, place), _share(own, place))
        changes = stages.run(sum((exact for exact, _ in steps), Fraction(0)), campaigns[int(of[place])])
        rounded_steps = _rounded_line([r for _, r in steps], changes, chain, charge)
        for column, value in zip(amounts, rounded_steps, strict=False):
            column[place] = value
        for (name, _), value in zip(changes, rounded_steps[len(steps) :], strict=True):
            made[name][place] = value
    kept = []
    for n, b, amount in zip(now.components, before.components, amounts, strict=True):
        quantity = _less(n.quantity, b.quantity, parts)
        present = (quantity != 0) | (amount != 0) | (n.present & _alone(parts))
        kept.append(replace(n, quantity=quantity, amount=amount, present=present))
    return [*kept, *(_component(name, amount, campaigns, len(tariffs)) for name, amount in made.items())]


def _alone(parts: Parts) -> np.ndarray:
    return parts.first == np.arange(len(parts))


def _less(now: Exact, before: Exact, parts: Parts) -> Exact:
    return now - np.where(_alone(parts), 0, before)


def _share(portion: Portion | None, place: int) -> Fraction:
    return Fraction(0) if portion is None else Fraction(int(portion.seconds[place]), int(portion.of[place]))


def _increments(
    now: Side, before: Side, place: int, charge: Charge, *, alone: bool, last: bool
) -> list[tuple[Fraction, tuple[Fraction, Fraction]]]:
    """Return what each component adds, exactly, and (total now, total before) that its rounding goes by."""
    found = []
    for n, b in zip(now.components, before.components, strict=True):
        total = Fraction(int(n.amount[place]), int(now.divisor[place]))
        earlier = Fraction(0) if alone else Fraction(int(b.amount[place]), int(before.divisor[place]))
        if charge.settings.parts == "last":
            total, earlier = (total if last else Fraction(0)), Fraction(0)
        found.append((total - earlier, (total, earlier)))
    return found


@dataclass
class _Stages:
    """The stages after the price for one part."""

    tariff: Tariff
    charge: Charge
    chain: _Chain
    last: bool
    until: Fraction
    own: Fraction

    def run(self, price: Fraction, campaigns: Sequence[Campaign]) -> list[tuple[str, Fraction]]:
        """Return (component, exact change) in rounding steps; the chain's totals move on."""
        left = price
        found: list[tuple[str, Fraction]] = []
        for stage in self.charge.settings.order:
            if stage == "discount":
                made = self._discounts(left, campaigns)
            elif stage == "maximum":
                made = self._maximum(left)
            elif stage == "minimum":
                made = self._minimum(left)
            else:
                continue
            found += made
            left += sum((change for _, change in made), Fraction(0))
        return found

    def _maximum(self, left: Fraction) -> list[tuple[str, Fraction]]:
        """Return what the maximum of the running total changes: more is cut off, or some of it comes back."""
        self.chain.uncut += left
        bound, cut = self.tariff.price.maximum, Fraction(0)
        if bound is not None:
            cut = max(self.chain.uncut - self._money(bound) * self.until, Fraction(0))
        change, self.chain.cut = self.chain.cut - cut, cut
        return [(MAXIMUM, change)]

    def _money(self, amount: Fraction) -> Fraction:
        return amount * self.tariff.exchange * 10**self.charge.rounding.digits

    def _discounts(self, price: Fraction, campaigns: Sequence[Campaign]) -> list[tuple[str, Fraction]]:
        found, left = [], price
        digits = 10**self.charge.rounding.digits
        for number, campaign in enumerate(campaigns):
            taken = self.chain.taken.get(campaign.id, Fraction(0))
            if campaign.percent is not None:
                off = max(price if campaign.stacking == "add" else left, Fraction(0)) * campaign.percent / 100
            else:
                off = (campaign.absolute or Fraction(0)) * digits - taken
            if campaign.cap is not None:
                off = min(off, campaign.cap * digits - taken)
            off = max(min(off, left), Fraction(0))
            self.chain.taken[campaign.id] = taken + off
            left -= off
            found.append((f"{CAMPAIGN}{number}", -off))
        return found

    def _minimum(self, left: Fraction) -> list[tuple[str, Fraction]]:
        minimum = self._money(self.tariff.price.minimum or Fraction(0))
        full = self.charge.settings.prorate == "none"
        self.chain.minimum = minimum if full else self.chain.minimum + minimum * self.own
        self.chain.short += left
        if not self.last or not self.chain.minimum:
            return []
        return [(MINIMUM, max(self.chain.minimum - self.chain.short, Fraction(0)))]


def _rounded_line(
    tiers: Sequence[tuple[Fraction, Fraction]], changes: Sequence[tuple[str, Fraction]], chain: _Chain, charge: Charge
) -> list[int]:
    """Round each line once; or, per charge, the running total, of which each line is what it adds.

    What bounds cut off and give back is rounded as a running total, too, so that it adds up to that of the window.
    """
    mode = charge.rounding.mode
    if charge.rounding.per == "line":
        found = [_whole(now, mode) - _whole(before, mode) for now, before in tiers]
        for name, change in changes:
            earlier = chain.bound.get(name, Fraction(0)) if name in (MAXIMUM, MINIMUM) else Fraction(0)
            chain.bound[name] = earlier + change
            found.append(_whole(earlier + change, mode) - _whole(earlier, mode))
        return found
    found = []
    for change in (*(now - before for now, before in tiers), *(exact for _, exact in changes)):
        found.append(_whole(chain.exact + change, mode) - _whole(chain.exact, mode))
        chain.exact += change
    return found


def _whole(value: Fraction, mode: str) -> int:
    return rounded(value.numerator, value.denominator, mode)  # type: ignore[arg-type]


def _component(name: str, amount: Exact, campaigns: Sequence[Sequence[Campaign]], count: int) -> Component:
    names = (name,) * count
    if name.startswith(CAMPAIGN):
        number = int(name.removeprefix(CAMPAIGN))
        names = tuple(CAMPAIGN + c[number].id if number < len(c) else "" for c in campaigns)
    return Component(names, np.zeros(len(amount), np.int64), amount, amount != 0)


def of_parts(scales: Scales, per: Exact | int, count: int) -> Exact:
    """Return the denominators of amounts in shares: shares in a rounding step times the quantity's denominators."""
    return scales.column([s.shares for s in scales.items]) * per + np.zeros(count, dtype=object)
