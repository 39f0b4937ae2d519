"""How an adapter is tried: what all its tests stand on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Final

import trio

from .._errors import ConnectionClosed, NotConnected, alone
from ..engine.adapters import Adapter
from ._peer import ScriptedPeer
from ._server import Script, ScriptedServer

#: Sizes around those where the head of a frame changes, and one that fills the buffers of TCP.
SIZES: Final = (0, 1, 125, 126, 65_535, 65_536, 200_000)

DOWN: Final = "failed because no connection is already up"

#: What nobody waits for long enough to matter.
MOMENT: Final = 0.05

#: Seconds within which that happens for which nobody need be waited for.
AT_ONCE: Final = 2.0


class Trying(ABC):
    """An adapter, and how a story of it is run."""

    #: Seconds that a test may take.
    patience: ClassVar[float] = 20.0

    @abstractmethod
    def make_adapter(self) -> Adapter:
        """A new adapter, without a connection."""

    def make_limited_adapter(self, max_message_size: int) -> Adapter | None:
        """One that refuses messages of more bytes; None, the default, leaves out its test."""
        return None

    def _run(
        self,
        story: Callable[[Adapter, str, ScriptedServer], Awaitable[None]],
        *scripts: Script,
        limit: int | None = None,
    ) -> None:
        async def main() -> None:
            adapter = self.make_adapter() if limit is None else self.make_limited_adapter(limit)
            assert adapter is not None
            server = ScriptedServer(*scripts)
            async with server.listening() as url:
                try:
                    await story(adapter, url, server)
                finally:
                    with trio.CancelScope() as scope, suppress(Exception):
                        scope.cancel()
                        await adapter.close(1000, "")

        self._main(main)

    def _main(self, main: Callable[[], Awaitable[None]]) -> None:
        async def in_time() -> None:
            with trio.fail_after(self.patience), alone():
                await main()

        trio.run(in_time)


# --- scripts, and what stories have in common -----------------------------------------------------


async def stay(peer: ScriptedPeer) -> None:
    """Accept, and be there until the client goes."""
    await peer.accept()
    await peer.wait_ended()


async def echo(peer: ScriptedPeer) -> None:
    """Accept, and send back what comes."""
    await peer.accept()
    while True:
        await peer.send(await peer.receive())


class raises:  # noqa: N801 - it reads like pytest's, which may not be there
    """The block raises one of *kinds*, whose text has *text* in it; then :attr:`error` is it."""

    error: Any

    def __init__(
        self, kinds: type[Exception] | tuple[type[Exception], ...], text: str = ""
    ) -> None:
        self._kinds = kinds
        self._text = text

    def __enter__(self) -> raises:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        assert error is not None, f"nothing was raised, where {self._kinds} was to be"
        if not isinstance(error, self._kinds) or isinstance(error, trio.TooSlowError):
            return False
        assert self._text in str(error), f"its text says {error}, and not {self._text}"
        self.error = error
        return True


async def cancelled(call: Callable[[], Awaitable[object]]) -> None:
    """*call* is cancelled, and raises nothing else."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await call()
    assert scope.cancelled_caught, "it didn't look whether it was cancelled"


async def all_down(adapter: Adapter) -> None:
    assert adapter.underlying is None
    for what, call in (
        ("close", partial(adapter.close, 1000, "")),
        ("ping", adapter.ping),
        ("read", adapter.receive),
        ("write", partial(adapter.send, "x")),
    ):
        with raises(NotConnected, f"{what} {DOWN}"):
            await call()


async def closure(adapter: Adapter) -> ConnectionClosed:
    """The closure that the next receive raises."""
    with raises(ConnectionClosed) as caught:
        await adapter.receive()
    assert isinstance(caught.error, ConnectionClosed)
    return caught.error


async def free_again(adapter: Adapter, url: str) -> None:
    """After a closure the connection is forgotten, and there may be another one."""
    await all_down(adapter)
    await adapter.dial(url)
    await adapter.close(1000, "")
