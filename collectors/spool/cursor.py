"""Durable cursors: which sequence each named reader of a spool has acknowledged."""

import re
from pathlib import Path
from typing import Final

import orjson

from collectors.spool.segment import write_durably
from schemas.errors import Invariant, Misconfigured, Transient

FOLDER: Final = "cursors"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def cursor_path(directory: Path, name: str) -> Path:
    """Return the file of a cursor; raises Misconfigured when the name cannot be one."""
    if not _NAME.fullmatch(name):
        raise Misconfigured([f"reader name {name!r}: use 1 to 63 of a-z, 0-9, '.', '_' and '-'"])
    return directory / FOLDER / f"{name}.json"


def load(directory: Path, name: str) -> int | None:
    """Return the sequence that a reader has acknowledged, or None when no such reader is registered.

    Raises:
        Invariant: the file is not one of ours; it is replaced as a whole, so only a damaged disk or a hand does that.
    """
    path = cursor_path(directory, name)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return int(orjson.loads(data)["acknowledged"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise Invariant(
            f"{path} is damaged ({error!r}): remove it to read the spool again from its oldest record, which is safe"
        ) from error


def store(directory: Path, name: str, acknowledged: int) -> None:
    """Save a cursor durably; raises Transient when the disk does not take it."""
    path = cursor_path(directory, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, orjson.dumps({"acknowledged": acknowledged}))
    except OSError as error:
        raise Transient(f"cannot save the cursor {path}: {error.strerror}; free some space") from error


def remove(directory: Path, name: str) -> None:
    """Forget a reader; it no longer holds records back."""
    cursor_path(directory, name).unlink(missing_ok=True)


def all_cursors(directory: Path) -> dict[str, int]:
    """Return every registered reader and the sequence that it has acknowledged."""
    names = sorted(path.stem for path in (directory / FOLDER).glob("[!.]*.json"))
    found = ((name, load(directory, name)) for name in names)
    return {name: acknowledged for name, acknowledged in found if acknowledged is not None}
