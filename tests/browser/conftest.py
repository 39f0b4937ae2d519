"""Node and Chromium, which these tests need, and stories on trio, bounded in time.

Without one of the programs the tests that need it are skipped; where ``CI`` is set they fail
instead, so that they can't go missing there unseen.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeAlias

import pytest
import trio

Story: TypeAlias = Callable[[], Awaitable[None]]
Run: TypeAlias = Callable[[Story], None]

#: The oldest Node that the client and its tests run on.
OLDEST_NODE = 20

#: Seconds that a whole test gets.
STORY_TIMEOUT = 120.0


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where ``CI`` is set."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(reason)
    pytest.skip(reason)


def find(*names: str) -> str:
    """The first of the programs *names* that is installed."""
    found = next(filter(None, map(shutil.which, names)), None)
    return found or unavailable(f"{names[0]} isn't installed")


@pytest.fixture(scope="session")
def node() -> str:
    """The program node."""
    return find("node")


@pytest.fixture(scope="session")
def npm() -> str:
    """The program npm."""
    return find("npm")


@pytest.fixture(scope="session")
def chromium_program() -> str:
    """The program chromium."""
    return find("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a test's story on trio, bounded in time."""

    def run_story(story: Story) -> None:
        async def bounded() -> None:
            with trio.fail_after(STORY_TIMEOUT):
                await story()

        trio.run(bounded)

    return run_story
