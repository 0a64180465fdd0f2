"""`stratometer rate`: a usage file and a price list file in, rated lines out, without any store.

Usage comes as CSV, JSON (one array, or one object a line) or Parquet; docs/pricing.md describes the columns. Numbers
are read as the text that stands in the file, so no digit passes through a binary fraction.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from rating.engine import Rated, rate
from rating.explain import Explanation, Line, LineNames, explain, line_at, quantity_text
from rating.price_list import PriceList, parse
from rating.usage_rows import FileUsage, span_of, usage_rows, usage_table
from rating.windows import segments_of
from schemas.batch import canonical_attributes
from schemas.errors import Misconfigured
from schemas.meters import Registry, builtin
from schemas.money import decimal_text
from schemas.period import iso

FILE_BYTES_MAX: Final = 1 << 28
SUFFIXES: Final = (".csv", ".json", ".jsonl", ".ndjson", ".parquet")
ROW_COLUMNS: Final = (
    "window_from",
    "window_to",
    "from",
    "to",
    "resource",
    "meter",
    "attributes",
    "quantity",
    "unit",
    "product",
    "price",
    "amount",
    "currency",
    "digest",
)
"""Columns of `line_rows`, in order."""


@dataclass(frozen=True, slots=True)
class FileRating:
    """What `rate_files` found out.

    Attributes:
        rated: lines and totals.
        price_list: the list used; its `warnings` are worth showing.
        usage: the usage rated, and names of resources and attribute sets.
        registry: the meters.
    """

    rated: Rated
    price_list: PriceList
    usage: FileUsage
    registry: Registry


def rate_files(usage_path: Path, prices_path: Path, zone: str = "UTC", registry: Registry | None = None) -> FileRating:
    """Rate a usage file under a price list file.

    Args:
        usage_path: .csv, .json, .jsonl, .ndjson or .parquet.
        prices_path: YAML or JSON.
        zone: IANA name of the zone whose hours, days and months are the windows.
        registry: the meters; the built-in ones unless given.

    Raises:
        Misconfigured: lists every problem of either file, each with its file and its row or path.
        Poison: ``amount_too_large``.
    """
    meters = registry or builtin()
    problems: list[str] = []
    price_list = rows = None
    try:
        price_list = parse(_text(prices_path), meters)
    except Misconfigured as error:
        problems += [f"{prices_path.name}: {p}" for p in error.problems]
    try:
        rows = usage_rows(read_rows(usage_path), meters)
    except Misconfigured as error:
        problems += [f"{usage_path.name}: {p}" for p in error.problems]
    if price_list is None or rows is None:
        raise Misconfigured(problems)
    try:
        segments = segments_of(span_of(rows), price_list, zone)
    except ValueError as error:
        raise Misconfigured([str(error)]) from error
    try:
        usage = usage_table(rows, segments)
    except Misconfigured as error:
        raise Misconfigured([f"{usage_path.name}: {p}" for p in error.problems]) from error
    rated = rate(usage.usage, price_list, meters, usage.attribute_sets, segments)
    return FileRating(rated, price_list, usage, meters)


def line_rows(rating: FileRating) -> list[dict[str, str]]:
    """Return one row of texts a line, keys as ROW_COLUMNS, for JSON, CSV or a table; every value is exact.

    An unpriced line has empty product and price. Quantities stand in the price's unit, else the meter's first one.
    """
    return [_line_row(line_at(rating.rated.lines, i), rating) for i in range(rating.rated.lines.num_rows)]


def explanations(rating: FileRating) -> list[Explanation]:
    """Return the explanation of each line, in the order of the lines."""
    lines = (line_at(rating.rated.lines, i) for i in range(rating.rated.lines.num_rows))
    return [explain(line, rating.price_list, _names(line, rating)) for line in lines]


def _names(line: Line, rating: FileRating) -> LineNames:
    meter = rating.registry.by_id[line.meter_id]
    unit = (meter.display_unit, meter.display[meter.display_unit])
    usage = rating.usage
    return LineNames(usage.resources[line.resource_id], meter.key, usage.attribute_sets[line.attributes_id], unit)


def _line_row(line: Line, rating: FileRating) -> dict[str, str]:
    names = _names(line, rating)
    price = rating.price_list.by_key.get(line.price_id)
    unit, size = (price.unit, price.unit_size) if price else names.unit
    values = (
        iso(line.window_start),
        iso(line.window_end),
        iso(line.segment_start),
        iso(line.segment_end),
        names.resource,
        names.meter,
        canonical_attributes(names.attributes),
        quantity_text(line.quantity, unit, size).removesuffix(f" {unit}"),
        unit,
        price.product if price else "",
        price.id if price else "",
        decimal_text(line.amount_micros),
        rating.price_list.currency,
        f"{line.digest:016x}",
    )
    return dict(zip(ROW_COLUMNS, values, strict=True))


def read_rows(path: Path) -> list[Mapping[str, object]]:
    """Return the rows of a usage file, values as text.

    Raises:
        Misconfigured: unknown suffix, unreadable, too large, or numbers stored as binary fractions.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise Misconfigured([f"cannot read {suffix or 'a file without suffix'}; known are {', '.join(SUFFIXES)}"])
    if suffix == ".csv":
        return _csv(path)
    return _parquet(path) if suffix == ".parquet" else _json(_text(path))


