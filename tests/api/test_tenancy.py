"""Invariant 14: no row of one tenant reaches another, on any route. The matrix comes from the OpenAPI document."""

import ast
from pathlib import Path
from typing import Any

import httpx
import pytest

import api as api_package
from api.auth import ROLES_KEY, SCOPE_KEY
from api.keys import new_key
from tests.api.conftest import Api
from tests.api.world import MARKER, World

SCOPES = {"public", "tenant", "provider", "ingest"}
ROLES = ("admin", "product", "finance", "reader", "tenant", "ingest")
PERIOD = {"from": "2026-10-16T22:00:00Z", "to": "2026-10-21T22:00:00Z"}
STREAMS = {"/v1/stream"}


def operations(api: Api) -> list[tuple[str, str, dict[str, Any]]]:
    document = api("").get("/v1/openapi.json").json()
    return [(path, method, op) for path, ops in document["paths"].items() for method, op in ops.items()]


def call(client: httpx.Client, path: str, method: str, op: dict[str, Any], values: dict[str, Any]) -> httpx.Response:
    """Call an operation with a value for each parameter that `values` knows, and an empty body where it takes one."""
    parameters = op.get("parameters", [])
    names = {p["name"]: p["in"] for p in parameters}
    url = path
    for name, place in names.items():
        if place == "path":
            url = url.replace(f"{{{name}}}", str(values.get(name, 1)))
    query = {n: values[n] for n, place in names.items() if place == "query" and n in values}
    if path in STREAMS:
        with client.stream(method, url, params=query) as stream:
            text = ""
            if stream.status_code == 200:
                for number, line in enumerate(stream.iter_lines()):
                    text += line
                    if number > 5:
                        break
            return httpx.Response(stream.status_code, text=text)
    headers = {n: "k" for n, place in names.items() if place == "header"}
    body = {"json": values["body"]} if op.get("requestBody") else {}
    return client.request(method.upper(), url, params=query, headers=headers, **body)


def beta_values(world: World, api: Api) -> dict[str, Any]:
    lines = api("beta").get("/v1/lines", params={"account": "beta", **PERIOD}).json()["items"]
    body = {"name": "x", "account": "beta", "tenant": "t", "amount": "1", "currency": "CU", "reason": "r"}
    return {"account": "beta", "digest": lines[0]["digest"], "price_list": "default", "rule": 3, "body": body, **PERIOD}


def test_every_route_declares_its_scope(api: Api) -> None:
    found = operations(api)
    assert len(found) > 20
    for path, method, op in found:
        assert op.get(SCOPE_KEY) in SCOPES, f"{method} {path} declares no x-scope: use api.auth.access"
        assert bool(op[ROLES_KEY]) != (op[SCOPE_KEY] == "public"), f"{method} {path}"
        assert bool(op.get("security")) != (op[SCOPE_KEY] == "public"), f"{method} {path}"


def test_the_markers_are_there_for_those_who_may_see_them(api: Api, world: World) -> None:
    values = beta_values(world, api)
    seen = {
        path
        for path, method, op in operations(api)
        if method == "get" and MARKER in call(api("beta"), path, method, op, values).text
    }
    assert {"/v1/usage", "/v1/lines", "/v1/accounts", "/v1/lines/{digest}/explain", "/v1/stream"} <= seen | {
        "/v1/usage"
    }
    usage = api("beta").get("/v1/usage", params={"account": "beta", **PERIOD, "group_by": ["resource", "tenant"]})
    assert MARKER in usage.text


def test_a_tenant_reaches_no_row_of_another_on_any_route(api: Api, world: World) -> None:
    values = beta_values(world, api)
    for name in ("acme", "acme-lab"):
        for path, method, op in operations(api):
            answer = call(api(name), path, method, op, values)
            assert MARKER not in answer.text, f"{method} {path} tells {name} about beta"
            assert values["digest"] not in answer.text.replace(path.replace("{digest}", values["digest"]), "") or (
                answer.status_code == 404
            )
            named = {p["name"] for p in op.get("parameters", [])} & {"account", "digest"}
            if op[SCOPE_KEY] == "tenant" and named:
                assert answer.status_code == 404, f"{method} {path}: {answer.status_code} {answer.text}"
            if op[SCOPE_KEY] in ("provider", "ingest"):
                assert answer.status_code == 403, f"{method} {path}: {answer.status_code}"


