"""Usage as people write it, row by row, turned into the usage table: checked, spread over segments, summed.

A row says how much of a meter one resource used between two instants. A row that spans several segments is spread
evenly over its seconds, in whole base units that add up exactly to the row: the part up to an instant t is
floor(quantity × seconds until t ÷ seconds), and each segment takes the difference. An event happens at one instant.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import pyarrow as pa

from rating.exact import INT64_MAX
from rating.tables import USAGE_SCHEMA
from rating.windows import Segments
from schemas.batch import canonical_attributes
from schemas.errors import Misconfigured
from schemas.identity import mix_columns
from schemas.ids import attributes_id, resource_id
from schemas.meters import EVENT_CELL_SECONDS, Meter, Registry
from schemas.period import FOREVER, Period, parse_instant

SITE: Final = "file"
"""Stands for the site in the keys of resources that come from a file."""
REQUIRED: Final = ("resource", "meter", "from", "quantity")
COLUMNS: Final = ("resource", "meter", "from", "to", "quantity", "unit", "attributes")
ATTRIBUTE_PREFIX: Final = "attr."
PARTS_MAX: Final = 5_000_000
"""Most (row, segment) parts of one file."""
PROBLEMS_MAX: Final = 1_000
_DECIMAL: Final = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?")

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One checked row.

    Attributes:
        number: position in the file, from 1.
        resource: as written.
        meter: from the registry.
        attributes: text by name.
        period: when it was used; one second for an event.
        quantity: base units.
    """

    number: int
    resource: str
    meter: Meter
    attributes: Mapping[str, str]
    period: Period
    quantity: int

    @property
    def attributes_json(self) -> str:
        """The canonical text of the attributes, as in sample batches."""
        return canonical_attributes(self.attributes)


@dataclass(frozen=True, slots=True)
class FileUsage:
    """Usage by segment, and the names behind its keys.

    Attributes:
        usage: as USAGE_SCHEMA, in its order.
        attribute_sets: attributes_id → attributes.
        resources: resource_id → name.
    """

    usage: pa.Table
    attribute_sets: Mapping[int, Mapping[str, str]]
    resources: Mapping[int, str]


def usage_rows(raw: Sequence[Mapping[str, object]], registry: Registry) -> list[UsageRow]:
    """Check rows of text values (None or "" where absent; `attributes` may be a mapping).

    Raises:
        Misconfigured: lists every problem with its row number.
    """
    columns = {name for row in raw for name in row}
    strange = sorted(c for c in columns if c not in COLUMNS and not c.startswith(ATTRIBUTE_PREFIX))
    problems = [f"column {c!r} is unknown; known are {', '.join(COLUMNS)} and {ATTRIBUTE_PREFIX}*" for c in strange]
    missing = [f"column {c!r} is missing" for c in REQUIRED if c not in columns] if raw else ["there are no rows"]
    if missing:  # every row would say the same again
        raise Misconfigured([*problems, *missing])
    rows: list[UsageRow] = []
    for number, item in enumerate(raw, start=1):
        found: list[str] = []
        row = _row(number, item, registry, found)
        problems += [f"row {number}: {problem}" for problem in found]
        if row is not None:
            rows.append(row)
    problems += _repeated(rows)
    if problems:
        more = len(problems) - PROBLEMS_MAX
        raise Misconfigured([*problems[:PROBLEMS_MAX], f"and {more} more"] if more > 0 else problems)
    return rows


def _row(number: int, raw: Mapping[str, object], registry: Registry, problems: list[str]) -> UsageRow | None:
    texts = {name: str(raw.get(name) if raw.get(name) is not None else "").strip() for name in COLUMNS}
    problems += [f"{name} is empty" for name in REQUIRED if not texts[name]]
    meter = registry.meters.get(texts["meter"])
    if meter is None and texts["meter"]:
        problems.append(f"unknown meter {texts['meter']!r}; known are {', '.join(registry.meters)}")
    attributes = _attributes(raw, problems)
    if any(_SURROGATE.search(text) for text in (texts["resource"], *attributes, *attributes.values())):
        problems.append("resource and attributes must be text; half of a surrogate pair is none")
    if problems or meter is None:
        return None
    quantity = _quantity(texts["quantity"], texts["unit"], meter, problems)
    period = _period(texts["from"], texts["to"], meter, problems)
    if quantity is None or period is None:
        return None
    return UsageRow(number, texts["resource"], meter, attributes, period, quantity)


