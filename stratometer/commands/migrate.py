"""`stratometer migrate`: schemas of both stores, and the topics."""

from typing import Annotated

import typer

from pipeline.kafka import create_topics
from stratometer.commands.common import DataDir, Json, start
from stratometer.compose import kafka_config, open_parts
from stratometer.output import print_json, print_table
from stratometer.settings import Settings


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
        done = run(settings, dry_run=dry_run)
        if json:
            print_json(done)
            return
        rows = [(store, step) for store, steps in done.items() for step in steps]
        title = "Would be applied" if dry_run else "Applied"
        print_table(title, ["store", "step"], rows or [("all", "up to date")])


def run(settings: Settings, *, dry_run: bool = False) -> dict[str, list[str]]:
    """Migrate everything; return the steps by store."""
    done: dict[str, list[str]] = {}
    with open_parts(settings) as parts:
        done["warehouse"] = list(parts.warehouse.migrate(dry_run=dry_run))
        done["books"] = list(parts.books.migrate(dry_run=dry_run))
        if not dry_run:
            meters = {m.id: (m.key, m.base, m.display_unit, m.display[m.display_unit]) for m in parts.registry}
            parts.warehouse.write_names(meters=meters)
    if settings.deployment == "cluster" and not dry_run:
        done["kafka"] = create_topics(kafka_config(settings))
    return done
