"""What holds for any server process: it dies with its parent, never outlives a stop, and says why it failed."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from infra.dev import ports, procfs
from infra.dev.process import Launch, Server, ServerError
from infra.dev.procfs import ProcessId

REPOSITORY = Path(__file__).resolve().parents[2]

WEB = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + WEB


class WebServer(Server):
    """The smallest server there is: Python's own."""

    name: ClassVar[str] = "web"
    port_names: ClassVar[tuple[str, ...]] = ("http",)
    start_seconds_max: ClassVar[float] = 20
    stop_seconds_max: ClassVar[float] = 0.5
    program = WEB

    def exports(self, database: str) -> dict[str, str]:
        return {"WEB": f"{self.port_of('http')}/{database}"}

    def prepare(self) -> Launch:
        return Launch([sys.executable, "-c", self.program, str(self.port_of("http"))])

    def probe(self) -> None:
        connection = http.client.HTTPConnection(ports.LOOPBACK, self.port_of("http"), timeout=2)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            assert connection.getresponse().status == 200


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    server = WebServer(tmp_path / "web")
    yield server
    server.discard()


def test_ports_stay_through_restarts_and_for_a_new_owner(web: WebServer) -> None:
    web.start()
    port, first = web.port_of("http"), web.process
    web.restart()
    assert web.port_of("http") == port
    assert web.process != first
    web.stop()
    with pytest.raises(ServerError, match="not running"):
        _ = web.pid

    with WebServer(web.data_dir) as successor:
        assert successor.port_of("http") == port
    assert not successor.running


def test_a_server_that_runs_does_not_start_twice(web: WebServer) -> None:
    web.start()
    with pytest.raises(ServerError, match="runs already"):
        web.start()
    assert web.running


def test_stop_is_bounded(web: WebServer) -> None:
    web.program = DEAF
    server = web.start().process
    web.stop()
    assert not server.runs()


def test_a_server_that_ends_at_once_shows_its_log(web: WebServer) -> None:
    web.program = "raise SystemExit('the disk is full of eels')"
    with pytest.raises(ServerError, match="eels"):
        web.start()
    assert not web.running


def test_a_server_that_never_answers_is_ended(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WebServer, "start_seconds_max", 0.3)
    web.program = "import time; print('thinking', flush=True); time.sleep(60)"
    with pytest.raises(ServerError, match=r"does not answer(?s:.*)thinking"):
        web.start()
    assert not web.running


def test_a_port_lost_to_another_process_is_replaced(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with WebServer(web.data_dir.with_name("other")) as other:
        offers = iter([other.port_of("http"), ports.free_port()])
        monkeypatch.setattr(ports, "free_port", lambda: next(offers))
        web.start()
        assert web.port_of("http") != other.port_of("http")


def test_a_paused_server_is_silent_until_it_is_resumed(web: WebServer) -> None:
    web.start()
    web.pause()
    with pytest.raises(TimeoutError):
        web.probe()
    web.resume()
    web.probe()


def test_a_server_started_by_a_thread_outlives_the_thread(web: WebServer) -> None:
    thread = threading.Thread(target=web.start)
    thread.start()
    thread.join()
    web.probe()


@pytest.mark.parametrize("outlive", [False, True])
def test_a_server_dies_with_a_killed_parent_unless_told_otherwise(tmp_path: Path, outlive: bool) -> None:
    script = f"""
        import os, signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_server_life import WebServer
        server = WebServer(Path({str(tmp_path)!r}), outlive_parent={outlive})
        print(server.start().pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    output, _ = parent.communicate(timeout=60)
    server = ProcessId.of(int(output))
    assert parent.returncode == -signal.SIGKILL
    if outlive:
        assert server is not None
        assert not procfs.wait_end([server], 0.5)
        procfs.kill(server)
    else:
        assert server is None or procfs.wait_end([server], 5)


def test_a_recycled_pid_is_left_alone() -> None:
    me = ProcessId.of(os.getpid())
    assert me is not None
    predecessor = ProcessId(me.pid, me.start_ticks - 1, me.boot_id)
    assert not predecessor.runs()
    predecessor.signal(signal.SIGKILL)
    assert procfs.end(predecessor, signal.SIGKILL, 1)
    procfs.kill(predecessor)
    assert me.runs()


def test_kill_takes_the_children_along() -> None:
    script = "import subprocess, sys; subprocess.Popen(['sleep', '60']); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        named = ProcessId.of(parent.pid)
        assert named is not None
        children = named.descendants()
        assert len(children) == 1
        procfs.kill(named)
        assert not children[0].runs()


def test_free_ports_are_not_those_of_outgoing_connections() -> None:
    start = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    chosen = {ports.free_port() for _ in range(20)}
    assert all(ports.PORT_MIN <= port < max(start, ports.PORT_MIN + 5000) for port in chosen)
    assert len(chosen) > 10
