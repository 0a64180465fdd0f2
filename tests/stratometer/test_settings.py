"""Settings: one tree from file and environment, checked as a whole, every problem at once, no secret told."""

from pathlib import Path

import pytest

from schemas.errors import Misconfigured
from stratometer.settings import CONFIG_VARIABLE, DEV_ADMIN_TOKEN, PREFIX, Settings, load

SECRET = "hunter2-hunter2-hunter2"
TOKEN = f"sm_admin_{'x' * 30}"

pytestmark = pytest.mark.usefixtures("plain_environment")


def problems(**overrides: object) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        load(**overrides)  # type: ignore[arg-type]
    return list(caught.value.problems)


def test_development_needs_nothing() -> None:
    found = load(dev=True)
    assert (found.deployment, found.settle.grace_seconds, found.api.host) == ("embedded", 7200, "127.0.0.1")


def test_the_default_token_refuses_to_start_outside_dev(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 15's neighbour: a default secret is no secret."""
    (told,) = problems()
    assert told.startswith("api.admin_token: set STRATOMETER_API__ADMIN_TOKEN")
    monkeypatch.setenv(f"{PREFIX}API__ADMIN_TOKEN", "sm_admin_short")
    (told,) = problems()
    assert "at least 20 random characters" in told
    monkeypatch.setenv(f"{PREFIX}API__ADMIN_TOKEN", TOKEN)
    assert load().api.admin_token.get_secret_value() == TOKEN


def test_a_cluster_needs_servers() -> None:
    found = problems(deployment="cluster", dev=True)
    assert [p.partition(":")[0] for p in found] == ["warehouse.url", "books.url"]


def test_a_cluster_settles_behind_its_slowest_insert(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 10: a cut-off that overtakes an insert would miss its rows."""
    monkeypatch.setenv(f"{PREFIX}WAREHOUSE__URL", "clickhouse://localhost/db")
    monkeypatch.setenv(f"{PREFIX}BOOKS__URL", "postgresql+psycopg://localhost/db")
    assert load(deployment="cluster", dev=True)
    monkeypatch.setenv(f"{PREFIX}SETTLE__CUTOFF_MARGIN_SECONDS", "20")
    (told,) = problems(deployment="cluster", dev=True)
    assert told.startswith("settle.cutoff_margin_seconds: must be above")


def test_only_who_serves_the_api_needs_the_admin_token() -> None:
    """A collector's machine has no business with the provider's admin token."""
    assert load(serves=False).deployment == "embedded"


def test_the_embedded_deployment_refuses_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}WAREHOUSE__URL", "clickhouse://localhost/db")
    (told,) = problems(dev=True)
    assert told.startswith("warehouse.url: the embedded deployment keeps its stores in data_dir")


def test_every_problem_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}DEPLOYMENT", "cluster")
    monkeypatch.setenv(f"{PREFIX}API__PORT", "99999")
    monkeypatch.setenv(f"{PREFIX}STREAM__WATCHDOG_SECONDS", "soon")
    monkeypatch.setenv(f"{PREFIX}KAFKA__BOOTSTRAP", "localhost")
    monkeypatch.setenv(f"{PREFIX}TYPO", "1")
    found = problems()
    expected = {
        "api.port",
        "stream.watchdog_seconds",
        "kafka.bootstrap",
        "STRATOMETER_TYPO",
        "warehouse.url",
        "books.url",
        "api.admin_token",
    }
    assert {p.partition(":")[0] for p in found} == expected
    assert len(found) == len(expected)


def test_own_meters_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}METERS", '[{"key": "vm.vcpu", "name": "x"}, {"key": "my.meter"}]')
    found = problems(dev=True)
    assert any("meters[1] my.meter: kind" in p for p in found), found
    good = '[{"key": "my.meter", "name": "Mine", "kind": "gauge", "base": "s", "display": {"h": 3600}}]'
    monkeypatch.setenv(f"{PREFIX}METERS", good)
    assert "my.meter" in load(dev=True).registry()


def test_a_file_and_the_environment_over_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "stratometer.toml"
    path.write_text("dev = true\n[settle]\ngrace_seconds = 60\nlate_days = 7\n")
    monkeypatch.setenv(CONFIG_VARIABLE, str(path))
    monkeypatch.setenv(f"{PREFIX}SETTLE__LATE_DAYS", "9")
    found = load()
    assert (found.settle.grace_seconds, found.settle.late_days, found.settle.every_seconds) == (60, 9, 60)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dev = true\nsurprise = 1\n", "surprise"),
        ("dev = true\n[settle]\ngrace = 1\n", "settle.grace"),
        ("dev = true\n[kafka\n", "stratometer.toml"),
    ],
)
def test_a_file_with_a_mistake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "stratometer.toml"
    path.write_text(text)
    monkeypatch.setenv(CONFIG_VARIABLE, str(path))
    (found,) = problems()
    assert told in found


def test_a_file_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, "nowhere.toml")
    assert problems(dev=True) == [f"{CONFIG_VARIABLE}: no file at nowhere.toml"]


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 15: neither in the settings' text nor in any problem."""
    monkeypatch.setenv(f"{PREFIX}API__ADMIN_TOKEN", f"sm_admin_{SECRET}")
    monkeypatch.setenv(f"{PREFIX}WAREHOUSE__URL", f"clickhouse://user:{SECRET}@host/db")
    monkeypatch.setenv(f"{PREFIX}BOOKS__URL", f"postgresql+psycopg://user:{SECRET}@host/db")
    monkeypatch.setenv(f"{PREFIX}KAFKA__SASL_PASSWORD", SECRET)
    settings = load(deployment="cluster")
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert SECRET not in settings.model_dump_json()
    monkeypatch.setenv(f"{PREFIX}API__ADMIN_TOKEN", SECRET)
    monkeypatch.setenv(f"{PREFIX}BOOKS__URL", f"mysql://user:{SECRET}@host/db")
    monkeypatch.setenv(f"{PREFIX}API__PORT", "x")
    with pytest.raises(Misconfigured) as caught:
        load(deployment="cluster")
    assert len(caught.value.problems) == 3
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_no_default_is_a_secret_in_disguise() -> None:
    assert DEV_ADMIN_TOKEN not in repr(Settings(dev=True))
