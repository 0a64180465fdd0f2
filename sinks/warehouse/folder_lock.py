"""One owner a folder: chDB would let a second process damage it."""

import fcntl
import json
import os
from pathlib import Path
from typing import Final

from schemas.errors import Held

LOCK_FILE: Final = "owner.lock"


class FolderLock:
    """Holds a folder; the kernel frees it when this process ends, however it ends.

    The file keeps the owner's pid and note after that, which does no harm: only the kernel's lock counts.
    """

    def __init__(self, folder: Path, note: str = "") -> None:
        """Take the folder, made if absent.

        Args:
            folder: what to own.
            note: told to whom comes second: the address of the owner's API.

        Raises:
            Held: somebody has it; the message says who.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / LOCK_FILE
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _owner(self._descriptor)
            os.close(self._descriptor)
            raise Held(f"the warehouse {folder} is in use by {owner}: stop that process, or ask it") from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps({"pid": os.getpid(), "note": note}).encode(), 0)

    def release(self) -> None:
        """Let go."""
        os.close(self._descriptor)


def _owner(descriptor: int) -> str:
    try:
        entry = json.loads(os.pread(descriptor, 4096, 0))
        note = f", reachable at {entry['note']}" if entry["note"] else ""
        return f"process {entry['pid']}{note}"
    except (ValueError, KeyError, TypeError):  # it holds the lock, and has not written yet
        return "another process"
