"""The very list that a rating was made with, years later."""

from billing.protocol import Account
from pipeline.directory import Directory
from rating.price_list import PriceList
from schemas.errors import Poison
from sinks.warehouse.protocol import Rating


def list_of(directory: Directory, account: Account, rating: Rating) -> PriceList | None:
    """Return the effective list behind a rating, as it was known at its revision.

    That is the account's own chain, or, where the account has got another list since, the rating's list with what it
    inherits. None: neither is it any more, because the account's groups or ancestors changed.
    """
    try:
        near = directory.price_list(account, rating.revision)
        if near is None or (near.id, near.version) != (rating.price_list, rating.price_list_version):
            near = directory.price_list_named(rating.price_list, rating.revision)
    except Poison:  # what was read when the rating was made cannot be read any more
        return None
    if near is None or (near.id, near.version) != (rating.price_list, rating.price_list_version):
        return None
    return near
