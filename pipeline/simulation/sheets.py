"""A simulation as rows of text: tables of products, of accounts with their products, of lines; CSV and XLSX of them."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Final

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font

from pipeline.simulation.model import AccountResult, LineDifference, Pair, Simulation
from schemas.meters import Registry
from schemas.money import decimal_text
from schemas.period import iso
from sinks.warehouse.protocol import Warehouse

Row = Sequence[str]
ACCOUNT_COLUMNS: Final = (
    "account",
    "name",
    "product",
    "before",
    "after",
    "difference",
    "percent",
    "currency",
    "list_before",
    "list_after",
    "unpriced_before",
    "unpriced_after",
    "problem",
)
"""Product is empty in the row of the whole account; the rows of its products follow."""
PRODUCT_COLUMNS: Final = ("product", "before", "after", "difference", "percent", "currency")
LINE_COLUMNS: Final = (
    "from",
    "to",
    "resource",
    "meter",
    "attributes",
    "product",
    "charge",
    "component",
    "quantity_before",
    "quantity_after",
    "price_before",
    "price_after",
    "before",
    "after",
    "difference",
)
NUMBERS: Final = frozenset(
    (
        "before",
        "after",
        "difference",
        "percent",
        "unpriced_before",
        "unpriced_after",
        "quantity_before",
        "quantity_after",
    )
)
"""Columns that XLSX holds as numbers, for people to sum up. The file has every digit; Excel calculates with 15."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
SHEET_ROWS_MAX: Final = 1_048_575
"""Rows that Excel holds below the heading."""


def percent(pair: Pair) -> str:
    """Return the difference in percent of what was before, with one digit, rounded half up; "" when that was 0."""
    if not pair.before:
        return ""
    tenths = (abs(pair.difference) * 2000 + abs(pair.before)) // (2 * abs(pair.before))
    sign = "-" if tenths and (pair.difference < 0) != (pair.before < 0) else ""
    return f"{sign}{tenths // 10}.{tenths % 10}"


def amounts(pair: Pair) -> tuple[str, str, str, str]:
    """Return before, after, difference and percent."""
    return decimal_text(pair.before), decimal_text(pair.after), decimal_text(pair.difference), percent(pair)


def account_rows(simulation: Simulation) -> Iterator[Row]:
    """Yield ACCOUNT_COLUMNS: a row for each account, then one for each of its products."""
    for account in simulation.accounts:
        lists = [f"{one.id} v{one.version}" if one else "" for one in (account.before, account.after)]
        unpriced = (str(account.unpriced.before), str(account.unpriced.after))
        head = (account.account, account.name)
        money = amounts(account.amount) if not account.problem else ("", "", "", "")
        yield (*head, "", *money, account.currency, *lists, *unpriced, account.problem)
        for product, pair in account.by_product.items():
            yield (*head, product, *amounts(pair), account.currency, *lists, "", "", "")


def product_rows(simulation: Simulation) -> Iterator[Row]:
    """Yield PRODUCT_COLUMNS: each product, then the total of each currency."""
    for (currency, product), pair in simulation.by_product.items():
        yield (product, *amounts(pair), currency)
    for currency, pair in sorted(simulation.totals.items()):
        yield ("Total", *amounts(pair), currency)


def line_rows(lines: Sequence[LineDifference], warehouse: Warehouse, registry: Registry) -> Iterator[Row]:
    """Yield LINE_COLUMNS of an account's lines; a key without a name is shown in hexadecimal.

    Args:
        lines: of one account.
        warehouse: knows the names of resources and attribute sets.
        registry: knows the meters.
    """
    keys = sorted({line.resource_id for line in lines if line.resource_id})
    resources = {key: name or native for key, (_, native, name) in warehouse.resource_names(keys).items()}
    sets = warehouse.attribute_sets(sorted({line.attributes_id for line in lines if line.attributes_id}))
    meters = {key: meter.key for key, meter in registry.by_id.items()}
    for line in lines:
        yield (
            iso(line.segment.start),
            iso(line.segment.end),
            _named(resources, line.resource_id, 16),
            _named(meters, line.meter_id, 8),
            _named(sets, line.attributes_id, 16),
            line.product,
            line.charge,
            line.component,
            str(line.quantity.before),
            str(line.quantity.after),
            *line.prices,
            decimal_text(line.amount.before),
            decimal_text(line.amount.after),
            decimal_text(line.amount.difference),
        )


def _named(names: Mapping[int, str], key: int, digits: int) -> str:
    return names.get(key, f"{key:0{digits}x}") if key else ""


def csv_text(columns: Row, rows: Iterable[Row]) -> str:
    """Return a table as CSV (RFC 4180)."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_harmless(name, cell) for name, cell in zip(columns, row, strict=True)] for row in rows)
    return out.getvalue()


def xlsx_bytes(tables: Sequence[tuple[str, Row, Iterable[Row]]]) -> bytes:
    """Return a workbook with a sheet for each (title, columns, rows); rows are written as they come."""
    book = Workbook(write_only=True)
    for title, columns, rows in tables:
        sheet = book.create_sheet(title)
        sheet.freeze_panes = "A2"
        heading = [WriteOnlyCell(sheet, value=name) for name in columns]
        for cell in heading:
            cell.font = Font(bold=True)
        sheet.append(heading)
        for _, row in zip(range(SHEET_ROWS_MAX), rows, strict=False):
            sheet.append([_value(name, cell) for name, cell in zip(columns, row, strict=True)])
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def workbook(simulation: Simulation) -> bytes:
    """Return products and accounts as a workbook."""
    return xlsx_bytes(
        [
            ("Products", PRODUCT_COLUMNS, product_rows(simulation)),
            ("Accounts", ACCOUNT_COLUMNS, account_rows(simulation)),
        ]
    )


def ranked(accounts: Sequence[AccountResult]) -> list[Row]:
    """Return the rows of winners or losers: account, before, after, difference, percent, currency."""
    return [(account.account, *amounts(account.amount), account.currency) for account in accounts]


def _value(name: str, cell: str) -> str | Decimal | None:
    if cell and name in NUMBERS:
        return Decimal(cell)
    return _harmless(name, cell) or None


def _harmless(name: str, cell: str) -> str:
    """Return a text that no spreadsheet takes for a formula: names come from tenants."""
    return f"'{cell}" if name not in NUMBERS and cell.startswith(FORMULA) else cell
