"""Simulations through the API: taken, run in the background, read as JSON, CSV and XLSX, line by line."""

import time
from io import BytesIO
from threading import Event
from typing import Any

import httpx
import pytest
from openpyxl import load_workbook

from api.simulations import KEPT_MAX, WAITING_MAX, FullError, SimulationJobs
from pipeline.simulation.cohorts import Asked
from pipeline.simulation.run import Simulator
from schemas.errors import Poison, Transient
from tests.api.conftest import Api
from tests.api.world import PRICES, World, services

DRAFT = PRICES.replace('"0.01"', '"0.02"')
OCTOBER = {"month": "2026-10"}
WAIT_SECONDS = 60


def ask(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/v1/simulations", json={"document": DRAFT, "period": OCTOBER, **body})


def finished(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        found: dict[str, Any] = client.get(answer.headers["Location"]).json()
        if found["state"] in ("done", "failed"):
            return found
        time.sleep(0.05)
    raise TimeoutError(found)


@pytest.fixture(scope="module")
def done(api: Api) -> dict[str, Any]:
    """A simulation of three accounts; other tests of the session bring others."""
    return finished(api("product"), ask(api("product"), accounts=["acme", "acme-lab", "beta"]))


def test_a_draft_beside_the_list_in_force(done: dict[str, Any]) -> None:
    result = done["result"]
    assert (done["state"], done["problems"], result["failed"]) == ("done", [], 0)
    assert result["draft"] == {"id": "default", "version": 2}
    compute = next(p for p in result["products"] if p["product"] == "Compute")
    assert compute["after"]["micros"] == 2 * compute["before"]["micros"] == 2 * compute["difference"]["micros"] > 0
    [total] = result["totals"]
    assert total["difference"] == compute["difference"], "only Compute costs more"
    assert {a["account"] for a in result["losers"]} == {"acme", "acme-lab", "beta"}
    assert result["winners"] == []


def test_before_is_what_was_rated(done: dict[str, Any], api: Api) -> None:
    asked = {"from": "2026-09-30T22:00:00Z", "to": "2026-10-31T23:00:00Z", "account": "acme"}
    ratings = api("product").get("/v1/ratings", params=asked).json()["items"]
    acme = next(a for a in done["result"]["losers"] if a["account"] == "acme")
    assert acme["amount"]["before"]["micros"] == sum(r["amount"]["micros"] for r in ratings) > 0
    assert acme["unpriced_before"] == acme["unpriced_after"] > 0, "silver disks have no price"


def test_accounts_and_lines_page_by_page(done: dict[str, Any], api: Api) -> None:
    address, client = f"/v1/simulations/{done['id']}", api("admin")
    first = client.get(f"{address}/accounts", params={"limit": 2}).json()
    rest = client.get(f"{address}/accounts", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    accounts = first["items"] + rest["items"]
    assert rest["next_cursor"] is None
    assert [a["account"] for a in accounts] == ["acme", "acme-lab", "beta"]
    assert sum(a["amount"]["after"]["micros"] for a in accounts) == done["result"]["totals"][0]["after"]["micros"]
    lines: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get(f"{address}/lines", params={"account": "acme", "limit": 4, **cursor}).json()
        lines += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sum(line["amount"]["after"]["micros"] for line in lines) == accounts[0]["amount"]["after"]["micros"]
    changed = client.get(f"{address}/lines", params={"account": "acme", "changed": True}).json()["items"]
    assert changed == [line for line in lines if line["meter"] == "vm.vcpu"]
    text = client.get(f"{address}/lines", params={"account": "acme"}, headers={"Accept": "text/csv"}).text
    assert len(text.splitlines()) == 1 + len(lines)


def test_files(done: dict[str, Any], api: Api) -> None:
    address = f"/v1/simulations/{done['id']}"
    table = api("product").get(f"{address}.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.startswith("account,name,product,before,after,difference")
    book = api("product").get(f"{address}.xlsx")
    assert load_workbook(BytesIO(book.content)).sheetnames == ["Products", "Accounts"]


def test_a_draft_of_the_catalogue_some_accounts_and_two_instants(api: Api) -> None:
    client = api("product")
    document = DRAFT.replace("id: default", "id: simulated", 1)
    saved = client.put("/v1/catalogue/drafts/simulated", content=document, headers={"Content-Type": "application/yaml"})
    assert saved.status_code == 201, saved.text
    period = {"from": "2026-10-18T00:00:00Z", "to": "2026-10-19T00:00:00Z"}
    body = {"draft": "simulated", "period": period, "accounts": ["beta"], "against": "default"}
    [beta] = finished(client, client.post("/v1/simulations", json=body))["result"]["losers"]
    assert (beta["account"], beta["price_list_after"]) == ("beta", {"id": "simulated", "version": 1})
    assert beta["period"] == {"start": period["from"], "end": period["to"]}
    compute = next(p for p in beta["products"] if p["product"] == "Compute")
    assert compute["before"]["micros"] == 2 * 24 * 10_000


def test_a_document_may_be_a_json_object(api: Api) -> None:
    price = {"id": "v", "product": "P", "meter": "vm.vcpu", "amount": "0.03", "per": "vCPU·h"}
    document = {"id": "default", "name": "J", "currency": "CU", "prices": [price]}
    found = finished(api("admin"), ask(api("admin"), document=document))
    assert found["result"]["products"][-1]["product"] == "P"


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"document": DRAFT.replace('"0.02"', "0.02")}, 422, "quote it"),
        ({"document": "\0"}, 422, "NUL"),
        ({"draft": "none-such", "document": None}, 404, "no draft"),
        ({"draft": "x"}, 422, "either document or draft"),
        ({"period": {}}, 422, "give month"),
        ({"period": {"month": "2026-13"}}, 422, "month"),
        ({"period": {"from": "2026-10-18T00:00:00Z", "to": "2026-10-18T00:00:00Z"}}, 422, "half-open"),
        ({"accounts": ["nobody"]}, 404, "nobody"),
        ({"against": "none-such"}, 422, "none-such"),
        ({"strange": 1}, 422, "strange"),
    ],
)
def test_what_is_refused(api: Api, body: dict[str, Any], status: int, told: str) -> None:
    answer = ask(api("product"), **body)
    assert (answer.status_code, told in answer.text) == (status, True), answer.text


