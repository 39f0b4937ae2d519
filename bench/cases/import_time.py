"""Time of an import in a fresh interpreter, bytecode caches warm."""

from __future__ import annotations

from bench.harness.model import Contender, Goal, Load, Row

#: `import wirecore` and `import websockets` leave these to whoever first uses them.
OURS_USED = "wirecore.websocket,wirecore.websocket.client,wirecore.websocket.server"
USED = "websockets.asyncio.client,websockets.asyncio.server"


def importing(name: str, module: str) -> Contender:
    """One interpreter after the other that imports *module*."""
    return Contender(name, "import_time", drive={"module": module})


def rows() -> list[Row]:
    """The package alone beside websockets, the WebSocket on trio beside trio alone."""
    return [
        Row(
            name="import_time/wirecore",
            title="import wirecore",
            unit="ms",
            load=Load(),
            contenders=(
                importing("wirecore", "wirecore"),
                importing("wirecore, used", OURS_USED),
                importing("websockets", "websockets"),
                importing("websockets, used", USED),
                importing("wsproto", "wsproto"),
            ),
            goals=(Goal("wirecore", "websockets", 0.1, 0.08),),
            smaller_is_better=True,
        ),
        Row(
            name="import_time/trio",
            title="import wirecore_trio.websocket",
            unit="ms",
            load=Load(),
            contenders=(
                importing("wirecore_trio.websocket", "wirecore_trio.websocket"),
                importing("trio", "trio"),
                importing("trio-websocket", "trio_websocket"),
            ),
            goals=(Goal("wirecore_trio.websocket", "trio", 1.2, 1.1),),
            smaller_is_better=True,
        ),
    ]
