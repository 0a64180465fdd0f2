"""What the API answers: usage, lines, explain, ratings, accounts, balance, transactions."""

from typing import Any

import httpx
import pytest

from api.parameters import stamp
from tests.api.conftest import Api
from tests.api.world import DAY, START, World, allocation

PERIOD: dict[str, Any] = {"from": "2026-10-16T22:00:00Z", "to": "2026-10-21T22:00:00Z"}


def get(client: httpx.Client, path: str, status: int = 200, **params: Any) -> Any:
    answer = client.get(path, params={name: value for name, value in params.items() if value is not None})
    assert answer.status_code == status, answer.text
    return answer.json()


def pages(client: httpx.Client, path: str, **params: Any) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        page = get(client, path, **params, cursor=cursor)
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def usage(client: httpx.Client, **params: Any) -> list[Any]:
    return pages(client, "/v1/usage", account="acme", **PERIOD, **params)


def test_usage_of_windows_sums_to_the_total(acme: httpx.Client) -> None:
    for meter, level in (("vm.vcpu", 4), ("disk.capacity", 153_600)):
        for window in ("hour", "day", "month", "total"):
            found = usage(acme, meter=meter, window=window, limit=50)
            assert sum(row["quantity"]["base"] for row in found) == level * 3 * DAY
            assert {row["coverage"] for row in found} == {"1.0000"}


def test_windows_follow_the_accounts_zone_or_the_one_asked_for(acme: httpx.Client) -> None:
    here = usage(acme, meter="vm.vcpu", window="day")
    assert here[0]["window"] == {"start": "2026-10-16T22:00:00Z", "end": "2026-10-17T22:00:00Z"}
    utc = usage(acme, meter="vm.vcpu", window="day", tz="UTC")
    assert [row["window"]["start"] for row in utc] == [f"2026-10-{day}T00:00:00Z" for day in (17, 18, 19)]
    assert [row["quantity"]["display"] for row in utc] == ["96", "96", "96"]


def test_usage_by_resource_attributes_and_tenant(acme: httpx.Client) -> None:
    grouped = {"group_by": ["resource", "attributes", "tenant"], "window": "total"}
    found = usage(acme, **grouped, limit=1)
    assert {(row["resource"]["key"], row["attributes"].get("tier")) for row in found} == {
        ("vm/acme-1", None),
        ("disk/acme-1-a", "gold"),
        ("disk/acme-1-b", "silver"),
    }
    assert {row["tenant"]["tenant"] for row in found} == {"acme-org"}
    assert found == usage(acme, **grouped, limit=1000)


def test_usage_is_filtered_by_attributes_whatever_is_grouped(acme: httpx.Client) -> None:
    params: dict[str, Any] = {"attr.tier": "gold", "window": "total"}
    (row,) = usage(acme, **params)
    assert (row["meter"], row["quantity"]["base"], row["attributes"]) == ("disk.capacity", 102_400 * 3 * DAY, None)
    nickel: dict[str, Any] = {"attr.tier": "nickel"}
    assert usage(acme, **nickel) == []


@pytest.mark.parametrize(
    ("params", "kind", "hint"),
    [
        ({"meter": "vm.nope"}, "unknown-meter", "/v1/meters"),
        ({"tz": "Mars/Base"}, "invalid-request", "IANA"),
        ({"from": "2026-10-22T00:00:00Z"}, "invalid-request", "half-open"),
        ({"from": "2026-10-01"}, "invalid-request", "from"),
        ({"from": "2026-10-01T00:00:00.5Z"}, "invalid-request", "whole seconds"),
        ({"window": "week"}, "invalid-request", "window"),
        ({"acount": "acme"}, "invalid-request", "acount"),
        ({"cursor": "%%%"}, "invalid-cursor", "next_cursor"),
        ({"cursor": "WyIwIiwiMSJd"}, "invalid-cursor", "another query"),
        ({"limit": 0}, "invalid-request", "limit"),
        ({"window": "hour", "from": "1999-01-01T00:00:00Z"}, "too-much", "shorter"),
    ],
)
def test_a_wrong_question_says_what_to_mend(acme: httpx.Client, params: dict[str, Any], kind: str, hint: str) -> None:
    answer = acme.get("/v1/usage", params={"account": "acme", **PERIOD, **params})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"/problems/{kind}"
    assert hint in problem["detail"] + str(problem["errors"])


def test_lines_sum_to_the_ratings_and_the_debits(acme: httpx.Client) -> None:
    lines = pages(acme, "/v1/lines", account="acme", **PERIOD, limit=2)
    ratings = get(acme, "/v1/ratings", account="acme", **PERIOD)["items"]
    transactions = pages(acme, "/v1/accounts/acme/transactions", limit=1)
    amount = sum(line["amount"]["micros"] for line in lines)
    assert amount == sum(r["amount"]["micros"] for r in ratings)
    settled = sum(r["amount"]["micros"] for r in ratings if r["state"] == "settled")
    debits = [t["amount"]["micros"] for t in transactions if t["kind"] in ("debit", "adjustment")]
    assert settled == -sum(debits)
    assert {r["state"] for r in ratings} == {"settled", "open"} or {r["state"] for r in ratings} == {"settled"}
    (wallet,) = get(acme, "/v1/accounts/acme/balance")["wallets"]
    assert wallet["micros"] == sum(t["amount"]["micros"] for t in transactions)


