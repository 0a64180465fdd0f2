"""Which rows of a batch can be metered: every rule a mask over whole columns, the first that fails names the reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from schemas.batch import ATTRIBUTES_MAX, FUTURE_SECONDS_MAX, NAME_LENGTH_MAX, OLDEST_CELL, canonical_attributes
from schemas.identity import REVISION_MAX
from schemas.meters import QUANTITY_MAX, Registry
from schemas.period import iso

EXAMPLES_MAX: Final = 3

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """A batch (or several joined) as NumPy columns of equal length; text columns as indices into `*_names`."""

    resource: Ints
    resource_names: Sequence[str]
    meter: Ints
    meter_names: Sequence[str]
    tenant: Ints
    tenant_names: Sequence[str]
    attributes: Ints
    attribute_names: Sequence[str]
    cell_start: Ints
    cell_seconds: Ints
    quantity: Ints
    covered: Ints
    revision: Ints
    has_event: Mask
    half_event: Mask

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.cell_start)


def columns_of(table: pa.Table) -> Columns:
    """Return the columns of a table in the batch schema; dictionaries are unified and plain."""
    table = table.unify_dictionaries().combine_chunks()

    def text(name: str) -> tuple[Ints, Sequence[str]]:
        column = table.column(name)
        if column.num_chunks == 0:
            return np.empty(0, np.int64), []
        chunk = column.chunk(0)
        return chunk.indices.to_numpy(zero_copy_only=False).astype(np.int64), chunk.dictionary.to_pylist()

    def whole(name: str) -> Ints:
        return table.column(name).to_numpy().astype(np.int64, copy=False)

    source = table.column("event_source").is_valid().to_numpy(zero_copy_only=False)
    event = table.column("event_id").is_valid().to_numpy(zero_copy_only=False)
    return Columns(
        *text("resource"),
        *text("meter"),
        *text("tenant"),
        *text("attributes"),
        cell_start=whole("cell_start"),
        cell_seconds=whole("cell_seconds"),
        quantity=whole("quantity"),
        covered=whole("covered_seconds"),
        revision=whole("revision"),
        has_event=source & event,
        half_event=source ^ event,
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to refuse a row."""

    reason: str
    broken: Mask
    describe: Callable[[int], str]


def check(columns: Columns, registry: Registry, now_seconds: int) -> tuple[npt.NDArray[np.int16], list[Rule]]:
    """Return for each row the number of the first rule it breaks (-1: none), and the rules."""
    verdict = np.full(columns.rows, -1, dtype=np.int16)
    rules = [*_name_rules(columns, registry), *_value_rules(columns, registry, now_seconds)]
    for number in range(len(rules) - 1, -1, -1):
        verdict[rules[number].broken] = number
    return verdict, rules


def _name_rules(c: Columns, registry: Registry) -> list[Rule]:
    known = np.array([name in registry for name in c.meter_names] or [False])
    good_resource = np.array([_resource_ok(name) for name in c.resource_names] or [False])
    good_tenant = np.array([name is not None and len(name) <= NAME_LENGTH_MAX for name in c.tenant_names] or [False])
    good_set = np.array([_attributes_ok(text) for text in c.attribute_names] or [False])
    return [
        Rule(
            "unknown_meter",
            ~known[c.meter],
            lambda i: (
                f"meter {c.meter_names[c.meter[i]]!r} is not in the registry: correct it, or declare it in [meters]"
            ),
        ),
        Rule(
            "bad_resource",
            ~good_resource[c.resource],
            lambda i: (
                f"resource {c.resource_names[c.resource[i]]!r} must read kind/native-uuid, at most "
                f"{NAME_LENGTH_MAX} characters"
            ),
        ),
        Rule("bad_tenant", ~good_tenant[c.tenant], lambda _: f"tenant is longer than {NAME_LENGTH_MAX} characters"),
        Rule(
            "bad_attributes",
            ~good_set[c.attributes],
            lambda i: (
                f"attributes {c.attribute_names[c.attributes[i]]!r} must be a JSON object of at most "
                f"{ATTRIBUTES_MAX} text values with sorted keys and no spaces"
            ),
        ),
    ]


