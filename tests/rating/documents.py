"""Small builders of price list documents with products and charges, for the tests of reading them."""

import json
from typing import Any

import pytest

from rating.lists import PriceList
from rating.price import Price
from rating.price_list import parse
from schemas.errors import Misconfigured
from tests.rating.helpers import REGISTRY

JAN, FEB, MAR = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"
TIERS = [{"up_to": "10", "amount": "2"}, {"amount": "1"}]


def charge(id: str = "c", **more: Any) -> dict[str, Any]:
    """A per-unit charge of disks unless told otherwise; None takes a key out."""
    fields = {"id": id, "meter": "disk.capacity", "per": "GiB·h", "prices": [{"amount": "1"}], **more}
    return {key: value for key, value in fields.items() if value is not None}


def priced(model: str, price: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A charge of some model with one price."""
    return charge(model=model, prices=[price], **more)


def document(*charges: dict[str, Any], **head: Any) -> str:
    """A list with one product, or without any charge when there is none."""
    fields: dict[str, Any] = {"id": "l", "name": "L", "currency": "EUR"}
    if charges:
        fields["products"] = [{"id": "p", "name": "Product", "charges": list(charges)}]
    return json.dumps({**fields, **head}, ensure_ascii=False)


def listed(*charges: dict[str, Any], **head: Any) -> PriceList:
    """The list of such a document."""
    return parse(document(*charges, **head), REGISTRY)


def only(*charges: dict[str, Any], **head: Any) -> Price:
    """The only price of such a list."""
    (price,) = listed(*charges, **head).prices
    return price


def problems(*charges: dict[str, Any], **head: Any) -> tuple[str, ...]:
    """Every problem of such a document."""
    with pytest.raises(Misconfigured) as caught:
        parse(document(*charges, **head), REGISTRY)
    return caught.value.problems
