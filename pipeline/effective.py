"""The list that prices an account: its own, its groups', its ancestors', the default, and what each inherits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from billing.protocol import Account, Books
from rating.catalogue.chain import combined, inherits_chain
from rating.price_list import PriceList, parse
from schemas.errors import Misconfigured, Poison
from schemas.meters import Registry

DEFAULT_PRICE_LIST: Final = "default"


class EffectiveLists:
    """Finds and joins price lists; parsed and joined versions are kept, since a version never changes."""

    def __init__(self, books: Books, registry: Registry) -> None:
        """Keep the collaborators."""
        self._books, self._registry = books, registry
        self._lists: dict[tuple[str, int], PriceList] = {}
        self._joined: dict[tuple[tuple[str, int], ...], PriceList] = {}

    def named(self, name: str, as_of: int | None = None) -> PriceList | None:
        """Return the newest version of a list by itself, recorded before an instant (microseconds; None: now).

        Raises:
            Poison: ``price_list_unusable``: what stands in the books cannot be read any more.
        """
        stored = self._books.price_list(name, as_of)
        if stored is None:
            return None
        key = (stored.id, stored.version)
        if key not in self._lists:
            try:
                self._lists[key] = parse(stored.document, self._registry, version=stored.version)
            except Misconfigured as error:
                raise Poison("price_list_unusable", f"{name} v{stored.version}: {error}") from error
        return self._lists[key]

    def with_inherited(self, name: str, as_of: int | None = None) -> PriceList | None:
        """Return a list with what it inherits, for an account that has no other; raises Poison as `of`."""
        found = self.named(name, as_of)
        return None if found is None else self._join(self._lines([found], as_of))

    def of(self, account: Account, accounts: Mapping[str, Account], as_of: int | None = None) -> PriceList | None:
        """Return the effective list of an account, or None: nothing prices it.

        Without groups that have a list it is one list — the account's own, else the nearest ancestor's, else the
        default — with what that inherits. The list of a group stands between the account's own and the others.

        Args:
            account: who pays.
            accounts: all of them by id, for the ancestors.
            as_of: lists recorded before it, microseconds; groups and ancestors are those of now.

        Raises:
            Poison: ``price_list_unusable``: lists that cannot be read, have two currencies or inherit in a circle.
        """
        own = self.named(account.price_list, as_of) if account.price_list else None
        by_group = self._of_groups(account, as_of)
        others = self._others(account, accounts, as_of)
        if by_group:
            return self._join(self._lines([*([own] if own else []), *by_group, *others], as_of))
        alone = own or next(others, None)
        return None if alone is None else self._join(self._lines([alone], as_of))

    def _of_groups(self, account: Account, as_of: int | None) -> list[PriceList]:
        if not account.groups:
            return []
        names = [g.price_list for g in self._books.groups() if g.id in account.groups and g.price_list]
        found = [self.named(name, as_of) for name in names]
        return [one for one in found if one is not None]

    def _others(self, account: Account, accounts: Mapping[str, Account], as_of: int | None) -> Iterator[PriceList]:
        """Yield the nearest ancestor's list, then the default one."""
        above = accounts.get(account.parent) if account.parent else None
        while above is not None:
            found = self.named(above.price_list, as_of) if above.price_list else None
            if found is not None:
                yield found
                break
            above = accounts.get(above.parent) if above.parent else None
        default = self.named(DEFAULT_PRICE_LIST, as_of)
        if default is not None:
            yield default

    def _lines(self, chain: Sequence[PriceList], as_of: int | None) -> list[PriceList]:
        """Return each list followed by what it inherits; one that comes twice stands where it is farthest.

        So a group's list stays nearer than the default one, also when the account's own list inherits that.
        """
        try:
            found = [one for head in chain for one in inherits_chain(head, lambda name: self.named(name, as_of))]
        except Misconfigured as error:
            raise Poison("price_list_unusable", str(error)) from error
        return [one for place, one in enumerate(found) if one.id not in {later.id for later in found[place + 1 :]}]

    def _join(self, lists: Sequence[PriceList]) -> PriceList:
        key = tuple((one.id, one.version) for one in lists)
        if key not in self._joined:
            try:
                self._joined[key] = combined(lists)
            except Misconfigured as error:
                raise Poison("price_list_unusable", f"{' ▸ '.join(one.id for one in lists)}: {error}") from error
        return self._joined[key]
