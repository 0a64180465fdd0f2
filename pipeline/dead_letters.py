"""Dead letters: what could not be metered waits here, with reason and origin, until a person replays or drops it.

One protocol, two homes: the embedded deployment keeps them in a spool of their own, the cluster on the compacted
topic `samples.dead`. A letter is never edited: its state is the newest record under its key.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

from pipeline.message import DeadLetter
from schemas.batch import decode, encode
from schemas.errors import BadBatch, Misconfigured

State = Literal["waiting", "replayed", "dropped"]
STATES: Final[tuple[State, ...]] = ("waiting", "replayed", "dropped")


@dataclass(frozen=True, slots=True)
class Filed:
    """A letter and what became of it; the payload of a letter that no longer waits is empty."""

    letter: DeadLetter
    state: State


class LettersReader(Protocol):
    """Where dead letters are read."""

    def all(self) -> Iterator[Filed]:
        """Yield every letter in its newest state, oldest first."""


class DeadLetters(LettersReader, Protocol):
    """Where dead letters are kept."""

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Make letters durable; the same letter again changes nothing. Raises Transient."""

    def mark(self, letter: DeadLetter, state: State) -> None:
        """Record that a letter was replayed or dropped, durably."""


def counts(letters: LettersReader) -> Mapping[str, int]:
    """Return rows by state, for reconciliation."""
    totals: dict[str, int] = dict.fromkeys(STATES, 0)
    for filed in letters.all():
        totals[filed.state] += filed.letter.rows
    return totals


def headers_of(letter: DeadLetter, state: State) -> dict[str, str]:
    """Return everything but the payload as text, as it travels beside it."""
    return {
        "key": letter.key,
        "origin": letter.origin,
        "reason": letter.reason,
        "detail": letter.detail,
        "rows": str(letter.rows),
        "died_at": str(letter.died_at),
        "state": state,
    }


def filed_of(headers: Mapping[str, str], payload: bytes) -> Filed:
    """Return what `headers_of` and the payload say."""
    letter = DeadLetter(
        key=headers["key"],
        origin=headers["origin"],
        reason=headers["reason"],
        detail=headers["detail"],
        rows=int(headers["rows"]),
        payload=payload,
        died_at=int(headers["died_at"]),
    )
    state = headers["state"]
    return Filed(letter, next(s for s in STATES if s == state))


def fold(records: Iterator[Filed]) -> Iterator[Filed]:
    """Yield the newest state of each letter in the order in which the letters first came.

    A letter that was replayed or dropped and is then delivered again by the log (state waiting) stays handled.
    """
    newest: dict[str, Filed] = {}
    for filed in records:
        before = newest.get(filed.letter.key)
        if before is None or filed.state != "waiting":
            newest[filed.letter.key] = filed
    yield from newest.values()


def replayable(letter: DeadLetter) -> bytes:
    """Return the batch to publish again: the same rows, marked as a replay so that they are not counted as new.

    Raises:
        Misconfigured: the message could never be read, so there is nothing to replay.
    """
    try:
        rows, meta = decode(letter.payload)
    except BadBatch as error:
        raise Misconfigured([f"{letter.key}: the message cannot be read ({error.detail}): drop it"]) from error
    return encode(rows, replace(meta, replay_of=letter.key))
