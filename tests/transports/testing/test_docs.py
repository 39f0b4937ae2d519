"""The tests that docs/testing.md shows pass."""

from __future__ import annotations

import pytest

from tests.examples.pages import Block, blocks

pytest_plugins = ("pytester",)

SAVED = [block for block in blocks("docs/testing.md", "python") if block.file]


@pytest.mark.parametrize("block", SAVED, ids=[block.file for block in SAVED])
def test_what_is_to_be_saved_passes(pytester: pytest.Pytester, block: Block) -> None:
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider --strict-markers\n")
    pytester.path.joinpath(block.file).write_text(block.text, encoding="utf-8")
    outcomes = pytester.runpytest_subprocess().parseoutcomes()
    assert set(outcomes) <= {"passed", "skipped"}
    assert outcomes["passed"] >= 2
