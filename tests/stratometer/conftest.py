"""Commands run in this process; each test has a database of the shared chDB folder and books of its own."""

import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from schemas.errors import StratometerError
from sinks.warehouse.connect import open_warehouse
from sinks.warehouse.embedded import open_folder
from stratometer.cli import app
from stratometer.guard import guarded
from stratometer.settings import PREFIX, Settings, load
from tests.pipeline.provider import drop


@pytest.fixture(scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chdb-commands")


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No setting of the machine, a folder of the test's own, and logging that stays as it is."""
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stratometer.commands.common.configure", lambda **_: None)
    return monkeypatch


@dataclass(frozen=True)
class Done:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


@dataclass(frozen=True)
class Command:
    """Runs commands as the console script does: the same guard around the same application."""

    environment: Mapping[str, str]

    def __call__(self, *arguments: object, status: int = 0) -> Done:
        result = CliRunner(env=dict(self.environment)).invoke(app, [str(a) for a in arguments])
        code, told = result.exit_code, ""
        if isinstance(result.exception, StratometerError):
            error = result.exception

            def fail() -> None:
                raise error

            code, told = guarded(fail), str(error)
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        done = Done(code, result.stdout, result.stderr + told)
        assert done.status == status, f"exit {done.status}, expected {status}\n{done.out}\n{done.err}"
        return done

    @property
    def settings(self) -> Settings:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            return load()


@pytest.fixture
def command(tmp_path: Path, own_folder: Path, plain_environment: pytest.MonkeyPatch) -> Iterator[Command]:
    """Commands over embedded stores that are not migrated yet."""
    url = f"chdb://{open_folder() or own_folder}?database=cli_{uuid.uuid4().hex}"
    yield Command({f"{PREFIX}DEV": "true", f"{PREFIX}DATA_DIR": str(tmp_path / "data"), f"{PREFIX}WAREHOUSE__URL": url})
    warehouse = open_warehouse(url)
    drop(warehouse)
    warehouse.close()
