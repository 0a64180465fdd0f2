"""A price list as a value: checked, immutable, named in every line by id and version."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from rating.charge import AccountTerms, Campaign, Charge, ExchangeRate, Rounding, Settings
from rating.components import LinePrice, account_prices, line_prices
from rating.price import Price
from schemas.calendar import Size
from schemas.ids import key64
from schemas.meters import Meter

CANONICAL_FORMAT: Final = 2
"""Changes when the canonical form does; part of every digest."""


@dataclass(frozen=True)
class PriceList:
    """A checked price list; two lists with equal `digest` rate alike.

    Attributes:
        id: names the list.
        name: for people.
        currency: of every line.
        window: default window of its charges; unpriced usage is shown in such windows.
        rounding: default of its charges; of lines of the account's terms.
        settings: defaults of its charges; of the account's terms.
        charges: ordered by id.
        prices: ordered by id; each holds its charge.
        campaigns: ordered by priority, then id.
        rates: exchange rates into the list's currency.
        account: terms over all charges.
        inherits: id of the parent list, or None.
        version: given by the books; 1 until they do.
        warnings: what is allowed and yet may be a mistake.
        canonical: the whole content as plain JSON values.
        meters: its own, beside the installation's.
        units: its own: meter, name, base units in one as text.
    """

    id: str
    name: str
    currency: str
    window: Size
    rounding: Rounding = field(default_factory=Rounding)
    settings: Settings = field(default_factory=Settings)
    charges: tuple[Charge, ...] = ()
    prices: tuple[Price, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    rates: tuple[ExchangeRate, ...] = ()
    account: AccountTerms = field(default_factory=AccountTerms)
    inherits: str | None = None
    version: int = 1
    warnings: tuple[str, ...] = ()
    canonical: Mapping[str, object] | None = None
    meters: tuple[Meter, ...] = ()
    units: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def with_version(self, version: int) -> "PriceList":
        """Return the same list under the version that the books gave it."""
        own = [replace(p, version=version) if p.list_id == self.id else p for p in self.prices]
        return replace(self, version=version, prices=tuple(own))

    @cached_property
    def by_key(self) -> Mapping[int, LinePrice]:
        """What a line's price_id stands for, by key."""
        account = account_prices(self.account, self.id, self.version)
        return {**line_prices(self.prices, self.campaigns), **account}

    @cached_property
    def unpriced_digest(self) -> int:
        """What stands for the price's digest in a line without one: such a line depends on the list, too."""
        return key64("unpriced-digest", self.digest, str(self.version))

    @cached_property
    def definitions(self) -> tuple[Charge, ...]:
        """Every distinct definition of a charge, of whichever list in the chain, in order of id and level."""
        found: dict[Charge, None] = {}
        for price in sorted(self.prices, key=lambda p: (p.charge.id, p.level)):
            found.setdefault(price.charge)
        return tuple(found)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical content, in hexadecimal; the books' version takes no part."""
        content = {"format": CANONICAL_FORMAT, **(self.canonical or {"id": self.id})}
        text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
