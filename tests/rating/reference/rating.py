"""A price list document and usage rows in, lines out: docs/pricing.md, one row at a time."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

from schemas.meters import Registry, builtin
from schemas.period import Period
from tests.rating.reference import campaigns as offers
from tests.rating.reference.account import account_lines
from tests.rating.reference.choice import Definition, chosen, series_of, series_price
from tests.rating.reference.document import Charge, Node, Price, listing, matches, period_of, when_of
from tests.rating.reference.group import Bill, Group, Line, Part, micros
from tests.rating.reference.models import BOUNDS, PRICES, scaled
from tests.rating.reference.pools import grant
from tests.rating.reference.usage import Grid, Piece, counted, cut, grid, read_rows, relocated

SIZES = ("hour", "day", "week", "month", "quarter", "half_year", "year")


@cache
def _builtin() -> Registry:
    return builtin()


def registry_of(documents: Iterable[Node]) -> Registry:
    """The built-in meters and those that the documents bring."""
    registry = _builtin()
    own = {m["key"]: m for d in documents for m in d.get("meters", [])}
    known = {k: m for k, m in own.items() if k not in registry}
    return registry.extended([{**m, "display": {u: int(s) for u, s in m["display"].items()}} for m in known.values()])


def rate(
    documents: Sequence[Node],
    rows: Sequence[Mapping[str, Any]],
    zone: str = "UTC",
    terms: Mapping[str, Any] | None = None,
) -> list[Line]:
    """Rate rows under a chain of lists, the nearest first.

    `terms`: groups, coupons (code → instant), account, active and period (from, to), pools, grace_seconds.
    """
    return Rater(documents, rows, zone, terms or {}).lines()


class Rater:
    """One rating; holds what its steps share."""

    def __init__(
        self, documents: Sequence[Node], rows: Sequence[Mapping[str, Any]], zone: str, terms: Mapping[str, Any]
    ) -> None:
        self.registry = registry_of(documents)
        self.lists = [listing(d, level, self.registry) for level, d in enumerate(documents)]
        self.rows, self.zone, self.terms = read_rows(rows, self.registry), zone, terms
        self.active = period_of(terms.get("active", {}))
        self.period = self._period()
        self.offers = offers.all_of(self.lists)
        self.chains: dict[str, list[Definition]] = defaultdict(list)
        for one in self.lists:
            for charge, prices in one.charges:
                self.chains[charge.id].append((charge, prices))

    def _period(self) -> Period:
        periods = [Period(r.start, r.end) for r in self.rows]
        if "period" in self.terms:
            periods.append(period_of(self.terms["period"]))
        if any(charge.settings["late"] == "running" for one in self.lists for charge, _ in one.charges):
            periods += [Period(r.received, r.received + 1) for r in self.rows if r.received is not None]
        return Period(min(p.start for p in periods), max(p.end for p in periods))

    def lines(self) -> list[Line]:
        found: list[Line] = []
        for size in SIZES:
            grid_ = self._grid(size)
            for chain in self.chains.values():
                for charge, _ in chain:
                    if charge.window == size:
                        found += self._charge(chain, charge, grid_)
        found += self._fees()
        found += account_lines(self.lists, found, self.period, self.zone, self.active)
        return found + self._unpriced()

    def _grid(self, size: str) -> Grid:
        cuts = {
            edge
            for chain in self.chains.values()
            for _, ps in chain
            for p in ps
            for edge in (p.valid.start, p.valid.end)
        }
        cuts |= {edge for c in self.offers for edge in offers.starts_and_ends(c, self.terms)}
        rates = [r for one in self.lists for r in one.raw.get("rates", [])]
        cuts |= {edge for r in rates for edge in (period_of(r).start, period_of(r).end)}
        return grid(self.period, size, self.zone, cuts)

    def _charge(self, chain: Sequence[Definition], charge: Charge, grid_: Grid) -> list[Line]:
        grace = int(self.terms.get("grace_seconds", "0"))
        rows = [r for r in self.rows if r.meter in charge.meters]
        pieces = relocated(cut(rows, grid_.edges), charge, grid_, grace)
        own = [
            (p, got[1]) for p in pieces if (got := chosen(chain, p.meter, p.attributes, p.start)) and got[0] is charge
        ]
        used, off = counted([p for p, _ in own], charge, grid_)
        prices = {id(p): price for p, price in own}
        lines = [self._off(p, prices[id(p)], charge, grid_) for p in off]
        groups: dict[tuple[object, ...], Group] = {}
        for piece in used:
            self._put(groups, chain, charge, grid_, piece, prices[id(piece)])
        self._put_empty(groups, chain, charge, grid_)
        pools: dict[tuple[object, ...], list[Group]] = defaultdict(list)
        for key, group in groups.items():
            pools[_pool_of(key, group)].append(group)
        for shared in pools.values():
            grant(shared, self.terms)
        return lines + [line for group in groups.values() for line in Bill(group, self.terms).lines]

    def _put(
        self,
        groups: dict[tuple[object, ...], Group],
        chain: Sequence[Definition],
        charge: Charge,
        grid_: Grid,
        piece: Piece,
        price: Price,
    ) -> None:
        window = grid_.window_of(piece.start)
        names = {**piece.attributes, "resource": piece.resource}
        each = tuple(names.get(name, "") for name in charge.each)
        factor = factor_of(charge, piece.attributes)
        campaigns = offers.filtered(self.offers, charge, piece.attributes, self.terms)
        alone = self._alone(chain, charge, grid_, piece)
        apart = (piece.meter, tuple(sorted(piece.attributes.items()))) if alone else ()
        key = (window, series_of(charge, price), each, factor, tuple(c["id"] for c in campaigns), apart)
        if key not in groups:
            groups[key] = self._group(chain, charge, grid_, window, price, factor, campaigns)
            groups[key].alone = alone
        part = next(p for p in groups[key].parts if piece.start in p.segment)
        part.pieces.append(piece)

    def _alone(self, chain: Sequence[Definition], charge: Charge, grid_: Grid, piece: Piece) -> bool:
        """Tell whether everything that such usage costs in its window is plain; otherwise the window hangs together."""
        campaigns = offers.filtered(self.offers, charge, piece.attributes, self.terms)
        for segment in grid_.segments(grid_.window_of(piece.start)):
            found = chosen(chain, piece.meter, piece.attributes, segment.start)
            offered = offers.applying(campaigns, charge, segment, self.terms, self.zone)
            if found is not None and not is_plain(charge, found[1], offered):
                return False
        return True

    def _put_empty(
        self, groups: dict[tuple[object, ...], Group], chain: Sequence[Definition], charge: Charge, grid_: Grid
    ) -> None:
        """Groups of the account exist without usage where something is due all the same.

        No usage has no attributes, so prices with conditions do not apply to it.
        """
        if charge.each or (charge.model == "recurring" and charge.meters):
            return
        fees = charge.model in ("committed", "recurring")
        prices = next(ps for c, ps in chain if c is charge)
        for window in grid_.windows:
            for price in {series_of(charge, p): p for p in prices if not p.when}.values():
                campaigns = offers.filtered(self.offers, charge, None, self.terms)
                group = self._group(chain, charge, grid_, window, price, Fraction(1), campaigns)
                due = fees or charge.settings["zero"] == "first_flat" or any("minimum" in p.node for p in group.parts)
                there = any(p.segment.overlaps(self.active) for p in group.parts)
                prefix = (window, series_of(charge, price))
                if due and there and not any(key[:2] == prefix for key in groups):
                    groups[(*prefix, (), Fraction(1), (), ())] = group

    def _group(
        self,
        chain: Sequence[Definition],
        charge: Charge,
        grid_: Grid,
        window: Period,
        series: Price,
        factor: Fraction,
        campaigns: Sequence[Node],
    ) -> Group:
        parts: list[Part] = []
        for segment in grid_.segments(window):
            price = series_price(chain, charge, series, segment.start)
            if price is None:
                continue
            node = scaled(price.raw, self._exchange(price, charge, segment.start), (*PRICES, *BOUNDS))
            node = scaled(node, factor, PRICES)
            offered = offers.applying(campaigns, charge, segment, self.terms, self.zone)
            before = parts[-1] if parts else None
            same = before and (before.price.id, before.node, before.campaigns) == (price.id, node, offered)
            if before and same and before.segment.end == segment.start:  # something else changes here
                before.segment = Period(before.segment.start, segment.end)
                continue
            parts.append(Part(segment, price, node, [], offered))
        units = {k: v for one in self.lists for k, v in one.raw.get("units", {}).items()}
        return Group(charge, window, parts, self.registry, self.zone, self.active, units)

    def _exchange(self, price: Price, charge: Charge, instant: int) -> Fraction:
        own = next(one for one in self.lists if one.level == charge.level)
        if price.currency == own.currency:
            return Fraction(1)
        rates = [r for r in own.raw["rates"] if r["currency"] == price.currency and instant in period_of(r)]
        return Fraction(rates[0]["rate"])

    def _off(self, piece: Piece, price: Price, charge: Charge, grid_: Grid) -> Line:
        window, segment = grid_.window_of(piece.start), grid_.segment_of(piece.start)
        quantity = Fraction(piece.quantity)
        return Line(window, segment, charge.id, charge.product_id, price.id, "off", piece.resource, quantity, 0)

    def _fees(self) -> list[Line]:
        """Fees of commitments whose period is not the charge's window."""
        lines = []
        for chain in self.chains.values():
            for charge, prices in chain:
                sizes = {p.raw["commitment"].get("every", charge.window) for p in prices if "commitment" in p.raw}
                for size in sorted(sizes - {charge.window}):
                    grid_ = self._grid(size)
                    groups = [self._group(chain, charge, grid_, w, prices[0], Fraction(1), ()) for w in grid_.windows]
                    lines += [line for group in groups for line in _fee_lines(group)]
        return lines

    def _unpriced(self) -> list[Line]:
        grid_ = self._grid(self.lists[0].window)
        sums: dict[tuple[Period, Period, str], int] = defaultdict(int)
        for p in cut(self.rows, grid_.edges):
            if not any(chosen(chain, p.meter, p.attributes, p.start) for chain in self.chains.values()):
                sums[grid_.window_of(p.start), grid_.segment_of(p.start), p.resource] += p.quantity
        return [Line(w, s, "", "", "-", "unpriced", r, Fraction(q), 0) for (w, s, r), q in sums.items()]


