"""Reads golden stories (tests/rating/golden/README.md) and rates them: by the reference, and by the engine."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from rating.explain import line_at
from rating.terms import PoolShare, Terms
from schemas.errors import Poison
from schemas.meters import builtin
from schemas.money import micros_of
from schemas.period import FOREVER, Period, iso, parse_instant
from tests.rating import reference

REGISTRY = builtin()
GOLDEN = Path(__file__).parent / "golden"
OLDER = ("amounts.yaml", "stories.yaml")
UNPRICED = "-#unpriced"
HEAD = {"id": "list", "name": "List", "currency": "EUR"}


@dataclass(frozen=True)
class Story:
    """One list, one usage, and what must come out. `refused` is the error code where the usage must be refused."""

    name: str
    documents: tuple[Mapping[str, Any], ...]
    rows: tuple[Mapping[str, Any], ...]
    zone: str
    terms: Mapping[str, Any]
    total: str | None = None
    lines: tuple[Mapping[str, str], ...] | None = None
    refused: str | None = None

    @property
    def numbers(self) -> int:
        """How many expected values the story states."""
        stated = [value for line in self.lines or () for key, value in line.items() if key in ("quantity", "amount")]
        return len(stated) + (self.total is not None)


@dataclass(frozen=True, order=True)
class Shown:
    """One line, as a story shows it."""

    start: str
    resource: str
    price: str
    quantity: Fraction | None = field(compare=False)
    amount: int


def files() -> list[Path]:
    return sorted(path for path in GOLDEN.glob("*.yaml") if path.name not in OLDER)


def stories(path: Path) -> list[Story]:
    """Return the stories of a file, each case of a table as one of its own."""
    loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return [story for node in loaded for story in _stories(node)]


def _stories(node: Mapping[str, Any]) -> Iterator[Story]:
    unknown = set(node) - {"story", "list", "charges", "parents", "zone", "terms", "usage", "lines", "total", "row",
                           "cases", "refused"}  # fmt: skip
    if unknown:
        raise ValueError(f"{node['story']}: unknown keys {sorted(unknown)}")
    for number, case in enumerate(node.get("cases", ()), start=1):
        quantity, expected = case[:2]
        changes = case[2] if len(case) > 2 else {}
        refused = expected == "refused"
        yield Story(
            name=f"{node['story']} ({number}: {quantity} → {expected})",
            documents=_documents(node, changes),
            rows=tuple(_rows_of(node["row"], quantity)),
            zone=node.get("zone", "UTC"),
            terms=node.get("terms", {}),
            total=None if refused else expected,
            refused="beyond_last_tier" if refused else None,
        )
    if "usage" in node:
        yield Story(
            name=node["story"],
            documents=_documents(node, {}),
            rows=tuple(node["usage"]),
            zone=node.get("zone", "UTC"),
            terms=node.get("terms", {}),
            total=node.get("total"),
            lines=tuple(node["lines"]) if "lines" in node else None,
            refused=node.get("refused"),
        )


def _documents(node: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    head = {**HEAD, **node.get("list", {}), **changes.get("list", {})}
    changes = {key: value for key, value in changes.items() if key != "list"}
    charges = [dict(charge) for charge in node.get("charges", ())]
    if charges:
        own = changes.get("settings", {})
        charges[0] |= {**changes, "settings": {**charges[0].get("settings", {}), **own}}
        head["products"] = [*head.get("products", []), {"id": "product", "charges": charges}]
    parents = [{**HEAD, "id": f"parent-{n}", **p} for n, p in enumerate(node.get("parents", ()), start=1)]
    return head, *parents


def _rows_of(row: Mapping[str, Any], quantities: str) -> Iterator[Mapping[str, Any]]:
    """Yield a row for each quantity, one after the other in time."""
    start = parse_instant(row["from"])
    step = int(row.get("step") or (parse_instant(row["to"]) - start if "to" in row else 1))
    shared = {key: value for key, value in row.items() if key != "step"}
    for number, quantity in enumerate(quantities.split(",")):
        times = {key: iso(parse_instant(row[key]) + number * step) for key in ("from", "to") if key in row}
        yield {**shared, **times, "quantity": quantity.strip()}


def reference_lines(story: Story) -> list[Shown]:
    """Rate by the reference; raises `reference.Refused`."""
    lines = reference.rate(story.documents, story.rows, story.zone, story.terms)
    return [Shown(iso(x.segment.start), x.resource, f"{x.price}#{x.component}", x.quantity, x.amount) for x in lines]


def engine_lines(story: Story) -> list[Shown]:
    """Rate by the engine, through the steps of `stratometer rate`; raises Poison."""
    from stratometer.rate_files import rate_text

    texts = [json.dumps(document, ensure_ascii=False) for document in story.documents]
    grace = int(story.terms.get("grace_seconds", "0"))
    period = _period(story.terms["period"]) if "period" in story.terms else None
    rating = rate_text(texts, story.rows, story.zone, _terms(story.terms), REGISTRY, period=period, grace_seconds=grace)
    found = []
    for index in range(rating.lines.num_rows):
        line = line_at(rating.lines, index)
        price = rating.price_list.by_key.get(line.price_id)
        name = f"{price.id.partition('@')[0]}#{price.component}" if price else UNPRICED
        resource = rating.resources.get(line.resource_id, "")
        found.append(Shown(iso(line.segment_start), resource, name, Fraction(line.quantity), line.amount_micros))
    return found


def _terms(node: Mapping[str, Any]) -> Terms:
    pools = {
        (p["charge"], parse_instant(p["window"])): PoolShare(int(p["before"]), int(p["total"]))
        for p in node.get("pools", ())
    }
    return Terms(
        account=node.get("account", ""),
        groups=frozenset(node.get("groups", ())),
        coupons={code: parse_instant(at) for code, at in node.get("coupons", {}).items()},
        active=_period(node.get("active", {})),
        pools=pools,
    )


def _period(node: Mapping[str, str]) -> Period:
    return Period(
        parse_instant(node["from"]) if "from" in node else 0, parse_instant(node["to"]) if "to" in node else FOREVER
    )


def refusal(error: Exception) -> str:
    """Return the code of an error by which usage is refused."""
    return error.reason if isinstance(error, Poison) else str(error)


def differences(story: Story, lines: Sequence[Shown]) -> list[str]:
    """Return how lines differ from what the story says; empty: they agree."""
    problems = []
    total = sum(line.amount for line in lines)
    if story.total is not None and total != micros_of(story.total):
        problems.append(f"total {Fraction(total, 10**6)} instead of {story.total}")
    if story.lines is None:
        return problems if not problems else [*problems, *map(str, lines)]
    left = list(lines)
    for expected in story.lines:
        found = [line for line in left if _is(line, expected)]
        left = [line for line in left if line not in found]
        if sum(line.amount for line in found) != micros_of(expected["amount"]):
            problems.append(f"{dict(expected)}: found {found}")
        quantity = sum((line.quantity or Fraction(0) for line in found), Fraction(0))
        if "quantity" in expected and quantity != Fraction(expected["quantity"]):
            problems.append(f"{dict(expected)}: quantity {quantity}")
    # Lines that cost nothing need no mention, unless nobody priced them.
    return problems + [f"not expected: {line}" for line in left if line.amount or line.price == UNPRICED]


def _is(line: Shown, expected: Mapping[str, str]) -> bool:
    price = expected.get("price", line.price)
    shown = {"from": line.start, "resource": line.resource, "price": line.price}
    stated = {**expected, "price": price if "#" in price else f"{price}#unit"}
    return all(stated.get(key, value) == value for key, value in shown.items())
