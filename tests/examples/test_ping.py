"""The example in examples/ping, run as its readers would run it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wirecore._backend import Backend

if TYPE_CHECKING:
    from tests.examples.conftest import Run


def test_the_demo_goes_as_it_should(backend: Backend, run: Run, root: Path) -> None:
    """Calls both ways, a refusal, a crash and a comeback: its exit status says how it went."""
    story = run(root / "examples" / "ping" / "demo.py")
    summary = story.partition("\nSummary\n")[2]
    assert "\n  refused: Charlie\n" in summary
    assert "\n  reconnected after the crash: Alice, Bob\n" in summary
    assert f"\n  codec: {'compiled' if backend.name == 'c' else 'pure Python'}\n" in summary
    assert summary.endswith("\n  everything went as it should\n")
