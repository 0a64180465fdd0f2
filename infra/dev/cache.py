"""The folder that keeps what was fetched, shared by all processes of this checkout."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

CACHE_VARIABLE = "STRATOMETER_DEV_CACHE"
FETCH_SECONDS_MAX = 900
OUTPUT_LINES_SHOWN = 15


class ServerNotAvailableError(RuntimeError):
    """A server cannot be had on this machine: not installed and not to be fetched. The message says what would help."""


def cache_dir() -> Path:
    """The cache folder, made if absent: $STRATOMETER_DEV_CACHE, else `.cache/dev` of this checkout."""
    named = os.environ.get(CACHE_VARIABLE)
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / ".cache" / "dev"
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the cache's lock `name`; others wait. The kernel frees it when its holder ends, however it ends."""
    with (cache_dir() / f".{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def fetched(name: str, fetch: Callable[[Path], None]) -> Path:
    """The cached folder `name`; `fetch` fills it if it is absent.

    Two processes may ask at once: one fetches, the other waits. The folder appears by one rename, so it is there whole
    or not at all.

    Raises:
        ServerNotAvailableError: `fetch` found that it cannot be had; nothing is left behind.
    """
    target = cache_dir() / name
    if target.is_dir():
        return target
    with locked(name):
        if target.is_dir():
            return target
        for stale in cache_dir().glob(f".{name}.part-*"):  # of a fetch that was killed: we hold the lock
            shutil.rmtree(stale)
        part = Path(tempfile.mkdtemp(prefix=f".{name}.part-", dir=cache_dir()))
        part.chmod(0o755)
        try:
            fetch(part)
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return target


def run_tool(command: list[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command of the machine to its end and return its output.

    Raises:
        ServerNotAvailableError: it is not installed, fails, or takes longer than FETCH_SECONDS_MAX.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=None if env is None else {**os.environ, **env},
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FETCH_SECONDS_MAX,
        )
    except subprocess.CalledProcessError as error:
        tail = "\n".join(str(error.output).splitlines()[-OUTPUT_LINES_SHOWN:])
        raise ServerNotAvailableError(f"`{' '.join(command[:4])} …` failed ({error.returncode}):\n{tail}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerNotAvailableError(f"`{' '.join(command[:4])} …` cannot run: {error}") from error
    return done.stdout
