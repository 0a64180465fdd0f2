"""Random price lists and random usage, sound by construction, for comparing the engine with the reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from schemas.period import iso, parse_instant

Node = dict[str, Any]
Draw = st.DrawFn
BEGIN: Final = parse_instant("2026-03-28T00:00:00Z")
"""A day before clocks change in Europe."""
HOUR: Final = 3600
GAUGE, CPU, COUNTER, EVENT = "disk.capacity", "vm.cpu", "net.out.bytes", "image.deployment"
FAMILY: Final = {
    "allocation": (CPU,),
    "usage": ("vm.cpu.used",),
    "reservation": ("vm.cpu.reserved",),
    "max_usage_reservation": ("vm.cpu.used", "vm.cpu.reserved"),
}
SUMS: Final = {
    GAUGE: ("GiB·h", "MiB·s", "GiB·day", "GB·h", "GiB·month", "GiB·year"),
    CPU: ("GHz·h", "MHz·s", "GHz·month"),
    COUNTER: ("GB", "MiB", "byte"),
    EVENT: ("deployment",),
}
LEVELS: Final = {GAUGE: ("GiB", "MB", "GiB·h"), CPU: ("GHz",), COUNTER: ("Mbit/s", "byte/s"), EVENT: ("deployment",)}
SCALE: Final = {GAUGE: 1 << 20, CPU: 1 << 11, COUNTER: 1 << 17, EVENT: 20}
"""Levels of usage are drawn up to this: base units a second, of events base units."""
AGGREGATES: Final = ("count", "unique", "peak", "lowest", "average", "time_weighted", "last", "percentile")
ZONES: Final = ("UTC", "Europe/Prague", "America/New_York", "Asia/Kolkata")


@dataclass(frozen=True)
class Case:
    """One list, one usage."""

    document: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    zone: str


def decimals(most: int, places: int = 2, least: int = 0) -> st.SearchStrategy[str]:
    """Decimal texts from 0; `least` counts the last place."""
    return st.integers(least, most * 10**places).map(lambda n: f"{n // 10**places}.{n % 10**places:0{places}d}")


@st.composite
def cases(draw: Draw, models: Sequence[str], aggregates: Sequence[str] = ("sum",), charges: int = 1) -> Case:
    """A list of some charges, and usage of their meters."""
    made = [draw(_charge(f"c{n}", models, aggregates)) for n in range(1, draw(st.integers(1, charges)) + 1)]
    document: Node = {"id": "list", "name": "List", "currency": "EUR"}
    document["window"] = draw(st.sampled_from(("day", "hour", "week", "month")))
    document["rounding"] = draw(_rounding(unit_price=not {"recurring", "committed"} & set(models)))
    document["products"] = [{"id": "product", "name": "Product", "charges": [charge for charge, _ in made]}]
    if "committed" not in models and draw(st.booleans()):
        free = any("free" in price for charge, _ in made for price in charge["prices"])
        factors = any("factors" in charge for charge, _ in made)
        bounded = any("minimum" in price for charge, _ in made for price in charge["prices"])
        document["campaigns"] = draw(_campaigns(_reductions(models, free=free, factors=factors), special=not bounded))
    dated = [*document.get("campaigns", ()), *(price for charge, _ in made for price in charge["prices"])]
    if any({"from", "to"} & set(node) for node in dated):
        document["rounding"]["per"] = "line"  # whose total is rounded once where prices change, is another story
    meters = sorted({meter for _, own in made for meter in own})
    apart = "recurring" in models  # the same thing is not there twice at a time
    rows = draw(
        st.lists(_row(meters, 1 if apart else 26), min_size=1, max_size=6, unique_by=_place if apart else _identity)
    )
    return Case(document, rows, draw(st.sampled_from(ZONES)))


def _identity(row: Node) -> tuple[object, ...]:
    """What two rows of a usage file may not share."""
    return tuple(row.get(key) for key in ("resource", "meter", "from", "to", "attr.tier", "attr.image", "attr.power"))


def _place(row: Node) -> tuple[object, ...]:
    return row["resource"], row["from"]


@st.composite
def _row(draw: Draw, meters: Sequence[str], hours: int) -> Node:
    meter = draw(st.sampled_from(meters))
    family = CPU if meter.startswith(CPU) else meter
    start = BEGIN + HOUR * draw(st.integers(0, 60))
    row: Node = {"resource": draw(st.sampled_from(("a", "b", "c"))), "meter": meter, "from": iso(start)}
    level = draw(st.integers(0, SCALE[family]))
    if family == EVENT:
        return {**row, "quantity": str(level), "attr.image": draw(st.sampled_from(("big", "small")))}
    seconds = draw(st.sampled_from((300, HOUR, min(hours, 5) * HOUR, hours * HOUR)))
    row |= {"to": iso(start + seconds), "quantity": str(level * seconds)}
    named = draw(st.sampled_from(({}, {"attr.tier": "gold"}, {"attr.tier": "7"}, {"attr.power": "off"})))
    return {**row, **named}


@st.composite
def _rounding(draw: Draw, *, unit_price: bool) -> Node:
    modes = ("half_even", "half_up", "half_down", "up", "down", "ceiling", "floor")
    rounding: Node = {"mode": draw(st.sampled_from(modes)), "digits": draw(st.sampled_from((6, 2, 0)))}
    rounding["per"] = draw(st.sampled_from(("line", "charge") if unit_price else ("line",)))
    if unit_price and draw(st.integers(0, 3)) == 0:
        rounding["unit_price_digits"] = draw(st.sampled_from((1, 4)))
    return rounding


@st.composite
def _charge(draw: Draw, id: str, models: Sequence[str], aggregates: Sequence[str]) -> tuple[Node, tuple[str, ...]]:
    model = draw(st.sampled_from(models))
    meter = draw(st.sampled_from((GAUGE, CPU, COUNTER, EVENT)))
    meters: tuple[str, ...] = (meter,)
    charge = Node(id=id, model=model, meter=meter, settings=draw(_settings()))
    if meter == CPU:
        charge["basis"] = draw(st.sampled_from(tuple(FAMILY)))
        meters = FAMILY[charge["basis"]]
    charge["window"] = draw(st.sampled_from(("day", "hour", "week", "month")))
    charge["each"] = "account" if model == "committed" else draw(st.sampled_from(("resource", "account", ["tier"])))
    aggregate = "sum" if model in ("percentage", "recurring", "committed") else draw(st.sampled_from(aggregates))
    units: tuple[str, ...] = SUMS[meter]
    if aggregate != "sum":
        charge["aggregate"] = aggregate
        units = ("each",) if aggregate in ("count", "unique") else LEVELS[meter]
    if aggregate == "percentile":
        charge["percentile"] = draw(_percentile())
    if model != "recurring":
        charge["per"] = draw(st.sampled_from(units))
    if model == "recurring" and charge["settings"]["prorate"] == "none":
        charge["settings"]["parts"] = "running"  # a full fee is due once, however many parts a window has
    if model == "recurring" and charge["settings"]["parts"] == "last":
        charge["settings"]["parts"] = "running"
    if model == "committed":
        charge["settings"] |= {"parts": "independent", "prorate": "second"}
    if model in ("per_unit", "graduated", "volume") and draw(st.integers(0, 3)) == 0:
        charge["convert"] = draw(_convert())
    if draw(st.integers(0, 3)) == 0:
        charge["power"] = draw(st.sampled_from(("on", "once")))
    if model != "committed" and draw(st.integers(0, 3)) == 0:
        charge["factors"] = [{"when": {"tier": "gold"}, "factor": draw(decimals(2))}]
    charge["prices"] = draw(_prices(model, alone=charge["each"] == "resource" and "factors" not in charge))
    if charge["settings"]["parts"] == "independent" and charge["each"] != "resource":
        for price in charge["prices"]:  # whether usage of some kind owes it in parts without such usage
            price.pop("minimum", None)
    every = draw(st.sampled_from(("hour", "day", "month")))
    for commitment in (price["commitment"] for price in charge["prices"] if "commitment" in price):
        commitment["every"] = every
    return charge, meters


@st.composite
def _settings(draw: Draw) -> Node:
    every = {
        "bounds": ("inclusive", "exclusive"),
        "zero": ("nothing", "first_flat"),
        "beyond": ("last_price", "not_billed"),
        "blocks": ("whole", "partial", "down"),
        "parts": ("running", "independent", "last"),
        "month": ("real", "730"),
        "year": ("as_month", "real", "8760"),
        "prorate": ("second", "day", "none"),
        "negative": ("credit", "nothing"),
    }
    chosen = {key: draw(st.sampled_from(values)) for key, values in every.items()}
    order = draw(st.permutations(("discount", "maximum", "minimum")))
    first = draw(st.permutations(("convert", "free")))
    return {**chosen, "order": [*first, "price", *order]}


@st.composite
def _percentile(draw: Draw) -> Node:
    return {
        "rank": draw(st.sampled_from(("95", "50", "100"))),
        "cell": draw(st.sampled_from((300, 900))),
        "missing": draw(st.sampled_from(("skip", "zero"))),
        "discard": draw(st.sampled_from(("floor", "ceil", "round"))),
    }


@st.composite
def _convert(draw: Draw) -> Node:
    return {"mode": draw(st.sampled_from(("up", "half_up", "down"))), "digits": draw(st.sampled_from((0, 1)))}


@st.composite
def _prices(draw: Draw, model: str, *, alone: bool) -> list[Node]:
    """One or two versions of a price, and perhaps one for gold."""
    change = iso(BEGIN + draw(st.integers(1, 48 * HOUR)))
    changes = model != "committed" and draw(st.booleans())  # the fee's parts hang together in any case
    versions: list[Node] = [{"to": change}, {"from": change}] if changes else [{}]
    if model != "committed" and draw(st.integers(0, 2)) == 0:
        versions.append({"when": draw(st.sampled_from(({"tier": "gold"}, {"tier": {"from": "5", "below": "9"}})))})
    # Who is first among groups of one resource and instant is not said, so a pool has one group for each.
    pool = draw(st.sampled_from(("each", "account", "charge"))) if alone else "each"
    return [{**version, **draw(_price(model, pool))} for version in versions]


@st.composite
def _price(draw: Draw, model: str, pool: str) -> Node:
    price: Node = draw(_OWN[model]())
    if model == "committed":  # whether bounds look at the fee, too, is another story
        return price
    if draw(st.integers(0, 2)) == 0:
        price["minimum"] = draw(decimals(100))
    if draw(st.integers(0, 2)) == 0:
        price["maximum"] = str(100 + draw(st.integers(0, 300)))
    if model not in ("stairstep", "percentage", "recurring") and draw(st.integers(0, 2)) == 0:
        price["free"] = {"quantity": draw(decimals(30, least=1)), "pool": pool}
    return price


@st.composite
def _flat(draw: Draw) -> Node:
    return {"amount": draw(decimals(3, 4))}


@st.composite
def _package(draw: Draw) -> Node:
    return {"amount": draw(decimals(3)), "size": draw(st.sampled_from(("1", "0.5", "7")))}


@st.composite
def _tiers(draw: Draw) -> Node:
    bounds = sorted(draw(st.sets(st.integers(1, 60), min_size=0, max_size=3)))
    ends: list[Node] = [{"up_to": str(bound)} for bound in bounds]
    if not ends or draw(st.booleans()):
        ends.append({})
    return {"tiers": [{**end, **draw(_tier())} for end in ends]}


@st.composite
def _tier(draw: Draw) -> Node:
    tier: Node = {"amount": draw(decimals(3))}
    if draw(st.booleans()):
        tier["flat"] = draw(decimals(9))
    if draw(st.integers(0, 3)) == 0:
        tier["block"] = draw(st.sampled_from(("1", "0.5", "7")))
    return tier


@st.composite
def _steps(draw: Draw) -> Node:
    tiers = draw(_tiers())["tiers"]
    return {"tiers": [{key: tier[key] for key in ("up_to", "amount") if key in tier} for tier in tiers]}


@st.composite
def _percentage(draw: Draw) -> Node:
    price: Node = {"percent": draw(decimals(20))}
    if draw(st.booleans()):
        price["fixed"] = draw(decimals(2))
    if draw(st.booleans()):
        price["free_events"] = str(draw(st.integers(1, 4)))
    if draw(st.booleans()):
        price["free_amount"] = draw(decimals(30, least=1))
    if draw(st.booleans()):
        price["minimum_each"] = draw(decimals(1))
    if draw(st.booleans()):
        price["maximum_each"] = str(draw(st.integers(1, 5)))
    return price


@st.composite
def _recurring(draw: Draw) -> Node:
    return {"amount": draw(decimals(50)), "quantity": draw(st.sampled_from(("1", "2.5")))}


@st.composite
def _committed(draw: Draw) -> Node:
    commitment = {"quantity": draw(st.integers(1, 40).map(str)), "fee": draw(decimals(50))}
    overage = draw(st.sampled_from(({"amount": "0.25"}, {"factor": "1.5"})))
    return {"commitment": commitment, "overage": overage}


_OWN: Final = {
    "per_unit": _flat,
    "one_off": _flat,
    "package": _package,
    "graduated": _tiers,
    "volume": _tiers,
    "stairstep": _steps,
    "percentage": _percentage,
    "recurring": _recurring,
    "committed": _committed,
}


def _reductions(models: Sequence[str], *, free: bool, factors: bool) -> tuple[str, ...]:
    """What a campaign can do to all of some models, so that there is one way to read it."""
    if {"percentage", "recurring", "committed"} & set(models):
        return ("percent", "absolute")
    return ("percent", "absolute", *(() if free else ("free_quantity",)), *(() if factors else ("fixed_price",)))


@st.composite
def _campaigns(draw: Draw, kinds: Sequence[str], *, special: bool) -> list[Node]:
    return [draw(_campaign(f"k{n}", kinds, special=special)) for n in range(1, draw(st.integers(1, 2)) + 1)]


@st.composite
def _campaign(draw: Draw, id: str, kinds: Sequence[str], *, special: bool) -> Node:
    campaign: Node = {"id": id, "name": id, "stacking": draw(st.sampled_from(("multiply", "add", "exclusive")))}
    kind = draw(st.sampled_from(kinds))
    campaign[kind] = draw(decimals(20, least=1))
    if kind in ("percent", "absolute") and draw(st.booleans()):
        campaign["cap"] = draw(decimals(15, least=1))
    if draw(st.booleans()):
        campaign["from"] = iso(BEGIN + draw(st.integers(1, 48 * HOUR)))
    if special and draw(st.integers(0, 3)) == 0:
        campaign["when"] = {"tier": "gold"}
    return campaign
