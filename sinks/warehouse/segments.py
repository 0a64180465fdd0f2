"""Maps a cell to its segment in SQL: plain arithmetic on both engines (18.16 has no roundDown)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive segments of equal length.

    Attributes:
        start: start of the first one, seconds since 1970.
        step: their length, seconds.
        end: end of the last one.
    """

    start: int
    step: int
    end: int


def runs_of(edges: Sequence[int]) -> list[Run]:
    """Return the edges as runs of equal steps, in order. A month of days has one, or three with a clock change.

    Raises:
        ValueError: fewer than two edges, not ascending, or beyond what a cell start can hold.
    """
    if len(edges) < 2 or any(b <= a for a, b in pairwise(edges)):
        raise ValueError("edges must be two or more ascending instants")
    if edges[0] < 0 or edges[-1] >= 2**32:
        raise ValueError("edges must be seconds since 1970, before 2106")
    runs: list[Run] = []
    for start, end in pairwise(edges):
        if runs and runs[-1].step == end - start:
            runs[-1] = Run(runs[-1].start, runs[-1].step, end)
        else:
            runs.append(Run(start, end - start, end))
    return runs


def segment_sql(edges: Sequence[int]) -> str:
    """Return the SQL expression of the start of the segment that holds `cell_start`, which lies within the edges."""
    runs = runs_of(edges)
    parts = [_of_run(run) for run in runs]
    if len(parts) == 1:
        return f"toUInt32({parts[0]})"
    conditions = [f"cell_start < {run.end}, {part}" for run, part in zip(runs[:-1], parts[:-1], strict=True)]
    return f"toUInt32(multiIf({', '.join(conditions)}, {parts[-1]}))"


def _of_run(run: Run) -> str:
    if run.end - run.start == run.step:
        return str(run.start)
    return f"{run.start} + intDiv(toInt64(cell_start) - {run.start}, {run.step}) * {run.step}"
