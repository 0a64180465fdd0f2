"""`stratometer rate`: what it prints, with every option."""

import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest

from stratometer.exit_codes import Exit
from stratometer.rate_rows import EXPLANATION, ROW_COLUMNS
from tests.stratometer.conftest import Command

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "rating"
USAGE, PRICES = EXAMPLES / "usage.csv", EXAMPLES / "prices.yaml"
LIST = """
id: eu
name: EU
currency: EUR
window: month
products:
  - id: compute
    charges:
      - {id: hours, meter: vm.running, per: VM·h, prices: [{amount: "1"}]}
      - {id: base, model: recurring, every: month, prices: [{amount: "31"}]}
campaigns:
  - {id: hello, name: Hello, percent: "50", charges: [hours], coupon: HELLO, groups: [new]}
"""
ROWS = "resource,meter,from,to,quantity\nvm/a,vm.running,2026-01-01T00:00:00Z,2026-01-01T02:00:00Z,{}\n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    usage, prices = tmp_path / "usage.csv", tmp_path / "list.yaml"
    usage.write_text(ROWS.format(7200))
    prices.write_text(LIST)
    return [usage, prices]


def test_lines_sum_to_the_total(command: Command) -> None:
    """Invariant 10: Σ lines = total."""
    found = command("rate", USAGE, PRICES, "--json").json
    assert {"total", "currency", "lines"} == found.keys()
    assert sum(Decimal(line["amount"]) for line in found["lines"]) == Decimal(found["total"])
    assert list(csv.DictReader(io.StringIO(command("rate", USAGE, PRICES, "--csv").out))) == found["lines"]
    shown = command("rate", USAGE, PRICES)
    assert "Total" in shown.out
    assert "no price for ip.address" in shown.err


def test_sentences(command: Command) -> None:
    sentence = "40 GiB·h × 0.002 CU/GiB·h = 0.08 CU"
    assert sentence in command("rate", USAGE, PRICES, "--explain").out
    assert sentence not in command("rate", USAGE, PRICES).out
    header, *_ = command("rate", USAGE, PRICES, "--explain", "--csv").out.splitlines()
    assert header.split(",") == [*ROW_COLUMNS, EXPLANATION]
    lines = command("rate", USAGE, PRICES, "--explain", "--json").json["lines"]
    assert [line[EXPLANATION].startswith(sentence) for line in lines].count(True) == 1


def test_the_account(command: Command, files: list[Path]) -> None:
    def total(*options: str) -> str:
        return str(command("rate", *files, *options, "--json").json["total"])

    assert total() == "33.00"
    assert total("--group", "new") == "33.00"
    assert total("--group", "old", "--group", "new", "--coupon", "HELLO") == "32.00"
    assert total("--group", "new", "--coupon", "HELLO@2026-01-01T01:00:00Z") == "32.50"
    active = ("--active-from", "2026-01-01T00:00:00Z", "--active-to", "2026-01-02T00:00:00Z")
    assert total(*active) == "3.00"
    assert total("--from", "2026-01-01T00:00:00Z", "--to", "2026-03-01T00:00:00Z") == "64.00"


def test_a_parent_prices_what_the_list_does_not(command: Command, files: list[Path]) -> None:
    near = files[1].with_name("near.yaml")
    near.write_text(
        'id: near\nname: N\ncurrency: EUR\nprices:\n- {id: v, product: P, meter: vm.vcpu, amount: "1", per: vCPU·h}\n'
    )
    lines = command("rate", files[0], near, "--parent", files[1], "--json").json["lines"]
    assert {line["charge"] for line in lines} == {"hours", "base"}


def test_what_corrects_an_earlier_file(command: Command, files: list[Path]) -> None:
    new = files[0].with_name("new.csv")
    new.write_text(ROWS.format(3600))
    found = command("rate", new, files[1], "--against", files[0], "--json").json
    assert [line["amount"] for line in found["lines"]] == ["-2.00", "1.00"]
    assert found["total"] == "-1.00"
    same = command("rate", new, files[1], "--against", new, "--csv").out
    assert same.splitlines() == [",".join(ROW_COLUMNS)]


@pytest.mark.parametrize(
    "options",
    [
        ("--from", "2026-01-01T00:00:00Z"),
        ("--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"),
        ("--active-from", "2026-01-02T00:00:00Z", "--active-to", "2026-01-01T00:00:00Z"),
        ("--active-from", "2026-01-01"),
        ("--coupon", "HELLO@soon"),
        ("--grace-seconds", "-1"),
    ],
)
def test_options_that_make_no_sense(command: Command, files: list[Path], options: tuple[str, ...]) -> None:
    assert command("rate", *files, *options, status=Exit.USAGE).err


def test_files_that_are_not_there(command: Command) -> None:
    command("rate", "nowhere.csv", PRICES, status=Exit.USAGE)
