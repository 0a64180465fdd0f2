"""Dead letters in a spool of their own: the embedded deployment's home for them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from collectors.spool import Spool
from collectors.spool.reader import scan
from pipeline.dead_letters import Filed, State, filed_of, fold, headers_of
from pipeline.message import DeadLetter

KIND: Final = "dead"


class SpoolLettersReader:
    """Reads the letters of a folder, also while another process writes them."""

    def __init__(self, directory: Path) -> None:
        """Read from the folder of the letters' spool."""
        self._directory = directory

    def all(self) -> Iterator[Filed]:
        """Yield every letter in its newest state, oldest first."""
        yield from fold(filed_of(record.headers, record.payload) for record in scan(self._directory))


class SpoolDeadLetters(SpoolLettersReader):
    """Appends letters and their later states; the newest record under a key is the letter's state."""

    def __init__(self, spool: Spool, directory: Path) -> None:
        """Write to `spool`, read from its `directory`."""
        super().__init__(directory)
        self._spool = spool

    def put(self, letters: Sequence[DeadLetter]) -> None:
        """Append letters durably; raises Transient when the disk is full."""
        for letter in letters:
            self._spool.append(KIND, letter.payload, headers_of(letter, "waiting"), samples=letter.rows)
        self._spool.flush()

    def mark(self, letter: DeadLetter, state: State) -> None:
        """Append the new state durably."""
        self._spool.append(KIND, b"", headers_of(letter, state), durable=True)
