"""`stratometer export`: rated lines, debits and balances of a period as one canonical JSON document."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from stratometer.commands.common import DataDir, start
from stratometer.compose import open_parts
from stratometer.export import document
from stratometer.months import month_period
from stratometer.output import say


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def export(
        month: Annotated[str, typer.Argument(help="UTC month, for example 2026-10.")],
        to: Annotated[Path, typer.Option("--to", help="File to write.")],
        data_dir: DataDir = None,
    ) -> None:
        """Write the month as JSON. The same samples, rules and prices give the same bytes, whatever the deployment."""
        period, digest, size = month_period(month), hashlib.sha256(), 0
        with open_parts(start(data_dir)) as parts, to.open("wb") as file:
            for piece in document(parts, period):
                file.write(piece)
                digest.update(piece)
                size += len(piece)
        say(f"{to}: {size} bytes, sha256 {digest.hexdigest()}")
