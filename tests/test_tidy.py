"""What a machine can check of `docs/conventions`: sizes, floats, clocks and I/O in the core, machine paths."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
PACKAGES = ("schemas", "collectors", "pipeline", "rating", "billing", "sinks", "api", "stratometer", "infra")
CORE = ("schemas", "rating", "billing")
CLOCK = "schemas/clock.py"
IO_MODULES = {
    "requests",
    "httpx",
    "socket",
    "sqlalchemy",
    "clickhouse_driver",
    "chdb",
    "confluent_kafka",
    "faust",
    "fastapi",
}
PURE_PIPELINE = ("pipeline/metering.py", "pipeline/validation.py", "pipeline/attribution.py", "pipeline/reconcile.py")


def sources(*folders: str) -> list[Path]:
    return [p for folder in folders for p in sorted((ROOT / folder).rglob("*.py"))]


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("path", sources(*PACKAGES, "tests", "bench"), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES_MAX, "split the file: one idea a file"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", sources("rating", "billing"), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_float_where_money_is_computed(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        assert name not in {"float", "float32", "float64"}, f"line {getattr(node, 'lineno', 0)}: float"
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), f"float literal {ast.dump(node)}"


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_wall_clock_is_read_in_one_place(path: Path) -> None:
    if str(path.relative_to(ROOT)) == CLOCK or "infra" in path.parts:
        return
    found = re.findall(
        r"datetime\.now\(|datetime\.utcnow\(|time\.time\(|time\.time_ns\(|date\.today\(", path.read_text()
    )
    assert not found, f"take a Clock instead of {found}"


@pytest.mark.parametrize(
    "path", sources(*CORE) + [ROOT / p for p in PURE_PIPELINE], ids=lambda p: str(p.relative_to(ROOT))
)
def test_the_core_does_no_io(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not IO_MODULES & set(imports(tree))
    calls = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not calls & {"open", "print", "input"}


def test_nothing_of_a_machine_is_committed() -> None:
    pattern = r"/(work|farm|root|home|tmp/bash_jobs)/[a-z]|https?://[^ ]*(pypi|registry|mirror|artifactory|nexus)[^ ]*/"
    found = subprocess.run(
        ["git", "grep", "-nIE", pattern, "--", ".", ":!tests/test_tidy.py", ":!*.lock"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""


def test_locks_have_hashes_and_name_no_index() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        assert "--hash=sha256:" in text
        assert "index-url" not in text
        assert "http" not in re.sub(r"#.*|[a-z-]*http[a-z0-9-]*(==|$)", "", text.replace("\\\n", " "))
