"""Finds the very version of a price list that a line was rated with."""

from threading import Lock
from typing import Final

from api.services import Services
from billing.protocol import Account
from pipeline.rate import NO_PRICE_LIST
from pipeline.rated_list import list_of
from rating.price_list import PriceList, parse
from sinks.warehouse.protocol import Rating

CACHED_MAX: Final = 256
"""Parsed versions kept in memory."""


class PriceVersions:
    """Parsed price lists by (id, version); a version never changes, so it is kept."""

    def __init__(self, use: Services) -> None:
        """Keep the books to ask and the registry to parse with."""
        self._use = use
        self._kept: dict[tuple[str, int], PriceList] = {}
        self._lock = Lock()

    def of_line(self, account: Account, rating: Rating, price: int) -> PriceList | None:
        """Return the list of a rating's line: the version named, or the account's chain where it lacks the price.

        Args:
            account: whose line.
            rating: of the line's window.
            price: `price_id` of the line.
        """
        alone = self.find(rating.price_list, rating.price_list_version)
        if alone is not None and (not price or price in alone.by_key):
            return alone
        return self.effective(account, rating)

    def effective(self, account: Account, rating: Rating) -> PriceList | None:
        """Return the whole chain that a rating was made with; the version named where the chain is not known."""
        found = list_of(self._use.directory, account, rating)
        return found or self.find(rating.price_list, rating.price_list_version)

    def find(self, price_list: str, version: int) -> PriceList | None:
        """Return a version by itself, or None when the books do not have it."""
        with self._lock:
            kept = self._kept.get((price_list, version))
        if kept is not None:
            return kept
        stored = self._use.books.price_list(price_list)
        while stored is not None and stored.version > version:
            # The books answer "newest before an instant": each step goes to the version before.
            stored = self._use.books.price_list(price_list, stored.recorded_at)
        if stored is None or stored.version != version:
            unpriced = (NO_PRICE_LIST.id, NO_PRICE_LIST.version) == (price_list, version)
            return NO_PRICE_LIST if unpriced else None
        found = parse(stored.document, self._use.registry, version=version)
        with self._lock:
            if len(self._kept) >= CACHED_MAX:
                self._kept.clear()
            self._kept[price_list, version] = found
        return found
