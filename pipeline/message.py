"""A message as the stream sees it, whatever carried it: Kafka or the spool."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One sample batch, not yet decoded.

    Attributes:
        payload: the bytes of the batch.
        origin: where it lies, for people: ``samples/3/1042`` or ``spool/demo/17``.
    """

    payload: bytes
    origin: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Rows, or a whole message, that could not be metered.

    Attributes:
        key: unique and derived from the batch, so that a redelivered message makes the same letter.
        origin: where the message lay.
        reason: stable code, a metric label.
        detail: what, where and how to mend it.
        rows: how many sample rows; 1 for a message that could not be read.
        payload: a batch of just these rows, or the message as it came.
        died_at: microseconds since 1970.
    """

    key: str
    origin: str
    reason: str
    detail: str
    rows: int
    payload: bytes
    died_at: int
