"""The export: every rated line, debit and balance of a period as one canonical JSON document.

It holds nothing of the moment or the machine (no cut-offs, no time of storing, no revision), so the same samples, rules
and prices give the same bytes from every deployment and after every replay.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import orjson

from billing.journal import all_transfers
from billing.protocol import PostedTransfer
from rating.price_list import parse
from schemas.ids import account_id
from schemas.money import decimal_text
from schemas.period import Period, iso
from sinks.warehouse.protocol import Rating
from stratometer.compose import Parts

LINES_MAX: Final = 100_000
"""Lines held in memory at once, unless one window has more."""


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
    ratings = [r for r in parts.warehouse.ratings([key], period) if r.lines and r.window.start in period]
    names: dict[tuple[str, int], Mapping[int, str]] = {}
    for group in _groups(ratings):
        for of in {(r.price_list, r.price_list_version) for r in group} - names.keys():
            names[of] = _price_names(parts, *of)
        prices = {price: name for known in names.values() for price, name in known.items()}
        lines = parts.warehouse.lines(key, Period(group[0].window.start, group[-1].window.end))
        resources = parts.warehouse.resource_names(lines["resource_id"].unique().to_pylist())
        sets = parts.warehouse.attribute_sets(lines["attributes_id"].unique().to_pylist())
        for row in lines.to_pylist():
            site, resource, _ = resources[row["resource_id"]]
            meter = parts.registry.by_id[row["meter_id"]]
            yield orjson.dumps(
                {
                    "account": found.id,
                    "window": [iso(row["window_start"]), iso(row["window_end"])],
                    "segment": [iso(row["segment_start"]), iso(row["segment_end"])],
                    "site": site,
                    "resource": resource,
                    "meter": meter.key,
                    "attributes": sets[row["attributes_id"]],
                    "quantity": row["quantity"],
                    "unit": meter.base,
                    "covered_seconds": row["covered_seconds"],
                    "price": prices[row["price_id"]] if row["price_id"] else "unpriced",
                    "amount": decimal_text(row["amount_micros"]),
                    "usage_digest": f"{row['usage_digest']:016x}",
                    "digest": f"{row['digest']:016x}",
                },
                option=orjson.OPT_SORT_KEYS,
            )


def _groups(ratings: Sequence[Rating]) -> Iterator[list[Rating]]:
    """Yield the ratings in runs that have so many lines together that they fit into memory; a window is not split."""
    group: list[Rating] = []
    lines = 0
    for rating in ratings:
        if group and lines + rating.lines > LINES_MAX:
            yield group
            group, lines = [], 0
        group.append(rating)
        lines += rating.lines
    if group:
        yield group


def _price_names(parts: Parts, price_list: str, version: int) -> Mapping[int, str]:
    """Return the names of the prices of one version of a list, which need not be the newest one."""
    stored = parts.books.price_list(price_list)
    while stored is not None and stored.version > version:
        stored = parts.books.price_list(price_list, stored.recorded_at)
    if stored is None:  # rated without a price list
        return {}
    parsed = parse(stored.document, parts.registry, version=stored.version)
    return {key: f"{parsed.id} v{parsed.version} {price.id}" for key, price in parsed.by_key.items()}


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
