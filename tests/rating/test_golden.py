"""Stories an accountant can read; guards invariants 6, 8, 9 and 10."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rating.engine import rate
from rating.explain import LineNames, explain, line_at
from rating.files.usage_rows import span_of, usage_rows
from rating.files.usage_spread import usage_table
from rating.verify import verify
from rating.windows import segments_of
from schemas.money import micros_of
from schemas.period import iso
from tests.rating.helpers import GOLDEN, REGISTRY, list_of, price
from tests.rating.reference import amount_micros


def _load(name: str) -> Any:
    return yaml.load(Path(GOLDEN / name).read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


AMOUNTS = _load("amounts.yaml")["cases"]
STORIES = _load("stories.yaml")["stories"]


def test_there_are_enough_numeric_cases() -> None:
    assert len(AMOUNTS) + sum(len(s["lines"]) + 1 for s in STORIES) >= 60


@pytest.mark.parametrize("case", AMOUNTS, ids=lambda c: f"{c['usage']} {c['unit']} at {c['price']} {c.get('mode', '')}")
def test_amount(case: dict[str, str]) -> None:
    per = case.get("per", case["unit"] if case["unit"] in REGISTRY[case["meter"]].display else "")
    meter = REGISTRY[case["meter"]]
    per = per or meter.display_unit
    mode, digits = case.get("mode", "half_even"), int(case.get("digits", "6"))
    prices = list_of(price("p", case["meter"], case["price"], per=per), rounding={"mode": mode, "digits": digits})
    start, end = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"
    row = {
        "resource": "r",
        "meter": meter.key,
        "from": start,
        "to": end,
        "quantity": case["usage"],
        "unit": case["unit"],
    }
    rows = usage_rows([row], REGISTRY)
    segments = segments_of(span_of(rows), prices, "UTC")
    used = usage_table(rows, segments)
    rated = rate(used.usage, prices, REGISTRY, used.attribute_sets, segments)
    line = line_at(rated.lines, 0)
    due = micros_of(case["amount"])
    assert (line.amount_micros, rated.total_micros, rated.lines.num_rows) == (due, due, 1)
    assert amount_micros(rows[0].quantity, case["price"], meter.display[per], mode, digits) == due
    assert verify(line, prices, {}, REGISTRY).proved


@pytest.mark.parametrize("story", STORIES, ids=lambda s: str(s["story"]))
def test_story(story: dict[str, Any]) -> None:
    head = story["list"]
    rows = usage_rows(story["usage"], REGISTRY)
    prices = [{"product": "P", **item} for item in head["prices"]]
    listed = list_of(*prices, **{name: value for name, value in head.items() if name != "prices"})
    segments = segments_of(span_of(rows), listed, str(story["zone"]))
    used = usage_table(rows, segments)
    rated = rate(used.usage, listed, REGISTRY, used.attribute_sets, segments)
    found = []
    for index in range(rated.lines.num_rows):
        line = line_at(rated.lines, index)
        attributes = used.attribute_sets[line.attributes_id]
        assert verify(line, listed, attributes, REGISTRY).proved
        meter = REGISTRY.by_id[line.meter_id]
        unit = (meter.display_unit, meter.display[meter.display_unit])
        assert explain(line, listed, LineNames("r", meter.key, attributes, unit)).sentence
        name = listed.by_key[line.price_id].id if line.price_id else "-"
        found.append((used.resources[line.resource_id], line.segment_start, line.segment_end, name, line.amount_micros))
    shown = sorted((iso(a), iso(b), r, p, m) for r, a, b, p, m in found)
    lines = story["lines"]
    assert shown == sorted((a, b, r, p, micros_of(m)) for r, a, b, p, m in lines)
    assert rated.total_micros == micros_of(str(story["total"])) == sum(rated.by_product.values())
    assert rated.unpriced == sum(p == "-" for _, _, _, p, _ in lines)
