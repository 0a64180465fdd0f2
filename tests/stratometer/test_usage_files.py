"""Usage files: every format gives the same texts; what a format cannot say exactly is refused with its place."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rating.files.usage_rows import UsageRow, usage_rows
from schemas.errors import Misconfigured
from schemas.meters import builtin
from stratometer import usage_files as module
from stratometer.usage_files import read_rows

EXAMPLES = Path(__file__).parents[2] / "examples" / "rating"
BODY = "resource,meter,from,to,quantity\n"
GOOD = "vm/a,vm.running,2026-01-01T00:00:00Z,2026-01-01T01:00:00Z,3600\n"


def problems_of(path: Path) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        read_rows(path)
    return list(caught.value.problems)


def workbook(path: Path, *sheets: list[list[object]], names: tuple[str, ...] = ("Sheet1", "Sheet2")) -> Path:
    book = openpyxl.Workbook()
    for number, (name, rows) in enumerate(zip(names, sheets, strict=False)):
        sheet = book.create_sheet(name, number)
        for row in rows:
            sheet.append(row)
    del book["Sheet"]
    book.save(path)
    return path


def lines_file(path: Path) -> Path:
    rows = json.loads((EXAMPLES / "usage.json").read_text(encoding="utf-8"))
    path.write_text("\n\n".join(json.dumps(r) for r in rows), encoding="utf-8-sig")
    return path


def parquet_file(path: Path) -> Path:
    rows = [dict(r) for r in read_rows(EXAMPLES / "usage.json")]
    attributes = [
        [(k, v) for k, v in given.items()] if isinstance(given := r.get("attributes"), dict) else [] for r in rows
    ]
    table = pa.table(
        {
            "resource": [r["resource"] for r in rows],
            "meter": [r["meter"] for r in rows],
            "from": [datetime.fromisoformat(str(r["from"])).astimezone(UTC) for r in rows],
            "to": [r.get("to") for r in rows],
            "quantity": pa.array([Decimal(str(r["quantity"])) for r in rows], pa.decimal128(20, 3)),
            "unit": [r.get("unit") for r in rows],
            "attributes": pa.array(attributes, pa.map_(pa.utf8(), pa.utf8())),
        }
    )
    pq.write_table(table, path)
    return path


def excel_file(path: Path) -> Path:
    """The example as somebody types it into a sheet: numbers are numbers, and a row and a column are left empty."""
    rows = [dict(r) for r in read_rows(EXAMPLES / "usage.csv")]
    header: list[object] = list(rows[0])
    cells: list[list[object]] = [[float(str(v)) if n == "quantity" else v or None for n, v in r.items()] for r in rows]
    return workbook(path, [[*header, None], *([*r, None] for r in cells[:2]), [], *([*r, None] for r in cells[2:])])


def test_all_formats_give_the_same_rows(tmp_path: Path) -> None:
    def content(path: Path) -> list[UsageRow]:
        return usage_rows(read_rows(path), builtin())

    expected = content(EXAMPLES / "usage.csv")
    assert len(expected) == 5
    assert content(EXAMPLES / "usage.json") == expected
    assert content(lines_file(tmp_path / "u.jsonl")) == expected
    assert content(lines_file(tmp_path / "u.ndjson")) == expected
    assert content(parquet_file(tmp_path / "u.parquet")) == expected
    assert content(excel_file(tmp_path / "u.xlsx")) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("u.xls", b"", "cannot read .xls; known are .csv, .xlsx"),
        ("u", b"", "cannot read a file without suffix"),
        ("u.csv", b"", "there are no rows"),
        ("u.csv", (BODY + GOOD.strip() + ",surplus\n").encode(), "row 1 has 6 fields, the header has 5"),
        ("u.csv", (BODY + "vm/a,vm.running\n").encode(), "row 1 has 2 fields, the header has 5"),
        ("u.csv", (BODY + '"open').encode(), "is not readable as CSV"),
        ("u.csv", b"resource,resource\n1,2\n", "column 'resource' stands twice"),
        ("u.csv", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("u.json", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("u.json", b"[1,", "neither an array nor one object a line"),
        ("u.json", b"[1, {}]", "row 1: is no JSON object"),
        ("u.json", b"[" * 100_000, "neither an array nor one object a line"),
        ("u.parquet", b"PAR", "is not readable as Parquet"),
        ("u.xlsx", b"PK", "is not readable as an Excel workbook (.xlsx): "),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert message in problems_of(path)[0]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet", ".xlsx"])
def test_files_that_are_absent_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    path = tmp_path / f"u{suffix}"
    assert problems_of(path) == ["cannot be read: No such file or directory"]
    path.write_bytes(b"x" * 11)
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 10)
    assert problems_of(path) == ["has 11 bytes; at most 10 are read: split it"]


def test_rows_without_content(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text(BODY + "\n")
    assert read_rows(path) == []
    assert read_rows(workbook(tmp_path / "u.xlsx", [])) == []
    (tmp_path / "u.json").write_text("[]")
    assert read_rows(tmp_path / "u.json") == []


def test_numbers_keep_their_text(tmp_path: Path) -> None:
    path = tmp_path / "u.json"
    path.write_text('[{"quantity": 0.10000000000000000555, "resource": 12345678901234567890, "unit": NaN}]')
    assert read_rows(path) == [
        {"quantity": "0.10000000000000000555", "resource": "12345678901234567890", "unit": "NaN"}
    ]


def test_binary_fractions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "u.parquet"
    pq.write_table(pa.table({"quantity": [0.1]}), path)
    assert problems_of(path) == ["column 'quantity' holds binary fractions; store it as decimal, integer or text"]


def test_arrow_values(tmp_path: Path) -> None:
    path = tmp_path / "u.parquet"
    when = datetime(2026, 1, 1)  # noqa: DTZ001 - a file may hold one without a zone
    pq.write_table(pa.table({"attributes": [{"a": "x", "b": None}], "from": [when], "quantity": [5]}), path)
    assert read_rows(path) == [{"attributes": {"a": "x"}, "from": "2026-01-01T00:00:00", "quantity": "5"}]


def test_numbers_in_cells_are_what_excel_shows(tmp_path: Path) -> None:
    cells: list[object] = [0.1, 17.5, 96, 1e20, 1e-7, 123456789012345, -3, "007", None]
    path = workbook(tmp_path / "u.xlsx", [[f"c{n}" for n in range(len(cells))], cells])
    assert list(read_rows(path)[0].values()) == [
        *("0.1", "17.5", "96", "100000000000000000000", "0.0000001", "123456789012345", "-3", "007", "")
    ]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (1 / 3, "B2: 0.3333333333333333 has more than 15 digits, which Excel does not keep; format the cell as text"),
        (1234567890123456, "B2: 1234567890123456 has more than 15 digits"),
        (True, "B2: is TRUE; format the cell as text"),
        ("#N/A", "B2: holds an error"),
        (datetime(2026, 1, 1), "B2: 2026-01-01 00:00:00 is an Excel date, which has no time zone; format the cell"),  # noqa: DTZ001
        (date(2026, 1, 1), "is an Excel date"),
        (time(1), "is an Excel date"),
        (timedelta(days=1), "is an Excel date"),
    ],
)
def test_cells_that_do_not_say_exactly_what_they_mean(tmp_path: Path, cell: object, message: str) -> None:
    assert message in problems_of(workbook(tmp_path / "u.xlsx", [["a", "b"], ["x", cell]]))[0]


def test_sheets_and_headers(tmp_path: Path) -> None:
    rows: list[list[object]] = [["a"], ["1"]]
    path = workbook(tmp_path / "u.xlsx", [["note"]], rows, names=("read me", "usage"))
    assert read_rows(path) == [{"a": "1"}]
    assert problems_of(workbook(path, rows, rows)) == [
        "has several sheets (Sheet1, Sheet2): name the one to read 'usage'"
    ]
    header: list[object] = ["a", "a", *[None] * 25, None]
    assert problems_of(workbook(path, [header, [None] * 27 + ["lost"]])) == [
        "column 'a' stands twice",
        "AB2: has a value, and its column has no name in row 1",
    ]
