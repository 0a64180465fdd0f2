"""What a collector knows of the script when it sees nothing during some gaps.

A gauge whose meter says ``carry`` is assumed unchanged from the gap's start for at most `carry_max`; what changed
within the gap shows when the collector sees again. Everything else is not known within a gap.
"""

from collections.abc import Iterable, Sequence

from collectors.interface import Gap
from collectors.simulator.script import Flow, Level, Script
from schemas.meters import Registry

Span = tuple[int, int]


def unknown_of(meter: str, registry: Registry, gaps: Sequence[Gap]) -> list[Span]:
    """Return the stretches that stay unknown for a meter: the gaps, less what is carried into them."""
    carried = registry[meter].carry_max if registry[meter].gap == "carry" else 0
    return [(gap.start + carried, gap.end) for gap in gaps if gap.start + carried < gap.end]


def known_script(script: Script, registry: Registry, gaps: Sequence[Gap]) -> Script:
    """Return the script as the collector knows it; resets within a gap are not noticed, events are lost."""
    if not gaps:
        return script
    return Script(
        levels=[known for level in script.levels for known in _level(level, registry, gaps)],
        flows=[Flow(f.series, a, b, f.rate, f.phase) for f in script.flows for a, b in _outside(f.start, f.end, gaps)],
        resets=[reset for reset in script.resets if not _hidden(reset.at, gaps)],
        events=[event for event in script.events if not _hidden(event.at, gaps)],
        sightings=script.sightings,
    )


def _level(level: Level, registry: Registry, gaps: Sequence[Gap]) -> Iterable[Level]:
    meter = registry[level.series.meter]
    for start, end in _outside(level.start, level.end, gaps):
        yield level._replace(start=start, end=end)
    if meter.gap != "carry":
        return
    for gap in gaps:
        # The level that held just before the gap is the last one seen; one that began with the gap was not.
        if level.start < gap.start <= level.end and gap.start < (until := min(gap.end, gap.start + meter.carry_max)):
            yield level._replace(start=gap.start, end=until)


def _outside(start: int, end: int, gaps: Sequence[Gap]) -> Iterable[Span]:
    for gap in gaps:
        if gap.end <= start or gap.start >= end:
            continue
        if start < gap.start:
            yield start, gap.start
        start = gap.end
    if start < end:
        yield start, end


def _hidden(at: int, gaps: Sequence[Gap]) -> bool:
    return any(gap.start <= at < gap.end for gap in gaps)