def test_unpriced_lines_are_found_by_themselves(acme: httpx.Client) -> None:
    unpriced = pages(acme, "/v1/lines", account="acme", **PERIOD, priced=False, limit=1)
    assert {line["attributes"]["tier"] for line in unpriced} == {"silver"}
    assert all(line["price"] is None and line["amount"]["micros"] == 0 for line in unpriced)
    everything = pages(acme, "/v1/lines", account="acme", **PERIOD)
    assert len(pages(acme, "/v1/lines", account="acme", **PERIOD, priced=True)) + len(unpriced) == len(everything)


def test_every_line_is_proved_down_to_its_samples(acme: httpx.Client) -> None:
    for line in pages(acme, "/v1/lines", account="acme", **PERIOD):
        path = f"/v1/lines/{line['digest']}/explain"
        found = get(acme, path, account="acme", limit=1000)
        assert found["line"] == line
        assert found["verification"]["proved"], found["verification"]["differences"]
        assert not found["superseded"]
        assert sum(s["quantity"] for s in found["samples"]) == line["quantity"]["base"]
        assert line["amount"]["text"].removesuffix(".00") in found["sentence"] or line["price"] is None


def test_samples_of_an_explanation_come_in_pages(acme: httpx.Client) -> None:
    line = pages(acme, "/v1/lines", account="acme", **PERIOD, priced=True)[1]
    path, samples, cursor = f"/v1/lines/{line['digest']}/explain", [], None
    while True:
        page = get(acme, path, account="acme", limit=100, cursor=cursor)
        samples += page["samples"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert samples == get(acme, path, account="acme", limit=1000)["samples"]


def test_as_of_answers_with_what_was_known_then(world: World, admin: httpx.Client) -> None:
    admin.put("/v1/accounts/late", json={"name": "Late", "cycle": "monthly"}).raise_for_status()
    before_rule = world.clock()
    world.write(allocation("vm/late-1", "late-org", "vm.vcpu", 300, 1, "{}", days=1))
    body = {"account": "late", "tenant": "late-org"}
    assert admin.post("/v1/mapping-rules", json=body).status_code == 201
    known = world.clock()
    world.rate("late", START, START + DAY)
    old = pages(admin, "/v1/lines", account="late", **PERIOD)[0]
    rated = world.clock()
    more = allocation("vm/late-1", "late-org", "vm.vcpu", 300, 2, "{}", days=1)
    world.write({**more, "revision": [1] * len(more["resource"])})
    world.rate("late", START, START + DAY)

    def asked(path: str, micros: int | None = None) -> Any:
        as_of = None if micros is None else stamp(micros)
        return pages(admin, path, account="late", **PERIOD, as_of=as_of)

    def total(micros: int | None = None) -> int:
        return sum(row["quantity"]["base"] for row in asked("/v1/usage", micros))

    assert (total(before_rule), total(known), total(rated), total()) == (0, DAY, DAY, 2 * DAY)
    assert asked("/v1/lines", rated) == [old]
    assert asked("/v1/ratings", known) == []
    assert asked("/v1/lines")[0]["amount"]["micros"] == 2 * old["amount"]["micros"]
    found = get(admin, f"/v1/lines/{old['digest']}/explain", account="late")
    assert found["superseded"]
    assert found["verification"]["proved"], found["verification"]["differences"]


def test_what_nobody_pays_for_is_shown_to_the_provider(api: Api) -> None:
    found = pages(api("reader"), "/v1/unattributed", **PERIOD, limit=1)
    assert ("stray-org", "vm.vcpu") in {(row["tenant"], row["meter"]) for row in found}
    assert api("acme").get("/v1/unattributed", params=PERIOD).status_code == 403


def test_the_tree_is_cut_at_the_caller(api: Api) -> None:
    assert [a["id"] for a in pages(api("acme"), "/v1/accounts", limit=1)] == ["acme", "acme-lab"]
    assert get(api("acme-lab"), "/v1/accounts/acme-lab")["parent"] is None
    assert get(api("acme"), "/v1/accounts/acme-lab")["parent"] == "acme"
    assert {"acme", "acme-lab", "beta"} <= {a["id"] for a in pages(api("reader"), "/v1/accounts", limit=2)}


def test_operators_see_health_counters_and_metrics(api: Api, admin: httpx.Client) -> None:
    assert get(api(""), "/v1/health")["status"] == "ok"
    assert get(api(""), "/v1/ready")["status"] == "ready"
    assert get(admin, "/v1/reconcile")["balanced"]
    text = admin.get("/metrics").text
    assert 'stratometer_api_requests_total{method="GET",route="/v1/usage",status="200"}' in text
    assert "acme" not in text
    assert api("").get("/metrics").status_code == 401
