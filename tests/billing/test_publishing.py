"""Publishing: the first version is free, the past changes only by force, and every mistake is listed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing import publishing
from billing.catalogue import BackDated, states
from billing.catalogue_values import Act
from billing.protocol import Books
from billing.publishing import checked, propose, publish, review, sentence
from rating.catalogue.diff import Change
from schemas.errors import Conflict, Misconfigured
from schemas.meters import builtin
from schemas.period import SECOND, parse_instant
from sinks.books.connect import open_books

REGISTRY = builtin()
JULY, AUGUST = parse_instant("2026-07-01T00:00:00Z"), parse_instant("2026-08-01T00:00:00Z")
ANNA = Act("key:anna", JULY * SECOND)
WHY = Act("key:anna", JULY * SECOND, "the contract said so")
LIST = """
id: eu
name: EU
currency: EUR
prices:
  - {id: cpu, product: Compute, meter: vm.vcpu, amount: "0.01", per: vCPU·h, from: 2026-01-01T00:00:00Z}
"""
DEARER = LIST.replace('"0.01"', '"0.02"')
FROM_AUGUST = LIST.replace("per: vCPU·h, from", "per: vCPU·h, to: 2026-08-01T00:00:00Z, from") + (
    '  - {id: cpu-8, product: Compute, meter: vm.vcpu, amount: "0.02", per: vCPU·h, from: 2026-08-01T00:00:00Z}\n'
)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    opened = open_books(f"sqlite:///{tmp_path}/books.db")
    opened.migrate()
    yield opened
    opened.close()


def test_the_first_version_is_simply_in_force(books: Books) -> None:
    version, found = publish(books, LIST, REGISTRY, ANNA)
    assert (version.version, version.forced, version.published_by) == (1, False, "key:anna")
    assert found.version == 1
    assert states([version], JULY) == ("in_force",)


def test_a_change_from_now_on_is_scheduled(books: Books) -> None:
    publish(books, LIST, REGISTRY, ANNA)
    version, _ = publish(books, FROM_AUGUST, REGISTRY, ANNA)
    assert (version.version, version.effective_from, version.forced) == (2, AUGUST, False)
    versions = books.price_list_versions("eu")
    assert states(versions, JULY) == ("in_force", "scheduled")
    assert states(versions, AUGUST) == ("retired", "in_force")
    changes = json.loads(books.catalogue_audit()[0].changes)
    assert {"added", "changed"} >= {c["kind"] for c in changes}
    assert any("cpu-8" in c["path"] for c in changes)
    late = Act("key:ben", (AUGUST + 1) * SECOND)
    with pytest.raises(BackDated):
        publish(books, LIST, REGISTRY, late)


def test_the_past_changes_only_by_force_and_with_a_reason(books: Books) -> None:
    publish(books, LIST, REGISTRY, ANNA)
    with pytest.raises(BackDated, match=r"from 2026-01-01T00:00:00Z on: .*cpu.*0\.01 → 0\.02"):
        publish(books, DEARER, REGISTRY, WHY)
    with pytest.raises(BackDated, match="reason"):
        publish(books, DEARER, REGISTRY, ANNA, force=True)
    assert len(books.price_list_versions("eu")) == 1
    version, _ = publish(books, DEARER, REGISTRY, WHY, force=True)
    assert (version.forced, version.reason) == (True, "the contract said so")
    assert version.effective_from == parse_instant("2026-01-01T00:00:00Z")
    assert books.catalogue_audit()[0].action == "list.back-date"


def test_what_rates_alike_begins_when_it_is_published(books: Books) -> None:
    publish(books, LIST, REGISTRY, ANNA)
    same, _ = publish(books, LIST, REGISTRY, WHY, force=True)
    assert same.version == 1
    version, _ = publish(books, f"# a remark\n{LIST}", REGISTRY, ANNA)
    assert (version.version, version.effective_from, version.forced) == (2, JULY, False)


def test_a_draft_ends_with_its_publication(books: Books) -> None:
    draft = books.put_draft("eu", LIST, 0, ANNA)
    publish(books, draft.document, REGISTRY, ANNA, draft=draft)
    assert books.draft("eu") is None
    stale = books.put_draft("eu", FROM_AUGUST, 0, ANNA)
    books.put_draft("eu", DEARER, stale.revision, ANNA)
    with pytest.raises(Conflict, match="revision"):
        publish(books, stale.document, REGISTRY, ANNA, draft=stale)


def test_who_was_slower_looks_again(books: Books) -> None:
    publish(books, LIST, REGISTRY, ANNA)
    slow = review(books, FROM_AUGUST, REGISTRY, ANNA)
    publish(books, f"# quick\n{LIST}", REGISTRY, ANNA)
    with pytest.raises(Conflict, match="look again"):
        publishing.record(books, slow, ANNA)


def test_parents_are_looked_up(books: Books) -> None:
    child = LIST.replace("id: eu\n", "id: cz\ninherits: eu\n")
    with pytest.raises(Misconfigured, match="eu"):
        publish(books, child, REGISTRY, ANNA)
    parent = checked(LIST, REGISTRY)
    assert review(books, child, REGISTRY, ANNA, beside={"eu": parent}).proposal.price_list.id == "cz"
    publish(books, LIST, REGISTRY, ANNA)
    publish(books, child, REGISTRY, ANNA)
    with pytest.raises(Misconfigured):
        publish(books, LIST.replace("id: eu\n", "id: eu\ninherits: cz\n"), REGISTRY, ANNA)
    dollars = child.replace("EUR", "USD").replace("id: cz", "id: us")
    with pytest.raises(Misconfigured, match="USD"):
        publish(books, dollars, REGISTRY, ANNA)


def test_an_installation_takes_no_meters_that_it_lacks() -> None:
    own = LIST.replace(
        "prices:",
        "meters:\n  - {key: gpu.time, name: GPU, kind: gauge, base: GPU·s, cell: 900, display: {GPU·h: 3600}}\nprices:",
    )
    with pytest.raises(Misconfigured, match=r"gpu\.time is not registered here"):
        checked(own, REGISTRY)


def test_mistakes_are_all_listed(books: Books) -> None:
    with pytest.raises(Misconfigured) as caught:
        propose(books, LIST.replace("vm.vcpu", "vm.nope").replace("EUR", "euro"), REGISTRY)
    assert len(caught.value.problems) >= 2
    assert books.price_lists() == []


def test_changes_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [Change("a", "changed", "1", "2"), Change("b", "added", "", "3"), Change("c", "removed", "4", "")]
    assert [sentence(c) for c in changes] == ["a: 1 → 2", "b: 3 is new", "c: 4 is gone"]
    assert publishing.summary(changes) == "a: 1 → 2, and 2 more"
    assert publishing.summary(changes[:1]) == "a: 1 → 2"
    assert publishing.summary([]) == "what it means"
    assert len(json.loads(publishing.kept(changes))) == 3
    monkeypatch.setattr(publishing, "AUDIT_CHANGES_MAX", 1)
    shown = json.loads(publishing.kept(changes))
    assert [c["path"] for c in shown] == ["a", "…"]
    assert shown[1]["after"].startswith("2 more")
