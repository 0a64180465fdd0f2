"""Reconciliation: the counters of every stage side by side, and the equations that must hold between them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from sinks.warehouse.protocol import Counters


@dataclass(frozen=True, slots=True)
class Check:
    """One equation.

    Attributes:
        name: what must be equal, in words.
        left, right: the two sides.
    """

    name: str
    left: int
    right: int

    @property
    def holds(self) -> bool:
        """Tell whether both sides agree."""
        return self.left == self.right


def checks(
    appended: int | None, warehouse: Counters, dead: Mapping[str, int], rated_micros: int, debited_micros: int
) -> list[Check]:
    """Return every equation between the stages.

    Args:
        appended: samples that this deployment's spools took in, replays of dead letters not counted; None when the
            spools are on other machines.
        warehouse: counters of the warehouse.
        dead: rows in the dead letters by state (waiting, replayed, dropped).
        rated_micros: Σ amounts of settled ratings.
        debited_micros: Σ units taken from wallets by debits and adjustments.
    """
    letters = sum(dead.values())
    found = [
        Check("metered = stored + dead", warehouse.accepted + warehouse.replayed, warehouse.stored + warehouse.dead),
        Check("dead rows = dead letters", warehouse.dead, letters),
        Check("Σ debits = Σ settled rated lines", debited_micros, rated_micros),
    ]
    if appended is not None:
        found.insert(0, Check("collected = metered", appended, warehouse.accepted))
    return found


def duplicates(warehouse: Counters) -> int:
    """Return how many stored rows were further copies or versions of a sample; they are counted once."""
    return warehouse.stored - warehouse.unique
