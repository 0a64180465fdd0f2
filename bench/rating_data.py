"""Usage and equivalent prices for the rating bench: the same rows and rules for both engines."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bench.load import START
from rating.tables import USAGE_SCHEMA
from schemas.meters import builtin

HOURS: Final = 720
HOUR_SECONDS: Final = 3600
TIERS: Final = ("gold", "silver", "bronze")
"""Values of the attribute `tier` by attributes_id - 1."""


@dataclass(frozen=True, slots=True)
class Metered:
    """One meter of the bench.

    Attributes:
        key: of the meter.
        per: unit of its prices.
        size: base units in it.
        step, most: hourly quantities are 1 to `most` times `step` base units, each a finite decimal of `per`.
        amounts: price of one `per`; by value of the attribute `tier`, or under "" for all.
        tiers: (lower bound, price), the first from 0; usage of exactly a bound belongs to the tier above it.
    """

    key: str
    per: str
    size: int
    step: int
    most: int
    amounts: dict[str, str]
    tiers: tuple[tuple[str, str], ...]


METERED: Final = (
    Metered("vm.vcpu", "vCPU·h", 3600, 3600, 32, {"": "0.0105"}, (("0", "0.0105"), ("4", "0.0095"), ("16", "0.008"))),
    Metered(
        "vm.memory",
        "GiB·h",
        3_686_400,
        3600 * 256,
        512,
        {"": "0.0036"},
        (("0", "0.0036"), ("8", "0.0033"), ("64", "0.003")),
    ),
    Metered(
        "disk.capacity",
        "GiB·h",
        3_686_400,
        3_686_400,
        2000,
        {"gold": "0.00018", "silver": "0.00012", "bronze": "0.00007"},
        (("0", "0.00018"), ("100", "0.00012"), ("1000", "0.00007")),
    ),
    Metered("net.out.bytes", "GB", 10**9, 1000, 10**8, {"": "0.03"}, (("0", "0.03"), ("10", "0.025"), ("50", "0.02"))),
)
RULES: Final = ("flat", "volume", "graduated")


def usage_table(rows: int, *, shuffled: bool = False) -> pa.Table:
    """Return made-up hourly usage of one account's VMs over a month, as USAGE_SCHEMA.

    Args:
        rows: how many, rounded down to whole VMs: each has every meter in every hour.
        shuffled: in no order; otherwise by hour, VM and meter.
    """
    registry, rng = builtin(), np.random.default_rng(1)
    metered = sorted(METERED, key=lambda m: registry[m.key].id)
    vms = max(rows // (HOURS * len(metered)), 1)
    rows = vms * HOURS * len(metered)
    place = rng.permutation(rows) if shuffled else np.arange(rows)
    hour, vm, meter = place // (vms * len(metered)), place // len(metered) % vms, place % len(metered)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "segment_start": START + HOUR_SECONDS * hour,
        "tenant_id": np.zeros(rows, np.uint64),
        "resource_id": (vm + 1).astype(np.uint64),
        "meter_id": np.array([registry[m.key].id for m in metered], np.uint32)[meter],
        "attributes_id": (vm % len(TIERS) + 1).astype(np.uint64),
        "quantity": rng.integers(1, np.array([m.most for m in metered])[meter] + 1)
        * np.array([m.step for m in metered])[meter],
        "covered_seconds": np.full(rows, HOUR_SECONDS, np.int64),
        "samples": np.full(rows, 12, np.uint64),
        "digest": rng.integers(0, 2**63, rows).astype(np.uint64),
    }
    return pa.table(columns, schema=USAGE_SCHEMA)


def price_list(rules: str) -> str:
    """Return the price list of one of RULES, as YAML."""
    charges = "".join(_charge(number, metered, rules) for number, metered in enumerate(METERED))
    head = f"id: {rules}\nname: Bench, {rules}\ncurrency: CU\nwindow: hour\nsettings: {{bounds: exclusive}}\n"
    return f"{head}products:\n  - id: bench\n    name: Bench\n    charges:\n{charges}"


def _charge(number: int, metered: Metered, rules: str) -> str:
    head = f"      - id: c{number}\n        meter: {metered.key}\n        per: {metered.per}\n"
    if rules == "flat":
        prices = [
            f'{{amount: "{amount}"' + (f", when: {{tier: {tier}}}" if tier else "") + "}"
            for tier, amount in metered.amounts.items()
        ]
        return f"{head}        prices: [{', '.join(prices)}]\n"
    bounds = [low for low, _ in metered.tiers[1:]]
    tiers = [f'{{up_to: "{b}", amount: "{a}"}}' for b, (_, a) in zip(bounds, metered.tiers[:-1], strict=True)]
    tiers.append(f'{{amount: "{metered.tiers[-1][1]}"}}')
    return f"{head}        model: {rules}\n        each: resource\n        prices: [{{tiers: [{', '.join(tiers)}]}}]\n"
