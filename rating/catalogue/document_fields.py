"""Kinds of fields in a price list document: exact numbers, instants, names; every message says how to mend the value.

A document is checked twice where it has problems: once strictly, which lists every problem at its path, and once with
TOLERANT as context, which leaves holes (None) in place of malformed items, so that the sound rest is checked, too.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, ClassVar, Final, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    StringConstraints,
    Tag,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    model_validator,
)

from rating.catalogue.text import Unquoted
from schemas.period import FOREVER, iso, parse_instant

TOLERANT: Final = "tolerant"
"""Validation context in which malformed items become holes."""
AMOUNT_DIGITS_MAX: Final = 12
"""Digits allowed before and after the point of an amount."""
QUANTITY_DIGITS_MAX: Final = 18
"""Digits allowed before and after the point of a quantity, a bound, a factor or a rate."""
SIZE_DIGITS_MAX: Final = 30
"""Digits allowed in each number of a unit's size."""
VALUES_MAX: Final = 1000
"""Most values of one attribute in a `when`, and most names in any other list of names."""
_DECIMAL: Final = r"[0-9]+(\.[0-9]+)?"
_FRACTION: Final = r"[0-9]+/[0-9]+"

T = TypeVar("T")


def _decimal(kind: str, digits_max: int, *, positive: bool = False) -> Callable[[object, ValidationInfo], object]:
    """Return a validator of decimal text that yields its shortest form."""

    def check(value: object, info: ValidationInfo) -> object:
        if isinstance(value, Unquoted):
            raise ValueError(
                "is a bare number, which many programs read as a binary fraction; "
                f'quote it: {"from" if info.field_name == "start" else info.field_name}: "{value}"'
            )
        if not isinstance(value, str):
            return value
        if not re.fullmatch(_DECIMAL, value):
            raise ValueError(f'{value!r} is no {kind}; write decimal text of zero or more, such as "0.004"')
        shortest = _shortest(value)
        if max(map(len, shortest.split("."))) > digits_max:
            raise ValueError(f"has more than {digits_max} digits on one side of the point")
        if positive and shortest == "0":
            raise ValueError("must be more than zero")
        return shortest

    return check


def _shortest(text: str) -> str:
    whole, _, part = text.partition(".")
    whole, part = whole.lstrip("0") or "0", part.rstrip("0")
    return f"{whole}.{part}" if part else whole


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    if re.fullmatch(_FRACTION, value):
        shortest = "/".join(_shortest(part) for part in value.split("/"))
    elif re.fullmatch(_DECIMAL, value) and not (isinstance(value, Unquoted) and "." in value):
        shortest = _shortest(value)
    else:
        raise ValueError(
            f'{value!r} is no size; write how many base units make one, as "1073741824", "0.5" or "1953125/2048"'
        )
    parts = re.split("[./]", shortest)
    if max(map(len, parts)) > SIZE_DIGITS_MAX:
        raise ValueError(f"has more than {SIZE_DIGITS_MAX} digits on one side")
    if shortest == "0" or "0" in shortest.split("/"):
        raise ValueError("must be more than zero")
    return shortest