def _text(path: Path) -> str:
    _check_size(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Misconfigured([f"is not UTF-8 text: {error}"]) from error


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise Misconfigured([f"cannot be read: {error.strerror}"]) from error
    if size > FILE_BYTES_MAX:
        raise Misconfigured([f"has {size} bytes; at most {FILE_BYTES_MAX} are read: split it"])


def _csv(path: Path) -> list[Mapping[str, object]]:
    # The csv module rather than pandas, which drops surplus fields and fills absent ones without a word.
    try:
        header, *records = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    except ValueError as error:
        raise Misconfigured(["there are no rows"]) from error
    except csv.Error as error:
        raise Misconfigured([f"is not readable as CSV: {error}"]) from error
    twice = sorted({name for name in header if header.count(name) > 1})
    problems = [f"column {name!r} stands twice" for name in twice]
    records = [record for record in records if record]  # empty lines
    problems += [
        f"row {number} has {len(record)} fields, the header has {len(header)}"
        for number, record in enumerate(records, start=1)
        if len(record) != len(header)
    ]
    if problems:
        raise Misconfigured(problems)
    return [dict(zip(header, record, strict=True)) for record in records]


def _json(text: str) -> list[Mapping[str, object]]:
    values: list[object] = []
    try:
        if text.lstrip().startswith("["):
            values += _loads(text)
        else:
            values += [_loads(line) for line in text.splitlines() if line.strip()]
    except (json.JSONDecodeError, RecursionError) as error:
        raise Misconfigured([f"is not readable as JSON, neither an array nor one object a line: {error}"]) from error
    strange = [number for number, value in enumerate(values, start=1) if not isinstance(value, dict)]
    if strange:
        raise Misconfigured([f"row {number}: is no JSON object" for number in strange])
    return [value for value in values if isinstance(value, dict)]


def _loads(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)


def _parquet(path: Path) -> list[Mapping[str, object]]:
    _check_size(path)
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise Misconfigured([f"is not readable as Parquet: {error}"]) from error
    binary = [f.name for f in table.schema if pa.types.is_floating(f.type)]
    if binary:
        raise Misconfigured(
            [f"column {n!r} holds binary fractions; store it as decimal, integer or text" for n in binary]
        )
    rows: Sequence[Mapping[str, object]] = table.to_pylist()
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: object) -> object:
    if isinstance(value, list):  # Arrow's map type comes as pairs
        return dict(value)
    if isinstance(value, dict):  # Arrow's struct type has every key in every row
        return {key: item for key, item in value.items() if item is not None}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"  # never with an exponent
    return value if value is None else str(value)
