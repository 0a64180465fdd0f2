"""Simulations as tables: percentages, exact numbers, and texts that no spreadsheet takes for a formula."""

import csv
from io import BytesIO, StringIO

import pytest
from openpyxl import load_workbook

from pipeline.simulation import sheets
from pipeline.simulation.model import AccountResult, ListName, Pair, Simulation
from pipeline.simulation.view import simulation_json
from schemas.period import Period

OCTOBER = Period(1_790_812_800, 1_793_491_200)
LIST = ListName("default", 1)


def account(name: str, before: int, after: int, currency: str = "CU", problem: str = "") -> AccountResult:
    products = {} if problem else {"=Compute": Pair(before, after)}
    return AccountResult(name, name.title(), currency, LIST, None, OCTOBER, products, Pair(1, 2), Pair(3, 4), problem)


def simulation(*accounts: AccountResult) -> Simulation:
    return Simulation(ListName("default", 2), "d", "2026-10", OCTOBER, 0, accounts)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (100, 150, "50.0"),
        (100, 50, "-50.0"),
        (3, 4, "33.3"),
        (3, 5, "66.7"),
        (100_000, 100_050, "0.1"),
        (100_000, 99_950, "-0.1"),
        (100_000, 100_049, "0.0"),
        (100_000, 99_951, "0.0"),
        (-100, -50, "-50.0"),
        (-100, -150, "50.0"),
        (-100, 100, "-200.0"),
        (0, 5, ""),
    ],
)
def test_percent_of_what_was_before_rounded_half_up(before: int, after: int, told: str) -> None:
    assert sheets.percent(Pair(before, after)) == told


def test_csv_has_every_digit_and_no_formula() -> None:
    found = simulation(account("acme", 2**62, 2**62 + 1), account("odd", 0, 0, problem="-looks like a formula"))
    rows = list(csv.DictReader(StringIO(sheets.csv_text(sheets.ACCOUNT_COLUMNS, sheets.account_rows(found)))))
    assert [row["account"] for row in rows] == ["acme", "acme", "odd"]
    assert rows[1]["product"] == "'=Compute"
    assert rows[1]["difference"] == "0.000001"
    assert (rows[2]["before"], rows[2]["problem"]) == ("", "'-looks like a formula")


def test_a_workbook_holds_numbers() -> None:
    book = load_workbook(BytesIO(sheets.workbook(simulation(account("acme", 1_500_000, 500_000)))))
    assert [cell.value for cell in book["Products"][2]] == ["'=Compute", 1.5, 0.5, -1, -66.7, "CU"]
    assert [cell.value for cell in book["Accounts"][2]][:2] == ["acme", "Acme"]
    assert book["Accounts"].freeze_panes == "A2"


def test_currencies_and_problems_stay_apart() -> None:
    found = simulation(
        account("a", 5, 3),
        account("b", 5, 9),
        account("c", 1, 1, "EUR"),
        account("d", 5, 2),
        account("e", 7, 7, problem="no"),
    )
    assert found.totals == {"CU": Pair(15, 14), "EUR": Pair(1, 1)}
    assert found.by_product == {("CU", "=Compute"): Pair(15, 14), ("EUR", "=Compute"): Pair(1, 1)}
    assert [a.account for a in found.winners] == ["d", "a"]
    assert [a.account for a in found.losers] == ["b"]
    assert [a.account for a in found.problems] == ["e"]
    told = simulation_json(found)
    assert told["totals"] == [
        {"currency": "CU", "before": "0.000015", "after": "0.000014", "difference": "-0.000001"},
        {"currency": "EUR", "before": "0.000001", "after": "0.000001", "difference": "0.00"},
    ]
