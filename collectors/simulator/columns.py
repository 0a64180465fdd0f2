"""The script as flat arrays, so that cells are generated without a loop over samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collectors.fold_cut import I64
from collectors.simulator.fleet import Fleet
from collectors.simulator.known import unknown_of
from collectors.simulator.script import Event, Flow, Level, Series

LEVEL: Final = -1
"""Stands in `Columns.phase` for a span that is a level, not a flow."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A fleet's spans and series.

    Series are numbered in the order of (resource, meter); spans are ordered by (series, start).

    Attributes:
        resources: names; sorted, so that neighbouring series use neighbouring names.
        meters: names.
        tenants: names.
        attributes: canonical JSON texts.
        resource: position in `resources` of each series, shape (series,); likewise the next three.
        meter: as above.
        tenant: as above.
        attribute: as above.
        cell: grid of each series in seconds, shape (series,).
        series: number of the series of each span, shape (spans,); likewise the next four.
        start: seconds since 1970.
        end: seconds since 1970, excluded.
        amount: level, or rate of a flow.
        phase: `LEVEL`, or the phase of a flow in hours.
        reset_series: series of each counter reset, shape (resets,).
        reset_at: second of each counter reset, shape (resets,).
        unknown: stretches that stay unknown, by position in `meters`.
        events: single happenings, by time.
    """

    resources: pa.Array
    meters: pa.Array
    tenants: pa.Array
    attributes: pa.Array
    resource: I64
    meter: I64
    tenant: I64
    attribute: I64
    cell: I64
    series: I64
    start: I64
    end: I64
    amount: I64
    phase: I64
    reset_series: I64
    reset_at: I64
    unknown: tuple[tuple[tuple[int, int], ...], ...]
    events: tuple[Event, ...]


def columns_of(fleet: Fleet) -> Columns:
    """Return a fleet's script as arrays."""
    script, plan = fleet.script, fleet.plan
    spans: list[Level | Flow] = [*script.levels, *script.flows]
    table = sorted({span.series for span in spans})
    number = {series: position for position, series in enumerate(table)}
    series = _integers([number[span.series] for span in spans])
    start = _integers([span.start for span in spans])
    order = np.lexsort((start, series))
    amount = _integers([span.value if isinstance(span, Level) else span.rate for span in spans])
    phase = _integers([LEVEL if isinstance(span, Level) else span.phase for span in spans])
    resources, resource = _coded([each.resource for each in table])
    meters, meter = _coded([each.meter for each in table])
    tenants, tenant = _coded([each.tenant for each in table])
    attributes, attribute = _coded([each.attributes for each in table])
    resets = [reset for reset in script.resets if reset.series in number]
    return Columns(
        resources=pa.array(resources),
        meters=pa.array(meters),
        tenants=pa.array(tenants),
        attributes=pa.array(attributes),
        resource=resource,
        meter=meter,
        tenant=tenant,
        attribute=attribute,
        cell=_integers([fleet.registry[each.meter].cell for each in table]),
        series=series[order],
        start=start[order],
        end=_integers([span.end for span in spans])[order],
        amount=amount[order],
        phase=phase[order],
        reset_series=_integers([number[reset.series] for reset in resets]),
        reset_at=_integers([reset.at for reset in resets]),
        unknown=tuple(tuple(unknown_of(each, fleet.registry, plan.gaps)) for each in meters),
        events=tuple(sorted(script.events, key=lambda event: (event.at, event.id))),
    )


def _integers(values: Sequence[int]) -> I64:
    return np.array(values, dtype=np.int64)


def _coded(values: list[str]) -> tuple[list[str], npt.NDArray[np.int64]]:
    names = sorted(set(values))
    code = {name: position for position, name in enumerate(names)}
    return names, _integers([code[value] for value in values])


def series_of(columns: Columns, number: int) -> Series:
    """Return a series by its number, for people and tests."""
    return Series(
        columns.resources[int(columns.resource[number])].as_py(),
        columns.meters[int(columns.meter[number])].as_py(),
        columns.tenants[int(columns.tenant[number])].as_py(),
        columns.attributes[int(columns.attribute[number])].as_py(),
    )
