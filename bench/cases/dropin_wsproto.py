"""wsproto, and frameworks on it, before and after ``wirecore.dropin.wsproto.install()``.

The contenders of a row run the same code of the same versions; the only difference is the call of
install(). hypercorn is driven by our own client in both, and the two clients by our own server, so
their rows tell less than a factor of their own work.
"""

from __future__ import annotations

from dataclasses import replace

from bench.contenders import COMPILED, PURE
from bench.harness.model import Contender, Goal, Load, Row

BEFORE = {"codec": "wsproto"}
AFTER = {"codec": "wirecore"}


def variants(drive: str, serve: str | None = None, *, pure: bool = False) -> tuple[Contender, ...]:
    """The peers *drive* and *serve* as they are, and with our frames."""
    stock = Contender("wsproto", drive, serve, serve=BEFORE, drive=BEFORE)
    ours = Contender("installed", drive, serve, serve=AFTER, drive=AFTER, environment=COMPILED)
    slow = replace(ours, name="installed, pure", environment=PURE)
    return (stock, ours, slow) if pure else (stock, ours)


def connection(op: str, title: str, floor: float, target: float) -> Row:
    """Connection alone, no socket and no event loop."""
    return Row(
        name=f"dropin_wsproto/{op}",
        title=title,
        unit="messages/s",
        load=Load(size=64, options={"op": op}),
        contenders=variants("dropin_connection", pure=True),
        goals=(Goal("installed", "wsproto", floor, target),),
    )


def one_end(name: str, what: str, contenders: tuple[Contender, ...]) -> Row:
    """*what* at one end, and ours at the other."""
    return Row(
        name=f"dropin_wsproto/{name}",
        title=f"{what}, echo, 64 B, 100 in flight",
        unit="messages/s",
        load=Load(size=64, in_flight=100),
        contenders=contenders,
        goals=(Goal("installed", "wsproto", 1.1, None),),
    )


def hypercorn(loop: str) -> Row:
    """hypercorn on *loop*."""
    contenders = tuple(
        replace(each, serve={**each.serve, "loop": loop}, drive={}, environment=COMPILED)
        for each in variants("wirecore_websocket", "dropin_hypercorn")
    )
    return one_end(f"hypercorn-{loop}", f"hypercorn on {loop}", contenders)


def client(library: str) -> Row:
    """A client of httpx' family, with a server of ours."""
    contenders = tuple(
        replace(each, serve={}, environment=COMPILED)
        for each in variants(f"dropin_{library.replace('-', '_')}", "wirecore_websocket")
    )
    return one_end(library, f"{library} on asyncio", contenders)


def rows() -> list[Row]:
    """Connection both ways, then the frameworks."""
    return [
        connection("single", "wsproto Connection, receive and take 64 B, a frame a time", 4, 6),
        connection("decode", "wsproto Connection, receive and take 64 B, 64 KiB a time", 20, 50),
        connection("encode", "wsproto Connection, make and send 64 B, masked", 4, 6),
        *(
            Row(
                name=f"dropin_wsproto/trio-websocket-{in_flight}",
                title=f"trio-websocket at both ends, echo, 64 B, {in_flight} in flight",
                unit="messages/s",
                load=Load(size=64, in_flight=in_flight),
                contenders=variants("dropin_trio_websocket", "dropin_trio_websocket"),
                goals=(Goal("installed", "wsproto", floor, None),),
            )
            # With one message under way nearly all the time goes to trio and the sockets.
            for in_flight, floor in ((1, 1.0), (100, 1.2))
        ),
        hypercorn("asyncio"),
        hypercorn("trio"),
        client("httpx-ws"),
        client("httpx2"),
    ]
