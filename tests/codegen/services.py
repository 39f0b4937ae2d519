"""One implementation of the generated service Shouter, which the tests serve in every way."""

from __future__ import annotations

import threading
from typing import Any

import trio

from wirecore.errors import Overloaded, RpcError, UnknownMethod

#: Its full name.
SHOUTER = "codegen.cases.v1.Shouter"

#: What a request's text makes the handler raise.
ERRORS = {
    "refuse": RpcError("the shop is closed"),
    "unknown": UnknownMethod("no such thing"),
    "overload": Overloaded("come back later"),
    "crash": RuntimeError("a secret"),
}


class Handlers:
    """What the methods do; see :func:`shouter`, which makes a service of it."""

    def __init__(self, messages: Any) -> None:
        self.messages = messages
        #: Who called last.
        self.peer: Any = None
        #: A call of "wait" has begun; it was cancelled.
        self.waiting = trio.Event()
        self.cancelled = trio.Event()
        #: The threads that plain handlers ran in.
        self.threads: set[int] = set()

    async def Shout(self, request: Any, peer: Any) -> Any:  # noqa: N802
        """Shout, or do what the text asks for."""
        self.peer = peer
        if request.text in ERRORS:
            raise ERRORS[request.text]
        if request.text == "call back":
            return await peer.invoke("Shout", request, self.messages.ShoutResponse)
        if request.text == "wrong type":
            return request
        if request.text == "wait":
            self.waiting.set()
            try:
                await trio.sleep_forever()
            finally:
                self.cancelled.set()
        await trio.lowlevel.checkpoint()
        return self.messages.ShoutResponse(text=request.text.upper() * (request.times or 1))

    def Nested(self, request: Any, peer: Any) -> Any:  # noqa: N802
        """In a thread, from which trio can be reached."""
        self.threads.add(threading.get_ident())
        trio.from_thread.run(trio.lowlevel.checkpoint)
        return self.messages.Outer.Inner.Innermost(text=request.text[::-1])


def shouter(generated: Any) -> Any:
    """A service Shouter, on the generated base class."""
    rich, wsrpc = generated.module("rich_pb2"), generated.module("rich_wsrpc")
    from google.protobuf.timestamp_pb2 import Timestamp

    class Shouter(Handlers, wsrpc.ShouterService):  # type: ignore[name-defined]  # made later
        def Nothing(self, request: Any, peer: Any) -> Any:  # noqa: N802
            return Timestamp(seconds=1)

        async def Whisper(self, request: Any, peer: Any) -> Any:  # noqa: N802
            return rich.ShoutResponse(text=request.text.lower())

        async def import__(self, request: Any, peer: Any) -> Any:
            return rich.ShoutResponse(text=f"imported {request.text}")

        def import_(self, request: Any, peer: Any) -> Any:
            return getattr(rich, "__Mangled")(text=request.text)

        async def match(self, request: Any, peer: Any) -> Any:
            return generated.module("sub_dir.rich_pb2").Rich(text=f"matched {request.text}")

        async def private_(self, request: Any, peer: Any) -> Any:
            return rich.ShoutResponse(text=f"kept {request.text}")

    return Shouter(rich)
