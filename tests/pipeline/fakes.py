"""Stand-ins for the stores: they keep what they are given, note the order, and fail when told to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.dead_letters import Filed, State, fold
from pipeline.message import DeadLetter
from schemas.errors import Transient
from schemas.period import Period
from sinks.warehouse.protocol import MeteredBlock, Names


@dataclass
class Trail:
    """What happened, in order, and how often each step shall fail first."""

    steps: list[str] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)

    def step(self, name: str) -> None:
        if self.failures.get(name, 0) > 0:
            self.failures[name] -= 1
            self.steps.append(f"{name} failed")
            raise Transient(f"{name} is away")
        self.steps.append(name)


@dataclass
class KeptLetters:
    """Dead letters in memory."""

    trail: Trail = field(default_factory=Trail)
    records: list[Filed] = field(default_factory=list)

    def put(self, letters: Sequence[DeadLetter]) -> None:
        self.trail.step("dead letters")
        self.records += [Filed(letter, "waiting") for letter in letters]

    def mark(self, letter: DeadLetter, state: State) -> None:
        self.records.append(Filed(replace(letter, payload=b""), state))

    def all(self) -> Iterator[Filed]:
        yield from fold(iter(self.records))


@dataclass
class KeptBlocks:
    """The warehouse's write side in memory."""

    trail: Trail = field(default_factory=Trail)
    blocks: list[MeteredBlock] = field(default_factory=list)
    stored_at: list[int] = field(default_factory=list)
    announced: list[Names] = field(default_factory=list)
    names: list[Mapping[int, tuple[str, int]]] = field(default_factory=list)

    def announce(self, names: Names, stored_at: int) -> None:
        del stored_at
        self.trail.step("names")
        self.announced.append(names)

    def write(self, block: MeteredBlock, stored_at: int) -> None:
        self.trail.step("warehouse")
        self.blocks.append(block)
        self.stored_at.append(stored_at)

    def write_names(self, *, resource_names: Mapping[int, tuple[str, int]]) -> None:
        self.trail.step("names")
        self.names.append(resource_names)

    @property
    def samples(self) -> int:
        return sum(len(b.samples["rank"]) for b in self.blocks)


@dataclass
class KeptTriggers:
    """Takes triggers."""

    trail: Trail = field(default_factory=Trail)
    touched: list[Mapping[int, Period]] = field(default_factory=list)

    def __call__(self, touched: Mapping[int, Period]) -> None:
        self.trail.step("trigger")
        self.touched.append(touched)


@dataclass
class Clock:
    """A clock that stands still until it is moved; each look adds a microsecond, so that two instants differ."""

    micros: int

    def __call__(self) -> int:
        self.micros += 1
        return self.micros

    def move_to(self, second: int) -> None:
        self.micros = max(self.micros, second * 1_000_000)
