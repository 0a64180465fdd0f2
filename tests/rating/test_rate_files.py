"""Usage and price files in, lines out; the examples of docs/pricing.md run here."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rating.price_list import parse
from schemas.errors import Misconfigured
from stratometer import rate_files as module
from stratometer.rate_files import ROW_COLUMNS, explanations, line_rows, rate_files, read_rows
from tests.rating.helpers import EXAMPLES, REGISTRY

PRICES = EXAMPLES / "prices.yaml"
DOCS = Path(__file__).parents[2] / "docs" / "pricing.md"
EXPECTED = [
    # resource, from, quantity, unit, price, amount
    ("disk/db-1", "2026-06-30T00:00:00Z", "17.5", "GiB·h", "disk-gold-2026", "0.07"),
    ("disk/web-1", "2026-06-30T00:00:00Z", "40", "GiB·h", "disk-2026", "0.08"),
    ("image/debian", "2026-06-30T00:00:00Z", "3", "deployment", "deployment-2026", "7.50"),
    ("vm/db-1", "2026-06-30T00:00:00Z", "1", "IP·h", "", "0.00"),
    ("vm/db-1", "2026-06-30T00:00:00Z", "48", "vCPU·h", "vcpu-2026", "0.576"),
    ("vm/db-1", "2026-07-01T00:00:00Z", "48", "vCPU·h", "vcpu-2026-h2", "0.552"),
]
BODY = "resource,meter,from,to,quantity\n"
GOOD = "vm/a,vm.running,2026-01-01T00:00:00Z,2026-01-01T01:00:00Z,3600\n"


def short(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
    return sorted(tuple(r[c] for c in ("resource", "from", "quantity", "unit", "price", "amount")) for r in rows)


def problems_of(usage: Path, prices: Path = PRICES, zone: str = "UTC") -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        rate_files(usage, prices, zone)
    return list(caught.value.problems)


@pytest.fixture
def lines_file(tmp_path: Path) -> Path:
    rows = json.loads((EXAMPLES / "usage.json").read_text(encoding="utf-8"))
    path = tmp_path / "usage.jsonl"
    path.write_text("\n\n".join(json.dumps(r) for r in rows), encoding="utf-8-sig")
    return path


@pytest.fixture
def parquet_file(tmp_path: Path) -> Path:
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
    path = tmp_path / "usage.parquet"
    pq.write_table(table, path)
    return path


def test_all_formats_give_the_same_lines(lines_file: Path, parquet_file: Path) -> None:
    found = [rate_files(p, PRICES) for p in (EXAMPLES / "usage.csv", EXAMPLES / "usage.json", lines_file, parquet_file)]
    for one in found:
        assert short(line_rows(one)) == EXPECTED
        assert one.rated == found[0].rated
    assert found[0].rated.unpriced_meters == ("ip.address",)
    assert list(line_rows(found[0])[0]) == list(ROW_COLUMNS)


def test_explanations() -> None:
    sentences = {e.sentence for e in explanations(rate_files(EXAMPLES / "usage.csv", PRICES))}
    assert "17.5 GiB·h × 0.004 CU/GiB·h = 0.07 CU, price disk-gold-2026 from 2026-01-01, list standard v1" in sentences


def test_the_zone_moves_the_windows() -> None:
    rows = line_rows(rate_files(EXAMPLES / "usage.csv", PRICES, "Europe/Prague"))
    compute = [(r["window_from"], r["from"], r["to"], r["quantity"]) for r in rows if r["meter"] == "vm.vcpu"]
    assert compute == [
        ("2026-06-29T22:00:00Z", "2026-06-29T22:00:00Z", "2026-06-30T22:00:00Z", "40"),
        ("2026-06-30T22:00:00Z", "2026-06-30T22:00:00Z", "2026-07-01T00:00:00Z", "8"),
        ("2026-06-30T22:00:00Z", "2026-07-01T00:00:00Z", "2026-07-01T22:00:00Z", "48"),
    ]


def test_problems_of_both_files_are_listed_at_once(tmp_path: Path) -> None:
    usage, prices = tmp_path / "u.csv", tmp_path / "p.yaml"
    usage.write_text(BODY + GOOD.replace("vm.running", "vm.fast") + GOOD.replace("3600", "x"))
    prices.write_text("id: a\nname: A\n")
    found = problems_of(usage, prices)
    assert [p.split(": ")[:2] for p in found] == [
        ["p.yaml", "currency"],
        ["p.yaml", "prices"],
        ["u.csv", "row 1"],
        ["u.csv", "row 2"],
    ]
    assert "IANA time zone" in problems_of(EXAMPLES / "usage.csv", zone="Mars/Olympus")[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("u.xlsx", b"", "cannot read .xlsx; known are .csv"),
        ("u", b"", "cannot read a file without suffix"),
        ("u.csv", b"", "there are no rows"),
        ("u.csv", BODY.encode(), "there are no rows"),
        ("u.csv", (BODY + GOOD.strip() + ",surplus\n").encode(), "row 1 has 6 fields, the header has 5"),
        ("u.csv", (BODY + "vm/a,vm.running\n").encode(), "row 1 has 2 fields, the header has 5"),
        ("u.csv", (BODY + '"open').encode(), "is not readable as CSV"),
        ("u.csv", b"resource,resource\n1,2\n", "column 'resource' stands twice"),
        ("u.csv", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("u.json", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("u.json", b"[1,", "neither an array nor one object a line"),
        ("u.json", b"[1, {}]", "row 1: is no JSON object"),
        ("u.json", b"[]", "there are no rows"),
        ("u.json", b"[" * 100_000, "neither an array nor one object a line"),
        ("u.parquet", b"PAR", "is not readable as Parquet"),
    ],
)
def test_unreadable_usage(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert message in problems_of(path)[0]


def test_files_that_are_absent_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems_of(tmp_path / "none.csv") == ["none.csv: cannot be read: No such file or directory"]
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 10)
    assert "at most 10 are read" in problems_of(EXAMPLES / "usage.csv")[0]


def test_binary_fractions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "u.parquet"
    pq.write_table(pa.table({"quantity": [0.1]}), path)
    assert "column 'quantity' holds binary fractions" in problems_of(path)[0]


def test_arrow_values(tmp_path: Path) -> None:
    path = tmp_path / "u.parquet"
    when = datetime(2026, 1, 1)  # noqa: DTZ001 - a file may hold one without a zone
    pq.write_table(pa.table({"attributes": [{"a": "x", "b": None}], "from": [when], "quantity": [5]}), path)
    assert read_rows(path) == [{"attributes": {"a": "x"}, "from": "2026-01-01T00:00:00", "quantity": "5"}]


def test_an_event_over_several_windows_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text(BODY + "i,image.deployment,2026-01-01T00:00:00Z,2026-01-05T00:00:00Z,3\n")
    assert problems_of(path) == ["u.csv: row 1: image.deployment counts events, and the row spans several windows"]


def test_the_documentation_shows_the_example_files() -> None:
    text = DOCS.read_text(encoding="utf-8")
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL))
    assert blocks["yaml"] == PRICES.read_text(encoding="utf-8")
    assert blocks["csv"] == (EXAMPLES / "usage.csv").read_text(encoding="utf-8")
    assert parse(blocks["yaml"], REGISTRY).warnings == ()
    for sentence in (e.sentence for e in explanations(rate_files(EXAMPLES / "usage.csv", PRICES))):
        assert sentence in blocks["text"]