def _pool_of(key: tuple[object, ...], group: Group) -> tuple[object, ...]:
    """Groups that share a free quantity: those of a price series, or of all prices of the charge."""
    shared = any(part.node.get("free", {}).get("pool") == "charge" for part in group.parts)
    return key[:1] if shared else key[:2]


def _fee_lines(group: Group) -> list[Line]:
    lines = []
    for k, part in enumerate(group.parts):
        fee = Fraction(part.node["commitment"]["fee"])
        now, before = (fee * group.shared(parts) for parts in (group.upto(k), group.before(k)))
        amount = micros(now, group.charge.rounding) - micros(before, group.charge.rounding)
        head = (group.window, part.segment, group.charge.id, group.charge.product_id)
        lines.append(Line(*head, part.price.id, "commitment", "", None, amount))
    return lines


def factor_of(charge: Charge, attributes: Mapping[str, str]) -> Fraction:
    product = Fraction(1)
    for factor in charge.raw.get("factors", []):
        if matches(when_of(factor), attributes):
            product *= Fraction(factor["factor"])
    return product


def is_plain(charge: Charge, price: Price, campaigns: Sequence[Node]) -> bool:
    """Tell whether each usage row has a line of its own, rounded by itself."""
    special = ("free", "minimum", "maximum")
    return (
        charge.model in ("per_unit", "one_off")
        and charge.aggregate == "sum"
        and charge.combine == "sum"
        and charge.each == ("resource",)
        and charge.settings["negative"] == "credit"
        and charge.settings["parts"] != "last"
        and charge.power == "always"
        and "convert" not in charge.raw
        and not campaigns
        and not any(key in price.raw for key in special)
    )
