"""`stratometer rate USAGE PRICES`: rate a usage file under a price list file; no stores."""

import csv
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from schemas.money import decimal_text
from stratometer.commands.common import Json
from stratometer.output import print_json, print_table
from stratometer.rate_files import line_rows, rate_files

SHOWN: Final = ("from", "resource", "meter", "quantity", "unit", "price", "amount", "currency")
"""What fits a terminal; --csv and --json print everything."""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def rate(
        usage: Annotated[Path, typer.Argument(help="CSV, JSON or Parquet.", exists=True, dir_okay=False)],
        prices: Annotated[Path, typer.Argument(help="Price list, YAML or JSON.", exists=True, dir_okay=False)],
        zone: Annotated[str, typer.Option(help="IANA zone of the windows.")] = "UTC",
        as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
        json: Json = False,
    ) -> None:
        """Rate a usage file under a price list file: the same engine, no stores. See docs/pricing.md."""
        rating = rate_files(usage, prices, zone)
        rows = line_rows(rating)
        if json:
            print_json(
                {"total": decimal_text(rating.rated.total_micros), "currency": rating.rated.currency, "lines": rows}
            )
        elif as_csv:
            writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(rows)
        else:
            print_table("Rated lines", SHOWN, [[row[name] for name in SHOWN] for row in rows], right=[3, 6])
            print_table(
                "Total", ["total", "currency"], [(decimal_text(rating.rated.total_micros), rating.rated.currency)]
            )
