"""`stratometer worker`: Faust workers of the cluster, kept alive."""

import os
from typing import Annotated

import typer

from schemas.errors import Misconfigured
from stratometer.commands.common import DataDir, start
from stratometer.settings import PREFIX
from stratometer.worker import child_command, supervise


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def worker(
        workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes on this machine.")] = 1,
        data_dir: DataDir = None,
    ) -> None:
        """Meter and rate from Kafka. Workers that die are started again; Ctrl-C ends them."""
        settings = start(data_dir)
        os.environ[f"{PREFIX}DATA_DIR"] = str(settings.data_dir)  # the workers read their settings themselves
        if settings.deployment != "cluster":
            raise Misconfigured(["deployment: `worker` belongs to a cluster; the embedded deployment runs `up`"])
        raise typer.Exit(supervise(child_command(), workers))
