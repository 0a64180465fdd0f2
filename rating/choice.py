"""Chooses tariffs for whole columns: once for each distinct (meter, attributes, epoch), then by integer take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rating.rows import NO_ATTRIBUTES, Rows
from rating.tariff import Tariffs
from rating.windows import Segments
from schemas.errors import Invariant
from schemas.meters import Registry

I64 = npt.NDArray[np.int64]
NONE: Final = -1
"""Stands for "no tariff"."""


@dataclass(frozen=True)
class Epochs:
    """Stretches of time in which no tariff changes.

    Attributes:
        edges: starts of the epochs, ascending.
        of: for each segment the number of its epoch.
    """

    edges: I64
    of: I64


def epochs_of(tariffs: Tariffs, segments: Segments) -> Epochs:
    """Return the epochs of the segments' time; raises Invariant when a tariff changes inside a segment."""
    cuts = tariffs.cuts(segments.period)
    inside = sorted(set(cuts) - set(segments.edges))
    if inside:
        raise Invariant(f"a price changes inside a segment, at {inside[0]}: make the segments with segments_of()")
    edges = np.array([segments.period.start, *cuts], dtype=np.int64)
    of = np.searchsorted(edges, np.array(segments.edges[:-1], dtype=np.int64), side="right") - 1
    return Epochs(edges, of.astype(np.int64))


class Choices:
    """Which tariff each charge applies to usage, by distinct pair and epoch."""

    def __init__(
        self,
        tariffs: Tariffs,
        epochs: Epochs,
        registry: Registry,
        attribute_sets: Mapping[int, Mapping[str, str]],
    ) -> None:
        """Keep the tariffs and what the integer keys of usage stand for."""
        self.tariffs, self.epochs = tariffs, epochs
        self._registry, self._sets = registry, attribute_sets

    def attributes(self, key: int) -> Mapping[str, str]:
        """Return an attribute set; 0 may be unknown and then stands for none."""
        return self._sets.get(key, {})

    def check(self, rows: Rows) -> Rows:
        """Return rows whose attribute sets are all known; raises Invariant otherwise."""
        missing = sorted({key for _, key in rows.pairs if key != NO_ATTRIBUTES and key not in self._sets})
        if missing:
            raise Invariant(f"{len(missing)} attribute sets have no entry, the first is {missing[0]}")
        return rows

    def table(self, family: str, pairs: Sequence[tuple[int, int]]) -> I64:
        """Return the tariff number of a charge for each pair and epoch, shape (P, E); NONE where none applies."""
        chosen = np.full((len(pairs), len(self.epochs.edges)), NONE, dtype=np.int64)
        for row, (meter_id, attributes_id) in enumerate(pairs):
            meter = self._registry.by_id.get(meter_id)
            if meter is not None and meter.key in self.tariffs.meters_of(family):
                self.fill(chosen[row], family, meter.key, self.attributes(attributes_id))
        return chosen

    def fill(self, chosen: I64, family: str, meter: str, attributes: Mapping[str, str]) -> None:
        """Write the tariff number of each epoch, shape (E,)."""
        for valid, number in self.tariffs.choices(family, meter, attributes):
            first, last = np.searchsorted(self.epochs.edges, (valid.start, valid.end))
            chosen[first:last] = number

    def of_rows(self, table: I64, rows: Rows) -> I64:
        """Return the tariff number of each row, shape (n,)."""
        return table.reshape(-1)[rows.pair * table.shape[1] + self.epochs.of[rows.segment]]
