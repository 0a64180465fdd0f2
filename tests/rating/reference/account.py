"""Terms over all charges of an account: commitments to spend, then the maximum, then the minimum."""

from collections.abc import Sequence
from fractions import Fraction

from schemas import calendar
from schemas.period import Period
from tests.rating.reference.document import Listing, Node, number, optional, period_of
from tests.rating.reference.group import Line, clipped, micros
from tests.rating.reference.models import ZERO


def account_lines(
    lists: Sequence[Listing], lines: Sequence[Line], period: Period, zone: str, active: Period
) -> list[Line]:
    """Return the lines of the account's terms for every window of theirs that overlaps the period."""
    head = next((x for x in lists if x.raw.get("account")), None)
    if head is None:
        return []
    node = head.raw["account"]
    found: list[Line] = []
    for commitment in node.get("commitments", []):
        found += _each_window(head, commitment, "commitment", [*lines], period, zone, active)
    for kind in ("maximum", "minimum"):
        if kind in node:
            found += _each_window(head, node[kind], kind, [*lines, *found], period, zone, active)
    return found


def _each_window(
    head: Listing, node: Node, kind: str, lines: Sequence[Line], period: Period, zone: str, active: Period
) -> list[Line]:
    found = []
    for window in calendar.windows(period, node.get("every", "month"), zone):
        held = clipped(clipped(window, period_of(node)), active)
        share = Fraction(held.seconds, window.seconds)
        if not share:
            continue
        wanted = [x for x in lines if x.window.start in window and _counts(node, x)]
        spent = Fraction(sum(x.amount for x in wanted), 10**6)
        due = number(node, "amount") * share
        for component, amount in _amounts(node, kind, due, spent).items():
            rounded = micros(amount, head.rounding)
            if rounded:
                name = f"{component}:{node['id']}" if kind == "commitment" else component
                found.append(Line(window, window, "", "account", "account", name, "", None, rounded))
    return found


def _counts(node: Node, line: Line) -> bool:
    products, charges = node.get("products", ()), node.get("charges", ())
    return not (products or charges) or line.product in products or line.charge in charges


def _amounts(node: Node, kind: str, due: Fraction, spent: Fraction) -> dict[str, Fraction]:
    if kind == "minimum":
        return {kind: max(ZERO, due - spent)}
    if kind == "maximum":
        return {kind: min(ZERO, due - spent)}
    factor = optional(node, "overage_factor")
    over = max(ZERO, spent - due) * (factor - 1) if factor is not None else ZERO
    true_up = max(ZERO, due - spent) if node.get("true_up", "true") == "true" else ZERO
    return {"true_up": true_up, "spend_overage": over}
