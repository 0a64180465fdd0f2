"""`stratometer rate USAGE PRICES`: rate a usage file under a price list file; no stores."""

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from rating.price import UNIT
from rating.terms import Terms
from schemas.errors import Misconfigured
from schemas.money import decimal_text
from schemas.period import FOREVER, Period, parse_instant
from stratometer.commands.common import Json
from stratometer.output import complain, print_json, print_table, say
from stratometer.rate_files import FileRating, corrected, rate_files
from stratometer.rate_rows import EXPLANATION, ROW_COLUMNS, explanations, line_rows

SHOWN: Final = ("from", "resource", "meter", "quantity", "unit", "price", "amount")
"""What fits a terminal, shortened by `_short`; --csv and --json print everything."""
_RIGHT: Final = (3, 6)


def _instant(text: str) -> int:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _at(name: str, text: str) -> Any:
    """Return the option of an instant."""
    return typer.Option(name, parser=_instant, metavar="INSTANT", help=text)


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def rate(
        usage: Annotated[Path, typer.Argument(help="CSV, Excel, JSON or Parquet.", exists=True, dir_okay=False)],
        prices: Annotated[Path, typer.Argument(help="Price list, YAML or JSON.", exists=True, dir_okay=False)],
        parent: Annotated[
            list[Path], typer.Option(help="Next price list in the chain; may repeat.", exists=True, dir_okay=False)
        ] = [],  # noqa: B006 - typer copies it
        zone: Annotated[str, typer.Option(help="IANA zone of the windows.")] = "UTC",
        account: Annotated[str, typer.Option(help="Id of the account, for campaigns.")] = "",
        group: Annotated[list[str], typer.Option(help="Group of the account; may repeat.")] = [],  # noqa: B006
        coupon: Annotated[list[str], typer.Option(help="CODE or CODE@INSTANT redeemed; may repeat.")] = [],  # noqa: B006
        active_from: Annotated[int | None, _at("--active-from", "When the account begins; fees are prorated.")] = None,
        active_to: Annotated[int | None, _at("--active-to", "When it ends.")] = None,
        start: Annotated[int | None, _at("--from", "Rate whole windows from here, with --to.")] = None,
        end: Annotated[int | None, _at("--to", "… up to here, also without usage.")] = None,
        grace_seconds: Annotated[int, typer.Option(help="How long a window waits for late usage.", min=0)] = 0,
        against: Annotated[
            Path | None, typer.Option(help="Earlier usage file: print what corrects it.", exists=True, dir_okay=False)
        ] = None,
        explain: Annotated[bool, typer.Option("--explain", help="Add a sentence to each line.")] = False,
        as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
        json: Json = False,
    ) -> None:
        """Rate a usage file under a price list file: the same engine, no stores. See docs/pricing.md."""
        if (start is None) != (end is None):
            raise Misconfigured(["give --from and --to together"])
        period = None if start is None or end is None else _period("", start, end)
        active = _period("active-", active_from or 0, FOREVER if active_to is None else active_to)
        terms = Terms(account, frozenset(group), _coupons(coupon), active, zone)

        def rated(path: Path) -> FileRating:
            return rate_files(path, [prices, *parent], zone, terms, period=period, grace_seconds=grace_seconds)

        rating = rated(usage) if against is None else corrected(rated(against), rated(usage))
        rows = [dict(row) for row in line_rows(rating)]
        if explain:
            rows = [row | {EXPLANATION: e.sentence} for row, e in zip(rows, explanations(rating), strict=True)]
        _print(rating, rows, [*ROW_COLUMNS, *([EXPLANATION] if explain else [])], as_csv=as_csv, as_json=json)


def _coupons(texts: Sequence[str]) -> dict[str, int]:
    """Return the instant of redemption by code; a code without one counts from the beginning of time."""
    coupons = {}
    for text in texts:
        code, _, instant = text.partition("@")
        coupons[code] = _instant(instant) if instant else 0
    return coupons


def _period(name: str, start: int, end: int) -> Period:
    if end <= start:
        raise typer.BadParameter(f"--{name}to must lie after --{name}from")
    return Period(start, end)


def _print(
    rating: FileRating, rows: Sequence[Mapping[str, str]], columns: Sequence[str], *, as_csv: bool, as_json: bool
) -> None:
    total, currency = decimal_text(rating.total_micros), rating.price_list.currency
    for warning in rating.warnings:
        complain(f"warning: {warning}")
    if rating.unpriced_meters:
        complain(f"warning: no price for {', '.join(rating.unpriced_meters)} at some time; see the lines without price")
    if as_json:
        print_json({"total": total, "currency": currency, "lines": rows})
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, columns)
        writer.writeheader()
        writer.writerows(rows)
    else:
        print_table("Rated lines", SHOWN, [[_short(row)[name] for name in SHOWN] for row in rows], right=_RIGHT)
        for row in rows:
            if EXPLANATION in row:
                say(row[EXPLANATION])
        print_table("Total", ["total", "currency"], [(total, currency)])


def _short(row: Mapping[str, str]) -> Mapping[str, str]:
    """Return a row for a terminal: midnight goes without saying, and a component stands with its price."""
    component = "" if row["component"] in ("", UNIT) else f"#{row['component']}"
    return {**row, "from": row["from"].removesuffix("T00:00:00Z"), "price": row["price"] + component}
