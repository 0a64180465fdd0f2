"""Migrations: numbered templates, rendered for the engine at hand, applied once, checked by the template's checksum.

A template holds several statements, each ending with a semicolon at the end of a line. Each may run again (IF NOT
EXISTS), so two workers that start at once, or one that dies half-way, do no harm.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

import jinja2

from schemas.errors import Invariant
from sinks.warehouse.capability import Capability

FOLDER: Final = "migrations"
SUFFIX: Final = ".sql.j2"

BOOTSTRAP: Final = """{%- from "_tables.j2" import table with context -%}
{{ table("schema_migrations", "Migrations applied", [
    ("version", "UInt32", "number of the migration", None, None),
    ("name", "String", "its name", None, None),
    ("checksum", "String", "SHA-256 of its template", None, None),
    ("stored_at", "UInt64", "microseconds since 1970", None, None)], "version, name, checksum") }}
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration.

    Attributes:
        version: its number.
        name: file name without the ending, ``0001_facts``.
        template: text of the template.
    """

    version: int
    name: str
    template: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the template in hexadecimal; the same in every deployment."""
        return hashlib.sha256(self.template.encode()).hexdigest()


@cache
def migrations() -> tuple[Migration, ...]:
    """Return the migrations that ship with the product, in order; raises Invariant for a hole in the numbers."""
    found = []
    for entry in sorted(_folder().iterdir(), key=lambda e: e.name):
        if entry.name.endswith(SUFFIX):
            name = entry.name.removesuffix(SUFFIX)
            found.append(Migration(int(name.partition("_")[0]), name, entry.read_text(encoding="utf-8")))
    if [m.version for m in found] != list(range(1, len(found) + 1)):
        raise Invariant(f"the migrations are not numbered 1, 2, …: {', '.join(m.name for m in found)}")
    return tuple(found)


def statements(template: str, capability: Capability, database: str) -> Sequence[str]:
    """Return the statements of a template, rendered for an engine and a deployment."""
    text = _environment().from_string(template)
    rendered = text.render(modern=capability.modern, cluster=capability.cluster, database=database)
    return [part.strip() for part in f"{rendered}\n".split(";\n") if part.strip()]


def pending(known: Sequence[Migration], applied: Mapping[str, str]) -> Sequence[Migration]:
    """Return the migrations that are not applied yet.

    Args:
        known: of this version of the product, in order.
        applied: name → checksum.

    Raises:
        Invariant: an applied one has changed or is unknown (the database belongs to a newer version), or an older one
            is missing.
    """
    names = {m.name for m in known}
    if unknown := sorted(set(applied) - names):
        raise Invariant(f"the warehouse has migrations of a newer version: {', '.join(unknown)}; upgrade this program")
    for migration in known:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise Invariant(f"migration {migration.name} was changed after it was applied: restore its file")
    missing = [m for m in known if m.name not in applied]
    if missing and any(m.version > missing[0].version for m in known if m.name in applied):
        raise Invariant(f"migration {missing[0].name} is missing below later ones that are applied")
    return missing


@cache
def _environment() -> jinja2.Environment:
    def load(name: str) -> str:
        return _folder().joinpath(name).read_text(encoding="utf-8")

    # What is rendered is SQL from our own files with three values from the settings, none from a user: no HTML here.
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701
    )


def _folder() -> Traversable:
    return resources.files("sinks.warehouse").joinpath(FOLDER)
