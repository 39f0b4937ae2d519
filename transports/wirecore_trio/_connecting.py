"""Dialling as its users write it: ``async with`` one connection, or one after another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from ._entered import Entered
from ._errors import require_trio
from ._supervise import Redial, RetryPolicy, dial_until_open

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Leavable(Protocol[T_co]):
    """An open connection. Entering it gives what its user gets, leaving it closes it."""

    async def __aenter__(self) -> T_co:
        """What its user gets."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it: in good order where there is no *error*, at once where there is one."""

    async def aclose(self) -> None:
        """Close it in good order. Cancelled, it closes at once. Idempotent."""


class Dials(Protocol[T_co]):
    """What makes connections, any number of them."""

    @property
    def name(self) -> str:
        """The peer's name for logs; it holds no secret."""

    async def dial(self) -> Leavable[T_co]:
        """One attempt."""


class OneConnection(Entered, Generic[T]):
    """``async with`` one connection. *retry*: None for one attempt."""

    def __init__(self, dialer: Dials[T], retry: RetryPolicy | None) -> None:
        self._dialer = dialer
        self._retry = retry
        self._connection: Leavable[T] | None = None

    async def __aenter__(self) -> T:
        require_trio()
        if self._retry is None:
            self._connection = await self._dialer.dial()
        else:
            self._connection = await dial_until_open(
                self._dialer.dial, self._retry, what=self._dialer.name
            )
        return await self._connection.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._connection is not None
        await self._connection.__aexit__(kind, error, traceback)


class OneAfterAnother(Entered, Generic[T]):
    """``async with`` an iterator of connections: the next is dialled when one is done with."""

    def __init__(self, dialer: Dials[T], policy: RetryPolicy) -> None:
        self._dialer = dialer
        self._policy = policy
        self._redial = Redial(policy)
        self._connection: Leavable[T] | None = None

    async def __aenter__(self) -> AsyncIterator[T]:
        require_trio()
        return self

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        if self._connection is not None:
            await self._connection.aclose()
            await self._redial.pause()
        self._connection = await dial_until_open(
            self._dialer.dial,
            self._policy,
            what=self._dialer.name,
            backoff=self._redial.backoff,
        )
        self._redial.opened()
        return await self._connection.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            await self._connection.__aexit__(kind, error, traceback)
