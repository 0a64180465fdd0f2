"""A world without threads or I/O: a log of partitions, a warehouse and dead letters that fail, an auditor who counts.

Everything follows from one seed. The warehouse keeps what it was given as the real one does: rows by identity, the
highest rank counts, messages by (site, collector, sequence, replay_of).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from pipeline.dead_letters import Filed, State, fold
from pipeline.message import DeadLetter, Message
from schemas.errors import Transient
from sinks.warehouse.protocol import Counters, MeteredBlock, Names
from tests.pipeline.rows import T0, Row, message

PARTITIONS: Final = 3
METERS: Final = ("vm.vcpu", "vm.vcpu", "vm.vcpu", "vm.magic")
"""What messages are made of; one is unknown."""


class Crash(BaseException):
    """The process ended here; only what was durable is left."""


@dataclass
class Weather:
    """When things fail; calm once `calm` is set, so that every run comes to an end."""

    chance: Random
    failure: float
    crash: float
    calm: bool = False

    def fails(self) -> bool:
        return not self.calm and self.chance.random() < self.failure

    def crashes(self) -> None:
        if not self.calm and self.chance.random() < self.crash:
            raise Crash


@dataclass
class Warehouse:
    """Fails before a write, after it (the writer cannot know), or in its middle."""

    weather: Weather
    rows: dict[tuple[int, ...], tuple[int, int]] = field(default_factory=dict)
    messages: dict[tuple[str, str, int, str], tuple[int, int, int]] = field(default_factory=dict)

    def announce(self, names: Names, stored_at: int) -> None:
        del names, stored_at
        if self.weather.fails():
            raise Transient("names refused")
        self.weather.crashes()

    def write(self, block: MeteredBlock, stored_at: int) -> None:
        del stored_at
        assert block.names == Names()
        if self.weather.fails():
            raise Transient("refused")
        columns = {name: column.tolist() for name, column in block.samples.items()}
        for i, rank in enumerate(columns["rank"]):
            key = tuple(columns[n][i] for n in ("resource_id", "meter_id", "cell_start", "event_high", "event_low"))
            if rank >= self.rows.get(key, (0, 0))[0]:
                self.rows[key] = (rank, columns["quantity"][i])
        if self.weather.fails():
            raise Transient("lost between samples and intake")
        for one in block.intake:
            name = (one.site, one.collector or one.origin, one.sequence, one.replay_of)
            self.messages.setdefault(name, (one.samples, one.stored, one.dead))  # the first counts
        if self.weather.fails():
            raise Transient("done, and the answer was lost")
        self.weather.crashes()

    def counters(self) -> Counters:
        """As the real one counts: distinct messages, replays told apart."""
        own = [v for k, v in self.messages.items() if not k[3]]
        replays = [v for k, v in self.messages.items() if k[3]]
        return Counters(
            accepted=sum(v[0] for v in own),
            stored=sum(v[1] for v in (*own, *replays)),
            dead=sum(v[2] for v in (*own, *replays)),
            replayed=sum(v[0] for v in replays),
            unique=len(self.rows),
            messages=len(self.messages),
        )


@dataclass
class Letters:
    """Dead letters that fail as the warehouse does."""

    weather: Weather
    records: list[Filed] = field(default_factory=list)

    def put(self, letters: Sequence[DeadLetter]) -> None:
        if self.weather.fails():
            raise Transient("refused")
        for letter in letters:
            self.records.append(Filed(letter, "waiting"))
            if self.weather.fails():
                raise Transient("some were written")
        self.weather.crashes()

    def mark(self, letter: DeadLetter, state: State) -> None:
        self.records.append(Filed(letter, state))

    def all(self) -> Iterator[Filed]:
        yield from fold(iter(self.records))


@dataclass
class Log:
    """Partitions with committed offsets; a partition is in order, between partitions there is none."""

    chance: Random
    partitions: list[list[Message]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    committed: list[int] = field(default_factory=lambda: [0] * PARTITIONS)

    def append(self, partition: int, payload: bytes) -> None:
        own = self.partitions[partition]
        own.append(Message(payload, f"samples/{partition}/{len(own)}"))

    def take(self, position: list[int]) -> tuple[int, list[Message]]:
        """Return the next messages of a partition that has some; (−1, []) at the end."""
        open_ones = [p for p in range(PARTITIONS) if position[p] < len(self.partitions[p])]
        if not open_ones:
            return -1, []
        partition = self.chance.choice(open_ones)
        start = position[partition]
        return partition, self.partitions[partition][start : start + self.chance.randint(1, 5)]


@dataclass
class Auditor:
    """Counts what went in, with rules of its own: no code of the pipeline decides here what is good, or what wins."""

    sent: list[Row] = field(default_factory=list)
    accepted: int = 0
    dead: int = 0

    def takes(self, rows: Sequence[Row], *, again: bool) -> None:
        """Note a message; one that was sent before counts no rows anew."""
        self.sent += rows
        if not again:
            self.accepted += len(rows)
            self.dead += sum(row.quantity < 0 or row.meter == "vm.magic" for row in rows)

    def unreadable(self) -> None:
        self.accepted += 1
        self.dead += 1

    def winners(self, meters: Sequence[str]) -> Mapping[tuple[str, str, int], set[int]]:
        """Return by (resource, meter, cell) the quantities that may count: of contradicting copies any one."""
        best: dict[tuple[str, str, int], tuple[tuple[int, int], set[int]]] = {}
        for row in self.sent:
            if row.quantity < 0 or row.meter not in meters:
                continue
            key, version = (row.resource, row.meter, row.start), (row.covered or 0, row.revision)
            before = best.get(key, ((-1, -1), set()))
            if version > before[0]:
                best[key] = (version, {row.quantity})
            elif version == before[0]:
                before[1].add(row.quantity)
        return {key: quantities for key, (_, quantities) in best.items()}


def filled(chance: Random, log: Log, auditor: Auditor) -> None:
    """Put messages of collectors into the log: some twice, some broken, some rows bad, some versions of one sample."""
    sent: list[tuple[list[Row], int]] = []
    for sequence in range(1, chance.randint(5, 13)):
        partition = chance.randrange(PARTITIONS)
        if chance.random() < 0.1:
            log.append(partition, b"\xff broken %d" % sequence)
            auditor.unreadable()
            continue
        if sent and chance.random() < 0.25:  # the collector sends a batch again, perhaps to another partition
            rows, number = chance.choice(sent)
            log.append(partition, message(rows, number).payload)
            auditor.takes(rows, again=True)
            continue
        rows = [some_row(chance) for _ in range(chance.randint(0, 6))]
        sent.append((rows, sequence))
        log.append(partition, message(rows, sequence).payload)
        auditor.takes(rows, again=False)


def some_row(chance: Random) -> Row:
    return Row(
        resource=f"vm/{chance.randrange(4)}",
        meter=chance.choice(METERS),
        start=T0 + 300 * chance.randrange(20),
        quantity=chance.choice([-1, 600, 600, 700, 800]),
        covered=chance.choice([300, 300, 150]),
        revision=chance.randrange(2),
    )
