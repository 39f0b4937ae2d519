"""The user of a calling end: asks what the recorded one asked, when it did."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from copy import deepcopy
from functools import partial
from hashlib import sha256
from typing import Any, Final

import trio

from tests.transports.rest.golden.seen import PENDING, End, Result, as_fields
from tests.wirecore.protocols.rest.recorded import as_recorded, group_of, payload, scenarios
from wirecore import errors
from wirecore_trio.rest._requesting import Requesting

#: Seconds that the original waits for the head of a response, and ours is told to wait.
PATIENCE: Final = 10.0

#: What the original doesn't send, as it has no correlation id.
WITHOUT_ID: Final = (
    b"GET /simple HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Go-http-client/1.1\r\n\r\n"
)

#: How a body is carried is said by who sends it.
_CARRIAGE: Final = frozenset({b"content-length", b"transfer-encoding", b"trailer"})

#: What our errors are called.
_ERRORS: Final[dict[type[Exception], str]] = {
    errors.CallTimeout: "time out",
    errors.NotConnected: "not connected",
    errors.CallLost: "lost",
}


def is_without_id(name: str) -> bool:
    """Whether a request without a correlation id was to be made."""
    return name.startswith("call/") and name.endswith("/no_correlation_id")


class Calling:
    """*reach*: gives a connection, or a client, to ask over."""

    def __init__(self, name: str, ours: End, reach: Callable[[], Awaitable[Requesting]]) -> None:
        self._at_once = group_of(name) == "concurrent"
        self._reach = reach
        self._results: list[Result] = []
        #: Milliseconds, and the request.
        self.requests: list[tuple[float, bytes]] = []
        for entry in scenarios()[name]["trace"]:
            if entry["dir"] == ours.value and entry["kind"] == "text":
                message = payload(entry)
                if not message.startswith(b'{"Type":'):
                    self.requests.append((entry["ms"], message))
        if is_without_id(name):
            self.requests.append((100, WITHOUT_ID))

    @property
    def results(self) -> list[Result]:
        """What came of the requests so far."""
        return deepcopy(self._results)

    async def run(self, zero: float) -> None:
        """Ask. *zero*: the time at which the scenario began."""
        async with trio.open_nursery() as nursery:
            for milliseconds, message in self.requests:
                await trio.sleep_until(zero + milliseconds / 1000)
                result = Result(error=PENDING)
                self._results.append(result)
                asking = partial(self._ask, message, result)
                if self._at_once:
                    nursery.start_soon(asking)
                    await trio.testing.wait_all_tasks_blocked()
                else:
                    await asking()

    async def _ask(self, message: bytes, result: Result) -> None:
        head, body, more = as_recorded(message)
        fields = [
            (name.decode(), value.decode())
            for name, value in head.fields
            if name.lower() not in _CARRIAGE
        ]
        begun = trio.current_time()
        digest = sha256()
        try:
            caller = await self._reach()
            async with caller.stream(
                head.method.decode(),
                head.target.decode(),
                headers=fields,
                content=_pieces(body) if more["is_chunked"] else body,
                timeout=PATIENCE,
            ) as response:
                result.status = response.status
                result.fields = as_fields(response.fields)
                async for piece in response:
                    digest.update(piece)
                    result.body = digest.hexdigest()
                result.trailers = as_fields(response.trailers)
        except tuple(_ERRORS) as error:
            result.error = next(word for kind, word in _ERRORS.items() if isinstance(error, kind))
            result.seconds = round(trio.current_time() - begun)
        else:
            result.error = ""


async def _pieces(body: bytes) -> AsyncIterator[Any]:
    yield body
