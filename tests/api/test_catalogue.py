"""The life of a price list through the API: draft, diff, publish, versions, export, audit; who may do what of it."""

import json

import httpx
import jsonschema_rs
import pytest
import yaml

from api.catalogue import DOCUMENT_BYTES_MAX
from tests.api.conftest import Api
from tests.api.world import NOW, PRICES, World

YAML = {"content-type": "application/yaml"}
LATER = "2026-12-01T00:00:00Z"


def text(name: str, amount: str = "0.01") -> str:
    return PRICES.replace("id: default", f"id: {name}").replace('"0.01"', f'"{amount}"')


def from_december(name: str) -> str:
    """The same list, dearer from December on."""
    old = '- {id: vcpu, product: Compute, meter: vm.vcpu, amount: "0.01", per: vCPU·h, from: 2026-01-01T00:00:00Z}'
    new = old.replace("id: vcpu", "id: vcpu-12").replace('"0.01"', '"0.02"').replace("2026-01-01T00:00:00Z", LATER)
    return text(name).replace(old, f"{old[:-1]}, to: {LATER}}}\n  {new}")


def save(client: httpx.Client, name: str, document: str, etag: str | None = None) -> httpx.Response:
    headers = YAML | ({"If-Match": etag} if etag else {})
    return client.put(f"/v1/catalogue/drafts/{name}", content=document, headers=headers)


def test_a_draft_becomes_a_version_for_ever(api: Api) -> None:
    product, reader = api("product"), api("reader")
    saved = save(product, "life", text("life"))
    assert (saved.status_code, saved.json()["problems"]) == (201, [])
    etag = saved.headers["etag"]
    read = reader.get("/v1/catalogue/drafts/life")
    assert (read.json(), read.headers["etag"]) == (saved.json(), etag)
    assert "life" in [d["id"] for d in reader.get("/v1/catalogue/drafts").json()["items"]]
    done = product.post("/v1/catalogue/drafts/life/publish", json={"reason": "first"}, headers={"If-Match": etag})
    assert done.status_code == 200
    assert (done.json()["version"], done.json()["state"], done.json()["reason"]) == (1, "in_force", "first")
    assert done.json()["published_by"].startswith("key:")
    assert reader.get("/v1/catalogue/drafts/life").status_code == 404
    assert product.post("/v1/catalogue/drafts/life/publish", json={}).status_code == 404
    save(product, "life", from_december("life"))
    second = product.post("/v1/catalogue/drafts/life/publish", json={})
    assert (second.json()["state"], second.json()["effective_from"]) == ("scheduled", LATER)
    states = reader.get("/v1/price-lists/life/versions").json()["items"]
    assert [(v["version"], v["state"]) for v in states] == [(2, "scheduled"), (1, "in_force")]
    assert reader.get("/v1/price-lists/life").json()["state"] == "scheduled"


def test_who_saves_over_a_draft_has_read_it(api: Api) -> None:
    product, admin = api("product"), api("admin")
    first = save(product, "race", text("race")).headers["etag"]
    blind = save(admin, "race", text("race", "0.03"))
    assert (blind.status_code, blind.json()["type"]) == (412, "/problems/precondition-failed")
    seen = save(admin, "race", text("race", "0.03"), first)
    assert seen.status_code == 200
    assert seen.headers["etag"] != first
    assert save(product, "race", text("race", "0.04"), first).status_code == 412
    assert save(product, "race", text("race", "0.04"), "W/x").status_code == 412
    assert save(product, "race", text("race", "0.04"), "*").status_code == 200
    stale = {"If-Match": first}
    assert product.post("/v1/catalogue/drafts/race/publish", json={}, headers=stale).status_code == 412
    assert product.delete("/v1/catalogue/drafts/race", headers=stale).status_code == 412
    assert product.delete("/v1/catalogue/drafts/race").status_code == 412
    assert product.delete("/v1/catalogue/drafts/race", headers={"If-Match": "*"}).status_code == 204
    assert product.delete("/v1/catalogue/drafts/race").status_code == 404
    assert save(product, "race", text("race"), "*").status_code == 201


