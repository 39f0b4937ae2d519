"""A caller and a registry with a codec between them, and no network: what stands for a connection.

It does for the calls what a connection does, and notes what it is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import pytest
import trio

from tests.transports.conftest import Run, bounded
from tests.transports.pool.world import OpenPool, serving
from wirecore import gob
from wirecore._backend import Backend
from wirecore.errors import RpcError
from wirecore.protocols.pool import (
    NEED_DATA,
    CallingCodec,
    GobCalling,
    GobServing,
    Incoming,
    JsonCalling,
    JsonServing,
    Request,
    ServingCodec,
)
from wirecore_trio._dispatch import Threads, Workers
from wirecore_trio._handler_scopes import HandlerScopes
from wirecore_trio._handlers import Mode
from wirecore_trio.pool._invoking import Invoking
from wirecore_trio.pool._registry import Registry


@dataclass
class Answer:
    """What becomes of a call: a value, or the RpcError that it was answered with."""

    annotation: Any
    outcome: Any = None
    come: trio.Event = field(default_factory=trio.Event)

    async def wait(self) -> Any:
        await self.come.wait()
        if isinstance(self.outcome, RpcError):
            raise self.outcome
        return self.outcome


class Line:
    """A connection of *alice*, who calls what *registry* serves."""

    def __init__(
        self,
        registry: Registry,
        workers: Workers,
        ends: tuple[CallingCodec, ServingCodec],
        scopes: HandlerScopes,
    ) -> None:
        self.registry = registry
        self.workers = workers
        self.threads: Threads = workers.threads_of(b"alice")
        self.scopes = scopes
        self.ended = False
        self.peer = "alice"
        self.connection = self
        #: Calls that are being handled, all but inline.
        self.handling = 0
        #: All that was sent to alice.
        self.sent: list[bytes] = []
        self._calling, self._serving = ends
        self._answers: list[Answer] = []

    # --- alice's end ---

    def start(self, method: str, argument: Any = 0, annotation: Any = Any) -> Answer:
        """Alice calls *method*, and reads the result as *annotation*."""
        answer = Answer(annotation)
        seq = len(self._answers)
        self._answers.append(answer)
        for data in self._calling.encode_request(seq, method, argument, Any):
            self._serving.feed(data)
        self._handle()
        return answer

    async def call(self, method: str, argument: Any = 0, annotation: Any = Any) -> Any:
        """The result of such a call, or its RpcError."""
        return await self.start(method, argument, annotation).wait()

    # --- the serving end ---

    def _handle(self) -> None:
        request = self._serving.next_request()
        assert request is not NEED_DATA
        method = self.registry.find(request.method)
        if isinstance(method, str):
            self._serving.skip_argument()
            self.reply_error(request, method)
            return
        argument = self._serving.argument(method.argument)
        incoming = Incoming(request, method, argument, 100)
        if method.mode is Mode.INLINE:
            Invoking(self).run(incoming)
        else:
            self.handling += 1
            self.workers.start(Invoking(self).job(incoming))

    def reply(self, request: Request, value: Any, annotation: Any) -> None:
        if not self.ended:
            self._send(self._serving.encode_response(request, value, annotation))

    def reply_error(self, request: Request, text: str) -> None:
        if not self.ended:
            self._send(self._serving.encode_error(request, text))

    def _send(self, messages: list[bytes]) -> None:
        for data in messages:
            self.sent.append(data)
            self._calling.feed(data)
        response = self._calling.next_response()
        assert response is not NEED_DATA
        answer = self._answers[response.seq]
        if response.error is None:
            answer.outcome = self._calling.result(answer.annotation)
        else:
            self._calling.skip_result()
            answer.outcome = RpcError(response.error)
        answer.come.set()

    def finished(self, incoming: Incoming) -> None:
        assert incoming.size == 100
        self.handling -= 1

    def end(self) -> None:
        """The connection is lost."""
        self.ended = True
        self.scopes.end()


Opener: TypeAlias = Callable[..., Any]


@pytest.fixture(params=["gob", "json"])
def open_line(request: pytest.FixtureRequest) -> Opener:
    """``async with open_line(Service(), …) as line``, with either codec.

    *handler_timeout*, *cancels*: see HandlerScopes; *threads*: how many there are; *limits*: the
    codec's.
    """

    @asynccontextmanager
    async def opener(
        *services: object,
        handler_timeout: float | None = None,
        cancels: bool = False,
        threads: int = 4,
        limits: gob.Limits | None = None,
    ) -> AsyncIterator[Line]:
        registry = Registry()
        for service in services:
            registry.register(service)
        ends: tuple[CallingCodec, ServingCodec] = (
            (GobCalling(), GobServing(limits=limits))
            if request.param == "gob"
            else (JsonCalling(), JsonServing(limits))
        )
        async with trio.open_nursery() as nursery:
            workers = Workers(nursery, threads=threads)
            scopes = HandlerScopes(timeout=handler_timeout, cancels=cancels)
            line = Line(registry, workers, ends, scopes)
            yield line
            nursery.cancel_scope.cancel()
        assert line.handling == 0
        assert not scopes._open  # none is kept behind its handler

    return opener


@pytest.fixture
def run_sockets(run_sockets: Run) -> Run:
    """Run a story with sockets; nothing may be left over."""
    return bounded(run_sockets)


@pytest.fixture
def open_pool(backend: Backend) -> OpenPool:
    """``async with open_pool(prepare, max_queue=5) as world``."""
    return partial(serving, backend)
