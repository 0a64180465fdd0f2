"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from stratometer.log import configure
from stratometer.settings import Settings, load

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Force = Annotated[bool, typer.Option("--force", help="Publish price lists that change the past; needs --reason.")]
Reason = Annotated[str, typer.Option(help="Why; the audit of the catalogue keeps it.")]
DataDir = Annotated[Path | None, typer.Option(help="Folder for spools, chDB and SQLite.")]


def start(data_dir: Path | None = None, *, serves: bool = False) -> Settings:
    """Load the settings and set up logging; raises Misconfigured with every problem.

    Args:
        data_dir: from the command line.
        serves: whether the command serves the API, and so needs the admin token.
    """
    settings = load(data_dir=data_dir, serves=serves)
    configure(json=settings.log_json)
    return settings
