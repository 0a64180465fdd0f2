"""One process at a time: a lock file that says in words who holds it."""

import fcntl
import os
import socket
from pathlib import Path

from schemas.errors import Held
from schemas.period import iso


class FileLock:
    """An exclusive flock on a file; the kernel lets it go when the process ends, however it ends."""

    def __init__(self, path: Path, what: str, now: int) -> None:
        """Take the lock.

        Args:
            path: the lock file; made if absent, never removed (removing it would let two hold "it").
            what: what is locked, for the message.
            now: seconds since 1970, for the message.

        Raises:
            Transient: another one holds it; the message says who.
        """
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 300, 0).decode(errors="replace").strip() or "another process"
            os.close(self._descriptor)
            raise Held(f"{what} is in use by {holder}: stop that one first, or go through it") from None
        text = f"process {os.getpid()} on {socket.gethostname()} since {iso(now)}\n".encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text, 0)

    def release(self) -> None:
        """Let the lock go; once."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
