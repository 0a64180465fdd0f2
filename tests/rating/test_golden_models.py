"""Every golden story, rated by the independent reference and by the engine."""

from collections.abc import Callable, Sequence

import pytest

from schemas.errors import Poison
from tests.rating import golden_runner as runner
from tests.rating.golden_runner import Shown, Story
from tests.rating.reference import Refused

STORIES = {f"{path.stem}: {story.name}": story for path in runner.files() for story in runner.stories(path)}
NUMBERS_MIN = 300


def _check(story: Story, rate: Callable[[Story], Sequence[Shown]]) -> None:
    if story.refused is None:
        assert runner.differences(story, rate(story)) == []
        return
    with pytest.raises((Refused, Poison)) as error:
        rate(story)
    assert runner.refusal(error.value) == story.refused


@pytest.mark.parametrize("name", STORIES, ids=str)
def test_reference_agrees(name: str) -> None:
    _check(STORIES[name], runner.reference_lines)


@pytest.mark.parametrize("name", STORIES, ids=str)
def test_engine_agrees(name: str) -> None:
    _check(STORIES[name], runner.engine_lines)


def test_there_are_enough_numeric_cases() -> None:
    assert sum(story.numbers for story in STORIES.values()) >= NUMBERS_MIN


def test_no_story_is_told_twice() -> None:
    told = [story.name for path in runner.files() for story in runner.stories(path)]
    assert len(told) == len(set(told))