def test_a_draft_may_have_mistakes_and_says_all_of_them(api: Api) -> None:
    product = api("product")
    wrong = text("wrong").replace("vm.vcpu", "vm.nope").replace('"0.0003"', "0.0003")
    saved = save(product, "wrong", wrong)
    assert saved.status_code == 201
    assert len(saved.json()["problems"]) >= 2
    assert all(p["pointer"].startswith("prices[") for p in saved.json()["problems"])
    refused = product.post("/v1/catalogue/drafts/wrong/publish", json={})
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/invalid-price-list")
    assert refused.json()["errors"] == saved.json()["problems"]
    checked = product.post("/v1/catalogue/validate", content=wrong, headers=YAML)
    assert checked.json()["errors"] == saved.json()["problems"]
    other = save(product, "wrong", text("other"), "*").json()
    assert [p["pointer"] for p in other["problems"]] == ["/id"]
    assert product.post("/v1/catalogue/drafts/wrong/publish", json={}).json()["errors"][0]["pointer"] == "/id"
    assert save(product, "none", text("none")).status_code == 409
    assert product.get("/v1/catalogue/drafts/absent").status_code == 404


def test_the_past_changes_only_by_force_and_with_a_reason(api: Api) -> None:
    product = api("product")
    product.put("/v1/price-lists/past", content=text("past"), headers=YAML).raise_for_status()
    save(product, "past", text("past", "0.02"))
    diff = product.get("/v1/price-lists/past/diff", params={"to": "draft"}).json()
    assert (diff["before"], diff["after"], diff["changed_from"]) == (1, None, "2026-01-01T00:00:00Z")
    assert [(c["before"], c["after"]) for c in diff["changes"]] == [("0.01", "0.02")]
    for body in ({}, {"force": True}, {"reason": "why"}):
        refused = product.post("/v1/catalogue/drafts/past/publish", json=body)
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/back-dating")
        assert "2026-01-01T00:00:00Z" in refused.json()["detail"]
        assert refused.json()["errors"][0]["pointer"] == diff["changes"][0]["path"]
    done = product.post("/v1/catalogue/drafts/past/publish", json={"force": True, "reason": "the contract"})
    assert (done.json()["version"], done.json()["forced"]) == (2, True)
    entry = product.get("/v1/catalogue/audit", params={"subject": "past", "limit": 1}).json()["items"][0]
    assert (entry["action"], entry["version"], entry["reason"]) == ("list.back-date", 2, "the contract")
    assert entry["changes"] == diff["changes"]
    assert entry["digest_before"] != entry["digest_after"]


def test_versions_are_compared_and_exported(api: Api, world: World) -> None:
    product = api("product")
    product.put("/v1/price-lists/shown", content=text("shown"), headers=YAML).raise_for_status()
    product.put("/v1/price-lists/shown", content=from_december("shown"), headers=YAML).raise_for_status()
    first = product.get("/v1/price-lists/shown/diff", params={"to": "1"}).json()
    assert (first["before"], first["after"]) == (None, 1)
    assert {c["kind"] for c in first["changes"]} == {"added"}
    second = product.get("/v1/price-lists/shown/diff").json()
    assert (second["before"], second["after"], second["changed_from"]) == (1, 2, LATER)
    back = product.get("/v1/price-lists/shown/diff", params={"from": "2", "to": "1"}).json()
    assert back["changed_from"] == LATER
    assert product.get("/v1/price-lists/shown/diff", params={"from": "1", "to": "1"}).json()["changes"] == []
    assert product.get("/v1/price-lists/shown/diff", params={"to": "3"}).status_code == 404
    assert product.get("/v1/price-lists/shown/diff", params={"to": "draft"}).status_code == 404
    address = "/v1/price-lists/shown/document"
    as_yaml = product.get(address, params={"version": 1})
    as_json = product.get(address, params={"version": 1}, headers={"accept": "application/json"})
    assert as_yaml.headers["content-type"].startswith("application/yaml")
    assert as_json.json()["id"] == yaml.safe_load(as_yaml.text)["id"] == "shown"
    for answer in (as_yaml, as_json):
        media = {"content-type": answer.headers["content-type"]}
        again = product.post("/v1/catalogue/validate", content=answer.content, headers=media).json()
        stored = product.get("/v1/price-lists/shown", params={"as_of": world_stamp(product, 1)}).json()
        assert again["digest"] == stored["digest"], "an export means what the list means"
    assert product.get(address, params={"version": 9}).status_code == 404
    assert product.get("/v1/price-lists/absent/document").status_code == 404
    assert product.get("/v1/price-lists/absent/versions").status_code == 404


