"""The servers that `python -m infra.dev up` leaves running: what they are, where, and how to end just those."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.dev import clickhouse, kafka, postgres, procfs
from infra.dev.cache import cache_dir, locked
from infra.dev.process import Server
from infra.dev.procfs import ProcessId

DATABASE = "stratometer"
LOCK = "run"

SERVERS: dict[str, type[Server]] = {
    "kafka": kafka.KafkaServer,
    "clickhouse": clickhouse.ClickHouseServer,
    "postgres": postgres.PostgresServer,
}
FETCHERS: dict[str, Callable[[], object]] = {
    "kafka": kafka.fetch,
    "clickhouse": clickhouse.fetch,
    "postgres": postgres.fetch,
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One server that was started in the background."""

    process: ProcessId
    exports: dict[str, str]
    log: str

    @property
    def runs(self) -> bool:
        """Tell whether it still runs."""
        return self.process.runs()


def state_path() -> Path:
    """The file that remembers what was started."""
    return cache_dir() / "run.json"


def load() -> dict[str, Entry]:
    """What was started and not ended by down(); it may have ended by itself."""
    try:
        kept = json.loads(state_path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {name: Entry(ProcessId(**entry["process"]), entry["exports"], entry["log"]) for name, entry in kept.items()}


def up(names: Sequence[str], say: Callable[[str], None]) -> dict[str, Entry]:
    """Start those that do not run yet, and return all that run.

    Raises:
        ServerNotAvailableError, ServerError: one cannot be had or does not start; those before it stay up.
    """
    with locked(LOCK):
        entries = load()
        for name in names:
            if name in entries and entries[name].runs:
                say(f"{name} runs already, pid {entries[name].process.pid}")
                continue
            server = SERVERS[name](cache_dir() / "data" / name, outlive_parent=True)
            server.start()
            try:
                exports = server.exports(DATABASE)
                entries[name] = Entry(server.process, exports, str(server.log_path))
                _save(entries)
            except BaseException:
                server.kill()  # it would run unknown to down()
                raise
            say(f"{name} is up, pid {server.pid}, log {server.log_path}")
        return {name: entry for name, entry in entries.items() if entry.runs}


def down(names: Sequence[str], say: Callable[[str], None]) -> None:
    """End what up() started and nothing else: a pid that has a new owner is left alone. Data stays."""
    with locked(LOCK):
        entries = load()
        for name in names:
            entry = entries.pop(name, None)
            if entry is None:
                continue
            kind = SERVERS[name]
            if not entry.runs:
                say(f"{name} had ended by itself, log {entry.log}")
            elif procfs.end(entry.process, kind.stop_signal, kind.stop_seconds_max):
                say(f"{name} is down")
            else:
                say(f"{name} did not end within {kind.stop_seconds_max} s and was killed")
            _save(entries)


def exports(entries: dict[str, Entry]) -> dict[str, str]:
    """The environment that points the product at these servers; empty if there are none."""
    found = {key: value for entry in entries.values() for key, value in entry.exports.items()}
    return {"STRATOMETER_DEPLOYMENT": "cluster", "STRATOMETER_DEV": "true", **found} if found else {}


def _save(entries: dict[str, Entry]) -> None:
    part = state_path().with_suffix(".part")
    kept = {name: dataclasses.asdict(entry) for name, entry in entries.items()}
    part.write_text(json.dumps(kept, indent=2), encoding="utf-8")
    part.replace(state_path())
