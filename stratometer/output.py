"""What commands print: tables for people, JSON for programs; the same content in both."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table


class Update(Protocol):
    """Moves a progress bar."""

    def __call__(self, done: int, total: int | None, label: str | None = None) -> None:
        """Show so many done of a total (None: unknown), and what is being done."""


PIPE_WIDTH: Final = 120
"""Width of tables that go to a file or a pipe."""

_console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
_errors = Console(stderr=True, highlight=False)


def print_json(value: object) -> None:
    """Print a value as indented JSON with sorted keys."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n")


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()
) -> None:
    """Print a table; `right` names the columns (from 0) that align to the right."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, name in enumerate(columns):
        aligned = number in right
        table.add_column(name, justify="right" if aligned else "left", overflow="fold", no_wrap=aligned)
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    _console.print(table)


def say(text: str) -> None:
    """Print one line for people."""
    _console.print(text, markup=False, soft_wrap=True)


def complain(text: str) -> None:
    """Print one line to standard error."""
    _errors.print(text, markup=False, soft_wrap=True)


def problems(title: str, found: Sequence[str]) -> None:
    """Print what has to be mended, one line each, to standard error."""
    complain(title)
    for problem in found:
        complain(f"  - {problem}")


@contextmanager
def progress(label: str, unit: str = "", *, quiet: bool = False) -> Iterator[Update]:
    """Show a progress bar on standard error; yields what moves it."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        console=_errors,
        transient=True,
        disable=quiet or not _errors.is_terminal,
    )
    with bar:
        task = bar.add_task(label, total=None)

        def update(done: int, total: int | None, label: str | None = None) -> None:
            bar.update(task, completed=done, total=total, description=label)

        yield update
