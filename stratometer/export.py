"""The export: every rated line, debit and balance of a period as one canonical JSON document.

It holds nothing of the moment or the machine (no cut-offs, no time of storing, no revision), so the same samples, rules
and prices give the same bytes from every deployment and after every replay.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from billing.journal import all_transfers
from billing.protocol import Account, PostedTransfer
from pipeline.rated_list import list_of
from rating.components import LinePrice
from rating.price import UNIT
from rating.price_list import parse
from schemas.errors import Invariant
from schemas.ids import account_id
from schemas.money import decimal_text
from schemas.period import Period, iso
from sinks.warehouse.protocol import Rating
from stratometer.compose import Parts

LINES_MAX: Final = 25_000
"""Lines held in memory at once."""


def document(parts: Parts, period: Period) -> Iterator[bytes]:
    """Yield the document piece by piece, so that a month of a large provider fits into memory.

    Args:
        parts: the stores.
        period: windows that begin inside it.
    """
    yield b'{"format":1,"period":' + orjson.dumps([iso(period.start), iso(period.end)]) + b',\n"lines":[\n'
    separator = b""
    for account in sorted(parts.directory.accounts()):
        for line in _lines(parts, account, period):
            yield separator + line
            separator = b",\n"
    yield b'\n],\n"transfers":[\n'
    yield b",\n".join(sorted(_transfer(t) for t in all_transfers(parts.books, None) if _belongs(t, period)))
    balances = {
        f"{name} {currency}": decimal_text(micros)
        for (name, currency), micros in sorted(parts.books.balances().items())
    }
    yield b'\n],\n"balances":' + orjson.dumps(balances, option=orjson.OPT_SORT_KEYS) + b"}\n"


def _lines(parts: Parts, account: str, period: Period) -> Iterator[bytes]:
    key = account_id(account)
    found = parts.directory.accounts()[account]
    ratings = {r.window: r for r in parts.warehouse.ratings([key], period) if r.lines and r.window.start in period}
    names = _PriceNames(parts, found)
    for lines in _pages(parts, key, period, max((w.end for w in ratings), default=period.start)):
        resources = parts.warehouse.resource_names([r for r in lines["resource_id"].unique().to_pylist() if r])
        sets = parts.warehouse.attribute_sets([a for a in lines["attributes_id"].unique().to_pylist() if a])
        for row in lines.to_pylist():
            site, resource, _ = resources[row["resource_id"]] if row["resource_id"] else ("", "", "")
            meter = parts.registry.by_id.get(row["meter_id"])
            price = names.entry(ratings[Period(row["window_start"], row["window_end"])], row["price_id"])
            yield orjson.dumps(
                {
                    "account": found.id,
                    "window": [iso(row["window_start"]), iso(row["window_end"])],
                    "segment": [iso(row["segment_start"]), iso(row["segment_end"])],
                    "site": site,
                    "resource": resource,
                    "meter": meter.key if meter else "",
                    "attributes": sets[row["attributes_id"]] if row["attributes_id"] else "{}",
                    "quantity": row["quantity"],
                    "unit": price.base if price else meter.base if meter else "",
                    "covered_seconds": row["covered_seconds"],
                    "price": _price_name(price) if price else "unpriced",
                    "amount": decimal_text(row["amount_micros"]),
                    "usage_digest": f"{row['usage_digest']:016x}",
                    "digest": f"{row['digest']:016x}",
                },
                option=orjson.OPT_SORT_KEYS,
            )


def _pages(parts: Parts, key: int, period: Period, end: int) -> Iterator[pa.Table]:
    """Yield the lines of windows that begin inside a period and end by an instant, LINES_MAX at a time."""
    after = 0
    while end > period.start:
        lines = parts.warehouse.lines(key, Period(period.start, end), after=after, limit=LINES_MAX)
        own = lines.filter(pc.less(lines["window_start"], period.end))
        yield own
        after += lines.num_rows
        if lines.num_rows < LINES_MAX or own.num_rows < lines.num_rows:  # they are in order of their windows' starts
            return


class _PriceNames:
    """Finds what the prices of an account's lines are, in the lists that its ratings were made with."""

    def __init__(self, parts: Parts, account: Account) -> None:
        self._parts, self._account = parts, account
        self._known: dict[int, LinePrice] = {}

    def entry(self, rating: Rating, price: int) -> LinePrice | None:
        """Return the price of a line; None for an unpriced one. Raises Invariant for one that no list has."""
        if not price:
            return None
        if price not in self._known:
            self._known |= self._alone(rating.price_list, rating.price_list_version)
        if price not in self._known:  # of a list that the rating's one stands on
            whole = list_of(self._parts.directory, self._account, rating)
            self._known |= whole.by_key if whole else {}
        if price not in self._known:
            raise Invariant(f"price {price} of a line of {self._account.id} is in no list of its chain")
        return self._known[price]

    def _alone(self, price_list: str, version: int) -> Mapping[int, LinePrice]:
        stored = next((v for v in self._parts.books.price_list_versions(price_list) if v.version == version), None)
        return parse(stored.document, self._parts.registry, version=version).by_key if stored else {}


def _price_name(price: LinePrice) -> str:
    part = "" if price.component == UNIT else f"#{price.component}"
    return f"{price.list_id} v{price.version} {price.id}{part}"


def _belongs(posted: PostedTransfer, period: Period) -> bool:
    """Tell whether a transfer settles a cycle of the period, or is no settlement at all."""
    cycle = posted.transfer.details.get("cycle_start")
    return cycle is None or iso(period.start) <= cycle < iso(period.end)


def _transfer(posted: PostedTransfer) -> bytes:
    transfer = posted.transfer
    return orjson.dumps(
        {
            "id": transfer.id,
            "kind": transfer.kind,
            "account": transfer.account,
            "currency": transfer.currency,
            "effective_at": iso(transfer.effective_at),
            "details": dict(transfer.details),
            "entries": [[e.ledger_account, decimal_text(e.micros)] for e in transfer.entries],
        },
        option=orjson.OPT_SORT_KEYS,
    )
