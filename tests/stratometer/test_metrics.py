"""The metrics that are read from the stores when somebody scrapes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from prometheus_client import generate_latest

from api.services import Ingest
from billing.protocol import Books, Settlement
from schemas.errors import Transient
from stratometer.compose import embedded, open_dead_letters, open_parts
from stratometer.metrics import DRIFT_SECONDS, Drift, Sources, registry_of
from stratometer.serving import services
from tests.stratometer.conftest import Command

FIRST = Settlement("acme", 0, 86_400, 0, 7, "CU", 100, 100, 97, 1, 1, "t")


class Settled:
    """Books that count how often they are read."""

    def __init__(self, *settlements: Settlement) -> None:
        self.rows, self.reads, self.away = settlements, 0, False

    def settlements(self) -> Sequence[Settlement]:
        self.reads += 1
        if self.away:
            raise Transient("away")
        return self.rows


def test_drift_is_of_first_settlements_in_the_books_and_read_once_a_minute() -> None:
    books, now = (
        Settled(
            FIRST,
            replace(FIRST, cycle_start=86_400, live_micros=105),  # 5 the other way: both count
            replace(FIRST, number=1, live_micros=0),  # an adjustment is for late data, not for live rating
            replace(FIRST, account="beta", live_micros=100),
        ),
        [0.0],
    )
    registry = registry_of(Sources(lambda: 0, drift=Drift(cast(Books, books), lambda: now[0])))

    def shown() -> list[str]:
        found = generate_latest(registry).decode().splitlines()
        return [one for one in found if one.startswith("stratometer_settle_drift_micros{")]

    expected = [
        'stratometer_settle_drift_micros{account="acme"} 8.0',
        'stratometer_settle_drift_micros{account="beta"} 0.0',
    ]
    assert shown() == shown() == expected
    assert books.reads == 1
    now[0], books.away = DRIFT_SECONDS, True
    assert shown() == [], "no figure instead of an old one, and the scrape goes on"
    now[0], books.away = 2 * DRIFT_SECONDS, False
    assert shown() == expected
    assert books.reads == 3


def test_the_api_of_either_deployment_shows_drift(command: Command) -> None:
    command("migrate")
    settings = command.settings
    with open_parts(settings) as parts, open_dead_letters(settings) as letters:
        for metrics in (None, embedded(parts, letters).metrics(parts)):
            registry = services(parts, cast(Ingest, None), metrics=metrics).metrics
            assert b"TYPE stratometer_settle_drift_micros gauge" in generate_latest(registry)
