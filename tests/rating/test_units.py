"""Units that prices can be for, worked out by hand from their definitions."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.charge import Aggregate
from rating.units import EACH, LEVEL_AGGREGATES, MeterUnits, units_of
from schemas.meters import Meter
from tests.rating.helpers import REGISTRY

TB_PER_MIB = Fraction(10**12, 2**20)


@pytest.mark.parametrize(
    ("meter", "aggregate", "unit", "size"),
    [
        ("disk.capacity", "sum", "MiB·s", Fraction(1)),
        ("disk.capacity", "sum", "GiB·h", Fraction(1024 * 3600)),
        ("disk.capacity", "sum", "GiB·day", Fraction(1024 * 86400)),
        ("disk.capacity", "sum", "TiB·week", Fraction(1024 * 1024 * 7 * 86400)),
        ("disk.capacity", "sum", "TB·min", TB_PER_MIB * 60),
        ("disk.capacity", "sum", "MB·h", Fraction(10**6 * 3600, 2**20)),
        ("disk.capacity", "peak", "GiB", Fraction(1024)),
        ("disk.capacity", "last", "PiB", Fraction(2**30)),
        ("disk.capacity", "average", "GB", Fraction(1953125, 2048)),
        ("vm.cpu", "percentile", "GHz", Fraction(1000)),
        ("vm.cpu.used", "sum", "GHz·s", Fraction(1000)),
        ("vm.vcpu", "time_weighted", "vCPU", Fraction(1)),
        ("vm.running", "sum", "VM·day", Fraction(86400)),
        ("vm.running", "sum", "s", Fraction(1)),
        ("vm.running", "peak", "VM", Fraction(1)),
        ("net.out.bytes", "sum", "kB", Fraction(1000)),
        ("net.out.bytes", "sum", "TiB", Fraction(2**40)),
        ("net.out.bytes", "percentile", "Mbit/s", Fraction(125000)),
        ("net.out.bytes", "peak", "bit/s", Fraction(1, 8)),
        ("net.out.bytes", "peak", "byte/s", Fraction(1)),
        ("disk.read.operations", "peak", "operation/s", Fraction(1)),
        ("disk.read.operations", "average", "million operations/s", Fraction(10**6)),
        ("image.deployment", "sum", "deployment", Fraction(1)),
        ("image.deployment", "peak", "event", Fraction(1)),
        ("image.deployment", "count", "each", Fraction(1)),
        ("vm.running", "unique", "each", Fraction(1)),
    ],
)
def test_sizes(meter: str, aggregate: str, unit: str, size: Fraction) -> None:
    found = units_of(REGISTRY[meter], aggregate)[unit]
    assert (found.name, found.size, found.span) == (unit, size, None)


def test_levels_are_also_priced_over_time() -> None:
    month = units_of(REGISTRY["net.in.bytes"], "percentile")["Mbit/s·month"]
    assert (month.size, month.level, str(month.span)) == (Fraction(125000), Fraction(125000), "month")
    assert units_of(REGISTRY["vm.memory"], "lowest")["GiB·h"].size == 1024 * 3600


def test_months_and_years_are_left_to_the_calendar() -> None:
    units = units_of(REGISTRY["disk.capacity"], "sum")
    assert (units["GiB·month"].size, str(units["GiB·month"].span)) == (Fraction(1024), "month")
    assert (units["TB·year"].size, str(units["TB·year"].span)) == (TB_PER_MIB, "year")


@given(st.sampled_from(list(REGISTRY)))
def test_a_level_held_for_a_time_is_level_times_seconds(meter: Meter) -> None:
    for unit in units_of(meter, "sum").values():
        if unit.level is not None:
            seconds = {"s": 1, "min": 60, "h": 3600, "day": 86400, "week": 604800, "month": 1, "year": 1}
            assert unit.size == unit.level * seconds[unit.name.rpartition("·")[2]]
        assert unit.base == meter.base
    timed = [unit for unit in units_of(meter, "sum").values() if unit.level is not None]
    assert bool(timed) == (meter.kind in ("gauge", "rate"))


def test_what_levels_count() -> None:
    def bases(meter: str) -> tuple[set[str], set[str]]:
        """Of levels, and of levels that are taken for a time."""
        units = units_of(REGISTRY[meter], "peak").values()
        return {u.base for u in units if u.level is None}, {u.base for u in units if u.level is not None}

    assert bases("vm.running") == ({"VM"}, {"s"})
    assert bases("vm.memory") == ({"MiB"}, {"MiB·s"})
    assert bases("net.in.bytes") == ({"byte/s"}, {"byte"})
    assert bases("image.deployment") == ({"event"}, set())
    assert units_of(REGISTRY["vm.memory"], "unique") == {"each": EACH}


def test_every_meter_and_aggregate_has_units() -> None:
    aggregates: tuple[Aggregate, ...] = ("sum", "count", "unique", "peak", "average", "percentile", "last")
    for meter in REGISTRY:
        assert all(units_of(meter, aggregate) for aggregate in aggregates)
    assert "time_weighted" in LEVEL_AGGREGATES


def test_own_units_are_units_like_any_other() -> None:
    extra = {"block·h": Fraction(3600 * 64), "half": Fraction(1, 2)}
    units = units_of(REGISTRY["disk.capacity"], "sum", extra)
    assert units["half"].size == Fraction(1, 2)
    assert (units["block·month"].size, units["block·day"].size) == (Fraction(64), Fraction(64 * 86400))
    assert units_of(REGISTRY["disk.capacity"], "peak", extra)["block"].size == 64


def test_the_units_of_a_list_are_made_once() -> None:
    units = MeterUnits(REGISTRY, {"net.in.bytes": {"PB": Fraction(10**15)}})
    assert units.of("net.in.bytes")["PB"].size == 10**15
    assert units.of("net.in.bytes") is units.of("net.in.bytes")
    assert "PB" not in units.of("net.out.bytes")


def test_a_base_without_seconds() -> None:
    meter = Meter(key="own.power", name="Power", kind="gauge", base="W·s", display={"kWh": 3_600_000})
    assert units_of(meter, "sum")["kWh"].size == 3_600_000
    assert units_of(meter, "sum")["W·h"].size == 3600
    assert [name for name, unit in units_of(meter, "peak").items() if unit.level is None] == ["W"]
