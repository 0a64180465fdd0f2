"""Free quantities that several groups, or several accounts, share."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Any

from schemas.period import Period, parse_instant
from tests.rating.reference.document import number
from tests.rating.reference.group import Group, rounding_of_group
from tests.rating.reference.models import ZERO
from tests.rating.reference.numbers import to_digits


def grant(groups: Sequence[Group], terms: Mapping[str, Any]) -> None:
    """Divide the pooled free quantity of one window among its groups, in order of time, then of resource."""
    used: dict[int, Fraction] = defaultdict(Fraction)
    ordered = sorted(groups, key=lambda g: g.resource)
    segments = sorted({part.segment for g in ordered for part in g.parts})
    for segment in segments:
        places = {
            i: [part.segment for part in g.parts].index(segment) for i, g in enumerate(ordered) if _has(g, segment)
        }
        sharing = [ordered[i] for i in places]
        running = sharing[0].running
        left = _allowance(sharing, places, ordered, terms) - (sum(used.values(), ZERO) if running else ZERO)
        for index, k in places.items():
            group = ordered[index]
            if group.charge.settings["parts"] == "last" and k < len(group.parts) - 1:
                continue
            own = _quantity(group, group.upto(k), k) - _quantity(group, group.before(k), k)
            taken = max(ZERO, min(own, left))
            left -= taken
            used[index] = used[index] + taken if running else taken
            group.pool_free[k] = used[index]


def _has(group: Group, segment: Period) -> bool:
    return any(part.segment == segment for part in group.parts)


def _quantity(group: Group, parts: Sequence[Any], k: int) -> Fraction:
    x = group.converted(parts, k)
    how = rounding_of_group(group)
    first = group.charge.order.index("convert") < group.charge.order.index("free")
    return to_digits(x, how["mode"], int(how["digits"])) if how and first else x


def _allowance(
    sharing: Sequence[Group], places: Mapping[int, int], groups: Sequence[Group], terms: Mapping[str, Any]
) -> Fraction:
    head, k = sharing[0], next(iter(places.values()))
    free = head.parts[k].node.get("free", {})
    allowance = number(free, "quantity")
    if free.get("pool") != "accounts":
        return allowance if free.get("pool") in ("account", "charge") else ZERO
    share = next(
        p for p in terms["pools"] if p["charge"] == head.charge.id and parse_instant(p["window"]) == head.window.start
    )
    own = sum(p.quantity for g in groups for part in g.parts for p in part.pieces)
    base, before, total = allowance * head.size(k), int(share["before"]), int(share["total"])
    return (floor(base * (before + own) / total) - floor(base * before / total)) / head.size(k)
