"""Reading the whole journal page by page."""

from collections.abc import Iterator, Sequence

from billing.protocol import TRANSFERS_PAGE_MAX, Books, PostedTransfer


def all_transfers(
    books: Books, accounts: Sequence[str] | None = None, after: int = 0, as_of: int | None = None
) -> Iterator[PostedTransfer]:
    """Yield every transfer with sequence > after, in journal order, holding one page in memory.

    Args:
        books: where from.
        accounts: whose; None for all.
        after: sequence to go on from.
        as_of: only what was posted before, microseconds since 1970.
    """
    while page := books.transfers(accounts, after, TRANSFERS_PAGE_MAX, as_of):
        yield from page
        after = page[-1].sequence
