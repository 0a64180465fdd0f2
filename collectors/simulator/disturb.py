"""Delivery as it happens in bad weather: twice, late, out of order. What is delivered stays the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from collectors.interface import Collector, Health, Poll

HELD_MAX: Final = 32
"""Late batches that are held back at a time; more are delivered at once, so memory stays bounded."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad it is.

    Attributes:
        duplicates: share of the batches that are delivered twice, 0 … 1.
        late: share of the batches that are delivered after later ones, 0 … 1.
        shuffled: rows within each batch, and batches within each poll, in random order.
        seed: another seed, other victims.
    """

    duplicates: float = 0.0
    late: float = 0.0
    shuffled: bool = False
    seed: int = 1


class Disturbed:
    """Wraps a collector and disturbs its delivery; satisfies `Collector`."""

    def __init__(self, inner: Collector, weather: Weather) -> None:
        """Wrap a collector."""
        self._inner = inner
        self._weather = weather
        self._rng = np.random.default_rng(weather.seed)

    @property
    def site(self) -> str:
        """Site of the wrapped collector."""
        return self._inner.site

    @property
    def name(self) -> str:
        """Name of the wrapped collector."""
        return self._inner.name

    def resume(self, position: str) -> None:
        """Go on after an earlier process."""
        self._inner.resume(position)

    def poll(self, now: int) -> Iterator[Poll]:
        """Yield the wrapped collector's portions, disturbed; all of them by the end of the poll.

        A position goes out only when nothing older is held back, so a restart loses nothing.
        """
        held: list[pa.RecordBatch] = []
        position = ""
        for portion in self._inner.poll(now):
            out: list[pa.RecordBatch] = []
            for batch in portion.batches:
                disturbed = self._rows(batch)
                if len(held) < HELD_MAX and self._rng.random() < self._weather.late:
                    held.append(disturbed)
                    continue
                out += [disturbed] * (1 + int(self._rng.random() < self._weather.duplicates))
            if held and self._rng.random() < 0.5:
                out += held
                held = []
            position = portion.position or position
            yield Poll(tuple(self._order(out)), portion.descriptors, "" if held else position)
        if held:
            yield Poll(tuple(self._order(held)), (), position)

    def health(self) -> Health:
        """Return the wrapped collector's health."""
        return self._inner.health()

    def _rows(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.take(pa.array(self._rng.permutation(batch.num_rows))) if self._weather.shuffled else batch

    def _order(self, made: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
        return [made[int(k)] for k in self._rng.permutation(len(made))] if self._weather.shuffled else made
