"""A pool server as one node of several: what it has in common with the others."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore import errors
from wirecore.protocols.pool.dispatch import Wish
from wirecore.protocols.pool.errors import NoProvider

from .._companion import Companion
from .._waiter import outcome_of
from ._binding import Binding
from ._dispatching import wake
from ._request import Request
from .backends._contract import Backend, ProviderInfo, RemoteCall, Sending
from .backends._errors import CallExpired

if TYPE_CHECKING:
    from wirecore.protocols.pool.dispatch import Slot

    from ._paths import Paths
    from ._provider_connection import ProviderConnection


#: Seconds.
_BETWEEN_ANNOUNCEMENTS: Final = 0.05


class LocalNode:
    """This server, to *backend*; the :class:`~wirecore_trio.pool.backends.Node` of the contract.

    *paths*: what the server has bound.
    """

    def __init__(self, backend: Backend, paths: Paths[Any]) -> None:
        self._backend = backend
        self._paths = paths
        self._name = secrets.token_hex(8)
        self._numbers = count(1)
        companion = Companion("wirecore pool backend", self._work)
        #: To have the backend run, together with the other addresses that are served.
        self.running = companion.running
        self._companion = companion

        self._early: set[trio.CancelScope] = set()
        self._changed: set[Binding] = set()
        self._to_announce = trio.Event()

    async def _work(self, started: Callable[[], None]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._announce)
            await nursery.start(self._backend.run, self)
            started()
            for scope in list(self._early):
                scope.cancel()

    # --- for the server -------------------------------------------------------------------------

    @property
    def is_joined(self) -> bool:
        """Whether the backend was reached since the server serves."""
        return self._companion.is_started

    @contextmanager
    def until_joined(self) -> Iterator[None]:
        """A scope that is cancelled once the backend is reached."""
        with trio.CancelScope() as scope:
            self._early.add(scope)
            try:
                yield
            finally:
                self._early.discard(scope)

    @property
    def others(self) -> Mapping[str, Mapping[str, Sequence[ProviderInfo]]]:
        """The providers of the other nodes: by node, then by path."""
        return self._backend.nodes

    def name_for(self, identity: str | None) -> str:
        """*identity*; for a connection that has none, one that no other has on any node."""
        return f"{self._name}:{next(self._numbers)}" if identity is None else identity

    def announce(self, binding: Binding) -> None:
        """The providers at *binding* are others now: the other nodes are told soon."""
        self._changed.add(binding)
        self._to_announce.set()

    async def _announce(self) -> None:
        while True:
            await self._to_announce.wait()
            self._to_announce = trio.Event()
            changed, self._changed = self._changed, set()
            for binding in changed:
                self._backend.announce(binding.path, _providers_of(binding))
            # An announcement has all of them, and thousands may come or go together.
            await trio.sleep(_BETWEEN_ANNOUNCEMENTS)

    def freed(self, binding: Binding) -> None:
        """A provider at *binding* may take a call."""
        self._backend.freed(binding.path)

    async def finish(self) -> None:
        """Take no more calls of other nodes, and return when those that were taken have ended."""
        await self._backend.finish()

    def settle(self, binding: Binding, wish: Wish) -> Wish:
        """*wish* with the provider that its key keeps to, of those of all nodes."""
        chosen = self._backend.choose(binding.path, wish)
        return wish if chosen is None else Wish(chosen, wish.labels)

    async def submit(self, binding: Binding, request: Request, deadline: float) -> Any:
        """The result of a call that any node makes. Raises as :meth:`PoolServer.call`."""
        try:
            data = await self._backend.submit(self._remote_call(binding, request, deadline))
        except CallExpired as error:
            if error.execution == "not_sent":
                raise NoProvider(f"no provider at {binding.path} of any node: {error}") from error
            raise
        return binding.packing.unpack(data, request.result)

    def _remote_call(self, binding: Binding, request: Request, deadline: float) -> RemoteCall:
        left = None if deadline == math.inf else max(deadline - trio.current_time(), 0.001)
        lost = binding.options.lost
        return RemoteCall(
            binding.path,
            request.method,
            binding.codec.name,
            binding.packing.pack(request.argument, request.argument_type),
            request.wish,
            lost == "always" or (request.idempotent and lost != "never"),
            left,
            once=lost == "never",
        )

    # --- see Node -------------------------------------------------------------------------------

    def reserve(self, path: str, wish: Wish) -> Slot[ProviderConnection] | None:
        """See the contract."""
        binding = self._binding(path)
        return None if binding is None else binding.dispatcher.take(wish)

    def release(self, reservation: Slot[ProviderConnection]) -> None:
        """See the contract."""
        wake(reservation.target._binding.dispatcher.release(reservation))

    async def execute(
        self, reservation: Slot[ProviderConnection], call: RemoteCall, sending: Sending
    ) -> bytes:
        """See the contract."""
        provider = reservation.target
        binding = provider._binding
        try:
            if call.codec != binding.codec.name:
                raise errors.InvalidOption(
                    f"{call.path} speaks {binding.codec.name} at this node, and the call is of "
                    f"{call.codec}: bind it alike on all nodes"
                )
            await sending()
        except BaseException:
            self.release(reservation)
            raise
        raw = binding.packing.raw
        argument = raw(call.argument)
        try:
            waiter = binding.ask(provider, call.method, argument, raw, raw, own_time=True)
            found = await outcome_of(waiter)
        except BaseException as error:
            binding.count_failure(provider, error, None)
            raise
        data: bytes = found.data
        return data

    def nodes_changed(self) -> None:
        """See the contract: who wants to know asks."""

    def _binding(self, path: str) -> Binding | None:
        found = self._paths.bound_at(path)
        return found if isinstance(found, Binding) else None


def _providers_of(binding: Binding) -> list[ProviderInfo]:
    return [
        ProviderInfo(each._slot.identity, each.labels, each.capacity)
        for each in binding.connections
        if each._slot.identity is not None and not each.leaving
    ]
