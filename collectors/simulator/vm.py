"""One simulated VM: its sizes, disks, addresses, traffic and everything that hangs on it, written into the script."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import xxhash

from collectors.simulator.life import DAY, Life, Span, during, life_of
from collectors.simulator.plan import EVENT_SECONDS, Plan
from collectors.simulator.script import Event, Flow, Level, Reset, Script, Series
from schemas.batch import canonical_attributes
from schemas.resource import Descriptor

GIB: Final = 1024
MHZ_PER_VCPU: Final = 2600
TIERS: Final = ("gold", "silver", "bronze")
SIZES: Final = ((1, 2), (2, 4), (2, 8), (4, 16), (8, 32), (16, 64))
IMAGES: Final = (("ubuntu-24.04", ""), ("windows-server-2025", "windows-server"), ("rhel-9", "rhel"), ("debian-13", ""))
NO_ATTRIBUTES: Final = canonical_attributes({})


def uuid_of(*parts: object) -> str:
    """Return an id in the form of a UUID that follows from the parts."""
    digits = xxhash.xxh3_128_hexdigest("\0".join(map(str, parts)).encode())
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@dataclass(frozen=True, slots=True)
class _Vm:
    tenant: str
    number: int
    uuid: str
    life: Life

    def series(self, meter: str, resource: str = "", attributes: str = NO_ATTRIBUTES) -> Series:
        return Series(resource or f"vm/{self.uuid}", meter, self.tenant, attributes)


def write_vm(script: Script, plan: Plan, tenant: str, number: int) -> None:
    """Add a VM to the script; it depends on seed, site, tenant and number alone, never on its neighbours."""
    uuid = uuid_of(plan.seed, plan.site, tenant, number)
    rng = np.random.default_rng([plan.seed, xxhash.xxh32_intdigest(uuid.encode())])
    vm = _Vm(tenant, number, uuid, life_of(plan.period, rng))
    # Every part draws from a generator of its own, so that a change of one part leaves the others as they are.
    parts = rng.spawn(6)
    if vm.life.exists[0] >= vm.life.exists[1]:
        return
    image, licence = IMAGES[int(parts[0].integers(len(IMAGES)))]
    _sizes(script, vm, parts[1])
    _traffic(script, vm, parts[2])
    _disks(script, vm, parts[3])
    _extras(script, vm, licence, parts[4])
    _sightings(script, plan, vm, image, parts[5])
    if vm.life.is_new:
        attributes = canonical_attributes({"image": image})
        series = vm.series("image.deployment", attributes=attributes)
        script.events.append(Event(series, vm.life.exists[0], uuid_of("deployment", vm.uuid)))


def _sizes(script: Script, vm: _Vm, rng: np.random.Generator) -> None:
    changes = sorted(vm.life.exists[0] + int(at) for at in rng.integers(EVENT_SECONDS, size=2))
    changes = changes[: int(rng.choice(3, p=(0.7, 0.2, 0.1)))]
    sizes = [SIZES[int(k)] for k in rng.integers(len(SIZES), size=3)]
    edges = [vm.life.exists[0], *changes, vm.life.exists[1]]
    for (vcpus, memory), start, end in zip(sizes, edges, edges[1:], strict=False):
        values = {"vm.running": 1, "vm.vcpu": vcpus, "vm.cpu": vcpus * MHZ_PER_VCPU, "vm.memory": memory * GIB}
        for first, last in during(vm.life.runs, (start, end)):
            for meter, value in values.items():
                script.levels.append(Level(vm.series(meter), first, last, value))


def _traffic(script: Script, vm: _Vm, rng: np.random.Generator) -> None:
    phase = int(rng.integers(24))
    rates = {"vm.cpu.used": int(rng.integers(100, 9000))}
    if rng.random() < 0.5:
        rates["vm.memory.used"] = int(rng.integers(200, 30_000))
    if rng.random() < 0.55:
        rates["net.in.bytes"] = int(rng.integers(500, 400_000))
        rates["net.out.bytes"] = int(rng.integers(500, 900_000))
    for meter, rate in rates.items():
        script.flows += [Flow(vm.series(meter), start, end, rate, phase) for start, end in vm.life.runs]
    reset = vm.life.exists[0] + int(rng.integers(EVENT_SECONDS))
    if "net.in.bytes" in rates and rng.random() < 0.3 and during(vm.life.runs, (reset, reset + 1)):
        script.resets += [Reset(vm.series(meter), reset) for meter in ("net.in.bytes", "net.out.bytes")]


def _disks(script: Script, vm: _Vm, rng: np.random.Generator) -> None:
    for position in range(1 + int(rng.random() < 0.35)):
        resource = f"disk/{vm.uuid}-{2000 + position}"
        tier = canonical_attributes({"tier": TIERS[int(rng.integers(len(TIERS)))]})
        size, growth = int(rng.choice((20, 50, 100, 250))) * GIB, int(rng.integers(1, 8)) * 10 * GIB
        grows = vm.life.exists[0] + int(rng.integers(EVENT_SECONDS))
        if rng.random() >= 0.25:
            growth = 0
        _held(script, vm.series("disk.capacity", resource, tier), vm.life.exists, grows, size, size + growth)
        busy = rng.random() < 0.16
        rates = [int(rate) for rate in rng.integers(10, 2_000_000, size=2)]
        if busy:
            meters = ("disk.read.bytes", "disk.write.bytes", "disk.read.operations", "disk.write.operations")
            for meter, rate in zip(meters, (*rates, rates[0] // 8192 + 1, rates[1] // 8192 + 1), strict=True):
                series = vm.series(meter, resource, tier)
                script.flows += [Flow(series, start, end, rate, position) for start, end in vm.life.runs]


def _held(script: Script, series: Series, span: Span, change: int, before: int, after: int) -> None:
    change = min(change, span[1])
    if span[0] < change:
        script.levels.append(Level(series, span[0], change, before))
    if change < span[1]:
        script.levels.append(Level(series, change, span[1], after))


def _extras(script: Script, vm: _Vm, licence: str, rng: np.random.Generator) -> None:
    exists = vm.life.exists
    if licence:
        series = vm.series("image.licence", attributes=canonical_attributes({"licence": licence}))
        script.levels.append(Level(series, *exists, 1))
    if rng.random() < 0.4:
        script.levels.append(Level(vm.series("ip.address", f"ip/{vm.uuid}"), *exists, 1))
    taken, kept = exists[0] + int(rng.integers(EVENT_SECONDS)), int(rng.integers(DAY // 2, 5 * DAY))
    if rng.random() < 0.25 and taken < exists[1]:
        series = vm.series("snapshot.size", f"snapshot/{vm.uuid}", canonical_attributes({"tier": "silver"}))
        script.levels.append(Level(series, taken, min(taken + kept, exists[1]), int(rng.integers(500, 40 * GIB))))
    full, daily = int(rng.integers(5, 80)) * GIB, int(rng.integers(50, 900))
    if rng.random() < 0.4:
        series = vm.series("backup.capacity", f"backup/{vm.uuid}", canonical_attributes({"tier": "bronze"}))
        edges = [exists[0], *range((exists[0] // DAY + 1) * DAY + 7800, exists[1], DAY), exists[1]]
        for day, (start, end) in enumerate(pairwise(edges)):
            script.levels.append(Level(series, start, end, full + day * daily))


def _sightings(script: Script, plan: Plan, vm: _Vm, image: str, rng: np.random.Generator) -> None:
    """Names and hosts change (rename, vMotion); the resource key and with it every sample's identity do not."""
    name, host = f"{vm.tenant}-{vm.number:04d}", int(rng.integers(12))
    seen = [(vm.life.exists[0], name, host)]
    moves = sorted(vm.life.exists[0] + int(at) for at in rng.integers(EVENT_SECONDS, size=int(rng.integers(4))))
    renamed = rng.random() < 0.1
    for at in moves:
        host = (host + 1 + int(rng.integers(11))) % 12
        name = f"{name}-b" if renamed else name
        renamed = False
        seen.append((at, name, host))
    for at, label, on in seen:
        if at < vm.life.exists[1]:
            facts = {"host": f"esx-{on:02d}", "image": image}
            script.sightings.append(Descriptor(plan.site, f"vm/{vm.uuid}", label, vm.tenant, at, facts))
