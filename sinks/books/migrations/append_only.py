"""Triggers that refuse what the books never do, for both engines; used by migrations.

The functions of this file are part of applied migrations: add new ones rather than change these.
"""

from typing import Final

from alembic import op

SEALED: Final = "EXISTS (SELECT 1 FROM transfers WHERE sequence = NEW.sequence)"
# Together with SQLite's INSERT OR REPLACE, which deletes without asking the triggers of a client that left them out.
TAKEN: Final = "EXISTS (SELECT 1 FROM transfers WHERE sequence = NEW.sequence OR id = NEW.id)"
UNBALANCED: Final = (
    "(SELECT count(*) FROM entries WHERE sequence = NEW.sequence) < 2"
    " OR (SELECT sum(micros) FROM entries WHERE sequence = NEW.sequence) <> 0"
    " OR EXISTS (SELECT 1 FROM entries WHERE sequence = NEW.sequence AND currency <> NEW.currency)"
)
RULE_FACTS: Final = ("id", "site", "tenant", "resource", "account", "valid_from", "valid_to", "recorded_at")


def forbid(table: str) -> None:
    """Refuse UPDATE, DELETE and (PostgreSQL) TRUNCATE of a table."""
    message = f"{table} is append-only"
    _refuse(f"{table}_no_update", "UPDATE", table, "", message)
    _refuse(f"{table}_no_delete", "DELETE", table, "", message)
    _refuse_truncate(table, message)


def guard_journal() -> None:
    """Refuse a transfer whose entries do not balance, and entries that come after their transfer."""
    _refuse("transfers_balanced", "INSERT", "transfers", UNBALANCED, "the entries of a transfer must sum to zero")
    _refuse("transfers_once", "INSERT", "transfers", TAKEN, "this transfer is posted already")
    _refuse("entries_sealed", "INSERT", "entries", SEALED, "this transfer is posted: its entries are complete")


def guard_rules() -> None:
    """Let a mapping rule change in one way only: from live to retired."""
    message = "a mapping rule can only be retired, once"
    _refuse("mapping_rules_facts", f"UPDATE OF {', '.join(RULE_FACTS)}", "mapping_rules", "", message)
    _refuse("mapping_rules_retired", "UPDATE", "mapping_rules", "OLD.retired_at IS NOT NULL", message)
    _refuse("mapping_rules_no_delete", "DELETE", "mapping_rules", "", message)
    _refuse_truncate("mapping_rules", message)


def _refuse(name: str, action: str, table: str, condition: str, message: str) -> None:
    """Create a trigger that raises before each row of an action, if the condition (or none) holds."""
    if op.get_bind().dialect.name == "sqlite":
        when = f"WHEN {condition}" if condition else ""
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {action} ON {table} FOR EACH ROW {when} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
        return
    # A WHEN clause cannot hold a subquery in PostgreSQL, so the function asks.
    refusal = f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation';"
    body = f"IF {condition} THEN {refusal} END IF; RETURN NEW;" if condition else refusal
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$")
    op.execute(f"CREATE TRIGGER {name} BEFORE {action} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def _refuse_truncate(table: str, message: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        name = f"{table}_no_truncate"
        raising = f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation';"
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {raising} END $$")
        op.execute(f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()")
