"""What the two transports offer to the store above them, and how their errors become ours."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import Invariant, Poison, StratometerError, Transient
from sinks.warehouse.capability import Capability

Values = npt.NDArray[np.generic] | Sequence[str]
"""One column: integers as NumPy array, text as sequence."""

TRANSIENT_CODES: Final = frozenset(
    {
        159,  # TIMEOUT_EXCEEDED
        201,  # QUOTA_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        254,  # NO_ACTIVE_REPLICAS
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        305,  # TABLE_IS_DROPPED, of a server that is shutting down
        319,  # UNKNOWN_STATUS_OF_INSERT
        369,  # ALL_REPLICAS_ARE_STALE
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        473,  # DEADLOCK_AVOIDED
        735,  # QUERY_WAS_CANCELLED_BY_CLIENT
        745,  # SERVER_OVERLOADED
        999,  # KEEPER_EXCEPTION
    }
)
"""ClickHouse's error codes (src/Common/ErrorCodes.cpp) after which the same call may succeed."""


class Engine(Protocol):
    """A transport: how statements, columns and results travel. Safe to use from several threads."""

    @property
    def database(self) -> str:
        """Database of all tables."""

    @property
    def insert_timeout_seconds(self) -> int:
        """After it an insert has failed."""

    @property
    def capability(self) -> Capability:
        """What the engine can do; asks it the first time. Raises Transient when it is away."""

    def exists(self, table: str) -> bool:
        """Tell whether the database and the table in it exist."""

    def create_database(self) -> None:
        """Create the database unless it exists."""

    def execute(self, sql: str) -> None:
        """Run a statement without a result."""

    def insert(self, table: str, columns: Mapping[str, Values], timeout_seconds: float | None = None) -> None:
        """Insert columns of equal length, and return when the rows are in place.

        Args:
            table: where to.
            columns: by name.
            timeout_seconds: for this insert, waiting for a connection included; None for `insert_timeout_seconds`.

        Raises:
            Transient: the engine is away, or the time is over.
        """

    def select(self, sql: str) -> pa.Table:
        """Return the result of a query of ours."""

    def analyse(self, sql: str) -> pa.Table:
        """Return the result of one read-only statement of an analyst; raises Poison when the engine refuses it."""

    def close(self) -> None:
        """Release what is held."""


def exists_sql(database: str, table: str) -> str:
    """Return the SQL that counts tables of that name: 0 or 1."""
    return f"SELECT count() AS found FROM system.tables WHERE database = '{database}' AND name = '{table}'"


def server_error(code: int, message: str) -> StratometerError:
    """Return the error of our tree for one of the server's, its first line only (the rest is a stack trace)."""
    first = message.strip().splitlines()[0][:2000] if message.strip() else "no message"
    if code in TRANSIENT_CODES:
        return Transient(f"ClickHouse, code {code}: {first}")
    return Invariant(f"ClickHouse, code {code}: {first}")


_QUOTED: Final = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`|--[^\n]*|/\*.*?\*/""", re.DOTALL
)


def read_only_statement(sql: str) -> str:
    """Return an analyst's statement without its closing semicolon.

    The engine runs it with readonly = 1, which stops writes, table functions and changes of settings. What that does
    not stop is a second statement before it, and a result written to a file: both are refused here.

    Raises:
        Poison: more than one statement, INTO OUTFILE, or characters outside quotes that would make this check unsure.
    """
    text = sql.strip().rstrip(";").strip()
    bare = _QUOTED.sub(" ", text)
    if not text:
        raise Poison("bad_sql", "the statement is empty")
    if re.search(r"[;$#'\"`]|/\*|[^\x00-\x7f]", bare):
        raise Poison("bad_sql", "one statement only; outside quotes no ; $ # and nothing beyond ASCII")
    if re.search(r"\binto\s+outfile\b", bare, re.IGNORECASE):
        raise Poison("bad_sql", "INTO OUTFILE is not allowed here: take the result and write it yourself")
    return text
