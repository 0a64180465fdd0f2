"""Explain: a sentence a person reads, and proof of the line; guards invariant 8."""

from dataclasses import replace
from fractions import Fraction

import pytest

from rating.engine import rate
from rating.explain import Line, LineNames, explain, line_at, quantity_text
from rating.price_list import PriceList
from rating.verify import verify
from rating.windows import segments_of
from schemas.errors import Invariant
from schemas.period import Period
from tests.rating.helpers import DAY, REGISTRY, T0, list_of, price, usage

GIB_H = 3_686_400
NAMES = LineNames("disk/db-1", "disk.capacity", {"tier": "gold"}, ("GiB·h", GIB_H))


def line_of(listed: PriceList, quantity: int, meter: str = "disk.capacity") -> Line:
    found = segments_of(Period(T0, T0 + DAY), listed, "UTC")
    rated = rate(usage([(T0, 1, meter, 1, quantity)]), listed, REGISTRY, {1: {"tier": "gold"}}, found)
    return line_at(rated.lines, 0)


def disk(amount: str = "0.004", **more: object) -> dict[str, object]:
    return price("disk-gold-2026", "disk.capacity", amount, when={"tier": "gold"}, **more)


def test_the_sentence() -> None:
    listed = list_of(disk(), id="standard").with_version(3)
    found = explain(line_of(listed, 17 * GIB_H + GIB_H // 2), listed, NAMES)
    assert found.sentence == (
        "17.5 GiB·h × 0.004 CU/GiB·h = 0.07 CU, price disk-gold-2026 from 2026-01-01, list standard v3"
    )
    assert [s.name for s in found.steps] == ["usage", "quantity", "price", "product", "amount"]
    assert found.steps[0].text == (
        "disk/db-1 used disk.capacity {tier: gold} from 2026-01-01T00:00:00Z to 2026-01-02T00:00:00Z, metered for 300 s"
    )
    assert found.steps[1].text == "64512000 MiB·s ÷ 3686400 = 17.5 GiB·h"


def test_a_product_that_does_not_end_shows_the_fraction_and_the_rounding() -> None:
    listed = list_of(price("vm", amount="0.01", to="2026-07-01T00:15:00Z"), rounding={"mode": "up", "digits": 4})
    line = line_of(listed, 1000, "vm.running")
    found = explain(line, listed, LineNames("vm/a", "vm.running", {}, ("VM·h", 3600)))
    assert found.sentence == (
        "5/18 VM·h (1000 s) × 0.01 CU/VM·h = 1/360 (0.002777777777…) CU, rounded up to 4 digits = 0.0028 CU, "
        "price vm from 2026-01-01 to 2026-07-01T00:15:00Z, list l v1"
    )
    assert found.steps[-1].text == "rounded up to 4 digits: 0.0028 CU"
    credit = explain(replace(line, quantity=-1000, amount_micros=-2800), listed, NAMES)
    assert "-5/18 VM·h (-1000 s) × 0.01 CU/VM·h = -1/360 (-0.002777777777…) CU" in credit.sentence


def test_a_rounded_product_that_ends_shows_all_digits() -> None:
    listed = list_of(disk("0.0055"), rounding={"mode": "half_even", "digits": 2})
    found = explain(line_of(listed, GIB_H), listed, NAMES)
    assert "1 GiB·h × 0.0055 CU/GiB·h = 0.0055 CU, rounded half_even to 2 digits = 0.01 CU" in found.sentence


def test_whole_amounts_are_short() -> None:
    listed = list_of(disk("5"))
    assert " = 5 CU, price" in explain(line_of(listed, GIB_H), listed, NAMES).sentence


def test_an_unpriced_line_says_so() -> None:
    listed = list_of(price("vm"))
    line = line_of(listed, GIB_H // 3)
    found = explain(line, listed, NAMES)
    assert found.sentence == (
        "1/3 GiB·h of disk.capacity {tier: gold} are unpriced: list l v1 has no price for them at that time"
    )
    assert [s.name for s in found.steps] == ["usage", "quantity", "unpriced"]
    assert verify(line, listed, {"tier": "gold"}, REGISTRY).proved


def test_a_price_of_another_version_is_refused() -> None:
    listed = list_of(disk())
    with pytest.raises(Invariant, match="is not in list l v2"):
        explain(line_of(listed, 5), listed.with_version(2), NAMES)


def test_verify_finds_every_difference() -> None:
    listed = list_of(disk(), rounding={"mode": "half_up", "digits": 3})
    line, gold = line_of(listed, 3 * GIB_H), {"tier": "gold"}
    verdict = verify(line, listed, gold, REGISTRY)
    assert verdict.proved
    assert (verdict.amount_micros, verdict.digest, verdict.price_id) == (12_000, line.digest, line.price_id)
    assert verify(replace(line, amount_micros=12_001), listed, gold, REGISTRY).differences == (
        "amount is 12001, recomputed 12000",
    )
    assert len(verify(replace(line, quantity=GIB_H), listed, gold, REGISTRY).differences) == 2
    assert len(verify(line, listed, {}, REGISTRY).differences) == 3
    assert len(verify(line, listed.with_version(2), gold, REGISTRY).differences) == 2


@pytest.mark.parametrize(
    ("quantity", "size", "text"),
    [(0, 3600, "0 u"), (7, 2, "3.5 u"), (-7, 2, "-3.5 u"), (1, 80, "0.0125 u"), (1, 3600, "1/3600 u"), (10, 1, "10 u")],
)
def test_quantities_are_exact(quantity: int, size: int, text: str) -> None:
    assert quantity_text(quantity, "u", size) == text
    assert Fraction(text.split()[0]) == Fraction(quantity, size)