def _value_rules(c: Columns, registry: Registry, now_seconds: int) -> list[Rule]:
    grid = (registry.cell_seconds_of(c.meter_names) if c.rows else np.zeros(1, np.int64))[c.meter]
    event_meter = np.array([n in registry and registry[n].kind == "event" for n in c.meter_names] or [False])[c.meter]
    latest = now_seconds + FUTURE_SECONDS_MAX
    step = np.maximum(c.cell_seconds, 1)
    return [
        Rule(
            "wrong_cell",
            c.cell_seconds != grid,
            lambda i: f"cell of {c.cell_seconds[i]} s; this meter's grid is {grid[i]} s",
        ),
        Rule(
            "misaligned",
            c.cell_start % step != 0,
            lambda i: f"cell start {c.cell_start[i]} is not a multiple of {c.cell_seconds[i]} s",
        ),
        Rule(
            "too_old",
            c.cell_start < OLDEST_CELL,
            lambda i: f"cell start {c.cell_start[i]} is before {iso(OLDEST_CELL)}",
        ),
        Rule(
            "in_the_future",
            c.cell_start > latest,
            lambda i: (
                f"cell start {c.cell_start[i]} s is more than {FUTURE_SECONDS_MAX} s ahead of our clock "
                f"({iso(now_seconds)}): check the collector's clock and unit (seconds)"
            ),
        ),
        Rule("negative", c.quantity < 0, lambda i: f"quantity {c.quantity[i]} is negative"),
        Rule(
            "too_much",
            c.quantity > QUANTITY_MAX,
            lambda i: f"quantity {c.quantity[i]} is above {QUANTITY_MAX}: check the unit",
        ),
        Rule(
            "bad_coverage",
            (c.covered < 0) | (c.covered > c.cell_seconds) | ((c.covered == 0) & (c.quantity > 0)),
            lambda i: (
                f"covered {c.covered[i]} s must lie between 0 and the cell's {c.cell_seconds[i]} s, "
                "and nothing can be used in 0 s"
            ),
        ),
        Rule(
            "bad_revision",
            (c.revision < 0) | (c.revision > REVISION_MAX),
            lambda i: f"revision {c.revision[i]} must lie between 0 and {REVISION_MAX}",
        ),
        Rule(
            "event_identity",
            c.half_event | (c.has_event != event_meter),
            lambda i: "an event meter's sample needs both event_source and event_id; other samples have neither",
        ),
    ]


@lru_cache(maxsize=100_000)
def _resource_ok(name: str | None) -> bool:
    if name is None or len(name) > NAME_LENGTH_MAX:
        return False
    kind, slash, native = name.partition("/")
    return bool(slash and native and kind and kind.replace("_", "").replace("-", "").isalnum() and kind.isascii())


@lru_cache(maxsize=100_000)
def _attributes_ok(text: str | None) -> bool:
    try:
        values = orjson.loads(text) if text is not None else None
    except orjson.JSONDecodeError:
        return False
    return (
        isinstance(values, dict)
        and len(values) <= ATTRIBUTES_MAX
        and all(isinstance(v, str) and len(v) <= NAME_LENGTH_MAX for v in values.values())
        and canonical_attributes(values) == text
    )


def describe(rules: Sequence[Rule], verdict: npt.NDArray[np.int16], first_row: int) -> tuple[str, str]:
    """Return reason and detail for the refused rows of one message.

    Args:
        rules: as `check` returned them.
        verdict: of all rows of the message; -1 is a good row.
        first_row: position of the message's first row in the checked columns.
    """
    numbers, how_many = np.unique(verdict[verdict >= 0], return_counts=True)
    counts = dict(zip(numbers.tolist(), how_many.tolist(), strict=True))
    parts = []
    for number, count in counts.items():
        examples = np.flatnonzero(verdict == number)[:EXAMPLES_MAX]
        shown = "; ".join(f"row {row}: {rules[number].describe(first_row + int(row))}" for row in examples)
        parts.append(f"{rules[number].reason} × {count} ({shown})")
    main = max(counts, key=lambda number: counts[number])
    return rules[main].reason, ", ".join(parts)
