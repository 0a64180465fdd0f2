"""Usage as people write it, row by row: checked and read exactly, every problem listed with its row.

A row says how much of a meter one resource used between two instants; an event happens at one instant. A negative
quantity corrects usage that another row said. `usage_spread` and `usage_cells` make tables of rows.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

from rating.exact import INT64_MAX
from schemas.batch import canonical_attributes
from schemas.errors import Misconfigured
from schemas.meters import EVENT_CELL_SECONDS, Meter, Registry
from schemas.period import FOREVER, Period, parse_instant

REQUIRED: Final = ("resource", "meter", "from", "quantity")
COLUMNS: Final = ("resource", "meter", "from", "to", "quantity", "unit", "attributes", "received")
ATTRIBUTE_PREFIX: Final = "attr."
PROBLEMS_MAX: Final = 1_000
INSTANTS_CACHED: Final = 1 << 16
"""Instants remembered while a file is read: the same few stand in most rows."""
Units = Mapping[str, Mapping[str, Fraction]]
"""Units by meter key and name: base units in one, beside those of the registry."""
_DECIMAL: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
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
        quantity: base units; negative corrects.
        received: instant at which it became known, or None.
    """

    number: int
    resource: str
    meter: Meter
    attributes: Mapping[str, str]
    period: Period
    quantity: int
    received: int | None = None

    @property
    def attributes_json(self) -> str:
        """The canonical text of the attributes, as in sample batches."""
        return canonical_attributes(self.attributes)


def usage_rows(raw: Sequence[Mapping[str, object]], registry: Registry, units: Units | None = None) -> list[UsageRow]:
    """Check rows of text values (None or "" where absent; `attributes` may be a mapping).

    Args:
        raw: one mapping a row, keys as COLUMNS and ``attr.*``.
        registry: the meters.
        units: more units, such as a price list's.

    Raises:
        Misconfigured: lists every problem with its row number.
    """
    columns = {name for row in raw for name in row}
    strange = sorted(c for c in columns if c not in COLUMNS and not c.startswith(ATTRIBUTE_PREFIX))
    problems = [f"column {c!r} is unknown; known are {', '.join(COLUMNS)} and {ATTRIBUTE_PREFIX}*" for c in strange]
    missing = [f"column {c!r} is missing" for c in REQUIRED if c not in columns] if raw else ["there are no rows"]
    if missing:  # every row would say the same again
        raise Misconfigured([*problems, *missing])
    sizes = {meter.key: _sizes(meter, (units or {}).get(meter.key, {})) for meter in registry}
    rows: list[UsageRow] = []
    for number, item in enumerate(raw, start=1):
        found: list[str] = []
        row = _row(number, item, registry, sizes, found)
        problems += [f"row {number}: {problem}" for problem in found]
        if row is not None:
            rows.append(row)
    problems += _repeated(rows)
    if problems:
        more = len(problems) - PROBLEMS_MAX
        raise Misconfigured([*problems[:PROBLEMS_MAX], f"and {more} more"] if more > 0 else problems)
    return rows


def span_of(rows: Sequence[UsageRow]) -> Period:
    """Return the shortest period that holds all rows; raises ValueError without rows."""
    return Period(min(row.period.start for row in rows), max(row.period.end for row in rows))


