"""What a fleet's script implies, by arithmetic of its own: no cells, no batches, no NumPy.

Levels are value × seconds of overlap with a day; flows are differences of the running total, which this module
computes again, hour by hour, from the weights. The tests compare it with what the generator hands out.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from collectors.simulator.fleet import Fleet
from collectors.simulator.rhythm import HOURS_IN_WEEK, MONDAY, SCALE, WEEK_SECONDS, WEIGHTS
from collectors.simulator.script import Flow, Level, Script, Series
from schemas.period import Period

DAY = 86400
_HOURS_BEFORE = tuple(sum(WEIGHTS[:hour]) for hour in range(HOURS_IN_WEEK))


class TruthKey(NamedTuple):
    """What totals are kept by."""

    tenant: str
    meter: str
    attributes: str


@dataclass(slots=True)
class Truth:
    """Exact totals.

    Attributes:
        quantities: base units by tenant, meter and attributes.
        daily: the same by UTC day (its first second) as well.
        samples: unique samples by tenant, meter and attributes.
    """

    quantities: dict[TruthKey, int] = field(default_factory=lambda: defaultdict(int))
    daily: dict[tuple[int, TruthKey], int] = field(default_factory=lambda: defaultdict(int))
    samples: dict[TruthKey, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def samples_total(self) -> int:
        """Unique samples in all."""
        return sum(self.samples.values())

    def by_meter(self, tenant: str | None = None) -> dict[str, int]:
        """Return base units by meter, of one tenant or of all."""
        totals: dict[str, int] = defaultdict(int)
        for key, quantity in self.quantities.items():
            if tenant in (None, key.tenant):
                totals[key.meter] += quantity
        return dict(totals)

    def add(self, series: Series, second: int, quantity: int) -> None:
        """Add a quantity that belongs to the day of a second."""
        key = TruthKey(series.tenant, series.meter, series.attributes)
        self.quantities[key] += quantity
        self.daily[second // DAY * DAY, key] += quantity


def truth_of(fleet: Fleet, period: Period | None = None) -> Truth:
    """Return the totals of a fleet over its period, or over another one whose ends lie on cell edges."""
    period = period or fleet.plan.period
    truth = Truth()
    spans: dict[Series, list[Level | Flow]] = defaultdict(list)
    everything: list[Level | Flow] = [*fleet.script.levels, *fleet.script.flows]
    for span in everything:
        if span.start < period.end and span.end > period.start:
            start, end = max(span.start, period.start), min(span.end, period.end)
            spans[span.series].append(span._replace(start=start, end=end))
    for series, parts in spans.items():
        parts.sort(key=lambda span: span.start)
        grid = fleet.registry[series.meter].cell
        for part in parts:
            for start, end in _days(part.start, part.end):
                truth.add(series, start, _used(part, start, end))
        truth.samples[TruthKey(series.tenant, series.meter, series.attributes)] += _cells(parts, grid)
    _subtract_resets(truth, fleet.script, spans, fleet)
    for event in fleet.script.events:
        if event.at in period:
            truth.add(event.series, event.at, 1)
            truth.samples[TruthKey(event.series.tenant, event.series.meter, event.series.attributes)] += 1
    return truth


def running_total(at: int, rate: int, phase: int) -> int:
    """Return a flow's running total at one instant: whole weeks, whole hours, seconds."""
    weeks, rest = divmod(at + phase * 3600 - MONDAY, WEEK_SECONDS)
    hour, seconds = divmod(rest, 3600)
    weight = (weeks * sum(WEIGHTS) + _HOURS_BEFORE[hour]) * 3600 + WEIGHTS[hour] * seconds
    return rate * weight // SCALE


def _used(span: Level | Flow, start: int, end: int) -> int:
    if isinstance(span, Level):
        return span.value * (end - start)
    return running_total(end, span.rate, span.phase) - running_total(start, span.rate, span.phase)


def _days(start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        midnight = (start // DAY + 1) * DAY
        yield start, min(end, midnight)
        start = midnight


def _cells(parts: list[Level | Flow], grid: int) -> int:
    """Count the cells that ordered spans touch; neighbours may share one."""
    count, newest = 0, -1
    for part in parts:
        first, last = max(part.start // grid, newest + 1), (part.end - 1) // grid
        count += max(0, last - first + 1)
        newest = max(newest, last)
    return count


def _subtract_resets(truth: Truth, script: Script, spans: dict[Series, list[Level | Flow]], fleet: Fleet) -> None:
    for reset in script.resets:
        grid = fleet.registry[reset.series.meter].cell
        for part in spans.get(reset.series, ()):
            if part.start < reset.at < part.end:
                last_reading = max(part.start, reset.at // grid * grid)
                truth.add(reset.series, reset.at, -_used(part, last_reading, reset.at))