@pytest.mark.parametrize("role", ["finance", "reader", "acme", "ingest"])
def test_only_product_managers_and_admins_simulate(api: Api, role: str, done: dict[str, Any]) -> None:
    address = f"/v1/simulations/{done['id']}"
    for path in ("/v1/simulations", address, f"{address}.csv", f"{address}.xlsx", f"{address}/accounts"):
        assert api(role).get(path).status_code == 403
    assert ask(api(role)).status_code == 403


def test_what_is_not_there_or_not_done(api: Api, world: World, done: dict[str, Any]) -> None:
    client = api("product")
    assert client.get("/v1/simulations/0000000000000000").status_code == 404
    assert client.get(f"/v1/simulations/{done['id']}/lines", params={"account": "nobody"}).status_code == 404
    assert done["id"] in [one["id"] for one in client.get("/v1/simulations").json()["items"]]


def jobs(world: World, monkeypatch: pytest.MonkeyPatch, outcome: Any) -> SimulationJobs:
    monkeypatch.setattr(Simulator, "simulate", outcome)
    return SimulationJobs(services(world))


def state_of(found: SimulationJobs, job: str) -> tuple[str, tuple[str, ...]]:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        one = found.find(job)
        if one is None or one.state in ("done", "failed"):
            return (one.state, one.problems) if one else ("forgotten", ())
        time.sleep(0.01)
    raise TimeoutError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Transient("10.0.0.1 is away"), "a store was away: ask for it again"),
        (Poison("usage_too_large", "look"), "usage_too_large: look"),
        (ZeroDivisionError("secret"), "it failed on our side; it was logged"),
    ],
)
def test_a_simulation_that_fails_says_why_and_the_next_one_runs(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    found = jobs(world, monkeypatch, fail)
    assert state_of(found, found.submit(Asked(DRAFT)).id) == ("failed", (told,))
    assert state_of(found, found.submit(Asked(DRAFT)).id) == ("failed", (told,))
    found.stop()


def test_waiting_and_kept_simulations_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    go = Event()
    found = jobs(world, monkeypatch, lambda *_: go.wait(WAIT_SECONDS))
    taken = [found.submit(Asked(DRAFT)).id for _ in range(WAITING_MAX)]
    with pytest.raises(FullError):
        found.submit(Asked(DRAFT))
    go.set()
    assert {state_of(found, job)[0] for job in taken} == {"done"}
    for _ in range(KEPT_MAX):
        state_of(found, found.submit(Asked(DRAFT)).id)
    assert len(found.all()) == KEPT_MAX
    assert state_of(found, taken[0]) == ("forgotten", ())
    found.stop()


def test_a_stop_ends_what_runs_at_its_next_step(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    running, ended = Event(), Event()

    def endless(_: Simulator, __: Asked, update: Any) -> None:
        try:
            while True:
                update(0, 1, "on and on")
                running.set()
        finally:
            ended.set()

    found = jobs(world, monkeypatch, endless)
    found.submit(Asked(DRAFT))
    assert running.wait(WAIT_SECONDS)
    found.stop()
    assert ended.wait(WAIT_SECONDS)
