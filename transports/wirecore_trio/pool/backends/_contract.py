"""What a backend does for the nodes of a pool, and what a node is to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import trio

from wirecore.protocols.pool.slots import ANY, Wish

ReservationT = TypeVar("ReservationT")


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """A connection of a provider, as the other nodes know it.

    *identity*: whose it is; one that didn't say whose is given one of its own, so that a key can
    keep to it. *labels*: what it offers; *capacity*: calls without an answer at once, None for no
    bound.
    """

    identity: str
    labels: frozenset[str] = frozenset()
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """A call that any node may make. All nodes must bind *path* with the same *codec*.

    *argument*: packed by that codec's :class:`~wirecore.protocols.pool.Packing`. *wish*: which
    providers may take it. *idempotent*: it may be made twice, so that it is when nobody knows
    whether it was. *timeout*: seconds that are left for it, None for no end. *attempt*: how often
    a node has taken it, this time included; a backend sets it. *once*: no node takes it again,
    whatever became of it. *fields*: names and values of header fields that go with it, such as
    those of a trace.
    """

    path: str
    method: str
    codec: str
    argument: bytes
    wish: Wish = ANY
    idempotent: bool = False
    timeout: float | None = None
    attempt: int = 0
    once: bool = False
    fields: tuple[tuple[str, str], ...] = ()


#: Awaited right before the bytes of a call leave for the provider. Raises CallTaken where they
#: must not, and what the backend raises where that can't be known now: nothing must be sent then.
Sending = Callable[[], Awaitable[None]]


class Node(Protocol[ReservationT]):
    """A pool server, to its backend. Methods that aren't async are quick and never raise."""

    def reserve(self, path: str, wish: Wish) -> ReservationT | None:
        """A place at a provider of this node's that fits *wish* and is free now; None: no such.

        It counts as taken until :meth:`release` or the end of :meth:`execute`.
        """

    def release(self, reservation: ReservationT) -> None:
        """Nothing came for it."""

    async def execute(self, reservation: ReservationT, call: RemoteCall, sending: Sending) -> bytes:
        """The packed result of *call*, made there; it gives the place back, however it ends.

        Raises :class:`~wirecore.errors.RpcError` with the provider's text;
        :class:`~wirecore.errors.CallLost`, which tells whether it was sent; another error for
        what can't be sent or read, whose text goes to the caller. Cancelled when nobody waits for
        the result any more: nothing is lost with it then.
        """

    def nodes_changed(self) -> None:
        """``Backend.nodes`` are others."""


@runtime_checkable
class Backend(Protocol):
    """What several pool servers have in common; each has a backend object of its own.

    Any number of tasks may use it at once.
    """

    @property
    def nodes(self) -> Mapping[str, Mapping[str, Sequence[ProviderInfo]]]:
        """The providers of the other nodes that are alive: by node, then by path."""

    def announce(self, path: str, providers: Sequence[ProviderInfo]) -> None:
        """These are all of this node's providers at *path* now. The others are told soon."""

    def freed(self, path: str) -> None:
        """A place may be free at a provider of this node's at *path*: it came, or ended a call."""

    def choose(self, path: str, wish: Wish) -> str | None:
        """The identity that *wish*'s key keeps to, of the providers of all nodes, this one too.

        None where none fits. All nodes that know of the same providers choose the same.
        """

    async def submit(self, call: RemoteCall) -> bytes:
        """The packed result of *call*, which a node makes that has a free provider that fits.

        Where none has, it waits. At most one node sends it to a provider, unless it is
        idempotent. Cancelled, or out of time, it is withdrawn: it isn't begun any more.

        Raises :class:`~wirecore.errors.RpcError` with the provider's text;
        :class:`~wirecore.errors.CallLost` where the provider, its node, or the backend's memory
        of the call is lost; CallExpired out of time, and BackendUnavailable where it couldn't
        even be handed over until then; :class:`~wirecore.errors.LocalLimitExceeded` where too
        many calls wait already; BackendError where the backend refuses.
        """

    async def finish(self) -> None:
        """Take no more calls for the node, and return when those it has taken are at their ends.

        Within :meth:`run`, which goes on: outcomes are delivered, also of calls of the node's own.
        """

    async def run(
        self,
        node: Node[ReservationT],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Be one of the nodes until cancelled: take calls for *node*, deliver outcomes.

        Started when the others are known. Where the backend was out of reach it is connected to
        again. At the end this node's calls are lost, and those that it has taken go to others.
        """
