"""What a simulated fleet shall be: everything about it follows from these few values."""

from dataclasses import dataclass
from typing import Final

from collectors.interface import Gap
from schemas.errors import Misconfigured
from schemas.period import Period

GRID_SECONDS: Final = 900
"""The coarsest grid of the built-in meters: periods and polls of history end on it, so that no cell is cut by them."""
EVENT_SECONDS: Final = 28 * 86400
"""Random changes happen within so many seconds of the start, whatever the period's length: a longer period of the
same seed begins with exactly the same fleet, which is how the live stream goes on from the simulated month."""


@dataclass(frozen=True, slots=True)
class TenantPlan:
    """One customer: its name on the platform, and its number of VMs."""

    name: str
    vms: int


DEMO_TENANTS: Final = (TenantPlan("acme", 20), TenantPlan("birch", 80), TenantPlan("cobalt", 140))


@dataclass(frozen=True, slots=True)
class Plan:
    """A fleet.

    Attributes:
        period: seconds since 1970; both ends on the quarter hour.
        tenants: customers.
        seed: another seed, another fleet.
        site: the metered installation that it pretends to be.
        gaps: stretches in which the collector sees nothing, in order, not overlapping.
    """

    period: Period
    tenants: tuple[TenantPlan, ...] = DEMO_TENANTS
    seed: int = 1
    site: str = "sim-1"
    gaps: tuple[Gap, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated; lists every problem."""
        problems = []
        if self.period.start % GRID_SECONDS or self.period.end % GRID_SECONDS:
            problems.append(f"the period must begin and end on a multiple of {GRID_SECONDS} s")
        if len({t.name for t in self.tenants}) != len(self.tenants):
            problems.append("two tenants have the same name")
        problems += [f"tenant {t.name!r} has {t.vms} VMs" for t in self.tenants if t.vms < 0]
        if self.seed < 0:
            problems.append(f"seed is {self.seed}; it must be at least 0")
        ends = [self.period.start, *(gap.end for gap in self.gaps)]
        if any(gap.start < before or gap.end <= gap.start for gap, before in zip(self.gaps, ends, strict=False)):
            problems.append("gaps must be in order, apart and not empty")
        if problems:
            raise Misconfigured(problems)
