"""How many base units are in one unit of a price."""

from collections.abc import Mapping
from fractions import Fraction

from schemas import calendar
from schemas.meters import Meter
from schemas.period import Period
from tests.rating.reference.document import Charge, Node

TIMES = {"s": 1, "min": 60, "h": 3600, "day": 86400, "week": 604800}
MEBI = 2**20
CAPACITIES = {
    **{f"{name}B": Fraction(1000**power, MEBI) for power, name in enumerate("MGT", start=2)},
    **{f"{name}iB": Fraction(1024**power, MEBI) for power, name in enumerate("MGTP", start=2)},
}
VOLUMES = {
    **{f"{name}B": Fraction(1000**power) for power, name in enumerate("kMGT", start=1)},
    **{f"{name}iB": Fraction(1024**power) for power, name in enumerate("KMGT", start=1)},
}
SPEEDS = {
    "byte/s": Fraction(1),
    **{f"{name}bit/s": Fraction(1000**power, 8) for power, name in enumerate(("", "k", "M", "G"))},
}
LEVELS = ("peak", "lowest", "average", "time_weighted", "last", "percentile")


def level_units(meter: Meter) -> dict[str, Fraction]:
    """Units of a held level: MiB and GiB for a meter whose base is MiB·s."""
    units = {}
    if meter.base.endswith("·s"):
        units[meter.base.removesuffix("·s")] = Fraction(1)
    for name, size in meter.display.items():
        for ending in ("h", "day"):
            if name.endswith(f"·{ending}"):
                units[name.removesuffix(f"·{ending}")] = Fraction(size, TIMES[ending])
    if meter.base == "MiB·s":
        units.update(CAPACITIES)
    return units


def time_seconds(name: str, window: Period, zone: str, settings: Mapping[str, str]) -> Fraction:
    """Length of a unit of time; a month and a year are the real ones that hold the window's start, or as set."""
    month, year = settings["month"], settings["year"]
    if name not in ("month", "year"):
        return Fraction(TIMES[name])
    if name == "year" and year not in ("as_month", "real"):
        return Fraction(year) * 3600
    if month == "real" or (name == "year" and year == "real"):
        return Fraction(calendar.window_of(window.start, name, zone).seconds)  # type: ignore[arg-type]
    return Fraction(month) * 3600 * (1 if name == "month" else 12)


def is_timed(charge: Charge, per: str) -> bool:
    """Tell whether a level is priced for the time it is held: GiB·h, of a peak."""
    return charge.aggregate in LEVELS and per.rpartition("·")[2] in (*TIMES, "month", "year")


def unit_size(charge: Charge, per: str, meter: Meter | None, window: Period, zone: str, own: Node) -> Fraction:
    """Return base units (or base level units, or things) in one `per`."""
    if meter is None or per == "each" or charge.aggregate in ("count", "unique"):
        return Fraction(1)
    mine = own.get(meter.key, {})
    if per in mine:
        return Fraction(mine[per])
    if meter.kind != "event" and charge.aggregate in LEVELS and not is_timed(charge, per):
        return (SPEEDS if meter.base == "byte" else level_units(meter))[per]
    sizes = {meter.base: Fraction(1), **{k: Fraction(v) for k, v in meter.display.items()}}
    if meter.base == "byte":
        sizes = {**VOLUMES, **sizes}
    if per in sizes:
        return sizes[per]
    level, _, time = per.rpartition("·")
    levels = SPEEDS if meter.base == "byte" else level_units(meter)
    return levels[level] * time_seconds(time, window, zone, charge.settings)
