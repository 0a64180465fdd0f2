"""Exit codes of every command; `docs/operations.md` lists them for operators."""

from enum import IntEnum


class Exit(IntEnum):
    """What the exit status says."""

    OK = 0
    CHECK_FAILED = 1
    """The command ran, and a check it makes does not hold (reconcile, demo, doctor)."""
    USAGE = 2
    """Wrong arguments, configuration or input files; every problem was listed."""
    UNAVAILABLE = 3
    """A server or a folder that the command needs cannot be had right now; try again."""
    INVARIANT = 70
    """Our own promise was broken; the process stopped rather than go on."""
