"""CloudKitty's hashmap rating beside ours: `HashMap.process` of the package itself on equivalent rules.

The package is put into a throw-away folder together with the four small packages that its hashmap module computes with.
What that module only imports (its REST controllers, database and message bus) is stood in for by empty modules; rules
come from a stand-in of its database interface. `process`, `DataFrame` and `DataPoint` are CloudKitty's own.

Run by the bench as a process of its own: ``python -m bench.hashmap FOLDER USAGE RULES``.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from bench.rating_data import HOUR_SECONDS, METERED, TIERS, Metered
from schemas.meters import builtin

PACKAGES: Final = (
    "cloudkitty==25.0.0",
    "voluptuous==0.16.0",
    "werkzeug==3.1.9",
    "markupsafe",
    "python-dateutil",
    "six",
)
RUNS: Final = 3
INSTALL_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Measured:
    """What CloudKitty made of the first hours of the usage.

    Attributes:
        points: rated.
        seconds: in `process`, the best of several runs.
        prices: of each point, decimal text, in the order of the usage.
    """

    points: int
    seconds: float
    prices: list[str]


def install(folder: Path) -> str:
    """Put CloudKitty into a folder; returns why it could not be had, empty if it could."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    try:
        done = subprocess.run(
            [*command, "--target", str(folder), *PACKAGES], capture_output=True, timeout=INSTALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__} while installing {PACKAGES[0]}"
    return done.stderr.decode(errors="replace").strip()[-300:] if done.returncode else ""


def measure(folder: Path, usage: pa.Table, rules: str, hours: int) -> Measured:
    """Rate the first hours of a usage table in order by CloudKitty, in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "usage.arrow"
        start = pc.min(usage["segment_start"]).as_py()
        early = usage.filter(pc.less(usage["segment_start"], start + hours * HOUR_SECONDS))
        with pa.ipc.new_file(file, early.schema) as writer:
            writer.write_table(early)
        command = [sys.executable, "-m", "bench.hashmap", str(folder), str(file), rules]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return Measured(**orjson.loads(done.stdout))


class _Rules:
    """Stands in for CloudKitty's database of hashmap rules: one service a meter, one field for the attribute."""

    def __init__(self, rules: str) -> None:
        self._tiered = rules != "flat"

    def list_services(self) -> list[str]:
        return [metered.key for metered in METERED]

    def get_service(self, uuid: str) -> SimpleNamespace:
        return SimpleNamespace(name=uuid)

    def list_fields(self, service: str) -> list[str]:
        return [] if self._tiered or "" in _metered(service).amounts else [f"{service}/tier"]

    def get_field(self, uuid: str) -> SimpleNamespace:
        return SimpleNamespace(name=uuid.partition("/")[2])

    def list_mappings(self, service_uuid: str | None, field_uuid: str | None, tenant_uuid: str | None, **_: Any) -> Any:
        if tenant_uuid is not None:
            return []
        if self._tiered:
            return [(service_uuid, "", "1")]
        key = service_uuid or (field_uuid or "").partition("/")[0]
        return [(key, value, cost) for value, cost in _metered(key).amounts.items() if bool(value) == bool(field_uuid)]

    def get_mapping(self, uuid: tuple[str, str, str]) -> SimpleNamespace:
        return SimpleNamespace(group_id=None, value=uuid[1], map_type="flat", cost=Decimal(uuid[2]))

    def list_thresholds(self, service_uuid: str | None, tenant_uuid: str | None, **_: Any) -> Any:
        return list(_metered(service_uuid).tiers) if self._tiered and service_uuid and tenant_uuid is None else []

    def get_threshold(self, uuid: tuple[str, str]) -> SimpleNamespace:
        level, cost = map(Decimal, uuid)
        return SimpleNamespace(group_id=None, level=level, map_type="rate", cost=cost)


def _metered(key: str) -> Metered:
    return next(metered for metered in METERED if metered.key == key)


def _stand_in(name: str, **attributes: object) -> None:
    module = ModuleType(name)
    module.__dict__.update(attributes)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], child, module)


def _load(folder: str, rules: str) -> tuple[Any, Any]:
    """Import CloudKitty's hashmap and dataframe modules from a folder, with rules in place of its database."""
    sys.path.insert(0, folder)
    _stand_in("pbr")
    _stand_in("pbr.version", VersionInfo=lambda _: SimpleNamespace(version_string=lambda: "25.0.0"))
    _stand_in("oslo_log", log=SimpleNamespace(getLogger=lambda _: None))
    _stand_in("oslo_utils", timeutils=None)
    _stand_in("stevedore", extension=SimpleNamespace(ExtensionManager=object))
    _stand_in("pecan", rest=SimpleNamespace(RestController=object), expose=lambda: lambda function: function)
    _stand_in("cloudkitty.common.policy")
    _stand_in("cloudkitty.db", api=None)
    _stand_in("cloudkitty.messaging")
    _stand_in("cloudkitty.rating.hash.controllers.root", HashMapConfigController=None)
    database = _Rules(rules)
    _stand_in("cloudkitty.rating.hash.db.api", get_instance=lambda: database)
    return import_module("cloudkitty.rating.hash").HashMap, import_module("cloudkitty.dataframe")


def _frames(usage: pa.Table, dataframe: Any) -> Iterator[tuple[Any, list[int]]]:
    """Yield one frame an hour, as CloudKitty collects them, and the row of each point in the order of the frame."""
    keys = {builtin()[metered.key].id: metered for metered in METERED}
    columns = [
        usage[name].to_pylist() for name in ("segment_start", "meter_id", "resource_id", "attributes_id", "quantity")
    ]
    hours: dict[int, dict[str, list[tuple[int, Any]]]] = {}
    for row, (start, meter, resource, attributes, quantity) in enumerate(zip(*columns, strict=True)):
        metered = keys[meter]
        point = dataframe.DataPoint(
            metered.per,
            Decimal(quantity) / metered.size,
            0,
            {"id": f"vm-{resource}", "project_id": "tenant"},
            {"tier": TIERS[attributes - 1]},
        )
        hours.setdefault(start, {}).setdefault(metered.key, []).append((row, point))
    for start, services in hours.items():
        points = {service: [point for _, point in found] for service, found in services.items()}
        begin, end = (datetime.fromtimestamp(at, UTC) for at in (start, start + HOUR_SECONDS))
        yield dataframe.DataFrame(begin, end, points), [row for s in sorted(services) for row, _ in services[s]]


def main() -> None:
    """Rate a usage file and write what came out as JSON."""
    folder, file, rules = sys.argv[1:]
    with pa.ipc.open_file(file) as reader:
        usage = reader.read_all()
    processor, dataframe = _load(folder, rules)
    frames = list(_frames(usage, dataframe))
    engine = processor()
    best = float("inf")
    for _ in range(RUNS):
        began = time.process_time()
        rated = [engine.process(frame) for frame, _ in frames]
        best = min(best, time.process_time() - began)
    prices = [""] * usage.num_rows
    for (_, rows), frame in zip(frames, rated, strict=True):
        for row, (_, point) in zip(rows, frame.iterpoints(), strict=True):
            prices[row] = f"{point.price:f}"
    report = {"points": len(prices), "seconds": best, "prices": prices}
    sys.stdout.buffer.write(orjson.dumps(report))


if __name__ == "__main__":
    main()