def _instant(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("is no instant; write it as 2026-01-01T00:00:00Z")
    second = parse_instant(value)
    if not 0 <= second <= FOREVER:
        raise ValueError(f"{value!r} lies outside 1970 to 2100")
    return second


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _each(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in ("resource", "account"):
        raise ValueError(f"{value!r} is neither resource nor account; write a list of attribute names: [{value}]")
    return ("resource",) if value == "resource" else ()


def _one_or_list(values: tuple[str, ...]) -> object:
    return values[0] if len(values) == 1 else list(values)


_NUMBER_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": f"^{_DECIMAL}$"})
_TEXTS_SCHEMA: Final = WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
)
Amount = Annotated[str, BeforeValidator(_decimal("amount", AMOUNT_DIGITS_MAX)), _NUMBER_SCHEMA]
"""Money: decimal text of zero or more, in its shortest form."""
Number = Annotated[str, BeforeValidator(_decimal("number", QUANTITY_DIGITS_MAX)), _NUMBER_SCHEMA]
"""A quantity or a percentage: decimal text of zero or more, in its shortest form."""
Positive = Annotated[str, BeforeValidator(_decimal("number", QUANTITY_DIGITS_MAX, positive=True)), _NUMBER_SCHEMA]
"""Decimal text of more than zero."""
UnitSize = Annotated[
    str,
    BeforeValidator(_size),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^({_DECIMAL}|{_FRACTION})$"}, {"type": "integer"}]}),
]
"""Base units in one: a decimal text or a fraction of whole numbers, more than zero."""
Instant = Annotated[
    int,
    BeforeValidator(_instant),
    PlainSerializer(iso, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Seconds since 1970, written in ISO 8601 with a zone."""
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
"""A coupon code."""
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,11}$")]
AttributeValue = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
Values = Annotated[
    tuple[AttributeValue, ...],
    BeforeValidator(_listed),
    PlainSerializer(_one_or_list, return_type=object),
    _TEXTS_SCHEMA,
]
"""One attribute value, or several of which any will do."""
Names = Annotated[tuple[Text, ...], BeforeValidator(_listed), _TEXTS_SCHEMA]
"""One name or several."""
Each = Annotated[
    tuple[Text, ...],
    BeforeValidator(_each),
    PlainSerializer(lambda e: "resource" if e == ("resource",) else list(e) or "account", return_type=object),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
"""What has a quantity of its own: ("resource",), names of attributes, or () for the account."""


def _hours(*words: str) -> BeforeValidator:
    """Return a validator of a word or a decimal number of hours, in its shortest form."""

    def check(value: object) -> object:
        if not isinstance(value, str) or value in words:
            return value
        hours = _shortest(value) if re.fullmatch(_DECIMAL, value) and (type(value) is str or "." not in value) else "0"
        if hours == "0" or max(map(len, hours.split("."))) > QUANTITY_DIGITS_MAX:
            raise ValueError(f'{value!r} is neither {" nor ".join(words)} nor a number of hours, such as "730.485"')
        return hours

    return BeforeValidator(check)


_HOURS_SCHEMA: Final = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}]})
MonthHours = Annotated[str, _hours("real"), _HOURS_SCHEMA]
"""Hours of a month: `real`, or decimal text."""
YearHours = Annotated[str, _hours("as_month", "real"), _HOURS_SCHEMA]
"""Hours of a year: `as_month`, `real`, or decimal text."""
VALUES_TAG: Final = "(values)"
RANGE_TAG: Final = "(range)"
"""Mark in pydantic's locations which form a condition has; no part of a path."""


class Document(BaseModel):
    """A mapping of the document: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RangeDocument(Document):
    """Numbers that an attribute may have; either bound may lack."""

    start: Number | None = Field(default=None, alias="from")
    """The least."""
    below: Positive | None = None
    """The first that is too large."""


def _form(value: object) -> str:
    return RANGE_TAG if isinstance(value, dict | RangeDocument) else VALUES_TAG


Condition = Annotated[
    Annotated[Values, Tag(VALUES_TAG)] | Annotated[RangeDocument, Tag(RANGE_TAG)], Discriminator(_form)
]
"""What an attribute must be: a value, any of several, or a number in a range."""
OneCondition = Annotated[
    Annotated[AttributeValue, Tag(VALUES_TAG)] | Annotated[RangeDocument, Tag(RANGE_TAG)], Discriminator(_form)
]
"""The same with one value only."""


class Mended(Document):
    """A mapping whose sound parts are checked even when its head has problems.

    Attributes:
        stand_ins: what a required key that is missing or malformed is taken for in the tolerant check.
    """

    stand_ins: ClassVar[Mapping[str, object]] = {}

    @model_validator(mode="wrap")
    @classmethod
    def _mend(cls, value: object, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            if info.context != TOLERANT or not isinstance(value, dict):
                raise
            bad = {e["loc"][0] for e in error.errors() if e["loc"]}
            sound = {key: item for key, item in value.items() if key not in bad}
            return handler({**sound, **{key: item for key, item in cls.stand_ins.items() if key in bad}})


def hole(value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
    """Return the validated item of a list, or None in the tolerant check when it has problems."""
    try:
        return handler(value)
    except ValidationError:
        if info.context != TOLERANT:
            raise
        return None


def present(items: Iterable[T]) -> list[tuple[int, T]]:
    """Return the items that are no holes, with their positions."""
    return [(position, item) for position, item in enumerate(items) if item is not None]
