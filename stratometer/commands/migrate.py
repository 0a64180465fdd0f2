"""`stratometer migrate`: schemas of both stores, and the topics."""

from typing import Annotated

import typer

from stratometer.commands.common import DataDir, Json, start
from stratometer.compose import open_parts
from stratometer.output import print_json, print_table
from stratometer.prepare import prepare


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def migrate(
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
        json: Json = False,
        data_dir: DataDir = None,
    ) -> None:
        """Bring the warehouse's and the books' schemas up to date and create missing topics."""
        settings = start(data_dir)
        with open_parts(settings) as parts:
            done = prepare(parts, dry_run=dry_run)
        if json:
            print_json(done)
            return
        rows = [(store, step) for store, steps in done.items() for step in steps]
        title = "Would be applied" if dry_run else "Applied"
        print_table(title, ["store", "step"], rows or [("all", "up to date")])
