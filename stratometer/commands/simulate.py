"""`stratometer simulate DRAFT.yaml --month 2026-09`: what a past month would have come to under another price list."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from pipeline.simulation import sheets
from pipeline.simulation.cohorts import Asked
from pipeline.simulation.model import NAMED_MAX, AccountResult, Simulation
from pipeline.simulation.run import Simulator
from pipeline.simulation.view import simulation_json
from schemas.errors import Misconfigured
from schemas.period import SECOND
from stratometer.commands.common import DataDir, Json, start
from stratometer.compose import Parts, open_parts
from stratometer.months import month_before
from stratometer.output import complain, print_json, print_table, progress, say

MONEY: Final = ("before", "after", "difference", "%", "currency")
LINES_SHOWN_MAX: Final = 200
"""Lines printed in a terminal; --csv and --xlsx write all."""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def simulate(
        draft: Annotated[Path, typer.Argument(help="Price list, YAML or JSON.", exists=True, dir_okay=False)],
        month: Annotated[str, typer.Option(help="In each account's zone; default: the last whole month.")] = "",
        account: Annotated[list[str] | None, typer.Option(help="Only these accounts; may be repeated.")] = None,
        against: Annotated[str | None, typer.Option(help="List to compare with, for everyone.")] = None,
        lines: Annotated[str | None, typer.Option(help="Show this account line by line.")] = None,
        csv: Annotated[Path | None, typer.Option(help="Write accounts and products (or the lines) as CSV.")] = None,
        xlsx: Annotated[Path | None, typer.Option(help="Write the same as a workbook.")] = None,
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Rate a past month's stored usage under a draft beside the list in force. Nothing is written or charged."""
        document = _document(draft)
        with open_parts(start(data_dir)) as parts:
            chosen = month or month_before(parts.clock() // SECOND)
            asked = Asked(document, month=chosen, accounts=account, against=against)
            simulator = Simulator(parts.warehouse, parts.books, parts.directory, parts.registry, parts.clock)
            if lines is not None:
                _lines(parts, simulator, asked, lines, csv, xlsx, json=json)
                return
            with progress("simulating", quiet=json) as update:
                found = simulator.simulate(asked, update)
        if csv is not None:
            csv.write_text(
                sheets.csv_text(sheets.ACCOUNT_COLUMNS, sheets.account_rows(found)), encoding="utf-8", newline=""
            )
        if xlsx is not None:
            xlsx.write_bytes(sheets.workbook(found))
        if json:
            print_json(simulation_json(found))
        else:
            show(found)


def _document(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Misconfigured([f"{path}: is not UTF-8: {error.reason} at byte {error.start}"]) from error


def show(found: Simulation) -> None:
    """Print totals, products, winners and losers."""
    draft = f"{found.draft.id} v{found.draft.version}"
    if not found.accounts:
        say(f"No account is priced by {found.draft.id}. Compare it with another list for everyone: --against LIST")
        return
    title = f"{found.month}: {draft} beside what is in force, {len(found.rated)} accounts"
    print_table(title, ["product", *MONEY], list(sheets.product_rows(found)), right=[1, 2, 3, 4])
    _ranked("Pay less", found.winners)
    _ranked("Pay more", found.losers)
    unchanged = len(found.rated) - len(found.winners) - len(found.losers)
    told = f"Accounts that pay the same: {unchanged}; priced by other lists: {found.untouched}."
    before, after = (sum(a.unpriced.before for a in found.rated), sum(a.unpriced.after for a in found.rated))
    if before or after:
        told += f" Lines without a price: {before} before, {after} after."
    say(told)
    if found.problems:
        complain("These accounts could not be rated:")
        for problem in found.problems:
            complain(f"  - {problem.account}: {problem.problem}")


def _ranked(title: str, accounts: Sequence[AccountResult]) -> None:
    if accounts:
        more = f" ({NAMED_MAX} of {len(accounts)}; --csv has all)" if len(accounts) > NAMED_MAX else ""
        print_table(title + more, ["account", *MONEY], sheets.ranked(accounts[:NAMED_MAX]), right=[1, 2, 3, 4])


def _lines(
    parts: Parts, simulator: Simulator, asked: Asked, account: str, csv: Path | None, xlsx: Path | None, *, json: bool
) -> None:
    found = simulator.lines(asked, account)
    rows = list(sheets.line_rows(found, parts.warehouse, parts.registry))
    if csv is not None:
        csv.write_text(sheets.csv_text(sheets.LINE_COLUMNS, rows), encoding="utf-8", newline="")
    if xlsx is not None:
        xlsx.write_bytes(sheets.xlsx_bytes([("Lines", sheets.LINE_COLUMNS, rows)]))
    if json:
        print_json([dict(zip(sheets.LINE_COLUMNS, row, strict=True)) for row in rows])
        return
    changed = [row for row, line in zip(rows, found, strict=True) if line.amount.difference]
    shown = ["from", "resource", "meter", "charge", "component", "price_before", "price_after", "difference"]
    places = [sheets.LINE_COLUMNS.index(name) for name in shown]
    table = [[row[place] for place in places] for row in changed[:LINES_SHOWN_MAX]]
    print_table(f"{account}: {len(changed)} of {len(rows)} lines differ", shown, table, right=[7])
    if len(changed) > LINES_SHOWN_MAX:
        say(f"{len(changed) - LINES_SHOWN_MAX} more: write them with --csv FILE")