def world_stamp(client: httpx.Client, version: int) -> str:
    """An instant at which this version of `shown` was the newest."""
    items = client.get("/v1/price-lists/shown/versions").json()["items"]
    return str(next(v["recorded_at"] for v in items if v["version"] == version + 1))


def test_pages_of_versions_drafts_and_audit(api: Api) -> None:
    product = api("product")
    for number in range(3):
        product.put("/v1/price-lists/paged", content=f"# {number}\n{text('paged')}", headers=YAML).raise_for_status()
        save(product, f"paged-{number}", text(f"paged-{number}"))

    def pages(address: str, **params: str) -> list[object]:
        found, cursor = [], None
        while True:
            asked = {**params, "limit": "2", **({"cursor": cursor} if cursor else {})}
            page = product.get(address, params=asked).json()
            assert len(page["items"]) <= 2
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    versions = pages("/v1/price-lists/paged/versions")
    assert [v["version"] for v in versions] == [3, 2, 1]  # type: ignore[index]
    assert [v["state"] for v in versions] == ["in_force", "retired", "retired"]  # type: ignore[index]
    drafts = [d["id"] for d in pages("/v1/catalogue/drafts")]  # type: ignore[index]
    assert drafts == sorted(drafts)
    assert {"paged-0", "paged-1", "paged-2"} <= set(drafts)
    entries = [e["sequence"] for e in pages("/v1/catalogue/audit")]  # type: ignore[index]
    assert entries == list(range(entries[0], 0, -1))
    assert [e["version"] for e in pages("/v1/catalogue/audit", subject="paged")] == [3, 2, 1]  # type: ignore[index]


def test_the_schema_knows_the_documents(api: Api) -> None:
    schema = api("reader").get("/v1/catalogue/schema").json()
    jsonschema_rs.meta.validate(schema)
    good = api("reader").get("/v1/price-lists/default/document", headers={"accept": "application/json"}).json()
    assert jsonschema_rs.is_valid(schema, good)
    assert not jsonschema_rs.is_valid(schema, {**good, "currency": "euro"})


@pytest.mark.parametrize("name", ["acme", "finance", "reader"])
def test_only_admins_and_product_managers_write(api: Api, name: str) -> None:
    client = api(name)
    assert save(client, "mine", text("mine")).status_code == 403
    assert client.post("/v1/catalogue/drafts/mine/publish", json={}).status_code == 403
    assert client.put("/v1/account-groups/mine", json={"name": "x"}).status_code == 403
    assert client.post("/v1/accounts/acme/coupons", json={"code": "X"}).status_code == 403
    assert client.get("/v1/catalogue/audit").status_code == (403 if name == "acme" else 200)


CAMPAIGNS = f"""
campaigns:
  - id: autumn
    name: Autumn
    from: 2026-10-01T00:00:00Z
    to: 2026-11-01T00:00:00Z
    percent: "20"
    coupon: AUTUMN20
    limits: {{redemptions: 2, per_account: 1}}
  - id: next
    name: Next year
    from: {LATER}
    percent: "10"
    coupon: NEXT10
"""


