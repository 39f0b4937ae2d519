"""Frames alone: a read's worth of bytes to message objects, messages to masked frames.

No socket and no event loop; one process on one core. Decoding takes 64 KiB of a stream at a time,
cut wherever in a frame, or one large frame; every message is an object of its own.
"""

from __future__ import annotations

from bench.contenders import COMPILED, PURE
from bench.harness.model import Contender, Goal, Load, Row

WIRECORE = Contender("wirecore", "codec_wirecore", environment=COMPILED)
WIRECORE_SINGLE = Contender(
    "wirecore one by one", "codec_wirecore", drive={"api": "single"}, environment=COMPILED
)
WIRECORE_PURE = Contender("wirecore pure", "codec_wirecore", environment=PURE)

PEERS = (
    Contender("wsproto", "codec_wsproto"),
    Contender("websockets", "codec_websockets"),
    Contender("aiohttp", "codec_aiohttp"),
    Contender("picows", "codec_picows"),
)


def rows() -> list[Row]:
    """Decoding small and large frames, encoding small ones."""
    return [
        Row(
            name="codec/decode-stream",
            title="decode a stream of masked frames of 16 to 64 B",
            unit="messages/s",
            load=Load(size=64, options={"op": "decode", "smallest": "16"}),
            contenders=(WIRECORE, WIRECORE_PURE, *PEERS),
            goals=(
                Goal("wirecore", "wsproto", 50.0, 130.0),
                Goal("wirecore", "websockets", None, 50.0),
                Goal("wirecore", "picows", 2.0, 4.0),
                Goal("wirecore pure", "wsproto", 1.5, 3.0),
            ),
        ),
        Row(
            name="codec/decode-64k",
            title="decode masked frames of 64 KiB",
            unit="MB/s",
            load=Load(size=65536, options={"op": "decode"}),
            contenders=(
                WIRECORE,
                WIRECORE_PURE,
                *PEERS,
                Contender("allocate and copy", "codec_memcpy"),
            ),
            goals=(
                Goal("wirecore", "wsproto", 30.0, None),
                Goal("wirecore", "websockets", 2.0, None),
                Goal("wirecore", "aiohttp", 2.0, None),
                Goal("wirecore", "picows", 2.0, None),
                Goal("wirecore", "allocate and copy", None, 0.65),
            ),
        ),
        Row(
            name="codec/encode-16",
            title="encode masked messages of 16 B",
            unit="messages/s",
            load=Load(size=16, options={"op": "encode"}),
            contenders=(WIRECORE, WIRECORE_SINGLE, WIRECORE_PURE, *PEERS),
            goals=(
                Goal("wirecore", "wsproto", 25.0, 70.0),
                Goal("wirecore", "picows", None, 2.0),
            ),
        ),
    ]
