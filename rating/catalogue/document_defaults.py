"""Spells a document out: every default of every charge and price, in the document's own shape.

The result has no short forms left (`basis`, `every`, inherited settings), so that the checks, the compiler and the
canonical form see one way to say each thing. Spelling out what is spelled out changes nothing.
"""

from dataclasses import dataclass

from rating.catalogue.document import PriceListDocument
from rating.catalogue.document_charge import ChargeDocument, PercentileDocument, ProductDocument, SettingsDocument
from rating.catalogue.document_fields import present
from rating.catalogue.document_price import ChargePriceDocument
from rating.charge import STAGES
from rating.units import EACH, NUMBER_AGGREGATES
from schemas.meters import Registry

SETTINGS = SettingsDocument(
    bounds="inclusive",
    zero="nothing",
    beyond="last_price",
    blocks="whole",
    order=STAGES,
    late="original",
    parts="running",
    month="real",
    year="as_month",
    prorate="second",
    negative="credit",
)
"""What holds unless a list or a charge says otherwise."""
_BY_RESOURCE = ("per_unit", "one_off")


@dataclass(frozen=True, slots=True)
class SpelledCharge:
    """A charge with every default filled in.

    Attributes:
        path: where it stands in the document.
        product_id, product: id and name of its product.
        charge: spelled out; its prices too, without holes.
        paths: of its prices, in their order.
        problems: what kept it from being spelled out; then the rest is of no use.
    """

    path: str
    product_id: str
    product: str
    charge: ChargeDocument
    paths: tuple[str, ...]
    problems: tuple[str, ...]


def settings_of(document: PriceListDocument) -> SettingsDocument:
    """Return the list's settings in full."""
    return _over(SETTINGS, document.settings)


def spelled_charges(document: PriceListDocument, registry: Registry) -> list[SpelledCharge]:
    """Return every charge of the document's products that is no hole, spelled out."""
    return [
        _spelled(f"products[{p}].charges[{c}]", product, charge, document, registry)
        for p, product in present(document.products)
        for c, charge in present(product.charges)
    ]


def _over(base: SettingsDocument, more: SettingsDocument) -> SettingsDocument:
    return SettingsDocument.model_validate({**base.model_dump(), **more.model_dump(exclude_none=True)})


def _spelled(
    path: str, product: ProductDocument, charge: ChargeDocument, document: PriceListDocument, registry: Registry
) -> SpelledCharge:
    problems = list[str]()
    meters, combine = _meters(path, charge, registry, problems)
    window = _window(path, charge, document, problems)
    aggregate = charge.aggregate or "sum"
    counted = aggregate in NUMBER_AGGREGATES or charge.model == "recurring"
    by_resource = charge.model in _BY_RESOURCE or (charge.model == "recurring" and bool(meters))
    own = present(charge.prices)
    full = charge.model_copy(
        update={
            "name": charge.name or charge.id,
            "meter": meters[0] if len(meters) == 1 else None,
            "meters": meters if len(meters) > 1 else None,
            "combine": combine,
            "combine_at": (charge.combine_at or "cell") if len(meters) > 1 else None,
            "basis": None,
            "aggregate": aggregate,
            "percentile": charge.percentile or (PercentileDocument() if aggregate == "percentile" else None),
            "unique_of": charge.unique_of or ("resource" if aggregate == "unique" else None),
            "each": charge.each if charge.each is not None else ("resource",) if by_resource else (),
            "window": window,
            "every": None,
            "per": charge.per or (EACH.name if counted else None),
            "settings": _over(settings_of(document), charge.settings),
            "free": None,
            "minimum": None,
            "maximum": None,
            "prices": tuple(_price(n, price, charge, window, document) for n, price in own),
        }
    )
    paths = tuple(f"{path}.prices[{n}]" for n, _ in own)
    return SpelledCharge(path, product.id, product.name or product.id, full, paths, tuple(problems))


def _meters(
    path: str, charge: ChargeDocument, registry: Registry, problems: list[str]
) -> tuple[tuple[str, ...], str | None]:
    """Return keys of the meters and how several are combined."""
    if charge.meter is not None and charge.meters is not None:
        problems.append(f"{path}.meters: there is a `meter`, too; write one of both")
    meters = charge.meters or ((charge.meter,) if charge.meter is not None else ())
    combine: str | None = charge.combine
    if charge.basis is not None and len(meters) != 1:
        problems.append(f"{path}.basis: needs one `meter`, whose family it chooses from")
    elif charge.basis is not None and charge.basis != "allocation":
        if charge.combine is not None:
            problems.append(f"{path}.combine: the basis says how meters combine; leave it out")
        meters = _family(path, meters[0], charge.basis, registry, problems)
        combine = "max"  # of two; one alone has nothing to combine with
    if len(meters) == 1:
        said = [key for key in ("combine", "combine_at") if getattr(charge, key) is not None]
        problems += [f"{path}.{key}: needs several `meters`" for key in said]
        return meters, None
    return meters, combine or ("sum" if meters else None)


def _family(path: str, meter: str, basis: str, registry: Registry, problems: list[str]) -> tuple[str, ...]:
    """Return the meters of a basis; an unknown meter is left for the checks to name."""
    if meter not in registry:
        return (meter,)
    family: dict[str, str] = {str(kind): key for kind, key in registry[meter].family.items()}
    family["allocation"] = meter
    wanted = basis.removeprefix("max_").split("_")
    missing = [kind for kind in wanted if kind not in family]
    if missing:
        having = ", ".join(m.key for m in registry if m.family) or "none"
        problems.append(
            f"{path}.basis: {meter} has no meter of its {' and '.join(missing)}; meters with a family: {having}"
        )
        return (meter,)
    return tuple(family[kind] for kind in wanted)


def _window(path: str, charge: ChargeDocument, document: PriceListDocument, problems: list[str]) -> str:
    """Return the window: written as such or, for a recurring fee, as `every` of the charge or its prices."""
    said = {f"{path}.window": charge.window, f"{path}.every": charge.every}
    if charge.model == "recurring":
        said |= {f"{path}.prices[{n}].every": price.every for n, price in present(charge.prices)}
    elif charge.every is not None:
        problems.append(f"{path}.every: only recurring charges have it; write window: {charge.every}")
    found = {place: size for place, size in said.items() if size is not None}
    first = next(iter(found.values()), document.window)
    for place, size in found.items():
        if size != first:
            problems.append(f"{place}: is {size}, but elsewhere in this charge the window is {first}")
    return first


def _price(
    number: int, price: ChargePriceDocument, charge: ChargeDocument, window: str, document: PriceListDocument
) -> ChargePriceDocument:
    commitment = price.commitment
    if commitment is not None and commitment.every is None:
        commitment = commitment.model_copy(update={"every": window})
    return price.model_copy(
        update={
            "id": price.id or (charge.id if len(charge.prices) == 1 else f"{charge.id}-{number + 1}"),
            "currency": None if price.currency == document.currency else price.currency,
            "every": None if charge.model == "recurring" else price.every,
            "commitment": commitment,
            "free": price.free or charge.free,
            "minimum": price.minimum or charge.minimum,
            "maximum": price.maximum or charge.maximum,
        }
    )