def _row(
    number: int,
    raw: Mapping[str, object],
    registry: Registry,
    sizes: Mapping[str, Mapping[str, Fraction]],
    problems: list[str],
) -> UsageRow | None:
    texts = {name: "" if (value := raw.get(name)) is None else str(value).strip() for name in COLUMNS}
    problems += [f"{name} is empty" for name in REQUIRED if not texts[name]]
    meter = registry.meters.get(texts["meter"])
    if meter is None and texts["meter"]:
        problems.append(f"unknown meter {texts['meter']!r}; known are {', '.join(registry.meters)}")
    attributes = _attributes(raw, problems)
    if any(_SURROGATE.search(text) for text in (texts["resource"], *attributes, *attributes.values())):
        problems.append("resource and attributes must be text; half of a surrogate pair is none")
    if problems or meter is None:
        return None
    quantity = _quantity(texts["quantity"], texts["unit"], meter, sizes[meter.key], problems)
    period = _period(texts["from"], texts["to"], meter, problems)
    received = _received(texts["received"], problems)
    if problems or quantity is None or period is None:
        return None
    return UsageRow(number, texts["resource"], meter, attributes, period, quantity, received)


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
        if not column.startswith(ATTRIBUTE_PREFIX) or value is None or value == "":
            continue
        name = column.removeprefix(ATTRIBUTE_PREFIX)
        if found.setdefault(name, str(value)) != str(value):
            problems.append(f"attribute {name!r} is {found[name]!r} in attributes and {str(value)!r} in {column}")
    return found


def _sizes(meter: Meter, more: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Return base units in one of each unit in which a quantity of the meter may stand."""
    return {meter.base: Fraction(1), **{name: Fraction(size) for name, size in meter.display.items()}, **more}


def _quantity(text: str, unit: str, meter: Meter, sizes: Mapping[str, Fraction], problems: list[str]) -> int | None:
    if not _DECIMAL.fullmatch(text):
        problems.append(f"quantity {text!r} is no decimal number (digits, a point, a minus before a correction)")
        return None
    if unit and unit not in sizes:
        problems.append(f"{meter.key} has no unit {unit!r}; choose {' or '.join(sizes)}")
        return None
    size = sizes[unit or meter.base]
    simple = "." not in text and size.denominator == 1  # as most are; reading and multiplying fractions takes long
    value = Fraction(int(text) * size.numerator) if simple else Fraction(text) * size
    if value.denominator != 1:
        problems.append(
            f"quantity {text} {unit or meter.base} is no whole number of {meter.base}, the base unit; "
            "round it, or measure it with a meter of your own that has a finer base unit (`meters:` in the price list)"
        )
        return None
    if abs(value) > INT64_MAX:
        problems.append(f"quantity {text} exceeds {INT64_MAX} {meter.base}")
        return None
    return int(value)


_instant = lru_cache(maxsize=INSTANTS_CACHED)(parse_instant)


def _instants(texts: Mapping[str, str], problems: list[str]) -> list[int]:
    """Return the instants of the texts that are not empty; each must be one."""
    instants: list[int] = []
    for name, text in texts.items():
        if not text:
            continue
        try:
            instants.append(_instant(text))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if not problems and not all(0 <= instant <= FOREVER for instant in instants):
        problems.append(f"{' and '.join(texts)} must lie between 1970 and 2100")
    return instants


def _period(start: str, end: str, meter: Meter, problems: list[str]) -> Period | None:
    instants = _instants({"from": start, "to": end}, problems)
    if problems:
        return None
    if meter.kind == "event" and len(set(instants)) == 1:
        return Period(instants[0], instants[0] + EVENT_CELL_SECONDS)
    if len(instants) == 1:
        problems.append("to is empty; only an event happens at one instant")
    elif instants[1] <= instants[0]:
        problems.append("to must lie after from")
    else:
        return Period(*instants)
    return None


def _received(text: str, problems: list[str]) -> int | None:
    instants = _instants({"received": text}, problems)
    return instants[0] if instants else None


def _repeated(rows: Sequence[UsageRow]) -> list[str]:
    """Return rows that say the same thing twice.

    Events are told apart by nothing in a file, so they may repeat; a correction has the other sign.
    """
    first: dict[tuple[object, ...], int] = {}
    problems = []
    for row in rows:
        if row.meter.kind == "event":
            continue
        # Most rows differ before their attributes do, which cost more to compare.
        key = (row.resource, row.meter.key, row.period, row.quantity < 0, row.received, row.attributes_json)
        if first.setdefault(key, row.number) != row.number:
            problems.append(
                f"row {row.number}: repeats row {first[key]} (same resource, meter, attributes, from, to, received and "
                "sign); it would be charged twice"
            )
    return problems
