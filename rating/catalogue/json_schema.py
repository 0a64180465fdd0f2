"""The JSON Schema of the price list document, made from the models that read it."""

from typing import Any, Final

from rating.catalogue.document import PriceListDocument

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12, with a description of every key.

    It tells the form of a document. What needs the meters, or several items at once, only `rating.price_list.parse`
    can tell: units, overlapping prices, ids that stand twice.
    """
    schema = PriceListDocument.model_json_schema(by_alias=True)
    return {"$schema": DIALECT, **{key: _plain(value) for key, value in schema.items()}, "title": "Price list"}


def _plain(value: Any) -> Any:
    """Return a part of the schema without the titles that only repeat the keys."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _plain(item) for key, item in value.items() if key != "title" or isinstance(item, dict)}
