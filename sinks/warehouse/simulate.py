"""What a simulation asks of the warehouse: linear prices applied where the samples lie, and only sums come back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rating.exact import Mode, Ratio
from schemas.claim import Claim
from schemas.period import Period

CLASSES_MAX: Final = 100_000
"""Classes of one request; they stand in the statement as arrays."""
EPOCHS_MAX: Final = 64
"""Epochs of one request: each costs a comparison a line."""
BITS_MAX: Final = 255
"""Bits of the widest integer in which an amount is computed, its sign aside (Int256)."""
QUANTITY_BITS: Final = 63
"""Bits of a line's quantity, its sign aside."""


@dataclass(frozen=True, slots=True)
class AmountColumn:
    """One amount of every line: its quantity times the ratio of its class, rounded.

    Attributes:
        ratios: by class, what one base unit costs in rounding steps; None: nothing of this column applies.
        mode: how the one rounding is done.
        step: micro-units in one rounding step.
    """

    ratios: tuple[Ratio | None, ...]
    mode: Mode
    step: int

    @property
    def bits(self) -> int:
        """Bits, the sign aside, in which every step of the arithmetic provably fits, whatever the quantity."""
        product = max((r.numerator.bit_length() for r in self.ratios if r), default=0) + QUANTITY_BITS
        # One more for the quotient that is rounded up, before it is multiplied by the step.
        return max(product + 1 + self.step.bit_length(), *(r.denominator.bit_length() + 1 for r in self.ratios if r), 0)


@dataclass(frozen=True, slots=True)
class RatedRequest:
    """Asks for the amounts of deduplicated usage, by account and class.

    A class says all that a line's prices depend on: its meter, what of its attributes matters (the signature), and
    when (the epoch). It is numbered (meter × signatures + signature) × epochs + epoch.

    Attributes:
        claims: whose usage, by the number that the answer names them with. No two claim the same.
        edges: ascending instants: n + 1 make the n segments that lines are made in; a cell is in that of its start.
        cutoff: only rows stored before it.
        meters: keys of the meters that have classes of their own, from 1; 0 is the class of every other meter.
        only: read the meters with classes alone.
        without: keys of meters that are not read.
        signatures: attributes_id → signature from 1; 0 for those that are not there.
        signature_count: one more than the highest signature.
        cuts: ascending instants inside the window at which an epoch begins; they are edges.
        columns: amounts of each line.
    """

    claims: Mapping[int, Sequence[Claim]]
    edges: Sequence[int]
    cutoff: int
    meters: Sequence[int] = ()
    only: bool = False
    without: Sequence[int] = ()
    signatures: Mapping[int, int] = field(default_factory=dict)
    signature_count: int = 1
    cuts: Sequence[int] = ()
    columns: Sequence[AmountColumn] = ()

    @property
    def window(self) -> Period:
        """What the edges span."""
        return Period(self.edges[0], self.edges[-1])

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return (len(self.meters) + 1) * self.signature_count * (len(self.cuts) + 1)

    def class_of(self, meter: int, signature: int, epoch: int) -> int:
        """Return the number of a class; `meter` counts from 1 in `meters`, 0 stands for all others."""
        return (meter * self.signature_count + signature) * (len(self.cuts) + 1) + epoch

    @property
    def fits(self) -> bool:
        """Whether the engine's integers and the limits above hold it."""
        within = self.classes <= CLASSES_MAX and len(self.cuts) < EPOCHS_MAX
        return within and all(column.bits <= BITS_MAX for column in self.columns)


@dataclass(frozen=True, slots=True)
class RatedSum:
    """What the lines of one account and class come to.

    Attributes:
        account: its number in the request.
        number: of the class.
        lines: how many lines.
        refused: how many of them have a quantity or an amount beyond 64 bits; they are in no sum.
        amounts: Σ micro-units of each column.
    """

    account: int
    number: int
    lines: int
    refused: int
    amounts: tuple[int, ...]
