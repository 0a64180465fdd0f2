"""Runs the packaged Alembic migrations inside a transaction that the caller holds."""

import threading
from importlib import resources
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

CONNECTION: Final = "connection"
"""Where `migrations/env.py` finds the connection."""
_ALEMBIC: Final = threading.Lock()  # Alembic keeps the running migration in module variables


def pending(connection: Connection) -> list[str]:
    """Return the revisions that are missing, oldest first; changes nothing."""
    done = MigrationContext.configure(connection).get_current_heads()
    scripts = ScriptDirectory.from_config(_config(connection))
    revisions = scripts.iterate_revisions("heads", done or "base")
    return [script.revision for script in revisions][::-1]


def upgrade(connection: Connection) -> list[str]:
    """Apply the missing revisions and return them, oldest first; all or none, as both engines' DDL is transactional."""
    with _ALEMBIC:
        missing = pending(connection)
        if missing:
            command.upgrade(_config(connection), "heads")
        return missing


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("sinks.books").joinpath("migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes[CONNECTION] = connection
    return config
