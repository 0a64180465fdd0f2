"""Units of measure that prices are for, as exact numbers of base units.

- **Sums** of gauges and rates (base ``level·s``) are priced in the meter's base and display units, and in every level
  unit times a length of time: GiB·h, vCPU·month. Sums of counters and events are priced in base and display units; of
  bytes also in kB to TB and KiB to TiB.
- **Levels** (peak, average, percentile, …) of gauges and rates are priced in level units: GiB, vCPU. Those of counters
  in a unit a second: byte/s, Mbit/s. Both also times a length of time for which the level is taken: GiB·month,
  Mbit/s·month. Those of events in the units of the event's quantity.
- **Numbers** (count, unique, fees) are priced per `each`.

Sources: IEC 80000-13 for kibi to pebi, SI for kilo to peta.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from schemas.meters import Meter, Registry

HOUR_SECONDS: Final = 3600
DAY_SECONDS: Final = 86_400
LEVEL_AGGREGATES: Final = frozenset({"peak", "lowest", "average", "time_weighted", "last", "percentile"})
NUMBER_AGGREGATES: Final = frozenset({"count", "unique"})
_SECONDS: Final = {"s": 1, "min": 60, "h": HOUR_SECONDS, "day": DAY_SECONDS, "week": 7 * DAY_SECONDS}
_DECIMAL: Final = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}
_BINARY: Final = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}
_BYTES: Final = {**_DECIMAL, **_BINARY}
_OF_BYTES: Final = ("kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB")
_BIT_RATES: Final = {"bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9}


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of a meter, as `Price.unit` carries it (the lead's engine reads these fields).

    Attributes:
        name: as written in `per`, for example ``GiB·month``.
        size: base units in one; with a `span`: base units in one level unit held for one second (1024 for GiB·month of
            MiB·s), to be multiplied by the seconds of the month or year.
        span: for units whose time is the calendar's or the setting's month or year.
        level: base units in one level unit held for one second, for units of the form level·time (1024 for GiB·h); None
            for others.
        base: name of what `size` counts: the meter's base unit, or its level (``MiB`` for MiB·s) in level aggregates.
    """

    name: str
    size: Fraction
    span: Literal["month", "year"] | None = None
    level: Fraction | None = None
    base: str = ""


EACH: Final = Unit("each", Fraction(1), base="each")
"""Of numbers and fees."""


def units_of(meter: Meter, aggregate: str, extra: Mapping[str, Fraction] | None = None) -> Mapping[str, Unit]:
    """Return the units in which a quantity of a meter can be priced, by name.

    Args:
        meter: what is measured.
        aggregate: how observations become the quantity, see `rating.charge.Aggregate`.
        extra: a list's own units of the meter: base units in one.
    """
    if aggregate in NUMBER_AGGREGATES:
        return {EACH.name: EACH}
    sizes = {**_plain(meter), **(extra or {})}
    if meter.kind == "event":
        return _as_units(sizes, meter.base)
    if aggregate in LEVEL_AGGREGATES:
        levels = _levels(meter, sizes)
        return {**_as_units(levels, _level_base(meter)), **_times(levels, meter.base)}
    if meter.kind == "counter":
        return _as_units(sizes, meter.base)
    # A display unit written with a time is also a level unit times that time; both agree on its size.
    return {**_as_units(sizes, meter.base), **_times(_levels(meter, sizes), meter.base)}


class MeterUnits:
    """The units of all meters of a list, its own included; made once each."""

    def __init__(self, registry: Registry, extra: Mapping[str, Mapping[str, Fraction]]) -> None:
        """Keep the meters and the list's own units: meter, name, base units in one."""
        self._registry, self._extra = registry, extra
        self._made: dict[tuple[str, str], Mapping[str, Unit]] = {}

    def of(self, meter: str, aggregate: str = "sum") -> Mapping[str, Unit]:
        """Return the units in which a quantity of a registered meter can be priced, by name; see `units_of`."""
        key = meter, aggregate
        if key not in self._made:
            self._made[key] = units_of(self._registry[meter], aggregate, self._extra.get(meter))
        return self._made[key]


def _plain(meter: Meter) -> dict[str, Fraction]:
    """Return the meter's own units and, for bytes, the usual multiples."""
    usual = {name: Fraction(_BYTES[name]) for name in _OF_BYTES} if meter.base == "byte" else {}
    own = {name: Fraction(size) for name, size in meter.display.items()}
    return {**own, meter.base: Fraction(1), **{name: size for name, size in usual.items() if name not in own}}


def _as_units(sizes: Mapping[str, Fraction], base: str) -> dict[str, Unit]:
    return {name: Unit(name, size, base=base) for name, size in sizes.items()}


def _levels(meter: Meter, sizes: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Return level units: base units that one of them makes each second."""
    if meter.kind == "counter":
        rates = {f"{name}/s": size for name, size in sizes.items()}
        bits = {name: Fraction(size, 8) for name, size in _BIT_RATES.items()} if meter.base == "byte" else {}
        return {**rates, **bits}
    levels: dict[str, Fraction] = {}
    for name, size in sizes.items():
        for time in ("·h", "·day"):
            if name.endswith(time):
                levels.setdefault(name.removesuffix(time), size / _SECONDS[time[1:]])
    base = meter.base.removesuffix("·s")
    if base != meter.base:
        levels[base] = Fraction(1)
    if base == "MiB":
        levels = {**{n: Fraction(b, _BINARY["MiB"]) for n, b in _BYTES.items() if n not in ("kB", "KiB")}, **levels}
    return levels


def _level_base(meter: Meter) -> str:
    """Return the name of the level that the meter's base unit stands for."""
    if meter.kind == "counter":
        return f"{meter.base}/s"
    base = meter.base.removesuffix("·s")
    # The level of a plain "s" is what the display unit counts: VM for VM·h.
    return base if base != meter.base else meter.display_unit.partition("·")[0]


def _times(levels: Mapping[str, Fraction], base: str) -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for level, size in levels.items():
        for time, seconds in _SECONDS.items():
            units[f"{level}·{time}"] = Unit(f"{level}·{time}", size * seconds, None, size, base)
        units[f"{level}·month"] = Unit(f"{level}·month", size, "month", size, base)
        units[f"{level}·year"] = Unit(f"{level}·year", size, "year", size, base)
    return units