def test_groups_give_accounts_a_list(api: Api, world: World) -> None:
    admin = api("admin")
    made = admin.put("/v1/account-groups/partners", json={"name": "Partners", "price_list": "partner", "priority": 5})
    assert made.status_code == 201
    same = admin.put("/v1/account-groups/partners", json={"name": "Partners", "price_list": "partner", "priority": 5})
    assert (same.status_code, same.json()) == (200, made.json())
    admin.put("/v1/account-groups/friends", json={"name": "Friends", "priority": 1}).raise_for_status()
    listed = admin.get("/v1/account-groups", params={"limit": 1}).json()
    assert listed["items"][0]["id"] == listed["next_cursor"] == "friends"
    assert admin.get("/v1/account-groups/partners").json() == made.json()
    assert admin.get("/v1/account-groups/absent").status_code == 404
    account = {"name": "Member", "groups": ["partners", "friends"]}
    put = admin.put("/v1/accounts/member", json=account)
    assert put.json()["groups"] == ["friends", "partners"]
    assert admin.get("/v1/accounts/member").json()["groups"] == ["friends", "partners"]
    assert admin.put("/v1/accounts/member", json={"name": "x", "groups": ["absent"]}).status_code == 409
    assert admin.put("/v1/accounts/member", json={"name": "x", "groups": ["friends"] * 2}).status_code == 422
    audit = admin.get("/v1/catalogue/audit", params={"subject": "member"}).json()["items"]
    assert [(e["action"], e["changes"][0]["after"]) for e in audit] == [("account.groups", "friends, partners")]
    assert world.books.cursor("accounts") >= NOW


def test_a_coupon_is_redeemed_while_its_campaign_lasts(api: Api) -> None:
    admin = api("admin")
    admin.put("/v1/price-lists/coupons", content=text("coupons") + CAMPAIGNS, headers=YAML).raise_for_status()
    for name in ("buyer-1", "buyer-2", "buyer-3"):
        admin.put(f"/v1/accounts/{name}", json={"name": name, "price_list": "coupons"}).raise_for_status()

    def redeem(account: str, code: str) -> httpx.Response:
        return admin.post(f"/v1/accounts/{account}/coupons", json={"code": code})

    done = redeem("buyer-1", "AUTUMN20")
    assert (done.status_code, done.json()["account"]) == (201, "buyer-1")
    for code in ("AUTUMN21", "NEXT10"):
        assert redeem("buyer-1", code).json()["errors"][0]["pointer"] == "/code"
    assert redeem("acme", "AUTUMN20").status_code == 422, "its list has no such campaign"
    assert redeem("nobody", "AUTUMN20").status_code == 404
    assert redeem("buyer-2", "AUTUMN20").status_code == 201
    refused = redeem("buyer-3", "AUTUMN20")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    listed = admin.get("/v1/accounts/buyer-1/coupons").json()
    assert (listed["items"], listed["next_cursor"]) == ([done.json()], None)
    assert admin.get("/v1/accounts/nobody/coupons").status_code == 404
    entries = admin.get("/v1/catalogue/audit", params={"subject": "AUTUMN20"}).json()["items"]
    assert [json.dumps(e["changes"][0]["after"]) for e in entries] == ['"buyer-2"', '"buyer-1"']


def test_what_cannot_be_a_document_is_refused(api: Api) -> None:
    product = api("product")
    assert product.get("/v1/price-lists/absent").status_code == 404
    nul = product.post("/v1/catalogue/validate", content=b"id: x\0", headers=YAML)
    assert (nul.status_code, "NUL" in nul.json()["detail"]) == (422, True)
    large = product.post("/v1/catalogue/validate", content=b"#" * (DOCUMENT_BYTES_MAX + 1), headers=YAML)
    assert (large.status_code, large.json()["type"]) == (413, "/problems/too-large")
