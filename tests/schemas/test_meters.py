"""The meter registry: families, and what an operator's own definitions may not do."""

from typing import Any

import pytest

from schemas.errors import Invariant, Misconfigured
from schemas.meters import Meter, Registry, builtin

OWN: dict[str, Any] = {
    "key": "own.power",
    "name": "Power",
    "kind": "gauge",
    "base": "W·s",
    "display": {"kWh": 3_600_000},
}


def problems(*definitions: dict[str, Any]) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        builtin().extended(definitions)
    return list(caught.value.problems)


def test_allocation_names_the_meters_of_use_and_reservation() -> None:
    registry = builtin()
    families = {meter.key: dict(meter.family) for meter in registry if meter.family}
    assert families == {
        "vm.cpu": {"usage": "vm.cpu.used", "reservation": "vm.cpu.reserved"},
        "vm.memory": {"usage": "vm.memory.used", "reservation": "vm.memory.reserved"},
    }
    for key, family in families.items():
        assert {registry[other].base for other in family.values()} == {registry[key].base}


def test_own_meters_join_the_others() -> None:
    registry = builtin().extended([{**OWN, "family": {"usage": "own.used"}}, {**OWN, "key": "own.used"}])
    assert registry["own.power"].display_unit == "kWh"
    assert registry.by_id[registry["own.used"].id].key == "own.used"
    assert registry.by_event_type["own.power"].key == "own.power"
    assert registry.cell_seconds_of(["own.power", "no.such"]).tolist() == [300, 0]


def test_every_problem_of_own_meters() -> None:
    assert problems({**OWN, "cell": 7}, {**OWN, "family": {"usage": "no.such"}}, {**OWN, "key": "vm.cpu"}) == [
        "meters[0] own.power: cell: Value error, a cell must divide 900 seconds, so that calendar windows of every "
        "zone fall on cell edges",
        "meters[2] vm.cpu: this key is taken; choose another",
        "own.power: its family names an unknown meter 'no.such'",
    ]
    assert problems({**OWN, "event": {"type": "vm.cpu"}}) == ["event type 'vm.cpu' feeds more than one meter"]
    with pytest.raises(Invariant, match="two meters share an integer key"):
        Registry({"a": Meter.model_validate(OWN), "b": Meter.model_validate(OWN)})


def test_an_events_cell_is_a_second() -> None:
    event = {"key": "own.event", "name": "E", "kind": "event", "base": "event", "display": {"event": 1}}
    assert Meter.model_validate(event).cell == 1
    assert Meter.model_validate({**event, "event": {"type": "t"}}).event_type == "t"
