"""What every charge of one run of rating needs beside its own rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rating.tariff import Tariff
from rating.terms import Terms
from rating.windows import Segments
from schemas.meters import Registry


@dataclass(frozen=True)
class Desk:
    """What every charge of one run of rating needs.

    Attributes:
        tariffs: by number.
        segments: the grid.
        registry: the meters.
        sets: attribute sets by key.
        terms: of the account.
    """

    tariffs: Sequence[Tariff]
    segments: Segments
    registry: Registry
    sets: Mapping[int, Mapping[str, str]]
    terms: Terms
