"""A worker whose durable write meets a bug: `python -m tests.cluster.poisoned NUMBER`."""

import os
from collections.abc import Sequence
from unittest.mock import patch

from pipeline.durable import DurableWriter
from pipeline.message import Message
from stratometer import worker


def fail(_writer: DurableWriter, _messages: Sequence[Message]) -> None:
    """Fail as no one foresaw, with the messages unacknowledged."""
    raise ZeroDivisionError("a bug")


if __name__ == "__main__":
    os.environ.setdefault("FAUST_LOOP", "uvloop")
    with patch.object(DurableWriter, "write", fail):
        worker.main()
