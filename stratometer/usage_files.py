"""Reads usage files: CSV, JSON, Excel or Parquet in, rows of texts out. docs/pricing.md describes the columns.

Numbers are read as the text that stands in the file, so no digit passes through a binary fraction. That decides who
reads what: Parquet is Arrow's and Excel is pandas' (cell by cell); CSV is the csv module's, because pandas drops
surplus fields without a word and Arrow takes all that follows an open quotation mark for one field; JSON is the json
module's, because pandas and Arrow make every number a binary fraction.
"""

import csv
import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import Misconfigured

FILE_BYTES_MAX: Final = 1 << 28
EXCEL_DIGITS: Final = 15
"""Significant digits that Excel keeps of a number; it writes more, and they are noise."""
EXCEL_SHEET: Final = "usage"
"""Name of the sheet that is read where there are several."""
EXCEL_LETTERS: Final = 26
Rows = list[Mapping[str, object]]


def read_rows(path: Path) -> Rows:
    """Return the rows of a usage file, values as text.

    Raises:
        Misconfigured: unknown suffix, unreadable, too large, or numbers stored as binary fractions.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise Misconfigured([f"cannot read {suffix or 'a file without suffix'}; known are {', '.join(_READERS)}"])
    return _READERS[suffix](path)


def read_text(path: Path) -> str:
    """Return a UTF-8 file; raises Misconfigured where it is none, absent or too large."""
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


def _csv(path: Path) -> Rows:
    try:
        header, *records = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    except ValueError as error:
        raise Misconfigured(["there are no rows"]) from error
    except csv.Error as error:
        raise Misconfigured([f"is not readable as CSV: {error}"]) from error
    problems = _twice(header)
    records = [record for record in records if record]  # empty lines
    problems += [
        f"row {number} has {len(record)} fields, the header has {len(header)}"
        for number, record in enumerate(records, start=1)
        if len(record) != len(header)
    ]
    if problems:
        raise Misconfigured(problems)
    return [dict(zip(header, record, strict=True)) for record in records]


def _twice(header: Sequence[str]) -> list[str]:
    return [f"column {name!r} stands twice" for name in sorted({n for n in header if header.count(n) > 1})]


def _json(path: Path) -> Rows:
    text = read_text(path)
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


def _parquet(path: Path) -> Rows:
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


def _excel(path: Path) -> Rows:
    import pandas as pd  # takes half a second, which every command would wait for

    _check_size(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # openpyxl's, about styles and validations that it leaves out
        try:
            with pd.ExcelFile(path, engine="openpyxl") as book:
                sheet = _sheet(book.sheet_names)
                frame = pd.read_excel(
                    book, sheet_name=sheet, header=None, dtype=object, keep_default_na=False, na_filter=False
                )
        except Misconfigured:
            raise
        except Exception as error:  # openpyxl raises whatever its zip and XML readers do
            raise Misconfigured([f"is not readable as an Excel workbook (.xlsx): {error}"]) from error
    cells: list[list[object]] = frame.to_numpy(dtype=object).tolist()
    problems: list[str] = []
    texts = [
        [_cell(value, f"{_column_letters(column)}{row}", problems) for column, value in enumerate(values)]
        for row, values in enumerate(cells, start=1)
    ]
    header = texts[0] if texts else []
    problems += _twice([name for name in header if name])
    body = [(number, record) for number, record in enumerate(texts[1:], start=2) if any(record)]
    problems += [
        f"{_column_letters(column)}{number}: has a value, and its column has no name in row 1"
        for number, record in body
        for column, value in enumerate(record)
        if value and not header[column]
    ]
    if problems:
        raise Misconfigured(problems)
    return [{name: value for name, value in zip(header, record, strict=True) if name} for _, record in body]


def _sheet(names: Sequence[int | str]) -> str:
    if len(names) == 1:
        return str(names[0])
    if EXCEL_SHEET not in names:
        raise Misconfigured(
            [f"has several sheets ({', '.join(map(str, names))}): name the one to read {EXCEL_SHEET!r}"]
        )
    return EXCEL_SHEET


def _cell(value: object, place: str, problems: list[str]) -> str:
    """Return a cell's text; numbers as the shortest decimal, which is what Excel shows of up to 15 digits."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        problems.append(f"{place}: is {str(value).upper()}; format the cell as text and write what is meant")
    elif isinstance(value, datetime | date | time | timedelta):
        problems.append(
            f"{place}: {value} is an Excel date, which has no time zone; "
            "format the cell as text and write the instant, such as 2026-01-01T00:00:00Z"
        )
    elif isinstance(value, int | float) and value == value:  # an error such as #N/A comes as NaN, which equals nothing
        return _number(value, place, problems)
    else:
        problems.append(f"{place}: holds an error or a value that is neither text nor number")
    return ""


def _number(value: int | float, place: str, problems: list[str]) -> str:
    exact = Decimal(repr(value))
    if len(exact.normalize().as_tuple().digits) > EXCEL_DIGITS:
        problems.append(
            f"{place}: {exact:f} has more than {EXCEL_DIGITS} digits, which Excel does not keep; "
            "format the cell as text and write the number"
        )
    return f"{exact:f}"


def _column_letters(column: int) -> str:
    """Return Excel's name of a column counted from 0."""
    letters = ""
    while column >= 0:
        letters = chr(ord("A") + column % EXCEL_LETTERS) + letters
        column = column // EXCEL_LETTERS - 1
    return letters


_READERS: Final[Mapping[str, Callable[[Path], Rows]]] = {
    ".csv": _csv,
    ".xlsx": _excel,
    ".json": _json,
    ".jsonl": _json,
    ".ndjson": _json,
    ".parquet": _parquet,
}
