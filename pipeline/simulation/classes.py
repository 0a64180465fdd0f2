"""Linear prices as the warehouse applies them: which meters it can price by itself, and the requests that do so.

Under a list a meter is **pushed down** when every tariff that its usage may meet is linear: then a line is a quantity
times one number. All other meters stream through the rating engine. A meter is never divided between the two under one
list, so usage that no charge prices is counted where its meter is rated.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

from pipeline.rate_usage import GRID_SECONDS, needs_site
from pipeline.simulation.grid import Grid, Side
from rating.exact import MICRO_DIGITS, Mode, Ratio
from rating.price_list import PriceList
from rating.scale import Context, price_of_base_unit
from rating.spans import span_seconds
from rating.tariff import Tariff
from schemas.calendar import Size
from schemas.ids import key32
from sinks.warehouse.simulate import CLASSES_MAX, AmountColumn, RatedRequest

Signature = tuple[tuple[str, str], ...]
"""What of an attribute set conditions ask about, sorted by name."""
Key = tuple[int, Size, Mode, int, int]
"""What the lines of a column have in common: side, size of the pass, rounding mode and digits, number among equals."""
OTHER_METER: Final = ""
"""Stands for every meter that no charge prices."""


@dataclass(frozen=True)
class Signatures:
    """What attribute sets come down to.

    Attributes:
        distinct: the empty one first.
        places: attributes_id → place in `distinct` of those that are not empty.
    """

    distinct: Sequence[Signature]
    places: Mapping[int, int]

    @classmethod
    def of(cls, lists: Iterable[PriceList], sets: Mapping[int, Mapping[str, str]]) -> "Signatures":
        """Return the signatures of attribute sets under some lists."""
        names: set[str] = set()
        for price_list in lists:
            whens = [price.when for price in price_list.prices]
            whens += [campaign.when for campaign in price_list.campaigns]
            whens += [factor.when for price in price_list.prices for factor in price.charge.factors]
            names |= {name for when in whens for name, _ in when}
        distinct: dict[Signature, int] = {(): 0}
        places: dict[int, int] = {}
        for key, attributes in sorted(sets.items()):
            signature = tuple(sorted((name, value) for name, value in attributes.items() if name in names))
            if signature:
                places[key] = distinct.setdefault(signature, len(distinct))
        return cls(tuple(distinct), places)


@dataclass(frozen=True)
class Column:
    """One amount column of a request: whose side it is, and by class the product and charge ("": nothing)."""

    side: int
    names: Sequence[tuple[str, str]]
    amounts: AmountColumn


@dataclass(frozen=True)
class Pushed:
    """A request without claims, which whoever asks adds, and what its answer means.

    Attributes:
        request: to the warehouse.
        columns: in the order of the request's.
        starts: by class, the start of its epoch.
        lines: by side and class, how many lines of rating one line of the request stands for.
        unpriced: by side and class, whether these are unpriced.
    """

    request: RatedRequest
    columns: Sequence[Column]
    starts: Sequence[int]
    lines: Sequence[Sequence[int]]
    unpriced: Sequence[Sequence[bool]]


@dataclass(frozen=True)
class Split:
    """How usage is rated: requests to the warehouse, and by side keys of the meters that stream (None: all of them)."""

    pushed: Sequence[Pushed]
    streamed: Sequence[frozenset[int] | None]


EVERYTHING_STREAMS: Final = Split((), (None, None))


def split(sides: Sequence[Side | None], grids: Sequence[Sequence[Grid]], signatures: Signatures, cutoff: int) -> Split:
    """Return what the warehouse prices for accounts that are alike, and what streams.

    Args:
        sides: before and after; None: no list.
        grids: of each side; () where it has no list.
        signatures: of every attribute set under both lists.
        cutoff: microseconds; only rows stored before it.
    """
    known = [side for side in sides if side is not None]
    edges = [edge for own in grids for grid in own for edge in grid.edges]
    if any(edge % GRID_SECONDS for edge in edges) or any(needs_site(side.price_list) for side in known):
        return EVERYTHING_STREAMS
    families = sum(len(side.price_list.definitions) for side in known)
    if not edges or families * len(signatures.distinct) > CLASSES_MAX:
        return EVERYTHING_STREAMS
    streamed = [
        frozenset() if side is None else frozenset(map(key32, _not_linear(side, signatures, min(edges), max(edges))))
        for side in sides
    ]
    groups: dict[tuple[int, ...], list[tuple[int, Side, Grid]]] = {}
    for place, (side, own) in enumerate(zip(sides, grids, strict=True)):
        for grid in own:
            if side is not None:
                groups.setdefault(grid.edges, []).append((place, side, grid))
    pushed = []
    for group in groups.values():
        bare = _bare(group, signatures, streamed, cutoff)
        if not bare.fits:
            return EVERYTHING_STREAMS
        if bare.meters or not bare.only:
            pushed.append(_pushed(bare, group, signatures, streamed))
    return Split(pushed, streamed) if all(one.request.fits for one in pushed) else EVERYTHING_STREAMS


def _not_linear(side: Side, signatures: Signatures, start: int, end: int) -> set[str]:
    """Return the meters whose usage may meet a tariff that is more than a number."""
    found: set[str] = set()
    for family in side.tariffs.families:
        for meter, signature in product(side.tariffs.meters_of(family), signatures.distinct):
            if meter not in found:
                met = side.tariffs.choices(family, meter, dict(signature))
                numbers = {number for valid, number in met if valid.start < end and valid.end > start}
                if not all(_is_number(side.tariffs.items[number]) for number in numbers):
                    found.add(meter)
    return found


def _is_number(tariff: Tariff) -> bool:
    return tariff.linear and tariff.price.tiers[0].amount * tariff.exchange * tariff.factor >= 0


def _bare(
    group: Sequence[tuple[int, Side, Grid]], signatures: Signatures, streamed: Sequence[frozenset[int]], cutoff: int
) -> RatedRequest:
    """Return the request of grids with equal edges, without amounts."""
    home = any(grid.home for *_, grid in group)
    # The home pass tells apart what is unpriced, so it needs the meters of every pass.
    charges = (c for _, side, grid in group for c in side.price_list.definitions if grid.home or c.window == grid.size)
    places = {place for place, *_ in group}
    nowhere = frozenset.intersection(*(streamed[place] for place in places))
    # One that streams on one side alone is told apart from those that no charge prices.
    somewhere = frozenset.union(*(streamed[place] for place in places)) - nowhere
    meters = sorted(({key32(meter) for charge in charges for meter in charge.meters} | somewhere) - nowhere)
    return RatedRequest(
        claims={},
        edges=group[0][2].edges,
        cutoff=cutoff,
        meters=meters,
        only=not home,
        without=sorted(nowhere) if home else (),
        signatures=signatures.places,
        signature_count=len(signatures.distinct),
        cuts=sorted({epoch for *_, grid in group for epoch in grid.epochs[1:]}),
    )


def _pushed(
    bare: RatedRequest,
    group: Sequence[tuple[int, Side, Grid]],
    signatures: Signatures,
    streamed: Sequence[frozenset[int]],
) -> Pushed:
    keys = {key32(m): m for _, side, _ in group for c in side.price_list.definitions for m in c.meters}
    meters = [OTHER_METER, *(keys[key] for key in bare.meters)]
    starts = [bare.edges[0], *bare.cuts]
    ratios: dict[Key, list[Ratio | None]] = {}
    names: dict[Key, list[tuple[str, str]]] = {}
    lines, unpriced = ([0] * bare.classes, [0] * bare.classes), ([False] * bare.classes, [False] * bare.classes)
    for number, (meter, signature, start) in enumerate(product(meters, signatures.distinct, starts)):
        for place, side, grid in group:
            if key32(meter) in streamed[place]:
                continue
            tariffs = _tariffs_at(side, meter, signature, start)
            own = [tariff for tariff in tariffs if tariff.price.charge.window == grid.size]
            bare_usage = grid.home and not tariffs
            lines[place][number] += len(own) + bare_usage
            unpriced[place][number] |= bare_usage
            for ordinal, tariff in enumerate(own):
                rounding = tariff.price.charge.rounding
                key = (place, grid.size, rounding.mode, rounding.digits, ordinal)
                ratios.setdefault(key, [None] * bare.classes)[number] = _cost(tariff, side, grid.span_start(start))
                names.setdefault(key, [("", "")] * bare.classes)[number] = (
                    tariff.price.product,
                    tariff.price.charge.id,
                )
    columns = []
    for key, by_class in ratios.items():
        place, _, mode, digits, _ = key
        columns.append(Column(place, names[key], AmountColumn(tuple(by_class), mode, 10 ** (MICRO_DIGITS - digits))))
    request = replace(bare, columns=[column.amounts for column in columns])
    return Pushed(request, columns, starts * (bare.classes // len(starts)), lines, unpriced)


def _tariffs_at(side: Side, meter: str, signature: Signature, instant: int) -> list[Tariff]:
    """Return the tariff that each charge applies to usage at an instant."""
    found = []
    for family in side.tariffs.families:
        if meter in side.tariffs.meters_of(family):
            met = [n for valid, n in side.tariffs.choices(family, meter, dict(signature)) if instant in valid]
            found += [side.tariffs.items[met[-1]]] if met else []
    return found


def _cost(tariff: Tariff, side: Side, span_start: int) -> Ratio:
    unit, settings = tariff.price.unit, tariff.price.charge.settings
    return price_of_base_unit(tariff, Context(span=span_seconds(unit.span, span_start, settings, side.terms.zone)))
