"""Values in gob: a struct of five fields to its message, and back; Go's encoding/gob beside ours.

One encoder and one decoder for all, as on a connection: the type is sent once. No socket and no
event loop; one process on one core, Go's too, which has one goroutine.
"""

from __future__ import annotations

from bench.contenders import COMPILED, PURE
from bench.harness.model import Contender, Goal, Load, Row

WIRECORE = Contender("wirecore", "codec_gob", environment=COMPILED)
WIRECORE_PURE = Contender("wirecore pure", "codec_gob", environment=PURE)
GO = Contender("Go encoding/gob", "go/gob")


def rows() -> list[Row]:
    """Encoding and decoding."""
    return [
        Row(
            name=f"gob_codec/{operation}",
            title=f"{operation} structs of five fields in gob",
            unit="values/s",
            load=Load(options={"op": operation}),
            contenders=(WIRECORE, WIRECORE_PURE, GO),
            goals=(
                Goal(WIRECORE.name, GO.name, 0.25, None),
                Goal(WIRECORE.name, WIRECORE_PURE.name, 10.0, None),
            ),
        )
        for operation in ("encode", "decode")
    ]