def _attributes(raw: Mapping[str, object], problems: list[str]) -> dict[str, str]:
    given = raw.get("attributes") or {}
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (json.JSONDecodeError, RecursionError) as error:
            problems.append(f"attributes are not a JSON object: {error}")
            return {}
    if not isinstance(given, Mapping) or not all(isinstance(v, str) for v in given.values()):
        problems.append('attributes must be a JSON object of texts, such as {"tier": "gold"}')
        return {}
    found = {str(name): str(value) for name, value in given.items()}
    for column, value in raw.items():
        name = column.removeprefix(ATTRIBUTE_PREFIX)
        if not column.startswith(ATTRIBUTE_PREFIX) or value is None or value == "":
            continue
        if found.setdefault(name, str(value)) != str(value):
            problems.append(f"attribute {name!r} is {found[name]!r} in attributes and {str(value)!r} in {column}")
    return found


def _quantity(text: str, unit: str, meter: Meter, problems: list[str]) -> int | None:
    if not _DECIMAL.fullmatch(text):
        problems.append(f"quantity {text!r} is no decimal number of zero or more (digits and a point)")
        return None
    sizes = {meter.base: 1, **meter.display}
    if unit and unit not in sizes:
        problems.append(f"{meter.key} has no unit {unit!r}; choose {' or '.join(sizes)}")
        return None
    value = Fraction(text) * sizes[unit or meter.base]
    if value.denominator != 1:
        problems.append(f"quantity {text} {unit or meter.base} is no whole number of {meter.base}, the base unit")
        return None
    if value > INT64_MAX:
        problems.append(f"quantity {text} exceeds {INT64_MAX} {meter.base}")
        return None
    return int(value)


def _period(start: str, end: str, meter: Meter, problems: list[str]) -> Period | None:
    instants: list[int] = []
    for name, text in (("from", start), ("to", end)):
        if not text:
            continue
        try:
            instants.append(parse_instant(text))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        return None
    if not all(0 <= instant <= FOREVER for instant in instants):
        problems.append("from and to must lie between 1970 and 2100")
    elif meter.kind == "event" and len(set(instants)) == 1:
        return Period(instants[0], instants[0] + EVENT_CELL_SECONDS)
    elif len(instants) == 1:
        problems.append("to is empty; only an event happens at one instant")
    elif instants[1] <= instants[0]:
        problems.append("to must lie after from")
    else:
        return Period(*instants)
    return None


def _repeated(rows: Sequence[UsageRow]) -> list[str]:
    """Return rows that say the same thing twice; events are told apart by nothing in a file, so they may repeat."""
    first: dict[tuple[object, ...], int] = {}
    problems = []
    for row in rows:
        if row.meter.kind == "event":
            continue
        key = (row.resource, row.meter.key, row.attributes_json, row.period)
        if first.setdefault(key, row.number) != row.number:
            problems.append(
                f"row {row.number}: repeats row {first[key]} (same resource, meter, attributes, from and to); "
                "it would be charged twice"
            )
    return problems


def span_of(rows: Sequence[UsageRow]) -> Period:
    """Return the shortest period that holds all rows; raises ValueError without rows."""
    return Period(min(row.period.start for row in rows), max(row.period.end for row in rows))


@dataclass(slots=True)
class _Sum:
    quantity: int = 0
    covered: int = 0
    parts: int = 0
    digest: int = 0


