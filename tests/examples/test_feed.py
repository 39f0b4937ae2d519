"""The example in examples/feed: both programs as processes, and the picture of its spans."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.examples.pages import ROOT, blocks
from tests.examples.webwire.conftest import RunStory, Start, run_story, start

__all__ = ["run_story", "start"]

pytest.importorskip("opentelemetry.sdk")

PAGE = "docs/feed.md"

SVG = "{http://www.w3.org/2000/svg}"


def printed(program: str) -> list[str]:
    """What the page says that *program* prints."""
    [block] = [block for block in blocks(PAGE, "console") if f"/{program}" in block.text]
    return block.text.splitlines()[1:]


def spans_in(path: Path) -> list[dict[str, Any]]:
    """What the client has written."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.skipif(sys.platform == "win32", reason="ended by a signal")
def test_the_client_tells_what_the_page_says(
    run_story: RunStory, start: Start, tmp_path: Path
) -> None:
    async def story() -> None:
        async with start("feed/server.py", "--port=0") as server:
            url = f"--url=ws://{await server.address()}/"
            async with start(
                "feed/client.py", url, "--connections=2", "--trace=spans.jsonl"
            ) as client:
                assert await client.process.wait() == 0, client.said
                await client.wait_for("closing")
                # A price may come while the snapshot is asked for, on a machine that is busy.
                assert sorted(client.said) == sorted(printed("client.py"))
                assert [line for line in client.said if "/EUR " not in line] == [
                    line for line in printed("client.py") if "/EUR " not in line
                ]
            await server.end(signal.SIGINT)
            assert server.said[-1] == "stopped"

        spans = spans_in(tmp_path / "spans.jsonl")
        trees(spans)
        async with start("feed/picture.py", "spans.jsonl", "feed.svg") as picture:
            assert await picture.process.wait() == 0, picture.said
        drawn(tmp_path / "feed.svg", spans)

    def trees(spans: list[dict[str, Any]]) -> None:
        """One trace has the whole outage, and one each snapshot."""
        names = {span["context"]["span_id"]: span["name"] for span in spans}
        below: dict[str, set[str]] = {}
        for span in spans:
            below.setdefault(names.get(span["parent_id"], ""), set()).add(span["name"])
        assert below["feed.snapshot"] == {"websocket.write", "websocket.read"}
        assert below["wscengine.background.restart"] == {
            "wscengine.background.start",
            "wscengine.callback.on_restart_error",
        }
        [restart] = [span for span in spans if span["name"] == "wscengine.background.restart"]
        outage = [
            span["name"]
            for span in spans
            if span["context"]["trace_id"] == restart["context"]["trace_id"]
        ]
        assert outage.count("websocket.dial") == 2
        assert "wscengine.background.run" in outage

    def drawn(path: Path, spans: list[dict[str, Any]]) -> None:
        """Each span is a box, whose title tells its name."""
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        titles = [title.text or "" for title in root.iter(f"{SVG}title")]
        assert titles[0] == f"{len(spans)} spans of a feed's client"
        assert {title.split(",")[0] for title in titles[1:]} == {span["name"] for span in spans}
        assert len(titles) > len(spans)

    run_story(story)


def test_the_picture_on_the_page_is_one_of_these() -> None:
    root = ElementTree.fromstring((ROOT / "docs" / "feed-trace.svg").read_text(encoding="utf-8"))
    texts = {text.text for text in root.iter(f"{SVG}text")}
    assert {"1012", "1000", "on_restart_error", "feed.snapshot", "dial", "read"} <= texts
