"""`stratometer coupons`: redeem a code for an account, and see what was redeemed."""

from typing import Annotated

import typer

from billing.catalogue_values import Act
from billing.coupons import limits_of
from schemas.errors import Misconfigured
from schemas.period import SECOND, iso
from sinks.books.connect import open_books
from stratometer.actor import actor
from stratometer.commands.common import DataDir, Json, start
from stratometer.compose import books_url, open_parts
from stratometer.output import print_json, print_table, say


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Coupons of campaigns.", no_args_is_help=True)
    app.add_typer(group, name="coupons")

    @group.command("redeem")
    def redeem(
        code: Annotated[str, typer.Argument(help="As the campaign has it.")],
        account: Annotated[str, typer.Argument(help="Who redeems it.")],
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Redeem a code from now on, if a campaign in force for the account knows it and its limits allow it."""
        with open_parts(start(data_dir)) as parts:
            found, now = parts.books.account(account), parts.clock()
            if found is None:
                raise Misconfigured([f"there is no account {account!r}"])
            price_list = parts.directory.price_list(found)
            limits = limits_of(price_list.campaigns, code, now // SECOND) if price_list else None
            if limits is None:
                raise Misconfigured([f"no campaign that is in force for {account} has the code {code!r}"])
            redeemed = parts.books.redeem(code, account, limits, Act(actor(), now))
        if json:
            print_json({"code": code, "account": account, "redeemed_at": iso(redeemed.redeemed_at)})
        else:
            say(f"{account} redeemed {code}; it counts from {iso(redeemed.redeemed_at)} on.")

    @group.command("list")
    def list_coupons(
        account: Annotated[str | None, typer.Option(help="Only of this account.")] = None,
        code: Annotated[str | None, typer.Option(help="Only this code.")] = None,
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Show what was redeemed, by whom and when."""
        books = open_books(books_url(start(data_dir)))
        try:
            found = books.redemptions(account, code)
        finally:
            books.close()
        names = ["code", "account", "redeemed_at"]
        rows = [[one.code, one.account, iso(one.redeemed_at)] for one in found]
        if json:
            print_json([dict(zip(names, row, strict=True)) for row in rows])
        else:
            print_table("Redeemed coupons", names, rows)
