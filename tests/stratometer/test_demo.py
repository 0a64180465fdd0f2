"""The demo, run as a newcomer runs it: twice on one folder, in processes of its own."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

RESIDENT_MIB_MAX: Final = 1536


def demo(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "stratometer.cli", "demo", "--once", "--json", "--data-dir", str(folder / "data")]
    export = folder / f"export-{len(list(folder.glob('export-*')))}.json"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [*command, "--export", str(export)],
        cwd=root, capture_output=True, text=True, check=False, env=environment, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    facts: dict[str, Any] = orjson.loads(done.stdout)
    return facts


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo(folder), demo(folder)


def test_every_check_holds(runs: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    """Invariants 1, 6, 9, 10 and 11 over a month of 240 VMs; the exit status was 0."""
    for facts in runs[1:]:
        assert len(facts["checks"]) >= 8
        assert [c for c in facts["checks"] if not c["holds"]] == []
        assert facts["vms"] >= 200
        assert facts["samples"]["unique"] > 1_000_000
        assert len(facts["accounts"]) == 3


def test_it_stays_small(runs: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    """Invariant 5."""
    assert max(facts["resident_mib_max"] for facts in runs[1:]) < RESIDENT_MIB_MAX


def test_the_second_start_takes_up_where_the_first_was(runs: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    """Invariants 2 and 12: nothing is collected or debited again; the export is the same, byte for byte."""
    folder, first, second = runs
    assert second["samples"] == first["samples"]
    assert second["accounts"] == first["accounts"]
    exports = [path.read_bytes() for path in sorted(folder.glob("export-*"))]
    assert exports[0] == exports[1]


def test_the_export_holds_every_line(runs: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    """Invariant 10: the export's month is UTC's, the summary's that of each account's zone: a day apart at most."""
    folder, first, _ = runs
    lines: dict[str, int] = {}
    with (folder / "export-0.json").open("rb") as file:
        for row in file:
            if row.startswith(b'{"account":') and b'"amount":' in row:
                name = orjson.loads(row.rstrip(b",\n"))["account"]
                lines[name] = lines.get(name, 0) + 1
    rated = {name: facts["lines"] for name, facts in first["accounts"].items()}
    assert rated["acme"] < lines["acme"] < 1.01 * rated["acme"], "rated by the hour: one hour more in UTC's month"
    assert all(0.95 * rated[name] <= lines[name] <= 1.05 * rated[name] for name in rated)
