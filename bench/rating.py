"""The rating engine alone beside CloudKitty's hashmap rating: usage rows in memory in, rated lines out."""

import tempfile
import time
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from bench import hashmap
from bench.load import START
from bench.rating_data import HOUR_SECONDS, HOURS, RULES, TIERS, price_list, usage_table
from rating.engine import rate
from rating.price_list import parse
from rating.windows import segments_of
from schemas.meters import builtin
from schemas.period import Period

RUNS: Final = 3
CLOUDKITTY_HOURS: Final = 24
"""CloudKitty rates the first hours of the usage: its time a point does not depend on how many there are."""
TARGETS: Final = {"flat": 50, "volume": 20}
MICRO: Final = Decimal("0.000001")
KEY: Final = [("segment_start", "ascending"), ("resource_id", "ascending"), ("meter_id", "ascending")]


@dataclass(frozen=True, slots=True)
class Ours:
    """What our engine made of a usage table: the best of several runs, and its lines."""

    rows: int
    seconds: float
    lines: pa.Table

    @property
    def per_second(self) -> int:
        """Usage rows rated in a second."""
        return round(self.rows / self.seconds)


def run(rows: int) -> dict[str, Any]:
    """Rate a month of hourly usage of one account's VMs by both engines, under each of RULES."""
    usage = usage_table(rows)
    ours = {rules: rated(usage, rules) for rules in RULES}
    mixed = usage_table(rows, shuffled=True)
    report: dict[str, Any] = {
        "count": usage.num_rows,
        "per_second": ours["flat"].per_second,
        "rules": {rules: {"per_second": found.per_second} for rules, found in ours.items()},
    }
    report["rules"]["flat, usage in no order"] = {"per_second": rated(mixed, "flat").per_second}
    with tempfile.TemporaryDirectory() as folder:
        missing = hashmap.install(Path(folder))
        if missing:
            return report | {"cloudkitty": f"skipped: {missing}"}
        for rules, target in TARGETS.items():
            theirs = hashmap.measure(Path(folder), usage, rules, min(CLOUDKITTY_HOURS, HOURS))
            report["rules"][rules] |= beside(ours[rules], theirs) | {"target": target}
    return report | {"cloudkitty": hashmap.PACKAGES[0]}


def rated(usage: pa.Table, rules: str) -> Ours:
    """Rate usage in one process by our engine."""
    registry = builtin()
    effective = parse(price_list(rules), registry)
    segments = segments_of(Period(START, START + HOURS * HOUR_SECONDS), effective, "UTC")
    sets = {0: {}, **{number: {"tier": tier} for number, tier in enumerate(TIERS, start=1)}}
    seconds = []
    for _ in range(RUNS):
        began = time.process_time()
        result = rate(usage, effective, registry, sets, segments)
        seconds.append(time.process_time() - began)
    return Ours(usage.num_rows, min(seconds), result.lines)


def beside(ours: Ours, theirs: hashmap.Measured) -> dict[str, Any]:
    """Return both speeds and at how many points the amounts differ: CloudKitty's, rounded to micro-units, from ours."""
    amounts = ours.lines.group_by([name for name, _ in KEY]).aggregate([("amount_micros", "sum")]).sort_by(KEY)
    first = amounts["amount_micros_sum"][: theirs.points].to_pylist()
    expected = [int(Decimal(price).quantize(MICRO, ROUND_HALF_EVEN) / MICRO) for price in theirs.prices]
    speed = theirs.points / theirs.seconds
    return {
        "cloudkitty_per_second": round(speed),
        "ratio": round(ours.per_second / speed, 1),
        "points_compared": theirs.points,
        "points_that_differ": sum(a != b for a, b in zip(first, expected, strict=True)),
        "amount_compared": str(pc.sum(pa.array(first)).as_py() * MICRO),
    }
