"""Small builders for the tests of rating."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from rating.price_list import PriceList, parse
from rating.tables import USAGE_SCHEMA
from schemas.meters import builtin
from schemas.period import parse_instant

REGISTRY = builtin()
GOLDEN = Path(__file__).parent / "golden"
EXAMPLES = Path(__file__).parents[2] / "examples" / "rating"
T0 = parse_instant("2026-01-01T00:00:00Z")
HOUR, DAY = 3600, 86400


def price(id: str, meter: str = "vm.running", amount: str = "1", **more: object) -> dict[str, object]:
    fields = {"id": id, "product": "P", "meter": meter, "amount": amount, "from": "2026-01-01T00:00:00Z", **more}
    return {"per": REGISTRY[meter].display_unit, **fields} if meter in REGISTRY else {"per": "h", **fields}


def text_of(*prices: dict[str, object], **head: object) -> str:
    document = {"id": "l", "name": "L", "currency": "CU", "prices": list(prices), **head}
    return json.dumps(document, ensure_ascii=False)


def list_of(*prices: dict[str, object], **head: object) -> PriceList:
    return parse(text_of(*prices, **head), REGISTRY)


def usage(rows: Sequence[tuple[int, int, str, int, int]]) -> pa.Table:
    """Rows of segment start, resource id, meter key, attributes id, quantity."""
    columns = [
        [r[0] for r in rows],
        [0] * len(rows),
        [r[1] for r in rows],
        [REGISTRY[r[2]].id if r[2] in REGISTRY else 77 for r in rows],
        [r[3] for r in rows],
        [r[4] for r in rows],
        [300] * len(rows),
        [1] * len(rows),
        [abs(hash((r[0], r[1], r[4]))) for r in rows],
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, USAGE_SCHEMA, strict=True)], schema=USAGE_SCHEMA)
