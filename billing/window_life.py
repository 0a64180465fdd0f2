"""The life of a window of time: open ▸ grace ▸ closed ▸ settled. It only ever moves forward."""

from typing import Final, Literal

State = Literal["open", "grace", "closed", "settled"]
STATES: Final[tuple[State, ...]] = ("open", "grace", "closed", "settled")


def closes_at(window_end: int, grace_seconds: int) -> int:
    """Return the first second at which a window counts as closed, seconds since 1970."""
    if grace_seconds < 0:
        raise ValueError(f"grace must not be negative, not {grace_seconds} s")
    return window_end + grace_seconds


def state_of(window_end: int, now: int, grace_seconds: int, *, settled: bool) -> State:
    """Return the state of a window.

    Args:
        window_end: seconds since 1970; the window is half-open, so at this second it is over.
        now: seconds since 1970.
        grace_seconds: how long late data is still waited for.
        settled: whether a settlement of the window's cycle is recorded; from then on late data makes adjustments.
    """
    if settled:
        return "settled"
    if now < window_end:
        return "open"
    return "grace" if now < closes_at(window_end, grace_seconds) else "closed"
