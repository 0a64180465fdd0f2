"""The canonical form of a price list: the document with every default spelled out, as plain JSON values.

Two documents that mean the same have the same canonical form, whatever the order and the style they are written in;
and it is itself a document, whose canonical form it is. What the document leaves to the meter registry, the sizes of
the units it prices in, stands beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from rating.catalogue.document import PriceListDocument
from rating.catalogue.document_campaign import CampaignDocument, SpendCommitmentDocument
from rating.catalogue.document_charge import ProductDocument
from rating.catalogue.document_defaults import SpelledCharge, settings_of
from rating.catalogue.document_fields import RangeDocument
from rating.price import Price

Condition = tuple[str, ...] | RangeDocument
Filtered = TypeVar("Filtered", CampaignDocument, SpendCommitmentDocument)
_FILTERS: Final = ("products", "charges", "meters", "groups", "accounts")


def canonical_of(
    document: PriceListDocument, charges: Sequence[SpelledCharge], prices: Iterable[Price]
) -> dict[str, object]:
    """Return ``document``, and ``sizes``: for each meter and unit its base units, times its span where it has one."""
    sizes: dict[str, dict[str, str]] = {}
    for price in prices:
        meter = price.charge.meters[0] if price.charge.meters else ""
        span = f"·{price.unit.span}" if price.unit.span else ""
        sizes.setdefault(meter, {})[price.unit.name] = f"{price.unit.size}{span}"
        if (other := price.charge.rounding.unit_price_unit) is not None:
            sizes[meter][other.name] = str(other.size)
    plain = _spelled(document, charges).model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"document": without_empty(plain), "sizes": sizes}


def without_empty(value: Any) -> Any:
    """Return a plain value without keys that hold nothing: an empty part means the same as none."""
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    items = {key: without_empty(item) for key, item in value.items()}
    return {key: item for key, item in items.items() if item not in ([], {})}


def _spelled(document: PriceListDocument, charges: Sequence[SpelledCharge]) -> PriceListDocument:
    """Return the document with nothing left out, and everything whose order means nothing in order."""
    products = sorted((_product(product, charges) for product in document.products), key=lambda p: p.id)
    account = document.account
    return document.model_copy(
        update={
            "settings": settings_of(document),
            "meters": tuple(sorted(document.meters, key=lambda meter: meter.key)),
            "rates": tuple(sorted(document.rates, key=lambda rate: (rate.currency, rate.start))),
            "products": tuple(products),
            "prices": tuple(
                price.model_copy(update={"when": _sorted(price.when)})
                for price in sorted(document.prices, key=lambda price: price.id)
            ),
            "campaigns": tuple(
                _filters(campaign.model_copy(update={"name": campaign.name or campaign.id}))
                for campaign in sorted(document.campaigns, key=lambda campaign: campaign.id)
            ),
            "account": account.model_copy(
                update={"commitments": tuple(map(_filters, sorted(account.commitments, key=lambda c: c.id)))}
            ),
        }
    )


def _filters(item: Filtered) -> Filtered:
    """Return a campaign or a commitment with the names in its filters in order, each once."""
    filters = [key for key in _FILTERS if hasattr(item, key)]
    return item.model_copy(update={key: tuple(sorted(set(getattr(item, key)))) for key in filters})


def _product(product: ProductDocument, charges: Sequence[SpelledCharge]) -> ProductDocument:
    own = [
        item.charge.model_copy(
            update={
                "prices": tuple(
                    price.model_copy(update={"when": _sorted(price.when)})
                    for price in sorted(item.charge.prices, key=lambda price: price.id or "")
                )
            }
        )
        for item in charges
        if item.product_id == product.id
    ]
    return product.model_copy(
        update={"name": product.name or product.id, "charges": tuple(sorted(own, key=lambda charge: charge.id))}
    )


def _sorted(when: Mapping[str, Condition]) -> dict[str, Condition]:
    return {name: tuple(sorted(c)) if isinstance(c, tuple) else c for name, c in sorted(when.items())}
