"""A worker whose durable write meets a bug: `python -m tests.cluster.poisoned NUMBER`."""

import os
from collections.abc import Sequence

from pipeline.durable import DurableWriter
from pipeline.message import Message
from stratometer import worker


class Poisoned(DurableWriter):
    """Writes, and then fails as no one foresaw."""

    def write(self, messages: Sequence[Message]) -> None:
        """Fail with the messages unacknowledged."""
        raise ZeroDivisionError("a bug")


if __name__ == "__main__":
    os.environ.setdefault("FAUST_LOOP", "uvloop")
    DurableWriter.write = Poisoned.write  # type: ignore[method-assign]
    worker.main()
