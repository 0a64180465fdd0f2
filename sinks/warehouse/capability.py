"""What the engine at hand can do, and the settings that every statement states explicitly.

Settings that an engine does not know are left out: an old server refuses a query that names one.
"""

from dataclasses import dataclass, field
from math import ceil
from typing import Final

MODERN_FROM: Final = (24, 8)
"""First version with everything that the modern form of the schema uses."""

Setting = int | str
READ_BLOCK_ROWS: Final = 16_384
"""Rows a block in reads. Measured on a month of 12 M samples: peak memory 600 MB, against 840 MB with the default."""
QUERY_BYTES_MAX: Final = 256 * 1024 * 1024
AST_ELEMENTS_MAX: Final = 10_000_000
"""Claims may list a hundred thousand resources each."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What is known about an engine.

    Attributes:
        version: as the engine states it.
        cluster: cluster of a Replicated and Distributed deployment, or None.
        settings: names of the settings that the engine knows.
    """

    version: str
    cluster: str | None = None
    settings: frozenset[str] = field(default_factory=frozenset)

    @property
    def modern(self) -> bool:
        """Whether codecs, comments and skip indexes are there."""
        return version_of(self.version) >= MODERN_FROM

    @property
    def in_global(self) -> str:
        """The IN of a subquery over a sharded table."""
        return "GLOBAL IN" if self.cluster else "IN"

    def known(self, wanted: dict[str, Setting]) -> dict[str, Setting]:
        """Return those of the wanted settings that the engine knows."""
        return {name: value for name, value in wanted.items() if name in self.settings}

    def for_insert(self, timeout_seconds: float) -> dict[str, Setting]:
        """Return the settings of an insert: acknowledged when the rows are in place, on a shard too.

        Args:
            timeout_seconds: the server gives up after it, so that nothing lands once the client has given up.
        """
        wanted: dict[str, Setting] = {
            "async_insert": 0,
            "insert_deduplicate": 0,  # our own keys fold repeats; the engine's window of block hashes is not a promise
            "optimize_on_insert": 0,  # merging at insert halves the speed, and a later merge does it anyway
            "max_partitions_per_insert_block": 0,  # a late collector may bring many months; else it would never get in
            "max_execution_time": max(1, ceil(timeout_seconds)),  # whole seconds; 0 would be no limit
            "insert_distributed_sync": 1,
            "distributed_foreground_insert": 1,
        }
        if self.cluster and self.modern:
            wanted |= {"insert_quorum": "auto", "insert_quorum_parallel": 1}
        return self.known(wanted)

    def for_select(self, timeout_seconds: int, memory_bytes_max: int, threads_max: int) -> dict[str, Setting]:
        """Return the settings of a read.

        Args:
            timeout_seconds: time limit.
            memory_bytes_max: memory limit of one query, above which it fails with Transient.
            threads_max: threads of one query.
        """
        wanted: dict[str, Setting] = {
            "max_execution_time": timeout_seconds,
            "max_memory_usage": memory_bytes_max,
            "max_bytes_before_external_group_by": memory_bytes_max // 2,
            "max_bytes_before_external_sort": memory_bytes_max // 2,
            "max_threads": threads_max,
            "max_block_size": READ_BLOCK_ROWS,
            "max_query_size": QUERY_BYTES_MAX,
            "max_ast_elements": AST_ELEMENTS_MAX,
            "max_expanded_ast_elements": AST_ELEMENTS_MAX,
            "optimize_read_in_order": 1,
            "join_use_nulls": 0,
        }
        if self.cluster:  # an old replica must not answer for a cut-off that it has not reached
            wanted["fallback_to_stale_replicas_for_distributed_queries"] = 0
        return self.known(wanted)


def version_of(text: str) -> tuple[int, int]:
    """Return (major, minor) of a version text such as ``26.9.2.1``."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def rendered(settings: dict[str, Setting]) -> str:
    """Return settings as the text after SETTINGS or SET."""
    return ", ".join(f"{name} = {_literal(value)}" for name, value in settings.items())


def _literal(value: Setting) -> str:
    return str(value) if isinstance(value, int) else f"'{value}'"
