"""Lines of tiers, minima and levels are proved by rating their window again; samples of a group come in pages."""

import httpx
import pytest

from billing.protocol import Account, MappingRule
from schemas.period import parse_instant
from tests.api.conftest import Api
from tests.api.test_reading import get, pages
from tests.api.world import DAY, START, World, allocation

PERIOD = {"from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"}
LIST = """
id: grouped
name: Grouped
currency: CU
window: day
products:
  - id: compute
    name: Compute
    charges:
      - id: vcpu
        meter: vm.vcpu
        per: vCPU·h
        model: graduated
        window: month
        each: account
        prices:
          - tiers: [{up_to: "100", amount: "0.10"}, {amount: "0.01", flat: "3"}]
            minimum: "40"
      - id: peak
        meter: disk.capacity
        per: GiB
        aggregate: peak
        each: account
        window: month
        prices:
          - {id: near, amount: "0.5", when: {site: vc-prague}}
      - id: care
        model: recurring
        window: month
        prices: [{amount: "12"}]
account:
  minimum: {amount: "500", every: month}
"""


@pytest.fixture(scope="module")
def client(world: World, api: Api) -> httpx.Client:
    books = world.books
    books.put_price_list("grouped", LIST, world.clock())
    books.put_account(Account("group", "Group", price_list="grouped"))
    books.add_rule(MappingRule(0, "*", "group-org", "group"), world.clock())
    world.write(allocation("vm/g-1", "group-org", "vm.vcpu", 300, 4, "{}", days=2))
    world.write(allocation("vm/g-2", "group-org", "vm.vcpu", 300, 1, "{}", days=1))
    world.write(allocation("disk/g-1", "group-org", "disk.capacity", 900, 10_240, '{"tier":"gold"}', days=1))
    world.rate("group", START, START + 2 * DAY)
    return api("reader")


def test_every_line_of_a_group_is_proved(client: httpx.Client) -> None:
    lines = pages(client, "/v1/lines", account="group", **PERIOD)
    said = {(line["price"]["charge"], line["price"]["component"]): line["amount"]["text"] for line in lines}
    assert said == {
        ("vcpu", "tier-1"): "10.00",
        ("vcpu", "tier-2"): "4.16",
        ("vcpu", "minimum"): "25.84",
        ("peak", "unit"): "5.00",
        ("care", "fee"): "12.00",
        ("", "minimum"): "443.00",
    }
    for line in lines:
        found = get(client, f"/v1/lines/{line['digest']}/explain", account="group", limit=1000)
        assert found["line"] == line
        assert found["verification"]["proved"], (line["price"], found["verification"]["differences"])
        assert found["sentence"]


def test_samples_of_a_group_are_those_of_all_its_resources(client: httpx.Client) -> None:
    lines = pages(client, "/v1/lines", account="group", **PERIOD)
    tier = next(line for line in lines if line["price"]["component"] == "tier-1")
    assert tier["resource"] == {"site": "", "key": "", "name": ""}
    path, samples, cursor = f"/v1/lines/{tier['digest']}/explain", [], None
    while True:
        page = get(client, path, account="group", limit=500, cursor=cursor)
        assert page["verification"]["usage_samples"] == 3 * 288
        samples += page["samples"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(samples) == 3 * 288
    assert sum(s["quantity"] for s in samples) == (2 * 4 + 1) * DAY


def test_quantities_that_are_no_usage_say_what_they_count(client: httpx.Client) -> None:
    lines = {line["price"]["component"]: line for line in pages(client, "/v1/lines", account="group", **PERIOD)}
    peak, fee = lines["unit"]["quantity"], lines["fee"]["quantity"]
    assert (peak["display"], peak["display_unit"]) == ("10", "GiB")
    month = parse_instant(PERIOD["to"]) - parse_instant(PERIOD["from"])
    assert (fee["display"], fee["display_unit"]) == (str(month), "s")
    assert lines["fee"]["meter"] == ""
