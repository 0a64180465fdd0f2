"""Writes a price list as its canonical document: in a fixed order and style, without what is default anyway."""

import json
from collections.abc import Mapping
from typing import Any, Final

import yaml

from rating.catalogue.canonical import without_empty
from rating.lists import PriceList
from schemas.errors import Invariant
from schemas.period import iso

_WIDTH: Final = 110
_BEGINNING: Final = iso(0)
_DEFAULTS: Final = {"aggregate": "sum", "power": "always", "choose": "most_specific", "from": _BEGINNING}

_NAMED_BY_AUTHORS: Final = frozenset({"when", "units", "meters"})
"""Keys of mappings whose own keys are names, not words of the document."""


def document_of(price_list: PriceList) -> Mapping[str, Any]:
    """Return the canonical document of a list as plain JSON values; raises Invariant for a chain of several lists."""
    document = (price_list.canonical or {}).get("document")
    if not isinstance(document, dict):
        raise Invariant(f"price list {price_list.id} was not read from one document")
    products = [
        {**product, "charges": [_brief(charge, document) for charge in product["charges"]]}
        for product in document.get("products", ())
    ]
    brief: dict[str, Any] = without_empty(_without_defaults({**document, "products": products}))
    return brief


def exported(price_list: PriceList) -> str:
    """Return the canonical YAML document of a list: parsing it gives a list with the same digest."""
    return yaml.safe_dump(dict(document_of(price_list)), allow_unicode=True, sort_keys=False, width=_WIDTH)


def exported_json(price_list: PriceList) -> str:
    """Return the same document as JSON."""
    return json.dumps(document_of(price_list), ensure_ascii=False, indent=2) + "\n"


def _brief(charge: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a charge without what it has from its list."""
    own = {key: value for key, value in charge["settings"].items() if value != document["settings"][key]}
    inherited = {"window"} if charge["window"] == document["window"] else set()
    return {**{key: value for key, value in charge.items() if key not in inherited}, "settings": own}


def _without_defaults(value: Any) -> Any:
    """Return a value without what stands in `_DEFAULTS`."""
    if isinstance(value, list):
        return [_without_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: item if key in _NAMED_BY_AUTHORS else _without_defaults(item)
        for key, item in value.items()
        if _DEFAULTS.get(key) != item
    }