def test_what_is_anothers_looks_exactly_like_what_is_not(api: Api, world: World) -> None:
    values = beta_values(world, api)
    absent = {**values, "account": "none", "digest": "0" * 16}
    for path, method, op in operations(api):
        if op[SCOPE_KEY] != "tenant" or not {p["name"] for p in op.get("parameters", [])} & {"account", "digest"}:
            continue
        theirs, nothing = (call(api("acme"), path, method, op, v) for v in (values, absent))

        def plain(answer: httpx.Response, account: str, digest: str) -> str:
            return answer.text.replace(account, "?").replace(digest, "?")

        assert theirs.status_code == nothing.status_code == 404, path
        assert plain(theirs, "beta", values["digest"]) == plain(nothing, "none", "0" * 16)


def test_ones_own_account_with_anothers_line_is_not_found(api: Api, world: World) -> None:
    digest = beta_values(world, api)["digest"]
    answer = api("acme").get(f"/v1/lines/{digest}/explain", params={"account": "acme"})
    assert answer.status_code == 404
    assert MARKER not in answer.text


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_do_what_the_document_says_and_no_more(api: Api, world: World, role: str) -> None:
    name = "acme" if role == "tenant" else role
    values = {**beta_values(world, api), "account": "acme", "body": {}}
    for path, method, op in operations(api):
        if path == "/v1/mapping-rules/{rule}":
            values = {**values, "rule": 2**40}
        answer = call(api(name), path, method, op, values)
        allowed = op[SCOPE_KEY] == "public" or role in op[ROLES_KEY]
        assert (answer.status_code != 403) == allowed, f"{role} {method} {path}: {answer.status_code} {answer.text}"
        assert answer.status_code < 500


def test_without_a_key_only_public_routes_answer(api: Api, url: str) -> None:
    for path, method, op in operations(api):
        if op[SCOPE_KEY] != "public":
            answer = call(api(""), path, method, op, {"body": {}})
            assert answer.status_code == 401, f"{method} {path}"
            if answer.headers.get("content-type"):
                assert "Bearer" in answer.headers.get("www-authenticate", "Bearer")


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_keys_that_do_not_open(url: str, world: World, header: str) -> None:
    good = world.tokens["reader"]
    spoilt = {
        "wrong": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "unknown": "sm_0000_" + good.split("_", 2)[2],
        "no token": "hello",
        "cut": good.rsplit("_", 1)[0],
        "long": "sm_1_" + "x" * 5000,
    }
    expired, token = new_key("reader", expires_at=1)
    world.books.put_api_key(expired)
    spoilt["expired"] = token
    prefix = "Bearer " if header == "Authorization" else ""
    for what, text in spoilt.items():
        answer = httpx.get(f"{url}/v1/accounts", headers={header: prefix + text})
        assert answer.status_code == 401, what
        assert text not in answer.text
    assert httpx.get(f"{url}/v1/accounts", headers={header: prefix + good}).status_code == 200


def test_keys_in_addresses_are_not_read(url: str, world: World) -> None:
    answer = httpx.get(f"{url}/v1/accounts", params={"key": world.tokens["reader"]})
    assert answer.status_code == 401


def test_only_the_scope_turns_accounts_into_claims_and_keys() -> None:
    folder = Path(api_package.__path__[0])
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        calls = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        if path.name != "scope.py":
            assert "account_id" not in names, f"{path.name}: ask the TenantScope for the key"
            assert "all_claims" not in calls, path.name


def test_a_tenant_key_needs_an_account() -> None:
    with pytest.raises(ValueError, match="account"):
        new_key("tenant")
    with pytest.raises(ValueError, match="account"):
        new_key("reader", account="acme")
    with pytest.raises(ValueError, match="site"):
        new_key("reader", site="x")
