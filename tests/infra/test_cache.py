"""Fetching into the cache is whole or not at all, also for two at once, and says what would help."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

from infra.dev import cache, debian, kafka
from infra.dev.cache import ServerNotAvailableError
from infra.dev.fixtures import SKIP_PREFIX, start_or_skip
from infra.dev.kafka import KafkaServer


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    return cache.cache_dir()


def test_two_at_once_fetch_once(cache_folder: Path) -> None:
    calls: list[Path] = []

    def fetch(folder: Path) -> None:
        calls.append(folder)
        time.sleep(0.1)
        (folder / "program").write_text("x")

    threads = [threading.Thread(target=cache.fetched, args=("thing", fetch)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert (cache_folder / "thing" / "program").read_text() == "x"


def test_a_failed_fetch_leaves_nothing_and_the_next_one_cleans_up(cache_folder: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise ServerNotAvailableError("no network")

    with pytest.raises(ServerNotAvailableError):
        cache.fetched("thing", fail)
    assert [path.name for path in cache_folder.iterdir()] == [".thing.lock"]

    (cache_folder / ".thing.part-killed").mkdir()
    cache.fetched("thing", lambda folder: None)
    assert sorted(path.name for path in cache_folder.iterdir()) == [".thing.lock", "thing"]


def test_a_failing_tool_shows_its_last_words() -> None:
    with pytest.raises(ServerNotAvailableError, match="no such mirror"):
        cache.run_tool([sys.executable, "-c", "raise SystemExit('no such mirror')"])
    with pytest.raises(ServerNotAvailableError, match="cannot run"):
        cache.run_tool(["no-such-tool-anywhere"])


def test_changed_jars_are_refused(tmp_path: Path) -> None:
    names = [line.split()[1] for line in kafka.JARS_FILE.read_text().splitlines()]
    (tmp_path / names[0]).write_bytes(b"not what it was")
    (tmp_path / "stranger.jar").write_bytes(b"")
    with pytest.raises(ServerNotAvailableError, match=r"stranger\.jar"):
        kafka._verify(tmp_path)


def test_a_test_is_skipped_with_the_reason_where_a_server_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(pytest.skip.Exception, match=f"^{SKIP_PREFIX}.*install the package `maven`"):
        start_or_skip(KafkaServer(tmp_path / "kafka"))


def test_no_debian_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ServerNotAvailableError, match="no Debian"):
        debian.unpack_package("clickhouse-server", tmp_path)
