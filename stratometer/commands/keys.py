"""`stratometer keys`: API keys for people, tenants and senders of usage."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from api.keys import new_key
from billing.protocol import ApiKey, Books
from schemas.clock import system_clock
from schemas.errors import Misconfigured
from schemas.period import SECOND
from sinks.books.connect import open_books
from stratometer.commands.common import DataDir, Json, start
from stratometer.compose import books_url
from stratometer.output import print_json, print_table, say

DAY_SECONDS = 86400
RoleName = Literal["admin", "product", "finance", "reader", "tenant", "ingest"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="API keys.", no_args_is_help=True)
    app.add_typer(group, name="keys")

    @group.command("create")
    def create(
        role: Annotated[RoleName, typer.Option(help="What it may do.")],
        account: Annotated[str | None, typer.Option(help="For a tenant: the account it sees, with all below.")] = None,
        site: Annotated[str | None, typer.Option(help="For an ingest key: the only site it writes to.")] = None,
        days: Annotated[int | None, typer.Option(min=1, help="Valid so many days; without it, until revoked.")] = None,
        data_dir: DataDir = None,
    ) -> None:
        """Make a key and show its token, once."""
        books = _books(data_dir)
        try:
            if account is not None and books.account(account) is None:
                raise Misconfigured([f"--account: there is no account {account!r}"])
            try:
                expires_at = system_clock() // SECOND + days * DAY_SECONDS if days else None
                key, token = new_key(role, account, site, expires_at)
            except ValueError as error:
                raise Misconfigured([str(error)]) from error
            books.put_api_key(key)
        finally:
            books.close()
        say(token)

    @group.command("list")
    def list_keys(json: Json = False, data_dir: DataDir = None) -> None:
        """Show the keys, without their secrets."""
        books = _books(data_dir)
        try:
            found = books.api_keys()
        finally:
            books.close()
        rows = [(k.id, k.role, k.account or "", k.site or "", "revoked" if k.revoked else "") for k in found]
        names = ["id", "role", "account", "site", "state"]
        if json:
            print_json([dict(zip(names, row, strict=True)) for row in rows])
        else:
            print_table("API keys", names, rows)

    @group.command("revoke")
    def revoke(key: Annotated[str, typer.Argument(help="Public id of the key.")], data_dir: DataDir = None) -> None:
        """Make a key useless from now on."""
        books = _books(data_dir)
        try:
            found: ApiKey | None = books.api_key(key)
            if found is None:
                raise Misconfigured([f"there is no key {key!r}: see `stratometer keys list`"])
            books.put_api_key(replace(found, revoked=True))
        finally:
            books.close()
        say(f"{key} is revoked.")


def _books(data_dir: Path | None) -> Books:
    return open_books(books_url(start(data_dir)))
