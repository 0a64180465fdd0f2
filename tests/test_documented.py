"""Everything that an operator meets has its place in docs/: settings, commands, reasons, metrics, exit codes."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pytest
import typer
from pydantic import BaseModel

from pipeline.validation import check, columns_of
from schemas.batch import table_of
from stratometer.cli import app
from stratometer.exit_codes import Exit
from stratometer.settings import Settings
from tests.pipeline.rows import NOW, REGISTRY, Row, columns

ROOT = Path(__file__).resolve().parents[1]
DOCS = "\n".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "docs").rglob("*.md")) if "adr" not in p.parts)
SOURCES = ("schemas", "collectors", "pipeline", "sinks", "api", "stratometer")
METRIC = re.compile(r"stratometer_[a-z0-9_]+")


def settings(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from settings(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def commands(command: object, name: str) -> Iterator[str]:
    children: Mapping[str, object] = getattr(command, "commands", {})
    for child, found in children.items():
        yield from commands(found, f"{name} {child}")
    if not children:
        yield name


def trees() -> Iterator[ast.AST]:
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield ast.parse(path.read_text(encoding="utf-8"))


def reasons() -> set[str]:
    """Reasons of rows, and the first argument of every Poison and BadBatch."""
    _, rules = check(columns_of(pa.Table.from_batches([table_of(columns([Row()]))])), REGISTRY, NOW)
    found = {rule.reason for rule in rules}
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Poison", "BadBatch") and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def metrics() -> set[str]:
    """Text constants that name a metric."""
    constants = (n.value for tree in trees() for n in ast.walk(tree) if isinstance(n, ast.Constant))
    return {c for c in constants if isinstance(c, str) and METRIC.fullmatch(c) and c != "stratometer_write"}


NAMED = {
    "settings": set(settings()),
    "commands": set(commands(typer.main.get_command(app), "stratometer")),
    "reasons of dead letters": reasons(),
    "metrics": metrics(),
}


@pytest.mark.parametrize("what", NAMED)
def test_it_is_documented(what: str) -> None:
    assert NAMED[what]
    missing = sorted(name for name in NAMED[what] if f"`{name}" not in DOCS)
    assert missing == [], f"{what} that docs/ does not name in backticks: {', '.join(missing)}"


def test_exit_codes_are_documented() -> None:
    missing = [f"{code.name} ({code.value})" for code in Exit if not re.search(rf"\|\s*`?{code.value}`?\s*\|", DOCS)]
    assert missing == [], f"exit codes without a row in a table of docs/: {', '.join(missing)}"


def test_what_is_looked_for_is_found() -> None:
    assert {"settle.grace_seconds", "api.admin_token", "data_dir"} <= NAMED["settings"]
    assert {"stratometer demo", "stratometer deadletters replay"} <= NAMED["commands"]
    assert {"bad_arrow", "negative", "bad_descriptor"} <= NAMED["reasons of dead letters"]
    assert "stratometer_api_requests_total" in NAMED["metrics"]