def usage_table(rows: Sequence[UsageRow], segments: Segments) -> FileUsage:
    """Spread rows over segments and sum what falls together, as the warehouse sums samples.

    Args:
        rows: inside the segments' period.
        segments: from `rating.windows.segments_of`.

    Raises:
        Misconfigured: an event row spans several segments, more than PARTS_MAX parts, or a sum beyond 2^63 - 1.
    """
    attribute_sets: dict[int, Mapping[str, str]] = {}
    resources: dict[int, str] = {}
    keys: list[tuple[int, int, int, int]] = []
    facts: list[tuple[int, int, int]] = []  # start, quantity, covered
    problems: list[str] = []
    for row in rows:
        set_id, resource = attributes_id(row.attributes_json), resource_id(SITE, row.resource)
        attribute_sets[set_id], resources[resource] = row.attributes, row.resource
        parts = _spread(row, segments)
        if row.meter.kind == "event" and len(parts) > 1:
            problems.append(f"row {row.number}: {row.meter.key} counts events, and the row spans several windows")
        keys += [(segments.edges[index], resource, row.meter.id, set_id) for index, *_ in parts]
        facts += [(start, quantity, covered) for _, start, quantity, covered in parts]
        if len(facts) > PARTS_MAX:
            raise Misconfigured([f"the rows span more than {PARTS_MAX} windows together: use larger windows"])
    sums = _summed(keys, facts)
    problems += [f"the sum of a resource's quantities exceeds {INT64_MAX}" for s in sums if s[5] > INT64_MAX][:1]
    if problems:
        raise Misconfigured(problems)
    columns = list(zip(*sums, strict=True)) if sums else [()] * len(USAGE_SCHEMA)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, USAGE_SCHEMA, strict=True)]
    return FileUsage(pa.table(arrays, schema=USAGE_SCHEMA), attribute_sets, resources)


def _spread(row: UsageRow, segments: Segments) -> list[tuple[int, int, int, int]]:
    """Return (segment, start, quantity, seconds) of each part of a row."""
    start, end = row.period.start, row.period.end
    index = bisect_right(segments.edges, start) - 1
    parts, at, given = [], start, 0
    while at < end:
        until = min(end, segments.edges[index + 1])
        due = row.quantity * (until - start) // (end - start)
        parts.append((index, at, due - given, until - at))
        at, given, index = until, due, index + 1
    return parts


def _summed(
    keys: Sequence[tuple[int, int, int, int]], facts: Sequence[tuple[int, int, int]]
) -> list[tuple[int, int, int, int, int, int, int, int, int]]:
    sums: dict[tuple[int, int, int, int], _Sum] = {}
    for key, (_, quantity, covered), digest in zip(keys, facts, _digests(keys, facts), strict=True):
        entry = sums.setdefault(key, _Sum())
        entry.quantity += quantity
        entry.covered += covered
        entry.parts += 1
        entry.digest ^= digest
    # Segment, tenant (none), resource, meter, attributes: the order of USAGE_SCHEMA.
    return [(s, 0, r, m, a, e.quantity, e.covered, e.parts, e.digest) for (s, r, m, a), e in sorted(sums.items())]


def _digests(keys: Sequence[tuple[int, int, int, int]], facts: Sequence[tuple[int, int, int]]) -> list[int]:
    """Return a hash a part over start, quantity, seconds, resource, meter, and a count of equal parts.

    Digests are joined by xor, in which two equal parts would vanish; the count keeps them apart in any order.
    """
    seen: dict[tuple[object, ...], int] = {}
    again = []
    for key, fact in zip(keys, facts, strict=True):
        seen[(key, fact)] = seen.get((key, fact), -1) + 1
        again.append(seen[(key, fact)])
    start, quantity, covered = (np.array([f[i] for f in facts], dtype=np.uint64) for i in range(3))
    resource, meter = (np.array([k[i] for k in keys], dtype=np.uint64) for i in (1, 2))
    return mix_columns(start, quantity, covered, resource, meter, np.array(again, dtype=np.uint64)).tolist()
