"""Usage and price files in, lines out; the examples of docs/pricing.md run here."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rating.price_list import parse
from rating.terms import Terms
from schemas.errors import Misconfigured
from schemas.period import Period, parse_instant
from stratometer.rate_files import FileRating, corrected, rate_files, rate_text
from stratometer.rate_rows import ROW_COLUMNS, explanations, line_rows
from tests.rating.helpers import EXAMPLES, REGISTRY

PRICES = EXAMPLES / "prices.yaml"
DOCS = Path(__file__).parents[2] / "docs" / "pricing.md"
EXPECTED = [
    # resource, from, quantity, unit, price, amount
    ("disk/db-1", "2026-06-30T00:00:00Z", "17.5", "GiB·h", "disk-gold-2026", "0.07"),
    ("disk/web-1", "2026-06-30T00:00:00Z", "40", "GiB·h", "disk-2026", "0.08"),
    ("image/debian", "2026-06-30T00:00:00Z", "3", "deployment", "deployment-2026", "7.50"),
    ("vm/db-1", "2026-06-30T00:00:00Z", "1", "IP·h", "", "0.00"),
    ("vm/db-1", "2026-06-30T00:00:00Z", "48", "vCPU·h", "vcpu-2026", "0.576"),
    ("vm/db-1", "2026-07-01T00:00:00Z", "48", "vCPU·h", "vcpu-2026-h2", "0.552"),
]
BODY = "resource,meter,from,to,quantity\n"
GOOD = "vm/a,vm.running,2026-01-01T00:00:00Z,2026-01-01T01:00:00Z,3600\n"
JANUARY = Period(parse_instant("2026-01-01T00:00:00Z"), parse_instant("2026-02-01T00:00:00Z"))


def document(*charges: dict[str, Any], **head: Any) -> str:
    products = [{"id": "p", "charges": list(charges)}]
    return json.dumps({"id": "l", "name": "L", "currency": "CU", "window": "day", "products": products, **head})


def charge(id: str, meter: str | None, per: str | None, amount: str | None, **more: Any) -> dict[str, Any]:
    fields = {"id": id, "meter": meter, "per": per, **more}
    price = {} if amount is None else {"prices": [{"amount": amount}]}
    return {key: value for key, value in fields.items() if value is not None} | price


def row(start: str, end: str = "", quantity: str = "3600", **more: str) -> dict[str, str]:
    times = {"from": f"2026-{start}Z", "to": f"2026-{end}Z" if end else ""}
    return {"resource": "vm/a", "meter": "vm.running", "quantity": quantity, **times, **more}


def short(rating: FileRating, *columns: str) -> list[tuple[str, ...]]:
    return [tuple(r[c] for c in columns) for r in line_rows(rating)]


def problems_of(usage: Path, prices: Path = PRICES, zone: str = "UTC") -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        rate_files(usage, prices, zone)
    return list(caught.value.problems)


def test_the_example() -> None:
    rating = rate_files(EXAMPLES / "usage.csv", PRICES)
    assert sorted(short(rating, "resource", "from", "quantity", "unit", "price", "amount")) == EXPECTED
    assert rating.unpriced_meters == ("ip.address",)
    assert rating.total_micros == 8_778_000
    assert list(line_rows(rating)[0]) == list(ROW_COLUMNS)
    assert line_rows(rate_files(EXAMPLES / "usage.json", PRICES)) == line_rows(rating)


def test_the_example_of_models() -> None:
    """Worked out by hand; 112 vCPU·h and 250 GiB·month are what the commitment and the free quantity leave over."""
    rating = rate_files(EXAMPLES / "models.csv", EXAMPLES / "models.yaml")
    assert sorted(r for r in short(rating, "charge", "component", "quantity", "unit", "amount") if r[-1] != "0.00") == [
        ("calls", "unit", "2500", "call", "1.50"),
        ("deployment", "unit", "3", "deployment", "7.50"),
        ("disk", "campaign:disks-2026", "0", "GiB·month", "-4.40"),
        ("disk", "tier-1", "100", "GiB·month", "10.00"),
        ("disk", "tier-2", "150", "GiB·month", "12.00"),
        ("sales", "percent", "249.99", "EUR", "5.45"),
        ("support", "fee", "2678400", "s", "49.00"),
        ("traffic", "unit", "10", "Mbit/s", "20.00"),
        ("vcpu", "commitment", "2678400", "s", "60.00"),
        ("vcpu", "overage", "112", "vCPU·h", "1.12"),
    ]
    assert rating.total_micros == 162_170_000


def test_the_example_of_a_correction() -> None:
    before, after = (rate_files(EXAMPLES / name, PRICES) for name in ("usage.csv", "usage-corrected.csv"))
    assert short(corrected(before, after), "resource", "quantity", "unit", "amount") == [
        ("disk/db-1", "-17.5", "GiB·h", "-0.07"),
        ("disk/db-1", "20", "GiB·h", "0.08"),
    ]


def test_explanations() -> None:
    sentences = {e.sentence for e in explanations(rate_files(EXAMPLES / "usage.csv", PRICES))}
    assert "17.5 GiB·h × 0.004 CU/GiB·h = 0.07 CU, price disk-gold-2026 from 2026-01-01, list standard v1" in sentences


def test_the_zone_moves_the_windows() -> None:
    rows = line_rows(rate_files(EXAMPLES / "usage.csv", PRICES, "Europe/Prague"))
    compute = [(r["window_from"], r["from"], r["to"], r["quantity"]) for r in rows if r["meter"] == "vm.vcpu"]
    assert compute == [
        ("2026-06-29T22:00:00Z", "2026-06-29T22:00:00Z", "2026-06-30T22:00:00Z", "40"),
        ("2026-06-30T22:00:00Z", "2026-06-30T22:00:00Z", "2026-07-01T00:00:00Z", "8"),
        ("2026-06-30T22:00:00Z", "2026-07-01T00:00:00Z", "2026-07-01T22:00:00Z", "48"),
    ]


def test_problems_of_all_files_are_listed_at_once(tmp_path: Path) -> None:
    usage, prices = tmp_path / "u.csv", tmp_path / "p.yaml"
    usage.write_text(BODY + GOOD.replace("vm.running", "vm.fast") + GOOD.replace("3600", "x"))
    prices.write_text("id: a\nname: A\nprices: []\n")
    found = problems_of(usage, prices)
    assert {p.split(": ")[0] for p in found} == {"p.yaml", "u.csv"}
    assert [p.split(": ")[1] for p in found if p.startswith("u.csv")] == ["row 1", "row 2"]
    assert "p.yaml: currency: " in "\n".join(found)
    assert "IANA time zone" in problems_of(EXAMPLES / "usage.csv", zone="Mars/Olympus")[0]
    assert problems_of(tmp_path / "none.csv") == ["none.csv: cannot be read: No such file or directory"]
    usage.write_text(BODY)
    assert problems_of(usage) == ["u.csv: there are no rows"]


def test_an_event_over_several_windows_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text(BODY + "i,image.deployment,2026-01-01T00:00:00Z,2026-01-05T00:00:00Z,3\n")
    assert problems_of(path) == ["u.csv: row 1: image.deployment counts events, and the row spans several windows"]


def test_windows_of_several_sizes_make_one_rating() -> None:
    listed = document(
        charge("hours", "vm.running", "VM·h", "1"),
        charge("month", "vm.running", "VM·h", None, model="graduated", window="month")
        | {"prices": [{"tiers": [{"up_to": "1", "amount": "10"}, {"amount": "5"}]}]},
        charge("base", None, None, "100", model="recurring", every="month"),
    )
    rows = [row("01-01T00:00:00", "01-01T01:00:00"), row("01-02T00:00:00", "01-02T01:00:00")]
    rating = rate_text(listed, rows)
    assert short(rating, "window_from", "charge", "component", "quantity", "amount") == [
        ("2026-01-01T00:00:00Z", "hours", "unit", "1", "1.00"),
        ("2026-01-01T00:00:00Z", "base", "fee", "2678400", "100.00"),
        ("2026-01-01T00:00:00Z", "month", "tier-1", "1", "10.00"),
        ("2026-01-01T00:00:00Z", "month", "tier-2", "1", "5.00"),
        ("2026-01-02T00:00:00Z", "hours", "unit", "1", "1.00"),
    ]
    assert rating.total_micros == 117_000_000


def test_a_period_without_usage_has_its_fees() -> None:
    listed = document(charge("base", None, None, "3", model="recurring", every="day"))
    rating = rate_text(listed, [], "Europe/Prague", period=Period(JANUARY.start, JANUARY.start + 86_400))
    assert short(rating, "from", "amount") == [("2025-12-31T23:00:00Z", "3.00"), ("2026-01-01T23:00:00Z", "3.00")]
    with pytest.raises(Misconfigured, match="there are no rows"):
        rate_text(listed, [])


def test_terms_of_the_account() -> None:
    listed = document(
        charge("base", None, None, "31", model="recurring", every="month"),
        account={"minimum": {"amount": "50", "every": "month"}},
    )
    half = Terms(active=Period(JANUARY.start, JANUARY.start + 15 * 86_400 + 43_200))
    assert rate_text(listed, [], period=JANUARY).total_micros == 50_000_000
    assert rate_text(listed, [], terms=half, period=JANUARY).total_micros == 25_000_000


def test_a_commitment_counts_what_its_products_cost_in_lines_of_every_pass() -> None:
    month = {"id": "c1", "amount": "10", "every": "month", "products": ["p"]}
    listed = document(
        charge("hours", "vm.running", "VM·h", "1"),
        charge("again", "vm.running", "VM·h", "2", window="month"),
        account={"commitments": [month]},
        prices=[{"id": "d", "product": "q", "meter": "image.deployment", "amount": "5", "per": "deployment"}],
    )
    rows = [
        row("01-01T23:00:00", "01-02T01:00:00", quantity="7200"),
        row("01-03T00:00:00", meter="image.deployment", quantity="1"),
        row("02-01T00:00:00", "02-01T01:00:00"),
    ]
    found = short(rate_text(listed, rows), "window_from", "price", "component", "amount")
    assert [r for r in found if r[1] == "account"] == [
        ("2026-01-01T00:00:00Z", "account", "true_up:c1", "4.00"),
        ("2026-02-01T00:00:00Z", "account", "true_up:c1", "7.00"),
    ]


def test_a_chain_of_lists_with_meters_and_units_of_its_own() -> None:
    own = [{"key": "call.minutes", "name": "Calls", "kind": "event", "base": "ms", "display": {"min": 60_000}}]
    parent = document(
        charge("calls", "call.minutes", "min", "6"),
        charge("hours", "vm.running", "VM·h", "2"),
        meters=own,
        units={"vm.running": {"shift": "28800"}},
        id="far",
    )
    near = document(charge("calls", "call.minutes", "min", "3"), id="near", inherits="far")
    rows = [
        row("01-01T00:00:00", quantity="90500", meter="call.minutes"),
        row("01-01T00:00:00", "01-01T08:00:00", quantity="1", unit="shift"),
    ]
    plain = row("01-01T00:00:00", "01-01T08:00:00")
    rating = rate_text([near, parent], rows)
    assert sorted(short(rating, "charge", "quantity", "unit", "amount")) == [
        ("calls", "181/120", "min", "4.525"),
        ("hours", "8", "VM·h", "16.00"),
    ]
    assert rating.warnings == ()
    lonely = document(charge("hours", "vm.running", "VM·h", "3"), id="near", inherits="far")
    assert rate_text([lonely], [plain]).warnings == ("list near inherits far, which was not given",)


@pytest.mark.parametrize(
    ("late", "grace", "expected"),
    [
        ("original", 0, [("2026-01-01T00:00:00Z", "2.00")]),
        ("running", 0, [("2026-01-01T00:00:00Z", "1.00"), ("2026-01-03T00:00:00Z", "1.00")]),
        ("running", 86_400 + 1, [("2026-01-01T00:00:00Z", "2.00")]),
    ],
)
def test_late_usage(late: str, grace: int, expected: list[tuple[str, str]]) -> None:
    listed = document(charge("hours", "vm.running", "VM·h", "1", settings={"late": late}))
    rows = [
        row("01-01T00:00:00", "01-01T01:00:00", received="2026-01-01T01:00:00Z"),
        row("01-01T01:00:00", "01-01T02:00:00", received="2026-01-03T00:00:00Z"),
    ]
    assert short(rate_text(listed, rows, grace_seconds=grace), "window_from", "amount") == expected


def test_one_usage_cannot_be_late_for_one_charge_and_in_time_for_another() -> None:
    listed = document(
        charge("a", "vm.running", "VM·h", "1", settings={"late": "running"}), charge("b", "vm.running", "VM·h", "1")
    )
    with pytest.raises(Misconfigured, match=r"charges a and b of vm\.running differ in `late`"):
        rate_text(listed, [row("01-01T00:00:00", "01-01T01:00:00")])


def test_percentiles_of_one_meter_share_a_grid() -> None:
    """400 s and 600 s cells are both whole numbers of 200 s cells, into which the row is spread."""
    charges = [
        charge(f"p{cell}", "vm.running", "VM", "1", aggregate="percentile", percentile={"rank": "95", "cell": cell})
        for cell in (300, 900)
    ]
    rating = rate_text(document(*charges), [row("01-01T00:00:00", "01-01T02:00:00", quantity="14400")])
    assert short(rating, "charge", "quantity", "amount") == [("p300", "2", "2.00"), ("p900", "2", "2.00")]


def test_an_event_is_one_observation_however_long_it_lasts() -> None:
    own = [{"key": "job.size", "name": "Jobs", "kind": "event", "base": "byte", "display": {"GB": 10**9}}]
    listed = document(charge("jobs", "job.size", "GB", "1", aggregate="percentile", window="month"), meters=own)
    rows = [row("01-01T00:00:00", "01-01T02:00:00", quantity="5", unit="GB", meter="job.size")]
    assert short(rate_text(listed, rows), "quantity", "amount") == [("5", "5.00")]


def test_corrections_are_credit_and_charge() -> None:
    listed = document(charge("hours", "vm.running", "VM·h", "1"))
    before = rate_text(listed, [row("01-01T00:00:00", "01-01T01:00:00"), row("01-02T00:00:00", "01-02T01:00:00")])
    after = rate_text(
        listed, [row("01-01T00:00:00", "01-01T01:00:00"), row("01-02T00:00:00", "01-02T01:00:00", quantity="1800")]
    )
    rating = corrected(before, after)
    assert short(rating, "from", "resource", "quantity", "amount") == [
        ("2026-01-02T00:00:00Z", "vm/a", "-1", "-1.00"),
        ("2026-01-02T00:00:00Z", "vm/a", "0.5", "0.50"),
    ]
    assert rating.total_micros == after.total_micros - before.total_micros


def test_the_documentation_shows_the_example_files() -> None:
    text = DOCS.read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    assert ("yaml", PRICES.read_text(encoding="utf-8")) in blocks
    assert ("csv", (EXAMPLES / "usage.csv").read_text(encoding="utf-8")) in blocks
    assert parse(PRICES.read_text(encoding="utf-8"), REGISTRY).warnings == ()


@pytest.mark.parametrize(
    ("usage", "prices"),
    [("usage.csv", "prices.yaml"), ("usage-corrected.csv", "prices.yaml"), ("models.csv", "models.yaml")],
)
def test_the_documentation_shows_what_comes_out(usage: str, prices: str) -> None:
    rating = rate_files(EXAMPLES / usage, EXAMPLES / prices)
    if usage == "usage-corrected.csv":
        rating = corrected(rate_files(EXAMPLES / "usage.csv", PRICES), rating)
    blocks = re.findall(r"```text\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    shown = {line for block in blocks for line in block.splitlines()}
    assert {e.sentence for e in explanations(rating)} <= shown
