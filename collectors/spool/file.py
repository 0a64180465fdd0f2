"""The segment that is being written: whole writes or none, and fsync shared by everyone who waits for it."""

import os
import threading
from pathlib import Path

import structlog

from collectors.spool.settings import SpoolSettings
from schemas.errors import Invariant, Transient

_log = structlog.get_logger(__name__)


class SegmentFile:
    """The open end of a spool.

    `write` and `roll` are called under the spool's append lock. `sync` takes a lock of its own, so that appending goes
    on while the disk works, and one fsync serves every append that came before it.
    """

    def __init__(self, path: Path, size: int, last_sequence: int, settings: SpoolSettings) -> None:
        """Open a segment for appending at `size`, and start the group commit where the settings ask for it."""
        self.path = path
        self.size = size
        self.written_sequence = last_sequence
        self._synced_sequence = last_sequence
        self._broken = ""
        self._sync_lock = threading.Lock()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if settings.fsync == "group":
            seconds = settings.group_milliseconds / 1000
            self._thread = threading.Thread(target=self._group, args=(seconds,), name="spool-fsync", daemon=True)
            self._thread.start()

    def write(self, data: bytes, last_sequence: int) -> None:
        """Append bytes, all or none.

        Raises:
            Transient: the disk is full or fails; the file is as it was.
            Invariant: what was written in part cannot be taken back, or an earlier fsync failed.
        """
        self._refuse_broken()
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._descriptor, memoryview(data)[done:], self.size + done)
        except OSError as error:
            self._take_back(error)
            raise Transient(
                f"cannot write to {self.path}: {error.strerror}; nothing was appended. Free some space, then the same "
                "append works again"
            ) from error
        self.size += len(data)
        self.written_sequence = last_sequence
        self._dirty.set()

    def sync(self, sequence: int) -> None:
        """Return when everything up to a sequence is on disk.

        Raises:
            Invariant: fsync failed; the kernel may have dropped the pages, so another fsync would prove nothing.
        """
        with self._sync_lock:
            self._refuse_broken()
            if self._synced_sequence >= sequence:
                return
            target = self.written_sequence  # read before the fsync: at least this much is in the file
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                self._broken = f"fsync of {self.path} failed: {error.strerror}"
                self._refuse_broken()
            self._synced_sequence = target

    def roll(self, path: Path) -> None:
        """Finish this segment on disk and go on in another, which holds its first record already."""
        self.sync(self.written_sequence)
        with self._sync_lock:
            os.close(self._descriptor)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            self.path, self.size = path, path.stat().st_size

    def close(self) -> None:
        """Write everything to disk and stop; raises Invariant when that fails."""
        self._closing.set()
        self._dirty.set()
        if self._thread is not None:
            self._thread.join()
        try:
            self.sync(self.written_sequence)
        finally:
            os.close(self._descriptor)

    def _take_back(self, cause: OSError) -> None:
        try:
            os.ftruncate(self._descriptor, self.size)
        except OSError as error:
            self._broken = f"a partial write to {self.path} cannot be taken back: {error.strerror}"
            raise Invariant(self._broken) from cause

    def _refuse_broken(self) -> None:
        if self._broken:
            raise Invariant(f"{self._broken}; start the process again, opening the spool repairs it")

    def _group(self, seconds: float) -> None:
        while not self._closing.is_set():
            self._dirty.wait()
            self._dirty.clear()
            if self._closing.wait(seconds):
                return
            try:
                self.sync(self.written_sequence)
            except Invariant as error:
                _log.critical("spool_fsync_failed", error=str(error))
                return
