"""`stratometer doctor`: checks settings, folders and servers, and says what to mend."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import typer

from pipeline.kafka import KafkaConfig, admin
from schemas.errors import Misconfigured, StratometerError
from sinks.books.connect import open_books
from sinks.warehouse.connect import open_warehouse
from sinks.warehouse.protocol import Warehouse
from stratometer.commands.common import DataDir, Json, start
from stratometer.compose import books_url, kafka_config, warehouse_url
from stratometer.exit_codes import Exit
from stratometer.output import print_json, print_table
from stratometer.settings import Settings

FREE_BYTES_MIN = 2 * 1024**3
DEPENDENCIES = (
    "faust-streaming",
    "aiokafka",
    "mode-streaming",
    "confluent-kafka",
    "clickhouse-driver",
    "chdb",
    "pyarrow",
)
PINNED = {"faust-streaming": "0.15.3", "aiokafka": "0.14.", "mode-streaming": "0.7."}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    ok: bool
    found: str
    mend: str = ""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def doctor(json: Json = False, data_dir: DataDir = None) -> None:
        """Check every dependency and setting; exits 1 when something has to be mended."""
        findings = list(_findings(data_dir))
        if json:
            print_json([asdict(f) for f in findings])
        else:
            rows = [(f.what, "ok" if f.ok else "MEND", f.found, "" if f.ok else f.mend) for f in findings]
            print_table("Doctor", ["what", "", "found", "how to mend"], rows)
        if not all(f.ok for f in findings):
            raise typer.Exit(Exit.CHECK_FAILED)


def _findings(data_dir: Path | None) -> Iterator[Finding]:
    yield from _dependencies()
    try:
        settings = start(data_dir)
    except Misconfigured as error:
        yield from (
            Finding("setting", ok=False, found=problem, mend="docs/operations.md lists every setting")
            for problem in error.problems
        )
        return
    yield Finding("settings", ok=True, found=f"{settings.deployment} deployment")
    yield _folder(settings)
    yield _tried("warehouse", lambda: _warehouse(settings), "check warehouse.url and that the server is up")
    yield _tried("books", lambda: _books(settings), "check books.url and that the server is up")
    if settings.deployment == "cluster":
        yield _tried(
            "kafka", lambda: _kafka(kafka_config(settings)), "run `stratometer migrate`; check kafka.bootstrap_servers"
        )


def _dependencies() -> Iterator[Finding]:
    for name in DEPENDENCIES:
        found = version(name)
        wanted = PINNED.get(name, "")
        yield Finding(
            name, found.startswith(wanted), found, f"install {name} {wanted}: others lose data or are untried"
        )


def _folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".doctor"
        probe.write_bytes(b"")
        probe.unlink()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("data_dir", ok=False, found=str(error), mend="choose a folder that this user may write to")
    return Finding("data_dir", free >= FREE_BYTES_MIN, f"{free // 2**20:,} MiB free", "free some space: spools need it")


def _tried(what: str, look: Callable[[], str], mend: str) -> Finding:
    try:
        return Finding(what, ok=True, found=look())
    except StratometerError as error:
        return Finding(what, ok=False, found=str(error), mend=mend)
    except Exception as error:
        return Finding(what, ok=False, found=repr(error), mend=mend)


def _warehouse(settings: Settings) -> str:
    warehouse = open_warehouse(warehouse_url(settings), owner_note="doctor")
    try:
        pending = warehouse.migrate(dry_run=True)
        if pending:
            raise Misconfigured([f"{len(pending)} migrations are missing: run `stratometer migrate`"])
        _refuse_collisions(warehouse)
        return f"ClickHouse {warehouse.ping()}"
    finally:
        warehouse.close()


def _refuse_collisions(warehouse: Warehouse) -> None:
    """Two names under one integer key would be billed as one thing; the chance is below 3e-8 for a million names."""
    names = {"resources": ("resource_id", "site_id, kind, uuid"), "tenants": ("tenant_id", "site_id, tenant")}
    for table, (key, columns) in names.items():
        found = warehouse.query(f"SELECT {key} FROM {table} GROUP BY {key} HAVING uniqExact({columns}) > 1 LIMIT 10")
        if found.num_rows:
            raise Misconfigured(
                [f"two names share key {k} in {table}: rename one" for k in found.column(0).to_pylist()]
            )


def _books(settings: Settings) -> str:
    books = open_books(books_url(settings))
    try:
        if books.migrate(dry_run=True):
            raise Misconfigured(["migrations are missing: run `stratometer migrate`"])
        return f"{len(books.accounts())} accounts, {len(books.rules())} mapping rules"
    finally:
        books.close()


def _kafka(config: KafkaConfig) -> str:
    existing = admin(config).list_topics(timeout=10).topics
    missing = [t.name for t in config.topics() if t.name not in existing]
    if missing:
        raise Misconfigured([f"topics are missing: {', '.join(missing)}"])
    return f"{len(config.topics())} topics"
