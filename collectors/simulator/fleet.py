"""From a plan to the whole fleet's script."""

from dataclasses import dataclass

from collectors.simulator.estate import write_estate
from collectors.simulator.known import known_script
from collectors.simulator.plan import Plan
from collectors.simulator.script import Script
from collectors.simulator.vm import write_vm
from schemas.meters import Registry, builtin


@dataclass(frozen=True, slots=True)
class Fleet:
    """A plan carried out.

    Attributes:
        plan: what was asked for.
        script: what a collector of this plan knows (gaps taken into account).
        registry: the meters, with their grids and carry rules.
    """

    plan: Plan
    script: Script
    registry: Registry


def build(plan: Plan, registry: Registry | None = None) -> Fleet:
    """Return the fleet of a plan: the same plan gives the same fleet, anywhere and for ever."""
    registry = registry or builtin()
    script = Script()
    for tenant in plan.tenants:
        write_estate(script, plan, tenant.name, tenant.vms)
        for number in range(tenant.vms):
            write_vm(script, plan, tenant.name, number)
    script.sightings.sort(key=lambda descriptor: descriptor.seen_at)
    return Fleet(plan, known_script(script, registry, plan.gaps), registry)
