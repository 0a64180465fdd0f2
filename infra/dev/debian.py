"""Gets programs from Debian's archive without installing anything: `apt-get download` and `dpkg -x` into the cache.

Works as an ordinary user. Needed libraries that the machine lacks come along; LD_LIBRARY_PATH finds them.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from infra.dev.cache import ServerNotAvailableError, cache_dir, run_tool


def unpack_package(package: str, folder: Path) -> None:
    """Unpack a package, with those library packages it needs that are not installed, into `folder`.

    Raises:
        ServerNotAvailableError: this is no Debian, or its archive lacks the package or cannot be reached.
    """
    if any(shutil.which(tool) is None for tool in ("apt-get", "apt-cache", "dpkg", "dpkg-query")):
        raise ServerNotAvailableError(f"no `{package}` on PATH, and none to fetch: this is no Debian")
    options: list[str] = []
    if not _is_known(package, options):
        options = _own_package_lists()
        if not _is_known(package, options):
            raise ServerNotAvailableError(f"the package archive of this machine has no `{package}`")
    downloads = folder / ".debs"
    downloads.mkdir()
    try:
        _download(_needed(package, options), options, downloads)
    except ServerNotAvailableError:  # lists older than the archive name versions that it no longer has
        options = _own_package_lists()
        _download(_needed(package, options), options, downloads)
    for deb in sorted(downloads.glob("*.deb")):
        run_tool(["dpkg", "-x", str(deb), str(folder)])
    shutil.rmtree(downloads)


def library_path(folder: Path) -> str:
    """LD_LIBRARY_PATH for programs unpacked into `folder`."""
    found = [path for top in ("usr/lib", "lib") for path in (folder / top, *(folder / top).glob("*-linux-gnu*"))]
    return ":".join(str(path) for path in found if path.is_dir())


def _is_known(package: str, options: list[str]) -> bool:
    command = ["apt-cache", *options, "show", "--no-all-versions", package]
    return subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0


def _own_package_lists() -> list[str]:
    """Fetch fresh package lists into the cache, which an ordinary user may do, and return the options that use them."""
    lists, archives = cache_dir() / "apt" / "lists", cache_dir() / "apt" / "archives"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    options = ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={archives.parent}", "-o", "APT::Sandbox::User="]
    run_tool(["apt-get", *options, "-o", "Acquire::Languages=none", "-q", "update"])
    return options


def _needed(package: str, options: list[str]) -> list[str]:
    kinds = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    walk = ["apt-cache", *options, "depends", "--recurse", *(f"--no-{kind}" for kind in kinds), package]
    names = {line for line in run_tool(walk).splitlines() if line[:1].isalnum()}
    status = run_tool(["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\\n"])
    installed = {line.split()[0] for line in status.splitlines() if line.endswith(" installed")}
    family = package.partition("-")[0]  # clickhouse-server brings clickhouse-common
    return sorted({package} | {name for name in names - installed if name.startswith(("lib", family))})


def _download(packages: list[str], options: list[str], folder: Path) -> None:
    run_tool(["apt-get", *options, "-q", "-o", "APT::Sandbox::User=", "download", *packages], cwd=folder)
