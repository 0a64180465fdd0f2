"""Reads amounts under linear prices."""

from collections.abc import Callable

from sinks.warehouse.claims import within
from sinks.warehouse.rated_sql import CHUNK_ROWS_MAX, rated_rows_sql, rated_sql
from sinks.warehouse.rating_store import RatingStore
from sinks.warehouse.simulate import RatedRequest, RatedSum
from sinks.warehouse.usage_sql import SOURCES, Chunk, Source, chunks_of


class SimulationStore(RatingStore):
    """Applies linear prices where the samples lie."""

    @property
    def applies_prices(self) -> bool:
        """Whether `rated` can be asked: an old server lacks integers that are wide enough."""
        return self.engine.capability.modern

    def rated(self, request: RatedRequest, update: Callable[[int, int], None] | None = None) -> list[RatedSum]:
        """Return what lines come to by account and class, each sample counted once in its winning version.

        Memory stays bounded whatever the number of samples: a range of resources is read at a time.

        Args:
            request: what is asked; it `fits`.
            update: is told how many statements of how many are done.
        """
        if not any(within(claims, request.window) for claims in request.claims.values()):
            return []
        engine = self.engine
        rows = {source: int(engine.select(rated_rows_sql(source, request)).column(0)[0].as_py()) for source in SOURCES}
        asked: list[tuple[Source, Chunk | None]] = [("samples", c) for c in chunks_of(rows["samples"], CHUNK_ROWS_MAX)]
        asked += [("events", None)] if rows["events"] else []
        sums: dict[tuple[int, int], RatedSum] = {}
        for done, (source, chunk) in enumerate(asked):
            for row in engine.select(rated_sql(source, request, engine.capability.in_global, chunk)).to_pylist():
                amounts = tuple(int(row[f"amount_{k}"]) for k in range(len(request.columns)))
                found = RatedSum(row["account"], row["class"], row["lines"], row["refused_lines"], amounts)
                key = found.account, found.number
                sums[key] = _added(sums[key], found) if key in sums else found
            if update:
                update(done + 1, len(asked))
        return [sums[key] for key in sorted(sums)]


def _added(a: RatedSum, b: RatedSum) -> RatedSum:
    amounts = tuple(x + y for x, y in zip(a.amounts, b.amounts, strict=True))
    return RatedSum(a.account, a.number, a.lines + b.lines, a.refused + b.refused, amounts)
