"""Which list prices an account before, and which after a draft is published."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from billing.catalogue_values import AccountGroup
from billing.protocol import Account, Books, PriceListVersion
from pipeline.directory import Directory
from pipeline.effective import EffectiveLists
from rating.price_list import PriceList, parse
from schemas.errors import Misconfigured
from schemas.meters import Registry


@dataclass(frozen=True, slots=True)
class Sides:
    """The effective lists of an account; None: nothing prices it."""

    before: PriceList | None
    after: PriceList | None


class _WithDraft:
    """The books as they would be with the draft published: all that `EffectiveLists` asks of them."""

    def __init__(self, books: Books, draft: PriceListVersion) -> None:
        self._books, self._draft = books, draft

    def price_list(self, name: str, as_of: int | None = None) -> PriceListVersion | None:
        return self._draft if name == self._draft.id else self._books.price_list(name, as_of)

    def groups(self) -> Sequence[AccountGroup]:
        return self._books.groups()


class DraftLists:
    """Finds both lists of an account.

    The draft stands wherever the list of its id stands: as an account's own list, a group's, an ancestor's, the
    default or what others inherit. Where no list of its id exists yet, or another list is given to compare with, it
    prices every account by itself.
    """

    def __init__(
        self, document: str, books: Books, directory: Directory, registry: Registry, against: str | None, as_of: int
    ) -> None:
        """Read the draft.

        Args:
            document: of the draft.
            books: with the lists in force.
            directory: accounts, their ancestors and present lists.
            registry: the meters.
            against: id of the list to compare with; None: whatever is in force for each account.
            as_of: microseconds; lists recorded before it are in force.

        Raises:
            Misconfigured: every problem of the draft; or no list is called `against`.
        """
        self.draft = parse(document, registry)
        known = books.price_list(self.draft.id, as_of)
        version = known.version + 1 if known else 1
        self.draft = self.draft.with_version(version)
        overlay = _WithDraft(books, PriceListVersion(self.draft.id, version, document, as_of))
        self._after = EffectiveLists(cast("Books", overlay), registry)
        self._directory, self._as_of = directory, as_of
        self._against = None
        if against is not None:
            self._against = directory.price_list_named(against, as_of)
            if self._against is None:
                raise Misconfigured([f"there is no price list {against!r} to compare with"])
        self._everywhere = against is not None or known is None

    def sides(self, account: Account) -> Sides | None:
        """Return both lists of an account, or None: the draft does not concern it.

        Raises:
            Poison: a list cannot be read, or lists do not fit together.
        """
        before = self._against or self._directory.price_list(account, self._as_of)
        if self._everywhere:
            return Sides(before, self._after.with_inherited(self.draft.id, self._as_of))
        after = self._after.of(account, self._directory.accounts(), self._as_of)
        if after is None:
            return None
        named = self.draft.id in {after.id, *(price.list_id for price in after.prices)}
        # A draft that has no price of its own shows in the digest of the chain.
        concerned = named or before is None or after.digest != before.digest
        return Sides(before, after) if concerned else None
