"""The command line. `stratometer --help` lists the commands; docs/operations.md lists settings and exit codes."""

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from stratometer import commands
from stratometer.exit_codes import Exit
from stratometer.guard import guarded
from stratometer.output import complain, say
from stratometer.settings import CONFIG_VARIABLE, PREFIX

app = typer.Typer(
    name="stratometer",
    help="Metering, rating and billing for VMware cloud providers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def options(
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
    dev: Annotated[bool, typer.Option("--dev", help="Accept development defaults.")] = False,
) -> None:
    """Options before the command."""
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
    if dev:
        os.environ[f"{PREFIX}DEV"] = "true"


@app.command("version")
def show_version() -> None:
    """Print the version."""
    say(version("stratometer"))


commands.register(app)


def main() -> None:
    """Run the command line."""

    def run() -> None:
        code = app(standalone_mode=False)
        if isinstance(code, int) and code:
            raise SystemExit(code)

    try:
        status = guarded(run)
    except typer.Exit as ended:
        status = ended.exit_code
    except typer.Abort:
        status = 130
    except Exception as error:
        shown = getattr(error, "format_message", None)
        if shown is None:
            raise
        complain(f"{shown()}\nTry: stratometer --help")
        status = Exit.USAGE
    sys.exit(int(status))


if __name__ == "__main__":
    main()
