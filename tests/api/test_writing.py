"""What changes the books through the API: grants once, rules, price lists, accounts."""

from typing import Any

import httpx
import pytest

from tests.api.conftest import Api
from tests.api.world import DAY, PRICES, World, allocation

GRANT = {"amount": "250.5", "currency": "CU", "reason": "welcome"}


@pytest.fixture(scope="module")
def purse(api: Api) -> str:
    api("admin").put("/v1/accounts/purse", json={"name": "Purse"}).raise_for_status()
    return "/v1/accounts/purse"


def grant(client: httpx.Client, purse: str, key: str | None, **changed: object) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(f"{purse}/grants", json={**GRANT, **changed}, headers=headers)


def balance(client: httpx.Client, purse: str) -> int:
    return sum(w["micros"] for w in client.get(f"{purse}/balance").json()["wallets"])


def test_a_grant_happens_once_however_often_it_is_sent(api: Api, purse: str, world: World) -> None:
    finance = api("finance")
    before = balance(finance, purse)
    first = grant(finance, purse, "k-1")
    world.clock.micros += 5_000_000
    again = [grant(finance, purse, "k-1"), grant(api("admin"), purse, "k-1")]
    assert (first.status_code, [a.status_code for a in again]) == (201, [200, 200])
    assert all(a.json() == first.json() for a in again)
    assert balance(finance, purse) - before == 250_500_000


def test_the_same_key_with_another_body_is_a_conflict(api: Api, purse: str) -> None:
    finance = api("finance")
    assert grant(finance, purse, "k-2").status_code == 201
    before = balance(finance, purse)
    for changed in ({"amount": "250.51"}, {"currency": "EUR"}, {"reason": "other"}):
        answer = grant(finance, purse, "k-2", **changed)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/idempotency-conflict")
    assert balance(finance, purse) == before


@pytest.mark.parametrize(
    ("changed", "key", "pointer"),
    [
        ({}, None, "Idempotency-Key"),
        ({"amount": "0"}, "k-3", "/amount"),
        ({"amount": "-1"}, "k-3", "/amount"),
        ({"amount": "1.0000001"}, "k-3", "/amount"),
        ({"currency": "cu"}, "k-3", "/currency"),
        ({"surprise": 1}, "k-3", "/surprise"),
    ],
)
def test_a_wrong_grant_says_what_to_mend(
    api: Api, purse: str, changed: dict[str, Any], key: str | None, pointer: str
) -> None:
    answer = grant(api("finance"), purse, key, **changed)
    assert answer.status_code == 422
    assert pointer in [e["pointer"] for e in answer.json()["errors"]]


def test_a_rule_moves_usage_and_never_leaves_it_with_both(api: Api, world: World) -> None:
    admin = api("admin")
    for account in ("mover", "taker"):
        assert admin.put(f"/v1/accounts/{account}", json={"name": account}).status_code == 201
    world.write(allocation("vm/moved", "moved-org", "vm.vcpu", 300, 1, "{}", days=1))
    period = {"from": "2026-10-17T00:00:00Z", "to": "2026-10-18T00:00:00Z", "window": "total"}

    def used(account: str) -> int:
        rows = admin.get("/v1/usage", params={"account": account, **period}).json()["items"]
        return sum(row["quantity"]["base"] for row in rows)

    rule = admin.post("/v1/mapping-rules", json={"account": "mover", "tenant": "moved-org"}).json()
    same = admin.post("/v1/mapping-rules", json={"account": "mover", "tenant": "moved-org"}).json()
    assert same["id"] == rule["id"]
    assert (used("mover"), used("taker")) == (DAY, 0)
    assert admin.delete(f"/v1/mapping-rules/{rule['id']}").status_code == 204
    assert admin.delete(f"/v1/mapping-rules/{rule['id']}").status_code == 404
    admin.post("/v1/mapping-rules", json={"account": "taker", "tenant": "moved-org"}).raise_for_status()
    assert (used("mover"), used("taker")) == (0, DAY)


def test_wrong_rules_are_refused(api: Api) -> None:
    admin = api("admin")
    assert admin.post("/v1/mapping-rules", json={"account": "nobody", "tenant": "t"}).status_code == 404
    late = {"account": "acme", "tenant": "t", "start": "2026-10-02T00:00:00Z", "end": "2026-10-01T00:00:00Z"}
    assert admin.post("/v1/mapping-rules", json=late).json()["errors"][0]["pointer"] == "/end"
    bare = {"account": "acme", "tenant": "t", "start": "2026-10-02"}
    assert "zone" in admin.post("/v1/mapping-rules", json=bare).json()["detail"]


def test_price_lists_are_versions_and_mistakes_are_all_listed(api: Api) -> None:
    product, yaml = api("product"), {"content-type": "application/yaml"}
    text = PRICES.replace("id: default", "id: special")
    first = product.put("/v1/price-lists/special", content=text, headers=yaml)
    assert (first.status_code, first.json()["version"]) == (200, 1)
    assert product.put("/v1/price-lists/special", content=text, headers=yaml).json()["version"] == 1
    dearer = text.replace('"0.01"', '"0.02"')
    refused = product.put("/v1/price-lists/special", content=dearer, headers=yaml)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/back-dating")
    assert "2026-01-01T00:00:00Z" in refused.json()["detail"]
    forced = {"force": "true", "reason": "a wrong price"}
    again = product.put("/v1/price-lists/special", content=dearer, headers=yaml, params=forced)
    assert (again.json()["version"], again.json()["forced"], again.json()["reason"]) == (2, True, "a wrong price")
    assert product.get("/v1/price-lists/special").json()["document"] == dearer
    stamp = first.json()["recorded_at"][:-4] + "999Z"
    old = product.get("/v1/price-lists/special", params={"as_of": stamp})
    assert old.json()["version"] in (1, 2)
    assert {"default", "special"} <= {p["id"] for p in product.get("/v1/price-lists").json()["items"]}
    wrong = text.replace("vm.vcpu", "vm.nope").replace('"0.0003"', "0.0003")
    answer = product.put("/v1/price-lists/special", content=wrong, headers=yaml)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) >= 2
    assert product.put("/v1/price-lists/other", content=text, headers=yaml).json()["errors"][0]["pointer"] == "/id"
    assert product.put("/v1/price-lists/special", content=b"\xff", headers=yaml).status_code == 422
    assert (
        product.put("/v1/price-lists/special", content=text, headers={"content-type": "image/png"}).status_code == 415
    )


def test_accounts_are_created_and_changed(api: Api) -> None:
    admin = api("admin")
    assert admin.put("/v1/accounts/new-one", json={"name": "New"}).status_code == 201
    changed = admin.put("/v1/accounts/new-one", json={"name": "Newer", "parent": "acme", "timezone": "Europe/Prague"})
    assert (changed.status_code, changed.json()["parent"]) == (200, "acme")
    assert admin.get("/v1/accounts/new-one").json()["name"] == "Newer"
    assert api("acme").get("/v1/accounts/new-one").status_code == 200
    assert admin.put("/v1/accounts/new-one", json={"name": "x", "timezone": "Mars/Base"}).status_code == 422
    assert admin.put("/v1/accounts/new-one", json={"name": "x", "parent": "nobody"}).status_code == 409
    assert admin.put("/v1/accounts/acme", json={"name": "x", "parent": "new-one"}).status_code == 409
    assert admin.put("/v1/accounts/unattributed", json={"name": "x"}).status_code == 409
    admin.put("/v1/accounts/new-one", json={"name": "Newer"}).raise_for_status()
