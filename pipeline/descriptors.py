"""Resource descriptors into the warehouse's name dimension; they change no number."""

from collections.abc import Iterable

from schemas.ids import resource_id
from schemas.resource import Descriptor
from sinks.warehouse.protocol import Warehouse


def describe(warehouse: Warehouse, descriptors: Iterable[Descriptor]) -> None:
    """Store the newest name of each resource; raises Transient."""
    newest: dict[int, tuple[str, int]] = {}
    for one in descriptors:
        key = resource_id(one.site, one.resource)
        if key not in newest or newest[key][1] <= one.seen_at:
            newest[key] = (one.name, one.seen_at)
    if newest:
        warehouse.write_names(resource_names=newest)
