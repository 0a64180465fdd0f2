"""What mutation testing found unguarded and no story can tell; the stories are in `golden/survivors.yaml`."""

from typing import Any, get_args

import numpy as np
import pytest

from rating.engine import rate
from rating.exact import Mode, divided, rounded
from rating.windows import segments_of
from schemas.period import Period
from tests.rating.documents import charge, listed
from tests.rating.helpers import HOUR, REGISTRY, T0, usage


def test_a_tier_without_usage_has_no_line() -> None:
    tiers: list[dict[str, Any]] = [{"up_to": "1", "amount": "5"}, {"amount": "4"}]
    volume = charge(meter="vm.vcpu", per="vCPU·h", model="volume", prices=[{"tiers": tiers}])
    assert _lines(volume, 2 * 3600) == [(2 * 3600, 8_000_000)]


def _lines(document: dict[str, Any], quantity: int) -> list[tuple[int, int]]:
    price_list = listed(document, window="hour")
    segments = segments_of(Period(T0, T0 + HOUR), price_list, "UTC")
    lines = rate(usage([(T0, 1, "vm.vcpu", 0, quantity)]), price_list, REGISTRY, {0: {}}, segments).lines
    return list(zip(lines["quantity"].to_pylist(), lines["amount_micros"].to_pylist(), strict=True))


@pytest.mark.parametrize("mode", get_args(Mode))
def test_one_number_rounds_as_a_column_does(mode: Mode) -> None:
    numerators = np.arange(-12, 13)
    column = divided(numerators, np.full(len(numerators), 4), mode)
    assert [rounded(n, 4, mode) for n in numerators.tolist()] == column.tolist()
