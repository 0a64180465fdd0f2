"""Names a process so that a recycled pid is never mistaken for it, and ends it within a bounded time."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time
from pathlib import Path

POLL_SECONDS = 0.02
KILL_SECONDS_MAX = 10.0

_STATE, _PPID, _START_TICKS = 0, 1, 19  # places in /proc/PID/stat after the command name, see proc(5)


@dataclasses.dataclass(frozen=True)
class ProcessId:
    """A pid with what makes it unique: when the process started, in which boot of the machine."""

    pid: int
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Name the process that has `pid` now, or None if none runs there (a zombie does not run)."""
        fields = _stat(pid)
        if fields is None or fields[_STATE] in "ZX":
            return None
        return cls(pid, int(fields[_START_TICKS]), _boot_id())

    def runs(self) -> bool:
        """Tell whether this very process still runs."""
        return ProcessId.of(self.pid) == self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this very process; nothing happens if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            # The pidfd pins the process: once it is open and the name still fits, the signal cannot hit a successor.
            fd = os.pidfd_open(self.pid)
            try:
                if self.runs():
                    signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)

    def descendants(self) -> list[ProcessId]:
        """Name all children, their children and so on."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None:
                children.setdefault(int(fields[_PPID]), []).append(int(entry.name))
        found: list[ProcessId] = []
        queue = list(children.get(self.pid, []))
        while queue:
            pid = queue.pop()
            queue.extend(children.get(pid, []))
            if (child := ProcessId.of(pid)) is not None:
                found.append(child)
        return found if self.runs() else []


def wait_end(processes: list[ProcessId], seconds: float) -> bool:
    """Wait until all have ended; False if some still run after `seconds`. A zombie counts as ended."""
    deadline = time.monotonic() + seconds
    while any(process.runs() for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def end(process: ProcessId, polite: signal.Signals, seconds: float) -> bool:
    """Ask the process to end, and kill it with all it started if it has not after `seconds`.

    Returns:
        True if it ended by itself, False if it had to be killed.
    """
    process.signal(polite)
    if wait_end([process], seconds):
        return True
    kill(process)
    return False


def kill(process: ProcessId) -> None:
    """SIGKILL the process and all its descendants, and wait until all are gone (so that ports and locks are free)."""
    doomed = [process, *process.descendants()]
    for each in doomed:
        each.signal(signal.SIGKILL)
    if not wait_end(doomed, KILL_SECONDS_MAX):
        raise TimeoutError(f"process {process.pid} is still there {KILL_SECONDS_MAX} s after SIGKILL")


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()  # the command name before it may contain spaces and brackets


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
