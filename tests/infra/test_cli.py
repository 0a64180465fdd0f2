"""`python -m infra.dev`: servers that outlive the command, an environment for the shell, and an end to just those."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infra.dev import running
from infra.dev.cache import CACHE_VARIABLE, ServerNotAvailableError, cache_dir
from infra.dev.postgres import PostgresServer, fetch
from infra.dev.procfs import ProcessId

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    try:
        fetch()
    except ServerNotAvailableError as error:
        pytest.skip(f"server not available: {error}")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    yield cache_dir()
    running.down(list(running.SERVERS), lambda text: None)
    PostgresServer(cache_dir() / "data" / "postgres").discard()


def dev(*arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "infra.dev", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout


@pytest.mark.server
def test_up_env_status_down(cache: Path) -> None:
    assert dev("env", code=1) == ""
    text = dev("up", "postgres")
    assert "export STRATOMETER_DEPLOYMENT=cluster\n" in text
    assert "stratometer migrate" in text

    exports = json.loads(dev("env", "--json"))
    assert exports.keys() == {"STRATOMETER_DEPLOYMENT", "STRATOMETER_DEV", "STRATOMETER_BOOKS__URL"}
    url = exports["STRATOMETER_BOOKS__URL"]
    assert url.startswith("postgresql+psycopg://metering@127.0.0.1:")
    assert url.endswith("/stratometer")
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("stratometer",)

    evaluated = subprocess.run(
        ["sh", "-c", f'eval "$({sys.executable} -m infra.dev env)" && printf %s "$STRATOMETER_BOOKS__URL"'],
        cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert evaluated.stdout == url

    dev("up", "postgres")
    assert json.loads(dev("env", "--json")) == exports
    rows = json.loads(dev("status", "--json", code=1))
    assert {name: row["state"] for name, row in rows.items()} == {
        "kafka": "down",
        "clickhouse": "down",
        "postgres": "up",
    }

    dev("down")
    assert ProcessId.of(rows["postgres"]["pid"]) is None
    assert dev("status", "postgres", code=1).split() == ["postgres", "down"]


def test_down_leaves_a_recycled_pid_alone(cache: Path) -> None:
    me = ProcessId.of(os.getpid())
    assert me is not None
    process = {"pid": me.pid, "start_ticks": me.start_ticks - 1, "boot_id": me.boot_id}
    entry = {"process": process, "exports": {}, "log": "server.log"}
    running.state_path().write_text(json.dumps({"kafka": entry}))
    said: list[str] = []
    running.down(["kafka"], said.append)
    assert said == ["kafka had ended by itself, log server.log"]
    assert me.runs()
    assert running.load() == {}


def test_an_unknown_server_is_refused() -> None:
    assert dev("up", "mysql", code=2) == ""
