"""The price list document as a whole: its form, checked field by field, with messages that say how to mend it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, get_args

from pydantic import BaseModel, Field, ValidationError, WrapValidator
from pydantic_core import ErrorDetails

from rating.catalogue.document_campaign import AccountTermsDocument, CampaignDocument, ExchangeRateDocument
from rating.catalogue.document_charge import PRICES_MAX, ProductDocument, RoundingDocument, SettingsDocument
from rating.catalogue.document_fields import (
    RANGE_TAG,
    TOLERANT,
    VALUES_TAG,
    Currency,
    Identifier,
    Mended,
    RangeDocument,
    Text,
    UnitSize,
    hole,
)
from rating.catalogue.document_price import PriceDocument
from schemas.calendar import Size
from schemas.meters import Meter

PRODUCTS_MAX: Final = 10_000
CAMPAIGNS_MAX: Final = 1000
RATES_MAX: Final = 10_000
METERS_MAX: Final = 1000
UNITS_MAX: Final = 1000
"""Most meters with own units, and most units of one meter."""


class PriceListDocument(Mended):
    """A price list: products, their charges and prices, and what holds for all of them."""

    stand_ins: ClassVar[Mapping[str, object]] = {"id": "list", "name": "List", "currency": "XXX"}

    id: Identifier
    """Names the list; the books add the version."""
    name: Text
    """For people."""
    currency: Currency
    """ISO 4217 code, or the code of the provider's own unit."""
    inherits: Identifier | None = None
    """Id of the list whose charges hold where this one has none."""
    window: Size = "day"
    """Default window of the charges."""
    rounding: RoundingDocument = RoundingDocument()
    """Of every amount."""
    settings: SettingsDocument = SettingsDocument()
    """Defaults of the charges."""
    meters: Annotated[tuple[Annotated[Meter, WrapValidator(hole)], ...], Field(max_length=METERS_MAX)] = ()
    """Own meters, shaped as in schemas/meters.yaml; a running installation must know them already."""
    units: Annotated[
        Mapping[str, Annotated[Mapping[Text, UnitSize], Field(max_length=UNITS_MAX)]], Field(max_length=UNITS_MAX)
    ] = Field(default_factory=dict)
    """Own units: meter, name of the unit, base units in one."""
    rates: Annotated[tuple[Annotated[ExchangeRateDocument, WrapValidator(hole)], ...], Field(max_length=RATES_MAX)] = ()
    """Dated exchange rates into the list's currency."""
    products: Annotated[
        tuple[Annotated[ProductDocument, WrapValidator(hole)], ...], Field(min_length=1, max_length=PRODUCTS_MAX)
    ] = ()
    """Products with their charges."""
    prices: Annotated[
        tuple[Annotated[PriceDocument, WrapValidator(hole)], ...], Field(min_length=1, max_length=PRICES_MAX)
    ] = ()
    """Short form: prices a unit, each of an implicit charge of its meter."""
    campaigns: Annotated[
        tuple[Annotated[CampaignDocument, WrapValidator(hole)], ...], Field(max_length=CAMPAIGNS_MAX)
    ] = ()
    """Dated reductions."""
    account: AccountTermsDocument = AccountTermsDocument()
    """Minimum, maximum and commitments of each account."""


def validated(value: object) -> tuple[PriceListDocument | None, list[str]]:
    """Check the form of a loaded document.

    Returns:
        The document, with holes (None) in its lists where it has problems and stand-ins for malformed heads, so that
        the further checks can run all the same, or None when it is no mapping; and every problem as ``path: message``.
    """
    if not isinstance(value, dict):
        return None, ["the document must be a mapping with id, name, currency and prices or products"]
    try:
        return PriceListDocument.model_validate(value), list(_missing(value))
    except ValidationError as error:
        problems = [f"{path_of(e['loc'])}: {_message(e)}" for e in error.errors() if not _follows(e)]
    return PriceListDocument.model_validate(value, context=TOLERANT), [*problems, *_missing(value)]


def _follows(error: ErrorDetails) -> bool:
    """Tell whether an error only follows from others: a list that is too short because its items have problems."""
    return error["type"] == "too_short" and bool(error["input"])


def _missing(value: Mapping[str, object]) -> Iterator[str]:
    if not {"prices", "products", "inherits"} & set(value):
        yield "prices: is missing; write prices, or products with charges, or what the list inherits"


def path_of(location: tuple[int | str, ...]) -> str:
    """Return ``prices[3].amount`` for ("prices", 3, "amount")."""
    parts = [part for part in location if part not in (VALUES_TAG, RANGE_TAG)]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _message(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        model = _model_at(error["loc"][:-1])
        return f"unknown key; known are {', '.join(f.alias or name for name, f in model.model_fields.items())}"
    if error["type"] == "missing":
        return "is missing"
    return error["msg"].removeprefix("Value error, ")


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the model of the mapping that stands at a place of the document."""
    model: type[BaseModel] = PriceListDocument
    if location[-1:] == (RANGE_TAG,):
        return RangeDocument
    for part in location:
        for name, field in model.model_fields.items():
            if part in (field.alias, name):
                model = _model_in(field.annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel]:
    """Return the model in the annotation of a field that holds one, perhaps one, or several."""
    while not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        annotation = get_args(annotation)[0]
    return annotation
