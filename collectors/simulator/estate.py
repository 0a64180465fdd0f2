"""What a simulated tenant has besides VMs: networks, firewall rules, a gateway, images, blueprints."""

import numpy as np
import xxhash

from collectors.simulator.plan import EVENT_SECONDS, Plan
from collectors.simulator.script import Event, Level, Script, Series
from collectors.simulator.vm import GIB, NO_ATTRIBUTES, TIERS, uuid_of
from schemas.batch import canonical_attributes
from schemas.resource import Descriptor


def write_estate(script: Script, plan: Plan, tenant: str, vms: int) -> None:
    """Add a tenant's shared things to the script."""
    rng = np.random.default_rng([plan.seed, xxhash.xxh32_intdigest(f"{plan.site}\0{tenant}\0estate".encode())])
    start, end = plan.period.start, plan.period.end

    def seen(kind: str, number: int, at: int, name: str) -> str:
        resource = f"{kind}/{uuid_of(plan.seed, plan.site, tenant, kind, number)}"
        script.sightings.append(Descriptor(plan.site, resource, name, tenant, at))
        return resource

    for number in range(1 + vms // 25):
        at = start if number == 0 else start + int(rng.integers(EVENT_SECONDS))
        if at < end:
            resource = seen("network", number, at, f"{tenant}-net-{number}")
            script.levels.append(Level(Series(resource, "network.segment", tenant, NO_ATTRIBUTES), at, end, 1))
    edges = sorted(start + int(at) for at in rng.integers(EVENT_SECONDS, size=6))
    counts = [5 + vms // 10 + int(extra) for extra in rng.integers(40, size=7)]
    firewall = Series(seen("firewall", 0, start, f"{tenant}-fw"), "firewall.rule", tenant, NO_ATTRIBUTES)
    for first, last, rules in zip([start, *edges], [*edges, end], counts, strict=True):
        if first < min(last, end):
            script.levels.append(Level(firewall, first, min(last, end), rules))
    size = canonical_attributes({"size": "large" if vms > 100 else "compact"})
    script.levels.append(
        Level(Series(seen("edge", 0, start, f"{tenant}-edge"), "edge.gateway", tenant, size), start, end, 1)
    )
    for number in range(2):
        tier = canonical_attributes({"tier": TIERS[int(rng.integers(len(TIERS)))]})
        series = Series(seen("image", number, start, f"{tenant}-image-{number}"), "image.storage", tenant, tier)
        script.levels.append(Level(series, start, end, int(rng.integers(2, 60)) * GIB))
    for number in range(1 + vms // 40):
        at = start + int(rng.integers(EVENT_SECONDS))
        if at < end:
            resource = seen("blueprint", number, at, f"{tenant}-stack-{number}")
            kind = canonical_attributes({"blueprint": ("three-tier", "kubernetes")[number % 2]})
            event = uuid_of("blueprint", resource)
            script.events.append(Event(Series(resource, "blueprint.deployment", tenant, kind), at, event))
