"""The life of a test server: start, wait until it answers, stop, kill, restart on the same ports and data."""

from __future__ import annotations

import abc
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from infra.dev import ports, procfs
from infra.dev.procfs import ProcessId

START_TRIES_MAX = 3
POLL_SECONDS = 0.05
LOG_LINES_SHOWN = 25


class ServerError(RuntimeError):
    """A server that should run on this machine does not start, or is asked for what its state forbids."""


@dataclasses.dataclass(frozen=True)
class Launch:
    """How to start a server's process: command, additional environment, user (None: who we are), working folder."""

    command: list[str]
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    user: str | None = None
    cwd: Path | None = None


class Server(abc.ABC):
    """One server process on loopback, with its data in one folder.

    The first start chooses free ports; they are kept beside the data, so that every later start, also by another
    process, has the same addresses. Not safe for use from two threads at once.

    Args:
        data_dir: Folder for data, configuration and log; made if absent.
        outlive_parent: False (tests): the server is killed when this process ends, however that happens. True
            (`python -m infra.dev up`): it stays.
    """

    name: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]]
    start_seconds_max: ClassVar[float] = 60
    stop_seconds_max: ClassVar[float] = 20
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, data_dir: Path | str, *, outlive_parent: bool = False) -> None:
        """Remember where the data shall be; nothing is touched before start()."""
        self.data_dir = Path(data_dir).absolute()
        self.outlive_parent = outlive_parent
        self._ports: dict[str, int] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._process: ProcessId | None = None

    @abc.abstractmethod
    def prepare(self) -> Launch:
        """Write the configuration into the data folder and initialise it if it is new.

        Raises:
            ServerNotAvailableError: the program cannot be had on this machine.
        """

    @abc.abstractmethod
    def probe(self) -> None:
        """Do a real round trip; raise anything if the server does not answer as it should."""

    @abc.abstractmethod
    def exports(self, database: str) -> dict[str, str]:
        """Environment variables that point the product at this running server; creates the database if need be."""

    @property
    def log_path(self) -> Path:
        """Where the process writes what it has to say."""
        return self.data_dir / "server.log"

    @property
    def pid(self) -> int:
        """Pid of the server process.

        Raises:
            ServerError: it does not run.
        """
        return self.process.pid

    @property
    def process(self) -> ProcessId:
        """The server process with its start time, for those who must find it again later."""
        if self._process is None:
            raise ServerError(f"{self.name} is not running")
        return self._process

    @property
    def running(self) -> bool:
        """Tell whether the process is there (it may be paused, or too busy to answer)."""
        return self._process is not None and self._process.runs()

    def port_of(self, port_name: str) -> int:
        """The port of that name, known from the first start on.

        Raises:
            ServerError: it was never started.
        """
        if port_name not in self._ports:
            raise ServerError(f"{self.name} has no port yet: start it first")
        return self._ports[port_name]

    def start(self) -> Self:
        """Start and wait until the server answers. Fetches the program if need be, the first time only.

        Raises:
            ServerNotAvailableError: the program cannot be had here.
            ServerError: it ended at once or did not answer in time; the message has the end of its log.
        """
        if self.running:
            raise ServerError(f"{self.name} runs already")
        self._reap()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        addresses_are_known = bool(self._ports)
        for attempt in range(1, START_TRIES_MAX + 1):
            self._choose_ports()
            launch = self.prepare()
            log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
            self._spawn(launch)
            try:
                self._wait_ready()
            except BaseException as error:
                self.kill()
                # Another process may have taken a port between our look and the server's bind.
                lost_port = "ddress already in use" in self._log_text()[log_start:]
                if isinstance(error, ServerError) and lost_port and attempt < START_TRIES_MAX:
                    if not addresses_are_known:  # else somebody knows them: the same ports again
                        self._ports = {}
                        self._ports_path.unlink(missing_ok=True)
                    continue
                raise
            break
        return self

    def stop(self) -> None:
        """End in good order, by SIGKILL after `stop_seconds_max`. Nothing happens if it does not run."""
        if self._process is not None:
            procfs.end(self._process, self.stop_signal, self.stop_seconds_max)
        self._reap()

    def kill(self) -> None:
        """SIGKILL the server with all its processes, and wait until they are gone."""
        if self._process is not None:
            procfs.kill(self._process)
        self._reap()

    def restart(self) -> Self:
        """Stop if it runs, and start on the same ports and data."""
        self.stop()
        return self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers, as behind a dead network."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after pause()."""
        self._signal_all(signal.SIGCONT)

    def discard(self) -> None:
        """Kill the server and delete its data."""
        self.kill()
        shutil.rmtree(self.data_dir, ignore_errors=True)
        self._ports = {}

    def log_tail(self, lines: int = LOG_LINES_SHOWN) -> str:
        """The last lines of the log."""
        return "\n".join(self._log_text().splitlines()[-lines:])

    def __enter__(self) -> Self:
        """Start, unless it runs."""
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; the data stays."""
        self.stop()

    @property
    def _ports_path(self) -> Path:
        return self.data_dir / "ports.json"

    def _choose_ports(self) -> None:
        if self._ports:
            return
        if self._ports_path.exists():
            kept: dict[str, int] = json.loads(self._ports_path.read_text(encoding="utf-8"))
            if set(kept) == set(self.port_names) and all(ports.is_free(port) for port in kept.values()):
                self._ports = kept
                return
        chosen: dict[str, int] = {}
        for port_name in self.port_names:
            port = ports.free_port()
            while port in chosen.values():
                port = ports.free_port()
            chosen[port_name] = port
        self._ports_path.write_text(json.dumps(chosen), encoding="utf-8")
        self._ports = chosen

    def _spawn(self, launch: Launch) -> None:
        guard = Path(__file__).with_name("guard.py")
        parent = "0" if self.outlive_parent else str(os.getpid())
        command = [sys.executable, "-I", "-S", str(guard), parent, launch.user or "-", *launch.command]
        with self.log_path.open("ab") as log:
            self._child = subprocess.Popen(
                command,
                cwd=launch.cwd or self.data_dir,
                env={**os.environ, **launch.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._process = ProcessId.of(self._child.pid)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + self.start_seconds_max
        while True:
            code = None if self._child is None else self._child.poll()
            if code is not None:
                raise ServerError(f"{self.name} ended at once with code {code}; its log ends:\n{self.log_tail()}")
            try:
                self._check_listens()  # before the probe: drivers log loudly what is normal at this stage
                self.probe()
            except Exception as error:
                if time.monotonic() > deadline:
                    raise ServerError(
                        f"{self.name} does not answer after {self.start_seconds_max} s ({error}); "
                        f"its log ends:\n{self.log_tail()}"
                    ) from error
                time.sleep(POLL_SECONDS)
            else:
                return

    def _check_listens(self) -> None:
        for port_name, port in self._ports.items():
            if self._process is None or not ports.listens(self._process.pid, port):
                raise ServerError(f"it does not listen on its port `{port_name}` ({port})")

    def _reap(self) -> None:
        if self._child is not None:
            self._child.wait(procfs.KILL_SECONDS_MAX)
        self._child = self._process = None

    def _signal_all(self, number: signal.Signals) -> None:
        for each in [self.process, *self.process.descendants()]:
            each.signal(number)

    def _log_text(self) -> str:
        try:
            return self.log_path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return "(no log)"
