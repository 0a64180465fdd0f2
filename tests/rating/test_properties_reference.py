"""Random price lists and usage: the engine's lines are those of the independent reference."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from hypothesis import given, settings

from tests.rating.golden_runner import HEAD, Shown, Story, engine_lines, reference_lines
from tests.rating.random_lists import AGGREGATES, EVENT, Case, cases

EXAMPLES = 40
TIMED = ("#fee", "#commitment")
"""Lines whose quantity is a time, which the reference does not tell."""
STEPS = 6
"""Base units: the reference does not round a quantity that is no whole number."""


def _story(case: Case) -> Story:
    return Story("random", ({**HEAD, **case.document},), tuple(case.rows), case.zone, {})


def _by_line(lines: Iterable[Shown], story: Story) -> dict[tuple[str, str, str], tuple[Fraction, int]]:
    """Sums by what a line is for; what is neither usage nor money needs no line."""
    charges = story.documents[0]["products"][0]["charges"]
    shared = {charge["id"] for charge in charges if charge["each"] != "resource"}
    uncounted = {charge["id"] for charge in charges if _uncounted(charge)}
    sums: dict[tuple[str, str, str], tuple[Fraction, int]] = defaultdict(lambda: (Fraction(0), 0))
    for line in lines:
        # The engine names the resource of each part that has one, the reference that of a window.
        charge = line.price.partition("#")[0].partition("-")[0]
        resource = "" if charge in shared else line.resource
        start = "" if line.price.endswith("#off") else line.start
        quantity, amount = sums[start, resource, line.price]
        silent = line.quantity is None or line.price.endswith(TIMED) or charge in uncounted
        own = Fraction(0) if silent else Fraction(line.quantity or 0)
        sums[start, resource, line.price] = (quantity + own, amount + line.amount)
    return {key: value for key, value in sums.items() if any(value)}


def _uncounted(charge: Mapping[str, Any]) -> bool:
    """The reference tells the quantity before it was rounded, an event's level in units, and all with the last part."""
    levels = charge["meter"] == EVENT and charge.get("aggregate", "sum") not in ("sum", "count", "unique")
    return levels or "convert" in charge or charge["settings"]["parts"] == "last"


def differences(case: Case) -> list[str]:
    """How engine and reference differ: in an amount, or in more than the rounding of a quantity."""
    story = _story(case)
    engine, reference = (_by_line(lines, story) for lines in (engine_lines(story), reference_lines(story)))
    found = []
    for key in sorted({*engine, *reference}):
        ours, theirs = (side.get(key, (Fraction(0), 0)) for side in (engine, reference))
        if ours[1] != theirs[1] or abs(ours[0] - theirs[0]) > STEPS:
            found.append(f"{key}: engine {ours[0]}, {ours[1]}; reference {theirs[0]}, {theirs[1]}")
    return found


def _agree(case: Case) -> None:
    assert differences(case) == []


@given(cases(("per_unit", "one_off", "package")))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_unit_prices_agree(case: Case) -> None:
    _agree(case)


@given(cases(("graduated", "volume", "stairstep")))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_tiers_agree(case: Case) -> None:
    _agree(case)


@given(cases(("percentage",)))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_percentages_agree(case: Case) -> None:
    _agree(case)


@given(cases(("recurring",)))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_fees_agree(case: Case) -> None:
    _agree(case)


@given(cases(("committed",)))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_commitments_agree(case: Case) -> None:
    _agree(case)


@given(cases(("per_unit", "graduated", "volume", "package", "stairstep"), AGGREGATES))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
def test_aggregates_agree(case: Case) -> None:
    _agree(case)
