"""`stratometer simulate`: what it prints and writes, and that it charges nobody."""

import csv
from pathlib import Path

import pytest
from openpyxl import load_workbook

from pipeline.metering import Seen, meter, portions
from schemas.period import FOREVER, Period
from stratometer.compose import open_parts
from stratometer.exit_codes import Exit
from tests.pipeline.provider import level
from tests.pipeline.rows import HOUR, T0, Row, message
from tests.stratometer.conftest import Command

PROVIDER = """
accounts:
  - {id: acme, name: Acme}
  - {id: beta, name: "=Beta"}
rules:
  - {site: "*", tenant: acme, account: acme}
  - {site: "*", tenant: beta, account: beta}
price_lists:
  - id: default
    name: Standard
    currency: CU
    window: day
    prices: &prices
      - {id: v, product: Compute, meter: vm.vcpu, amount: "0.01", per: vCPU·h, from: 2020-01-01T00:00:00Z}
      - {id: d, product: Storage, meter: disk.capacity, amount: "0.001", per: GiB·h, from: 2020-01-01T00:00:00Z}
"""
DRAFT = """
id: default
name: Draft
currency: CU
window: day
prices:
  - {id: v, product: Compute, meter: vm.vcpu, amount: "0.02", per: vCPU·h, from: 2020-01-01T00:00:00Z}
  - {id: d, product: Storage, meter: disk.capacity, amount: "0.0005", per: GiB·h, from: 2020-01-01T00:00:00Z}
"""
MONTH = ("--month", "2026-10")


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    path = tmp_path / "draft.yaml"
    path.write_text(DRAFT)
    return path


@pytest.fixture
def metered(command: Command, tmp_path: Path) -> Command:
    """Two accounts: acme has 48 vCPU·h, beta 1,000 GiB·h."""
    provider = tmp_path / "provider.yaml"
    provider.write_text(PROVIDER.replace("prices: &prices", "prices:"))
    command("migrate")
    command("apply", provider)
    rows = level(2, hours=24)
    rows += [
        Row("disk/b", "disk.capacity", T0 + HOUR * h + q, 1024 * 900 * 100, 900, tenant="beta")
        for h in range(10)
        for q in range(0, HOUR, 900)
    ]
    with open_parts(command.settings) as parts:
        for portion in portions([message(rows)]):
            parts.warehouse.write(meter(portion, parts.registry, parts.clock(), Seen()).block, parts.clock())
    return command


def test_a_table_that_a_product_manager_reads(metered: Command, draft: Path) -> None:
    told = metered("simulate", draft, *MONTH).out
    for words in ("default v2", "Pay more", "Pay less", "Compute", "Total", "0.48", "0.96", "-50.0"):
        assert words in told
    assert "Lines without a price" not in told
    with open_parts(metered.settings) as parts:
        assert list(parts.warehouse.ratings(None, Period(0, FOREVER))) == [], "nothing is rated by it"


def test_json_and_files_say_the_same(metered: Command, draft: Path, tmp_path: Path) -> None:
    table, book = tmp_path / "s.csv", tmp_path / "s.xlsx"
    found = metered("simulate", draft, *MONTH, "--json", "--csv", table, "--xlsx", book).json
    assert found["totals"] == [{"currency": "CU", "before": "1.48", "after": "1.46", "difference": "-0.02"}]
    assert (found["winners"], found["losers"]) == (["beta"], ["acme"])
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    whole = {r["account"]: (r["before"], r["after"], r["difference"], r["percent"]) for r in rows if not r["product"]}
    assert whole == {"acme": ("0.48", "0.96", "0.48", "100.0"), "beta": ("1.00", "0.50", "-0.50", "-50.0")}
    assert {r["name"] for r in rows} == {"Acme", "'=Beta"}, "no spreadsheet takes a name for a formula"
    sheets = load_workbook(book)
    assert sheets.sheetnames == ["Products", "Accounts"]
    assert [c.value for c in sheets["Products"][4]] == ["Total", 1.48, 1.46, -0.02, -1.4, "CU"]


def test_one_account_line_by_line(metered: Command, draft: Path, tmp_path: Path) -> None:
    table, book = tmp_path / "l.csv", tmp_path / "l.xlsx"
    lines = metered("simulate", draft, *MONTH, "--lines", "acme", "--json", "--csv", table, "--xlsx", book).json
    assert [(r["meter"], r["before"], r["after"], r["price_before"]) for r in lines] == [
        ("vm.vcpu", "0.48", "0.96", "v")
    ]
    assert table.read_text().splitlines()[0].startswith("from,to,resource")
    assert load_workbook(book)["Lines"].max_row == 2
    assert "1 of 1 lines differ" in metered("simulate", draft, *MONTH, "--lines", "acme").out


def test_some_accounts_and_another_list(metered: Command, draft: Path) -> None:
    only = metered("simulate", draft, *MONTH, "--account", "beta", "--json").json
    assert [a["account"] for a in only["accounts"]] == ["beta"]
    same = metered("simulate", draft, *MONTH, "--against", "default", "--json").json
    assert same["totals"][0]["before"] == "1.48"
    draft.write_text(DRAFT.replace("id: default", "id: new"))
    assert metered("simulate", draft, *MONTH, "--json").json["totals"][0]["after"] == "1.46"


def test_what_is_wrong_is_told(metered: Command, draft: Path) -> None:
    assert "no account 'nobody'" in metered("simulate", draft, "--account", "nobody", status=Exit.USAGE).err
    assert "is not a month" in metered("simulate", draft, "--month", "October", status=Exit.USAGE).err
    draft.write_text(DRAFT.replace('"0.02"', "0.02"))
    assert "quote it" in metered("simulate", draft, status=Exit.USAGE).err
    draft.write_bytes(b"\xff")
    assert "not UTF-8" in metered("simulate", draft, status=Exit.USAGE).err
