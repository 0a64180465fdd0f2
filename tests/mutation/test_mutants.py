"""The mutants are what they say, and leave alone what is no code."""

import pytest

from tests.mutation.mutants import Mutant, mutants_of

SOURCE = '''
"""Text of the module is left alone: 1 < 2."""
LIMIT = 7


class Box:
    """Text 1."""

    def holds(self, size: int = 3) -> bool:
        """Text 2."""
        if size < 0:
            raise ValueError(f"{size} is below {0}")
        return not size > 10


def shares(total: "int", count: int) -> list[int]:
    """Text 3."""
    return [(total * n) // count + min(n, 2) for n in range(count)]
'''


def found() -> list[Mutant]:
    return list(mutants_of(SOURCE, "box.py"))


def test_every_mistake_has_one_mutant() -> None:
    mistakes = {(m.function, m.before, m.after) for m in found()}
    assert mistakes == {
        ("Box.holds", "size < 0", "size <= 0"),
        ("Box.holds", "0", "1"),
        ("Box.holds", "not size > 10", "size > 10"),
        ("Box.holds", "size > 10", "size >= 10"),
        ("Box.holds", "10", "11"),
        ("shares", "total * n // count + min(n, 2)", "total * n // count - min(n, 2)"),
        ("shares", "total * n // count", "total * n * count"),
        ("shares", "total * n", "total // n"),
        ("shares", "min", "max"),
        ("shares", "2", "3"),
    }


@pytest.mark.parametrize(
    ("after", "expected"),
    [("max", [2, 3, 4, 6]), ("3", [0, 2, 4, 6]), ("total * n // count - min(n, 2)", [0, 0, 0, 1])],
)
def test_the_code_is_that_of_the_mistake(after: str, expected: list[int]) -> None:
    def shares(total: int, count: int) -> list[int]:
        raise NotImplementedError

    (mutant,) = (m for m in found() if m.function == "shares" and m.after == after)
    shares.__code__ = mutant.code
    assert shares(4, 4) == expected
