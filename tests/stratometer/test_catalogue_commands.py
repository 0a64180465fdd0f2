"""`stratometer catalogue` and `coupons`: price lists as files and in the books, from draft to history."""

from pathlib import Path

import pytest

from billing.protocol import Books
from schemas.clock import system_clock
from schemas.period import SECOND, iso
from sinks.books.connect import open_books
from stratometer.actor import actor
from stratometer.compose import books_url
from stratometer.exit_codes import Exit
from tests.stratometer.conftest import Command

FUTURE = "2090-01-01T00:00:00Z"
LIST = """
id: eu
name: EU 2026
currency: EUR
window: month
products:
  - id: storage
    name: Storage
    charges:
      - id: disk
        name: Disk capacity
        meter: disk.capacity
        per: GiB·month
        model: graduated
        settings: {month: 730, prorate: none}
        prices:
          - id: disk-2026
            from: 2026-01-01T00:00:00Z
            tiers:
              - {up_to: "100", amount: "0.10", flat: "5"}
              - {amount: "0.08"}
            minimum: "3"
campaigns:
  - {id: autumn, from: 2026-01-01T00:00:00Z, percent: "20", coupon: AUTUMN20, limits: {per_account: 1}}
"""
DEARER = LIST.replace('"0.10"', '"0.12"')
LATER = LIST.replace(
    "          - id: disk-2026\n            from: 2026-01-01T00:00:00Z\n",
    f'          - {{id: disk-2090, from: {FUTURE}, tiers: [{{amount: "1"}}]}}\n'
    f"          - id: disk-2026\n            from: 2026-01-01T00:00:00Z\n            to: {FUTURE}\n",
)
PROVIDER = """
groups:
  - {id: partners, name: Partners, price_list: eu, priority: 10}
accounts:
  - {id: acme, name: Acme, groups: [partners]}
price_lists:
  - id: cz
    name: CZ
    currency: EUR
    inherits: eu
    prices:
      - {id: vcpu, product: Compute, meter: vm.vcpu, amount: "0.01", per: vCPU·h, from: 2026-01-01T00:00:00Z}
  - id: eu
    name: EU
    currency: EUR
    prices:
      - {id: disk, product: Storage, meter: disk.capacity, amount: "0.002", per: GiB·h, from: 2026-01-01T00:00:00Z}
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for name, text in (("first", LIST), ("dearer", DEARER), ("later", LATER)):
        found[name] = tmp_path / f"{name}.yaml"
        found[name].write_text(text, encoding="utf-8")
    return found


def books_of(command: Command) -> Books:
    return open_books(books_url(command.settings))


def test_lint_lists_every_mistake_of_every_file(command: Command, files: dict[str, Path], tmp_path: Path) -> None:
    (sound,) = command("catalogue", "lint", files["first"], "--json").json
    assert (sound["id"], sound["problems"]) == ("eu", [])
    assert "eu is sound" in command("catalogue", "lint", files["first"]).out
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(LIST.replace("disk.capacity", "disk.nope").replace("currency: EUR", "currency: euro"))
    found = command("catalogue", "lint", files["first"], wrong, "--json", status=Exit.USAGE).json
    assert [len(one["problems"]) >= 2 for one in found] == [False, True]
    assert any(p.startswith("currency") for p in found[1]["problems"])
    told = command("catalogue", "lint", wrong, status=Exit.USAGE)
    assert all(p in told.err for p in found[1]["problems"])
    (binary := tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    assert "UTF-8" in command("catalogue", "lint", binary, status=Exit.USAGE).err
    own = tmp_path / "own.yaml"
    own.write_text(
        "meters:\n  - {key: gpu.time, name: GPU, kind: gauge, base: GPU·s, display: {GPU·h: 3600}, gap: measured}\n"
        + LIST
    )
    (foreign,) = command("catalogue", "lint", own, "--json").json
    assert any("gpu.time not registered" in w for w in foreign["warnings"])


def test_diff_says_what_changed_and_from_when_on(command: Command, files: dict[str, Path]) -> None:
    found = command("catalogue", "diff", files["first"], files["dearer"], "--json").json
    assert found["changed_from"] == "2026-01-01T00:00:00Z"
    assert [(c["before"], c["after"]) for c in found["changes"]] == [("0.1", "0.12")] or found["changes"][0][
        "after"
    ].startswith("0.12")
    assert "0.12" in command("catalogue", "diff", files["first"], files["dearer"]).out
    assert "rate alike" in command("catalogue", "diff", files["first"], files["first"]).out
    command("migrate")
    assert "neither a file" in command("catalogue", "diff", files["first"], "eu", status=Exit.USAGE).err
    files["first"].write_text(LIST.replace("GiB·month", "GiB·moon"), encoding="utf-8")
    wrong = command("catalogue", "diff", files["first"], files["dearer"], status=Exit.USAGE).err
    assert f"{files['first']}: products[0].charges[0].per" in wrong


def test_explain_speaks_of_every_tier_and_works_an_example(command: Command, files: dict[str, Path]) -> None:
    told = command("catalogue", "explain", files["first"], "--quantity", "150").out
    for part in (
        "Disk capacity",
        "up to 100",
        "0.1",
        "0.08",
        "5 EUR once",
        "at least 3 EUR",
        "prorate: none",
        "AUTUMN20",
    ):
        assert part in told, part
    found = command("catalogue", "explain", files["first"], "--charge", "disk", "--quantity", "150", "--json").json
    (charge,) = found["charges"]
    # 100 × 0.10 + 5, and 50 × 0.08
    assert charge["example"]["total"] in ("19", "19.00")
    assert len(charge["prices"]) == 1
    assert command("catalogue", "explain", files["first"], "--json").json["charges"][0]["example"]["lines"]
    assert "no charge 'tape'" in command("catalogue", "explain", files["first"], "--charge", "tape", status=2).err
    assert "no number" in command("catalogue", "explain", files["first"], "--quantity", "much", status=2).err
    assert "less than zero" in command("catalogue", "explain", files["first"], "--quantity=-1", status=2).err


def test_export_is_canonical(command: Command, files: dict[str, Path], tmp_path: Path) -> None:
    again = tmp_path / "again.yaml"
    again.write_text(command("catalogue", "export", files["first"]).out, encoding="utf-8")
    digests = [d["digest"] for d in command("catalogue", "lint", files["first"], again, "--json").json]
    assert digests[0] == digests[1]
    assert command("catalogue", "export", files["first"], "--json").json["id"] == "eu"


def test_from_draft_to_history(command: Command, files: dict[str, Path]) -> None:
    command("migrate")
    assert "no draft of 'eu'" in command("catalogue", "publish", "eu", status=Exit.USAGE).err
    assert command("catalogue", "import", files["first"], "--json").json["id"] == "eu"
    assert "revision" in command("catalogue", "import", files["first"]).out
    done = command("catalogue", "publish", "eu", "--reason", "first prices", "--json").json
    assert (done["version"], done["state"], done["forced"]) == (1, "in_force", False)
    command("catalogue", "import", files["later"])
    assert FUTURE in command("catalogue", "publish", "eu").out
    command("catalogue", "import", files["dearer"])
    assert "--force" not in command("catalogue", "diff", "eu", "eu@draft").out
    refused = command("catalogue", "publish", "eu", status=Exit.USAGE).err
    assert "change the past" in refused
    states = [(row["version"], row["state"]) for row in command("catalogue", "state", "eu", "--json").json]
    assert states == [("1", "in_force"), ("2", "scheduled"), ("", "draft")]
    forced = command("catalogue", "publish", "eu", "--force", "--reason", "a wrong price", "--json").json
    assert (forced["version"], forced["forced"]) == (3, True)
    assert "a wrong price" in command("catalogue", "state").out
    history = command("catalogue", "history", "--json").json
    assert [h["action"] for h in history] == [
        "list.back-date",
        "draft.save",
        "list.publish",
        "draft.save",
        "list.publish",
        "draft.save",
    ]
    assert all(h["actor"].startswith("cli") for h in history)
    assert "list.back-date" in command("catalogue", "history", "eu", "--limit", "1").out
    found = command("catalogue", "diff", "eu@1", "eu@3", "--json").json
    assert found["changed_from"] == "2026-01-01T00:00:00Z"
    assert "versions 1 to 3" in command("catalogue", "diff", "eu@1", "eu@4", status=Exit.USAGE).err
    assert "no draft" in command("catalogue", "diff", "eu@1", "eu@draft", status=Exit.USAGE).err


def test_the_audit_names_who_sits_there_if_the_system_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "anna")
    assert actor() == "cli:anna"

    def unknown() -> str:
        raise KeyError("uid 4711")

    monkeypatch.setattr("getpass.getuser", unknown)
    assert actor() == "cli"


def test_no_list_takes_the_reserved_id(command: Command, tmp_path: Path) -> None:
    command("migrate")
    path = tmp_path / "none.yaml"
    path.write_text(LIST.replace("id: eu\n", "id: none\n"))
    assert "stands for no price list" in command("catalogue", "import", path, status=Exit.USAGE).err


def test_coupons_are_redeemed_and_listed(command: Command, files: dict[str, Path], tmp_path: Path) -> None:
    command("migrate")
    command("catalogue", "import", files["first"])
    command("catalogue", "publish", "eu")
    provider = tmp_path / "provider.yaml"
    provider.write_text("accounts:\n  - {id: acme, name: Acme, price_list: eu}\n  - {id: beta, name: Beta}\n")
    command("apply", provider)
    done = command("coupons", "redeem", "AUTUMN20", "acme", "--json").json
    assert done["redeemed_at"] <= iso(system_clock() // SECOND)
    assert "no campaign" in command("coupons", "redeem", "AUTUMN20", "beta", status=Exit.USAGE).err
    assert "no campaign" in command("coupons", "redeem", "SPRING", "acme", status=Exit.USAGE).err
    assert "no account" in command("coupons", "redeem", "AUTUMN20", "gone", status=Exit.USAGE).err
    assert [c["account"] for c in command("coupons", "list", "--json").json] == ["acme"]
    assert command("coupons", "list", "--account", "beta", "--json").json == []
    assert "AUTUMN20" in command("coupons", "list", "--code", "AUTUMN20").out


def test_apply_brings_groups_and_lists_in_the_order_of_inheritance(command: Command, tmp_path: Path) -> None:
    provider = tmp_path / "provider.yaml"
    provider.write_text(PROVIDER)
    done = command("apply", provider, "--json").json
    assert done == {"groups": 1, "accounts": 1, "rules": 0, "price_lists": 2, "grants": 0}
    assert command("apply", provider, "--json").json == done
    books = books_of(command)
    try:
        found = books.account("acme")
        assert found is not None
        assert found.groups == ("partners",)
        assert [(p.id, p.version) for p in books.price_lists()] == [("cz", 1), ("eu", 1)]
        entries = len(books.catalogue_audit())
    finally:
        books.close()
    provider.write_text(PROVIDER.replace('"0.002"', '"0.003"').replace("name: Partners", "name: Friends"))
    assert "change the past" in command("apply", provider, status=Exit.USAGE).err
    books = books_of(command)
    try:
        assert len(books.catalogue_audit()) == entries, "nothing is written when a list is refused"
    finally:
        books.close()
    command("apply", provider, "--force", "--reason", "a wrong price")
    assert [h["action"] for h in command("catalogue", "history", "--json").json[:2]] == ["group.save", "list.back-date"]


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (("groups: [partners]", "groups: [gone]"), "no group 'gone'"),
        (("groups: [partners]", "groups: [partners, partners]"), "twice"),
        (("priority: 10", "priority: 1.5"), "groups.0.priority"),
        (("inherits: eu", "inherits: gone"), "gone"),
        (("id: eu\n    name: EU\n", "id: eu\n    name: EU\n    inherits: cz\n"), "inherits"),
        (
            ("id: cz\n    name: CZ\n    currency: EUR\n    inherits: eu", "id: eu\n    name: CZ\n    currency: EUR"),
            "twice",
        ),
        (("id: cz", "id: none"), "stands for no price list"),
    ],
)
def test_a_mistake_in_groups_or_lists_changes_nothing(
    command: Command, tmp_path: Path, mistake: tuple[str, str], told: str
) -> None:
    provider = tmp_path / "provider.yaml"
    provider.write_text(PROVIDER.replace(*mistake))
    assert told in command("apply", provider, status=Exit.USAGE).err
    command("migrate")
    books = books_of(command)
    try:
        assert (books.accounts(), books.groups(), books.price_lists()) == ([], [], [])
    finally:
        books.close()
