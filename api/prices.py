"""Finds the very version of a price list that a line was rated with."""

from threading import Lock
from typing import Final

from api.services import Services
from pipeline.rate import NO_PRICE_LIST
from rating.price_list import PriceList, parse

CACHED_MAX: Final = 256
"""Parsed versions kept in memory."""


class PriceVersions:
    """Parsed price lists by (id, version); a version never changes, so it is kept."""

    def __init__(self, use: Services) -> None:
        """Keep the books to ask and the registry to parse with."""
        self._use = use
        self._kept: dict[tuple[str, int], PriceList] = {}
        self._lock = Lock()

    def find(self, price_list: str, version: int) -> PriceList | None:
        """Return a version, or None when the books do not have it."""
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
