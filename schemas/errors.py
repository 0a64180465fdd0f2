"""The one tree of errors.

StratometerError
├── Transient            try again: a server is away, a time-out, a full disk
│   └── Held             another process owns it; the message says which
├── Poison               this input can never be processed: goes to the dead letters
│   └── BadBatch         a message that cannot be read as a sample batch
├── Misconfigured        refuse to start; carries every problem found
├── Conflict             the same id with another body
└── Invariant            our own promise is broken: stop the process
"""

from collections.abc import Sequence


class StratometerError(Exception):
    """Root of all errors raised on purpose."""


class Transient(StratometerError):
    """The same call may succeed later."""


class Held(Transient):
    """Another process owns what this one wants; the message says which, and how to go through it."""


class Poison(StratometerError):
    """The input can never be processed; it belongs to the dead letters.

    Attributes:
        reason: short stable code, for example ``bad_arrow``; a metric label.
        detail: what, where and how to mend it, for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class BadBatch(Poison):
    """A message that cannot be read as a sample batch."""


class Misconfigured(StratometerError):
    """The configuration cannot be used; lists every problem at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class Conflict(StratometerError):
    """An id was used before with another body."""


class Invariant(StratometerError):
    """Something that must hold does not; the process has to stop."""
