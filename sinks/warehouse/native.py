"""ClickHouse server or cluster over its native protocol (clickhouse-driver): columns in, columns out, compressed."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import numpy as np
import pyarrow as pa
from clickhouse_driver import Client
from clickhouse_driver import errors as driver_errors
from clickhouse_driver.util.helpers import parse_url

from schemas.errors import Invariant, Misconfigured, Poison, StratometerError, Transient
from sinks.warehouse.capability import Capability, Setting
from sinks.warehouse.engine import Values, exists_sql, read_only_statement, server_error

CONNECT_SECONDS: Final = 10
PING_SECONDS: Final = 5
IDLE_CONNECTIONS_MAX: Final = 4
"""Connections kept for each purpose; more are opened when more threads ask at once, and closed afterwards."""
Purpose = Literal["insert", "select"]


@dataclass(frozen=True, slots=True)
class NativeOptions:
    """How to use a server.

    Attributes:
        url: ``clickhouse://user:password@host:9000,host2:9000/database?secure=1&verify=1&ca_certs=/path``; also
            ``clickhouses://``, and whatever else clickhouse-driver's own URL knows.
        cluster: cluster for Replicated and Distributed tables, or None for one server.
        insert_timeout_seconds: after it an insert has failed, on the server too.
        query_timeout_seconds: the same for a read.
        query_memory_bytes_max: memory of one read on the server.
        query_threads_max: threads of one read on the server.
    """

    url: str
    cluster: str | None = None
    insert_timeout_seconds: int = 60
    query_timeout_seconds: int = 300
    query_memory_bytes_max: int = 4_000_000_000
    query_threads_max: int = 8


class NativeEngine:
    """Engine over clickhouse-driver; each call has a connection of its own, and a failed one is never used again."""

    def __init__(self, options: NativeOptions) -> None:
        """Read the URL; connects only when first used. Raises Misconfigured for a URL that cannot be used."""
        self._options = options
        self._host, self._arguments = _arguments(options.url)
        self._database = str(self._arguments.pop("database", "default"))
        self._idle: dict[Purpose, deque[Client]] = {"insert": deque(), "select": deque()}
        self._lock = threading.Lock()
        self._capability: Capability | None = None

    @property
    def database(self) -> str:
        """Database of all tables."""
        return self._database

    @property
    def insert_timeout_seconds(self) -> int:
        """After it an insert has failed."""
        return self._options.insert_timeout_seconds

    @property
    def capability(self) -> Capability:
        """What the server can do; asked once. Raises Transient when it is away."""
        if self._capability is None:
            with _mapped(), self._anywhere() as client:
                names = frozenset(name for (name,) in client.execute("SELECT name FROM system.settings"))
                version = client.execute("SELECT version()")[0][0]
            self._capability = Capability(version, self._options.cluster, names)
        return self._capability

    def exists(self, table: str) -> bool:
        """Tell whether the database and the table in it exist."""
        with _mapped(), self._anywhere() as client:
            return bool(client.execute(exists_sql(self._database, table))[0][0])

    def create_database(self) -> None:
        """Create the database unless it exists, on every node of a cluster."""
        on_cluster = f" ON CLUSTER '{self._options.cluster}'" if self._options.cluster else ""
        with _mapped(), self._anywhere() as client:
            client.execute(f"CREATE DATABASE IF NOT EXISTS `{self._database}`{on_cluster}")

    def execute(self, sql: str) -> None:
        """Run a statement without a result."""
        with _mapped(), self._client("insert") as client:
            client.execute(sql)

    def insert(self, table: str, columns: Mapping[str, Values], timeout_seconds: float | None = None) -> None:
        """Insert columns of equal length, and return when the rows are in place."""
        limit = self.insert_timeout_seconds if timeout_seconds is None else timeout_seconds
        end = monotonic() + limit
        capability = self.capability
        data = [_column(values) for values in columns.values()]
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES"
        with _mapped(), self._client("insert") as client:
            if not client.connection.connected and not client.connections:  # several with round_robin: execute chooses
                client.connection.connect()  # now, since the server's time begins when it has the statement
            left = end - monotonic()
            if left <= 0:
                raise Transient(f"connecting to ClickHouse took longer than {limit:.1f} s")
            client.execute(sql, data, columnar=True, settings=capability.for_insert(left))

    def select(self, sql: str) -> pa.Table:
        """Return the result of a query of ours."""
        with _mapped(), self._client("select") as client:
            return client.query_arrow(sql, settings=self._select_settings(), field_metadata=False)

    def analyse(self, sql: str) -> pa.Table:
        """Return the result of one read-only statement of an analyst; raises Poison when the server refuses it."""
        statement = read_only_statement(sql)
        # Without NumPy: the driver's plain columns know every type, and an analyst's result is small.
        settings = {**self._select_settings(), "readonly": 1, "use_numpy": False}
        try:
            with _mapped(), self._client("select") as client:
                return client.query_arrow(statement, settings=settings, field_metadata=False)
        except Invariant as error:
            raise Poison("bad_sql", str(error)) from error

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            clients = [client for idle in self._idle.values() for client in idle]
            for idle in self._idle.values():
                idle.clear()
        for client in clients:
            client.disconnect()

    def _select_settings(self) -> dict[str, Setting]:
        o = self._options
        return self.capability.for_select(o.query_timeout_seconds, o.query_memory_bytes_max, o.query_threads_max)

    @contextmanager
    def _client(self, purpose: Purpose) -> Iterator[Client]:
        with self._lock:
            idle = self._idle[purpose]
            client = idle.pop() if idle else None
        if client is None:
            client = self._connected(purpose, self._database)
        try:
            yield client
        except BaseException:
            client.disconnect()
            raise
        with self._lock:
            keep = len(self._idle[purpose]) < IDLE_CONNECTIONS_MAX
            if keep:
                self._idle[purpose].append(client)
        if not keep:
            client.disconnect()

    @contextmanager
    def _anywhere(self) -> Iterator[Client]:
        """A connection that does not need our database to exist."""
        client = self._connected("select", "default")
        try:
            yield client
        finally:
            client.disconnect()

    def _connected(self, purpose: Purpose, database: str) -> Client:
        o = self._options
        timeout = o.insert_timeout_seconds if purpose == "insert" else o.query_timeout_seconds
        defaults: dict[str, object] = {
            "compression": "lz4",
            "connect_timeout": min(CONNECT_SECONDS, timeout),
            "send_receive_timeout": timeout,
            "sync_request_timeout": PING_SECONDS,
            "client_name": "stratometer",
        }
        numpy = purpose == "insert" or database == self._database
        settings = {**self._arguments.get("settings", {}), "use_numpy": numpy}
        arguments = {**defaults, **self._arguments, "settings": settings, "database": database}
        return Client(self._host, **arguments)


def _column(values: Values) -> np.ndarray[Any, Any]:
    return values if isinstance(values, np.ndarray) else np.array(values, dtype=object)


def _arguments(url: str) -> tuple[str, dict[str, Any]]:
    """Return the first host and the arguments of the driver; further hosts of the URL become `alt_hosts`."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    first, *others = [host for host in hosts.split(",") if host] or [""]
    query = dict(parse_qsl(parts.query))
    if others:
        query["alt_hosts"] = ",".join([*others, *filter(None, [query.get("alt_hosts")])])
    single = urlunsplit((parts.scheme, f"{user}{at}{first}", parts.path, urlencode(query), ""))
    try:
        if parts.scheme not in ("clickhouse", "clickhouses") or not first:
            raise ValueError("expected clickhouse://user:password@host:9000/database")
        host, arguments = parse_url(single)
    except ValueError as error:  # never the URL itself: it has a password
        raise Misconfigured([f"the warehouse's URL cannot be used: {error}"]) from error
    return str(host), dict(arguments)


_AWAY: Final[Sequence[type[Exception]]] = (
    driver_errors.NetworkError,
    driver_errors.SocketTimeoutError,
    driver_errors.UnexpectedPacketFromServerError,
    driver_errors.UnknownPacketFromServerError,
    driver_errors.ChecksumDoesntMatchError,
    EOFError,
    OSError,  # sockets and TLS
)


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except StratometerError:
        raise
    except driver_errors.ServerException as error:
        raise server_error(int(error.code or 0), str(error.message)) from error
    except tuple(_AWAY) as error:
        raise Transient(f"ClickHouse does not answer: {error!r}"[:500]) from error
    except driver_errors.Error as error:
        raise Invariant(f"clickhouse-driver: {error!r}"[:500]) from error
