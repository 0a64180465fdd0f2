"""A ClickHouse server: the machine's own if there is one, else Debian's 18.16 from the cache."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import ClassVar
from xml.sax.saxutils import escape

from infra.dev import debian
from infra.dev.cache import ServerNotAvailableError, fetched
from infra.dev.ports import LOOPBACK
from infra.dev.process import Launch, Server

PACKAGE = "clickhouse-server"
USER = PASSWORD = "metering"  # noqa: S105 - a test server on loopback, with nothing to protect
MEMORY_BYTES_MAX = 4_000_000_000
PROBE_SECONDS_MAX = 5

# <yandex> is the root element that the old server demands and the new one still takes.
CONFIG = """<?xml version="1.0"?>
<yandex>
    <logger><level>warning</level><console>1</console></logger>
    <listen_host>{host}</listen_host>
    <http_port>{http_port}</http_port>
    <tcp_port>{tcp_port}</tcp_port>
    <path>{path}/</path>
    <tmp_path>{path}/tmp/</tmp_path>
    <user_files_path>{path}/user_files/</user_files_path>
    <format_schema_path>{path}/format_schemas/</format_schema_path>
    <users_config>users.xml</users_config>
    <default_profile>default</default_profile>
    <default_database>default</default_database>
    <timezone>UTC</timezone>
    <mark_cache_size>134217728</mark_cache_size>
    <uncompressed_cache_size>0</uncompressed_cache_size>
    <max_concurrent_queries>64</max_concurrent_queries>
    <max_connections>256</max_connections>
    <keep_alive_timeout>3</keep_alive_timeout>
</yandex>
"""

USERS = """<?xml version="1.0"?>
<yandex>
    <profiles><default>
        <max_memory_usage>{memory}</max_memory_usage>
        <use_uncompressed_cache>0</use_uncompressed_cache>
        {profile}
    </default></profiles>
    <users>
        <default>
            <password></password>
            <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
            <profile>default</profile><quota>default</quota>
            <access_management>1</access_management>
        </default>
        <{user}>
            <password>{password}</password>
            <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
            <profile>default</profile><quota>default</quota>
            <access_management>1</access_management>
        </{user}>
    </users>
    <quotas><default/></quotas>
</yandex>
"""

# Threads for merges. A profile setting in 18.16; in later versions a server setting that must stay in proportion to a
# dozen others, so there we leave what the server chooses.
OLD_PROFILE = "<background_pool_size>4</background_pool_size>"


def fetch() -> Launch:
    """Find or fetch the program; the command lacks only the path of the configuration file.

    Raises:
        ServerNotAvailableError: there is none on PATH and Debian's cannot be had.
    """
    modern = shutil.which("clickhouse")
    if modern:
        return Launch([modern, "server", "--config-file"])
    if old := shutil.which("clickhouse-server"):
        return Launch([old, "--config-file"])
    root = fetched("clickhouse", _unpack)
    return Launch([str(_program(root)), "--config-file"], {"LD_LIBRARY_PATH": debian.library_path(root)})


def _unpack(folder: Path) -> None:
    debian.unpack_package(PACKAGE, folder)
    if not _program(folder).exists():
        raise ServerNotAvailableError(f"the package {PACKAGE} has no program of that name")


def _program(root: Path) -> Path:
    places = (root / "usr" / folder / PACKAGE for folder in ("sbin", "bin"))
    return next((place for place in places if place.exists()), root / "usr" / "sbin" / PACKAGE)


class ClickHouseServer(Server):
    """A ClickHouse server with users `default` (no password) and `metering` (password `metering`), in UTC."""

    name: ClassVar[str] = "clickhouse"
    port_names: ClassVar[tuple[str, ...]] = ("tcp", "http")
    host = LOOPBACK

    @property
    def port(self) -> int:
        """Port of the native protocol."""
        return self.port_of("tcp")

    @property
    def http_port(self) -> int:
        """Port of the HTTP interface."""
        return self.port_of("http")

    @property
    def url(self) -> str:
        """URL for clickhouse-driver, user `metering`, database `default`."""
        return self.database_url("default")

    def database_url(self, database: str) -> str:
        """URL for clickhouse-driver, user `metering`, another database (which need not exist yet)."""
        return f"clickhouse://{USER}:{PASSWORD}@{self.host}:{self.port}/{database}"

    def create_database(self, database: str) -> str:
        """Create the database unless it exists, and return its URL."""
        self._execute(f"CREATE DATABASE IF NOT EXISTS `{database}`")
        return self.database_url(database)

    def exports(self, database: str) -> dict[str, str]:
        """Point the product's warehouse at this server."""
        return {"STRATOMETER_WAREHOUSE__URL": self.create_database(database)}

    def prepare(self) -> Launch:
        """Write config.xml and users.xml."""
        found = fetch()
        data = self.data_dir / "data"
        for folder in (data, data / "tmp", data / "user_files", data / "format_schemas"):
            folder.mkdir(exist_ok=True)
        config = self.data_dir / "config.xml"
        config.write_text(
            CONFIG.format(host=LOOPBACK, http_port=self.http_port, tcp_port=self.port, path=escape(str(data))),
            encoding="utf-8",
        )
        profile = "" if found.command[1] == "server" else OLD_PROFILE
        users = USERS.format(memory=MEMORY_BYTES_MAX, user=USER, password=PASSWORD, profile=profile)
        (self.data_dir / "users.xml").write_text(users, encoding="utf-8")
        return Launch([*found.command, str(config)], found.env)

    def probe(self) -> None:
        """Ask for `select 1` over the native protocol."""
        if self._execute("SELECT 1") != [(1,)]:
            raise RuntimeError("SELECT 1 does not answer 1")

    def _execute(self, query: str) -> object:
        driver = importlib.import_module("clickhouse_driver")  # untyped; and only tests and `up` need it here
        client = driver.Client.from_url(
            f"{self.url}?connect_timeout={PROBE_SECONDS_MAX}&send_receive_timeout={PROBE_SECONDS_MAX}"
        )
        try:
            return client.execute(query)
        finally:
            client.disconnect()
