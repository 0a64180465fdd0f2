"""The price list document as its author writes it: field by field, with messages that say how to mend it."""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from rating.exact import MICRO_DIGITS, Mode
from rating.text import Unquoted
from schemas.period import FOREVER, iso, parse_instant

GRID_SECONDS: Final = 900
"""The largest cell; a price that changed inside a cell could not be told apart from the one before."""
PRICES_MAX: Final = 100_000
AMOUNT_DIGITS_MAX: Final = 12
"""Digits allowed before and after the point of an amount."""
_AMOUNT: Final = re.compile(r"[0-9]+(\.[0-9]+)?")

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
AttributeValue = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]


def _amount(value: object) -> object:
    if isinstance(value, Unquoted):
        raise ValueError(
            f'is a bare number, which many programs read as a binary fraction; quote it: amount: "{value}"'
        )
    if not isinstance(value, str):
        return value
    if not _AMOUNT.fullmatch(value):
        raise ValueError(f'{value!r} is no amount; write decimal text of zero or more, such as "0.004"')
    whole, _, part = value.partition(".")
    whole, part = whole.lstrip("0") or "0", part.rstrip("0")
    if max(len(whole), len(part)) > AMOUNT_DIGITS_MAX:
        raise ValueError(f"has more than {AMOUNT_DIGITS_MAX} digits on one side of the point")
    return f"{whole}.{part}" if part else whole


def _instant(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("is no instant; write it as 2026-01-01T00:00:00Z")
    second = parse_instant(value)
    if not 0 <= second <= FOREVER:
        raise ValueError(f"{value!r} lies outside 1970 to 2100")
    if second % GRID_SECONDS:
        raise ValueError(
            f"{value!r} is no multiple of {GRID_SECONDS} s (15 minutes), the largest cell in which usage is metered; "
            f"nearest: {iso(second - second % GRID_SECONDS)}"
        )
    return second


Instant = Annotated[int, BeforeValidator(_instant)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RoundingDocument(_Document):
    """How each line's amount is rounded, once.

    Attributes:
        mode: half_even, half_up, up or down.
        digits: decimal digits kept, 0 to 6.
    """

    mode: Mode = "half_even"
    digits: Annotated[int, Field(ge=0, le=MICRO_DIGITS)] = MICRO_DIGITS


class PriceDocument(_Document):
    """One price with its validity.

    Attributes:
        id: unique within the list; names the price in every line.
        product: what the tenant reads on the invoice.
        meter: key in the meter registry.
        amount: decimal text, what one `per` costs.
        per: a display unit of the meter.
        when: attribute values that usage must have; none: any usage of the meter.
        from: first instant at which it applies.
        to: first instant at which it no longer applies; none: without end.
    """

    id: Identifier
    product: Text
    meter: str
    amount: Annotated[str, BeforeValidator(_amount)]
    per: str
    when: Mapping[Text, AttributeValue] = Field(default_factory=dict)
    start: Instant = Field(alias="from")
    end: Instant | None = Field(default=None, alias="to")


class PriceListDocument(_Document):
    """The whole document.

    Attributes:
        id: names the list; the books add the version.
        name: for people.
        currency: ISO 4217 code, or the code of the provider's own unit.
        window: over which usage is evaluated and rated.
        rounding: one rounding a line.
        prices: in any order.
    """

    id: Identifier
    name: Text
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,11}$")]
    window: Literal["hour", "day", "month"] = "day"
    rounding: RoundingDocument = RoundingDocument()
    prices: Annotated[tuple[PriceDocument, ...], Field(min_length=1, max_length=PRICES_MAX)]


def validated(value: object) -> tuple[PriceListDocument | None, dict[int, PriceDocument], list[str]]:
    """Check the form of a loaded document.

    Returns:
        The document, or None when it has problems; the sound prices by their position, so that the checks between
        prices can run all the same; every problem as ``path: message``.
    """
    if not isinstance(value, dict):
        return None, {}, ["the document must be a mapping with id, name, currency and prices"]
    try:
        document = PriceListDocument.model_validate(value)
    except ValidationError as error:
        problems = [f"{path_of(e['loc'])}: {_message(e['type'], e['msg'], e['loc'])}" for e in error.errors()]
        return None, _sound(value.get("prices")), problems
    return document, dict(enumerate(document.prices)), []


def _sound(prices: object) -> dict[int, PriceDocument]:
    sound: dict[int, PriceDocument] = {}
    for position, price in enumerate(prices if isinstance(prices, list) else []):
        try:
            sound[position] = PriceDocument.model_validate(price)
        except ValidationError:
            continue
    return sound


def path_of(location: tuple[int | str, ...]) -> str:
    """Return ``prices[3].amount`` for ("prices", 3, "amount")."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def _message(kind: str, message: str, location: tuple[int | str, ...]) -> str:
    if kind == "extra_forbidden":
        models: dict[int, type[BaseModel]] = {1: PriceListDocument, 2: RoundingDocument}
        model = models.get(len(location), PriceDocument)
        known = [field.alias or name for name, field in model.model_fields.items()]
        return f"unknown key; known are {', '.join(known)}"
    if kind == "missing":
        return "is missing"
    return message.removeprefix("Value error, ")
