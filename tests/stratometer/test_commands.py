"""Commands without a stream: what they print, and their exit codes."""

from pathlib import Path

import pytest

from stratometer.exit_codes import Exit
from tests.stratometer.conftest import Command

ROOT = Path(__file__).resolve().parents[2]
PROVIDER = """
accounts:
  - {id: acme, name: Acme, cycle: daily}
rules:
  - {site: "*", tenant: acme, account: acme}
grants:
  - {account: acme, amount: "100", key: opening}
price_lists:
  - id: default
    name: Standard
    currency: CU
    window: day
    prices:
      - {id: v, product: Compute, meter: vm.vcpu, amount: "0.01", per: vCPU·h, from: 2020-01-01T00:00:00Z}
"""


@pytest.fixture
def provider_file(tmp_path: Path) -> Path:
    path = tmp_path / "provider.yaml"
    path.write_text(PROVIDER)
    return path


def test_version(command: Command) -> None:
    assert command("version").out.strip().count(".") == 2


def test_rate_rates_files_without_stores(command: Command) -> None:
    """Invariant 10: Σ lines = total."""
    files = [ROOT / "examples/rating/usage.csv", ROOT / "examples/rating/prices.yaml"]
    found = command("rate", *files, "--json").json
    assert found["lines"]
    assert {"total", "currency", "lines"} == found.keys()
    header, *rows = command("rate", *files, "--csv").out.splitlines()
    assert len(rows) == len(found["lines"])
    assert "amount" in header
    assert "Total" in command("rate", *files).out
    command("rate", "nowhere.csv", files[1], status=Exit.USAGE)


def test_migrate_says_what_it_would_do_and_does_it_once(command: Command) -> None:
    planned = command("migrate", "--dry-run", "--json").json
    assert planned["warehouse"]
    assert planned["books"]
    assert command("migrate", "--dry-run", "--json").json == planned, "a dry run changes nothing"
    assert command("migrate", "--json").json == planned
    assert command("migrate", "--json").json == {"warehouse": [], "books": []}
    assert "up to date" in command("migrate").out


def test_apply_twice_is_apply_once(command: Command, provider_file: Path) -> None:
    """Invariant 12."""
    first = command("apply", provider_file, "--json").json
    assert first == {"groups": 0, "accounts": 1, "rules": 1, "price_lists": 1, "grants": 1}
    command("migrate")
    before = state(command)
    assert command("apply", provider_file, "--json").json == first
    assert state(command) == before
    provider_file.write_text(PROVIDER.replace('"0.01"', '"0.02"'))
    command("apply", provider_file, status=Exit.USAGE)
    command("apply", provider_file, "--force", "--reason", "a wrong price")
    assert [p[1] for p in state(command)[2]] == [2], "a changed list is a new version"


def state(command: Command) -> tuple[list[object], list[object], list[tuple[str, int]], object]:
    from sinks.books.connect import open_books
    from stratometer.compose import books_url

    books = open_books(books_url(command.settings))
    try:
        lists = [(p.id, p.version) for p in books.price_lists()]
        return list(books.accounts()), list(books.rules()), lists, books.balances()
    finally:
        books.close()


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (("cycle: daily", "cycle: weekly"), "accounts.0.cycle"),
        (("cycle: daily", "cycle: daily, timezone: Mars/Olympus"), "accounts.0.timezone"),
        (("tenant: acme, account: acme", "tenant: acme, account: beta"), "no account 'beta'"),
        (("cycle: daily", "cycle: daily, parent: gone"), "no account 'gone'"),
        (('amount: "100"', 'amount: "-1"'), "grants.0.amount"),
        (('amount: "100"', 'amount: "a lot"'), "grants.0.amount"),
        (('amount: "100"', 'amount: "1", currency: euro'), "grants.0.currency"),
        (("tenant: acme, account: acme", "tenant: acme, account: acme, from: 2026-01-01"), "rules.0"),
        (("meter: vm.vcpu", "meter: vm.magic"), "price_lists.0.prices"),
        (("accounts:", "acounts:"), "acounts"),
        (("accounts:", "\taccounts:"), "not YAML"),
    ],
)
def test_a_mistake_in_the_file_changes_nothing(
    command: Command, provider_file: Path, mistake: tuple[str, str], told: str
) -> None:
    provider_file.write_text(PROVIDER.replace(*mistake))
    assert told in command("apply", provider_file, status=Exit.USAGE).err
    command("migrate")
    assert state(command) == ([], [], [], {})


def test_keys_are_made_listed_and_revoked(command: Command, provider_file: Path) -> None:
    """Invariant 15: the secret is shown once."""
    command("apply", provider_file)
    token = command("keys", "create", "--role", "tenant", "--account", "acme").out.strip()
    (listed,) = command("keys", "list", "--json").json
    assert (listed["role"], listed["account"], listed["state"]) == ("tenant", "acme", "")
    shown = command("keys", "list").out
    assert listed["id"] in token
    assert token.removeprefix("sm_").removeprefix(listed["id"]).strip("_") not in shown
    command("keys", "revoke", listed["id"])
    assert command("keys", "list", "--json").json[0]["state"] == "revoked"
    assert "no account 'gone'" in command("keys", "create", "--role", "tenant", "--account", "gone", status=2).err
    assert "no key 'gone'" in command("keys", "revoke", "gone", status=Exit.USAGE).err
    command("keys", "create", "--role", "king", status=Exit.USAGE)


def test_doctor_says_what_to_mend(command: Command) -> None:
    before = {f["what"]: f for f in command("doctor", "--json", status=Exit.CHECK_FAILED).json}
    assert not before["warehouse"]["ok"]
    assert "stratometer migrate" in before["warehouse"]["found"]
    command("migrate")
    assert all(f["ok"] for f in command("doctor", "--json").json)
    assert "MEND" not in command("doctor").out
    wrong = Command({**command.environment, "STRATOMETER_TYPO": "1"})
    found = wrong("doctor", "--json", status=Exit.CHECK_FAILED).json
    assert any("STRATOMETER_TYPO" in f["found"] for f in found)


def test_what_belongs_to_the_other_deployment_says_so(command: Command) -> None:
    assert "embedded deployment runs `up`" in command("worker", status=Exit.USAGE).err
    assert "embedded deployment runs `up`" in command("api", status=Exit.USAGE).err


def test_wrong_settings_are_listed_and_nothing_starts(command: Command) -> None:
    wrong = Command({**command.environment, "STRATOMETER_API__PORT": "-1", "STRATOMETER_TYPO": "1"})
    told = wrong("migrate", status=Exit.USAGE).err
    assert "api.port" in told
    assert "STRATOMETER_TYPO" in told


def test_export_of_an_empty_month(command: Command, tmp_path: Path) -> None:
    command("migrate")
    command("export", "2026-10", "--to", tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes().startswith(b'{"format":1')
    command("export", "October", "--to", tmp_path / "b.json", status=Exit.USAGE)
    assert not (tmp_path / "b.json").exists()


def test_settle_with_nothing_to_do(command: Command) -> None:
    command("migrate")
    found = command("settle", "--json").json
    assert (found["examined"], found["settlements"]) == (0, [])
    assert "0 cycles examined" in command("settle").out
