"""What may be committed: never beyond the first message that is not durable (invariant 3). No server needed."""

import hypothesis.strategies as st
from hypothesis import given

from pipeline.agents.offsets import Offsets
from pipeline.agents.watchdog import Pulse, verdict

TP = ("samples", 3)


def reading(position: int = 0) -> Offsets:
    offsets = Offsets()
    offsets.begin(TP, position)
    return offsets


def test_one_message_in_flight_holds_back_all_that_follow() -> None:
    offsets = reading(100)
    for offset in (100, 101, 102):
        offsets.delivered(TP, offset)
    offsets.durable(TP, 101)
    offsets.durable(TP, 102)
    assert offsets.position(TP) == 100, "Faust would commit 103 here (upstream issue 606)"
    offsets.durable(TP, 100)
    assert offsets.position(TP) == 103


def test_without_a_committed_offset_nothing_is_passed_over() -> None:
    offsets = reading()
    for offset in range(50):
        offsets.delivered(TP, offset)
    for offset in range(1, 50):
        offsets.durable(TP, offset)
    assert offsets.position(TP) == 0, "Faust would commit 50 here"


def test_holes_that_compaction_left_are_no_obstacle() -> None:
    offsets = reading(5)
    for offset in (5, 9, 12):
        offsets.delivered(TP, offset)
        offsets.durable(TP, offset)
    assert (offsets.position(TP), offsets.expected(TP)) == (13, 13)


def test_after_a_rebalance_what_was_in_flight_counts_only_when_it_came_again() -> None:
    offsets = reading(10)
    for offset in (10, 11, 12):
        offsets.delivered(TP, offset)
    offsets.forget([TP])
    offsets.durable(TP, 10)  # the write that the rebalance left behind
    assert offsets.position(TP) is None
    offsets.begin(TP, 10)
    offsets.durable(TP, 12)
    assert offsets.position(TP) == 10
    offsets.delivered(TP, 10)
    offsets.durable(TP, 10)
    assert offsets.position(TP) == 11


@given(
    start=st.integers(0, 5),
    steps=st.lists(st.tuples(st.sampled_from(["deliver", "durable", "rewind"]), st.integers(0, 30)), max_size=80),
)
def test_the_position_never_passes_what_is_not_durable(start: int, steps: list[tuple[str, int]]) -> None:
    offsets, durable = reading(start), set(range(start))
    for step, value in steps:
        expected = offsets.expected(TP)
        position = offsets.position(TP)
        assert expected is not None
        assert position is not None
        if step == "deliver":
            offsets.delivered(TP, expected)
        elif step == "rewind":
            offsets.begin(TP, min(position, start + value))
        elif start + value < expected:
            durable.add(start + value)
            offsets.durable(TP, start + value)
        after = offsets.position(TP)
        assert after is not None
        assert durable >= set(range(after))
        assert after <= (offsets.expected(TP) or 0)


def test_one_stuck_partition_among_busy_ones_is_seen() -> None:
    pulse, other = Pulse(), ("samples", 4)
    for now in range(0, 100, 10):
        pulse.beat({TP: (7, 3), other: (now, 50)}, now)
    assert pulse.lag == 53
    assert pulse.durable_at == 0
    assert verdict(pulse, 90, 60) == "53 messages wait and nothing became durable for 90 s"
    pulse.beat({TP: (8, 2), other: (100, 50)}, 100)
    assert verdict(pulse, 100, 60) is None
    pulse.beat({}, 200)
    assert (pulse.lag, verdict(pulse, 200, 60)) == (0, None)
