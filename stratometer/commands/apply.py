"""`stratometer apply FILE`: groups, accounts, rules, price lists and grants of a provider file into the books."""

from pathlib import Path
from typing import Annotated

import typer

from billing.catalogue_values import Act
from schemas.clock import system_clock
from sinks.books.connect import open_books
from stratometer import provider_file
from stratometer.actor import actor
from stratometer.commands.common import DataDir, Force, Json, Reason, start
from stratometer.compose import books_url
from stratometer.output import complain, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def apply(
        file: Annotated[Path, typer.Argument(help="Provider file (YAML).", exists=True, dir_okay=False)],
        force: Force = False,
        reason: Reason = "",
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Bring groups, accounts, rules, price lists and grants into the books. Repeating it changes nothing."""
        settings = start(data_dir)
        registry = settings.registry()
        plan = provider_file.read(file.read_text(encoding="utf-8"), registry)
        books = open_books(books_url(settings))
        try:
            books.migrate()
            act = Act(actor(), system_clock(), reason)
            done = provider_file.apply(plan, books, registry, act, force=force)
        finally:
            books.close()
        for warning in plan.warnings:
            complain(f"warning: {warning}")
        if json:
            print_json(done)
        else:
            print_table("In the books", ["what", "named in the file"], list(done.items()), right=[1])
