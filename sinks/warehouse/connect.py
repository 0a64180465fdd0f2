"""Opens the warehouse that a URL names."""

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from schemas.clock import system_clock
from schemas.errors import Misconfigured
from schemas.period import Clock
from sinks.warehouse.store import Store


def open_warehouse(
    url: str,
    *,
    owner_note: str = "",
    cluster: str | None = None,
    insert_timeout_seconds: int = 60,
    query_timeout_seconds: int = 300,
    query_memory_bytes_max: int | None = None,
    query_threads_max: int | None = None,
    clock: Clock = system_clock,
) -> Store:
    """Return the warehouse; neither connects to a server nor migrates.

    Args:
        url: ``chdb:///path/of/folder?database=stratometer`` or ``clickhouse://user:password@host:9000/database``
            (further hosts after commas; ``secure=1``, ``verify``, ``ca_certs`` for TLS).
        owner_note: told to a second process that wants the same folder: the address of this one's API.
        cluster: cluster of Replicated and Distributed tables; servers only.
        insert_timeout_seconds: after it an insert has failed; a job's cut-off lies at least as far in the past.
        query_timeout_seconds: time limit of a read.
        query_memory_bytes_max: memory limit of a read; None for what suits the engine.
        query_threads_max: threads of a read; None for what suits the engine.
        clock: microseconds since 1970, for names and migrations.

    Raises:
        Misconfigured: the URL cannot be used, or this process has another folder open.
        Held: another process owns the folder.
    """
    limits = {"insert_timeout_seconds": insert_timeout_seconds, "query_timeout_seconds": query_timeout_seconds}
    if query_memory_bytes_max is not None:
        limits["query_memory_bytes_max"] = query_memory_bytes_max
    if query_threads_max is not None:
        limits["query_threads_max"] = query_threads_max
    parts = urlsplit(url)
    # Imported when needed: each takes a second, and a process uses one.
    if parts.scheme == "chdb":
        from sinks.warehouse.embedded import EmbeddedEngine, EmbeddedOptions

        problems = ["a chDB folder has no cluster"] if cluster else []
        if parts.netloc or len(parts.path) < 2:
            problems.append("expected chdb:///absolute/path, with three slashes")
        if problems:
            raise Misconfigured(problems)
        database = parse_qs(parts.query).get("database", ["stratometer"])[0]
        folder = Path(unquote(parts.path))
        return Store(EmbeddedEngine(EmbeddedOptions(folder, database, owner_note, **limits)), clock)
    if parts.scheme in ("clickhouse", "clickhouses"):
        from sinks.warehouse.native import NativeEngine, NativeOptions

        return Store(NativeEngine(NativeOptions(url, cluster, **limits)), clock)
    raise Misconfigured([f"the warehouse's URL begins with {parts.scheme!r}; expected chdb or clickhouse"])
