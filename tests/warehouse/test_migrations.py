"""Migrations: once, in order, checked, and the text of each deployment."""

from pathlib import Path

import pytest

from schemas.errors import Invariant
from sinks.warehouse import migrate
from sinks.warehouse.capability import Capability
from sinks.warehouse.migrate import Migration, migrations, pending, statements
from sinks.warehouse.store import Store

GOLDEN = Path(__file__).parent / "golden"
ALL = [m.name for m in migrations()]
ENGINES = {
    "single_modern": Capability("26.9.2.1"),
    "cluster_modern": Capability("24.8.1.1", "metering"),
    "single_18_16": Capability("18.16.1"),
}


def test_they_run_once_and_a_dry_run_changes_nothing(empty: Store) -> None:
    assert empty.migrate(dry_run=True) == ALL
    assert empty.migrate(dry_run=True) == ALL
    assert empty.migrate() == ALL
    assert empty.migrate() == []
    assert empty.migrate(dry_run=True) == []


def test_a_changed_one_stops(warehouse: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *rest = migrations()
    changed = (Migration(first.version, first.name, first.template + " "), *rest)
    monkeypatch.setattr(migrate, "migrations", lambda: changed)
    with pytest.raises(Invariant, match="was changed after"):
        warehouse.migrate()


def test_a_new_one_is_added_and_one_that_died_half_way_runs_again(
    warehouse: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "CREATE TABLE IF NOT EXISTS extra (a UInt8) ENGINE = Memory;\n{{ rest }}"
    broken = Migration(4, "0004_extra", text.replace("{{ rest }}", "CREATE NONSENSE;\n"))
    monkeypatch.setattr(migrate, "migrations", lambda: (*migrations(), broken))
    with pytest.raises(Invariant):
        warehouse.migrate()
    whole = Migration(4, "0004_extra", text.replace("{{ rest }}", ""))
    monkeypatch.setattr(migrate, "migrations", lambda: (*migrations(), whole))
    assert warehouse.migrate() == ["0004_extra"]


def test_a_database_of_a_newer_program_is_not_touched() -> None:
    applied = {m.name: m.checksum for m in migrations()}
    with pytest.raises(Invariant, match="newer version"):
        pending(migrations(), {**applied, "0099_future": "x"})
    del applied[ALL[0]]
    with pytest.raises(Invariant, match="missing below"):
        pending(migrations(), applied)


@pytest.mark.parametrize("name", ENGINES)
def test_the_text_of_each_deployment(name: str) -> None:
    """After a wanted change: delete the file, run the test twice, read the difference."""
    texts = [f"{s};\n" for m in migrations() for s in statements(m.template, ENGINES[name], "stratometer")]
    text, path = "\n".join(texts), GOLDEN / f"{name}.sql"
    if not path.exists():
        path.write_text(text, encoding="utf-8")
        pytest.fail(f"{path.name} was absent: it is written now, read it")
    assert text == path.read_text(encoding="utf-8")


def test_the_old_form_uses_nothing_that_the_old_server_lacks() -> None:
    text = (GOLDEN / "single_18_16.sql").read_text(encoding="utf-8")
    for word in ("CODEC", "TTL", "LowCardinality", "DateTime64", "COMMENT", "INDEX", "WITH "):
        assert word not in text, word


def test_facts_of_a_cluster_are_sharded_by_what_deduplicates_them() -> None:
    text = (GOLDEN / "cluster_modern.sql").read_text(encoding="utf-8")
    assert "'samples_local', resource_id)" in text
    assert "'events_local', event_low)" in text
    assert "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/stratometer/samples', '{replica}', age)" in text
    assert "ReplicatedReplacingMergeTree('/clickhouse/tables/all/stratometer/sites', '{shard}-{replica}'" in text
