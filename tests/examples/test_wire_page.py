"""The bytes on docs/wsrpc-wire.md are the original's own, and are what our codec makes of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.examples.pages import ROOT, Block, blocks, text_of
from wirecore._backend import Backend

PAGE = "docs/wsrpc-wire.md"
BYTES = blocks(PAGE, "hex")

#: Bytes at the beginning of a line; at least three spaces, or its end, stand behind them.
_LINE = re.compile(r" *((?:[0-9a-f]{2}  ?)*[0-9a-f]{2})(?:$|   )")


def bytes_of(block: Block) -> bytes:
    """The bytes of *block*, without the words beside them."""
    found = [_LINE.match(line) for line in block.text.splitlines()]
    assert all(found), block
    return bytes.fromhex("".join(match[1] for match in found if match))


@pytest.fixture(scope="module")
def captured() -> dict[str, Any]:
    """What the original sent, and what it made of what it was sent."""
    found: dict[str, Any] = json.loads(
        (ROOT / "tests" / "vectors" / "wsrpc.json").read_text(encoding="utf-8")
    )
    return found


def test_the_page_shows_envelopes_and_frames() -> None:
    assert len(BYTES) == 6


@pytest.mark.parametrize("block", BYTES, ids=str)
def test_they_were_captured_from_the_original(captured: dict[str, Any], block: Block) -> None:
    frames = [frame for case in captured["raw_client_cases"] for frame in case["frames"] or ()]
    known = {entry["hex"] for entry in captured["envelopes"] if entry["made_by"] != "hand"}
    known |= {frame["raw"] for frame in frames if "raw" in frame}
    assert bytes_of(block).hex() in known


@pytest.mark.parametrize("block", BYTES[:4], ids=str)
def test_our_codec_reads_and_writes_them(backend: Backend, block: Block) -> None:
    codec = backend.envelope
    envelope = codec.decode_envelope(bytes_of(block))
    if envelope[0] == codec.REQUEST:
        written = codec.encode_request(*envelope[1:])
    else:
        assert envelope[0] == codec.RESPONSE
        written = codec.encode_response(*envelope[1:])
    assert written == bytes_of(block)


def test_the_requests_and_the_answer_are_what_the_original_sends(captured: dict[str, Any]) -> None:
    request, answer = blocks(PAGE, "http")
    good = next(case for case in captured["raw_client_cases"] if case["name"] == "good_call")
    assert answer.text.replace("\n", "\r\n") + "\r\n" == good["upgrade_response"]

    sent = [each for each in captured["sessions"] if each["name"] == "both_directions_40s"]
    original = sent[0]["connections"][0]["upgrade_request"]

    def without_key(text: str) -> str:
        return re.sub(r"(?<=Sec-WebSocket-Key: )\S+", "...", text)

    assert without_key(request.text.replace("\n", "\r\n") + "\r\n") == without_key(original)


def test_the_figures_are_those_of_the_code() -> None:
    from wirecore.protocols.wsrpc import messages

    text = text_of(PAGE)
    for figure in (messages.SERVER_READ_LIMIT, messages.CLIENT_READ_LIMIT):
        assert f"{figure:,} bytes" in text.replace("\n", " ")
    assert f"{messages.CLIENT_FRAGMENT_SIZE} bytes in fragments" in text
    assert f"every {messages.PING_INTERVAL:g} s" in text
    assert f"{messages.PONG_TIMEOUT:g} s after the last pong" in text
