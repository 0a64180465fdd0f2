"""Proves a rated line: the same inputs give the same amount and digest."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from rating.engine import rate
from rating.explain import Line, line_at
from rating.lists import PriceList
from rating.passes import Pass
from rating.tables import USAGE_SCHEMA
from rating.tariff import Tariffs
from rating.terms import Terms
from rating.windows import segments
from schemas.meters import Registry
from schemas.period import Period


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of recomputing a line.

    Attributes:
        price_id: the price that applies (0: none).
        amount_micros: recomputed amount.
        digest: recomputed digest.
        differences: what the line says otherwise, in words; empty when it is proved.
    """

    price_id: int
    amount_micros: int
    digest: int
    differences: tuple[str, ...]

    @property
    def proved(self) -> bool:
        """Tell whether every recomputed value equals the line's."""
        return not self.differences


def stands_alone(line: Line, price_list: PriceList, terms: Terms | None = None) -> bool:
    """Tell whether a line follows from its own quantity; others are proved by rating their whole window again."""
    entry = price_list.by_key.get(line.price_id)
    if line.price_id == 0:
        return True
    if entry is None or entry.price is None:
        return False
    tariffs = Tariffs(price_list, terms or Terms())
    found = [n for _, n in tariffs.choices(entry.charge, "", dict(entry.price.when))]
    return any(tariffs.items[n].price.id == entry.id and tariffs.items[n].linear for n in found)


def verify(
    line: Line,
    price_list: PriceList,
    attributes: Mapping[str, str],
    registry: Registry,
    terms: Terms | None = None,
) -> Verdict:
    """Choose the price, compute the amount and the digest of a line that stands alone anew, and compare.

    Args:
        line: the rated line.
        price_list: the account's effective list as of the rating.
        attributes: of the line's attribute set.
        registry: the meters.
        terms: of the account as of the rating.
    """
    terms = terms or Terms()
    window = Period(line.window_start, line.window_end)
    cuts = (line.segment_start, line.segment_end, *Tariffs(price_list, terms).cuts(window))
    grid = segments([window], cuts)
    values = {
        "segment_start": line.segment_start,
        "tenant_id": 0,
        "resource_id": line.resource_id,
        "meter_id": line.meter_id,
        "attributes_id": line.attributes_id,
        "quantity": line.quantity,
        "covered_seconds": line.covered_seconds,
        "samples": 0,
        "digest": line.usage_digest,
    }
    usage = pa.table({f.name: pa.array([values[f.name]], f.type) for f in USAGE_SCHEMA}, schema=USAGE_SCHEMA)
    entry = price_list.by_key.get(line.price_id)
    size = entry.price.charge.window if entry and entry.price else price_list.window
    one = Pass(size, home=True, meters=None, cell_meters=frozenset(), resources=True)
    rated = rate(usage, price_list, registry, {line.attributes_id: attributes}, grid, one_pass=one, terms=terms)
    return found_in(rated.lines, line)


def found_in(lines: pa.Table, line: Line) -> Verdict:
    """Compare a line with the one of the same keys in a table that was rated anew."""
    rows = [line_at(lines, row) for row in range(lines.num_rows)]
    same = [r for r in rows if _key(r) == _key(line)]
    again = next((r for r in same if r.price_id == line.price_id), same[0] if same else None)
    if again is None:
        return Verdict(0, 0, 0, ("the usage gives no such line any more",))
    pairs = (
        ("price", line.price_id, again.price_id),
        ("amount", line.amount_micros, again.amount_micros),
        ("digest", line.digest, again.digest),
    )
    differences = tuple(f"{name} is {found}, recomputed {due}" for name, found, due in pairs if found != due)
    return Verdict(again.price_id, again.amount_micros, again.digest, differences)


def _key(line: Line) -> tuple[int, ...]:
    return line.window_start, line.segment_start, line.resource_id, line.meter_id, line.attributes_id
