"""Connecting once and calling: what can happen on the way, in words, with the exit status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from wirecore import errors
from wirecore_trio import wsrpc

from .failures import Failure, Status, text_of, told


async def make_calls(
    address: str,
    credentials: wsrpc.ClientCredentials,
    method: str,
    payload: bytes,
    *,
    count: int,
    patience: float,
    answered: Callable[[bytes, float], None],
) -> None:
    """Call *method* with *payload* *count* times, one call after the other.

    *patience*: seconds for the connection, for which there is one attempt, and for each answer.
    *answered* gets each answer, and the seconds it took. Raises Failure; InvalidOption where
    *address* is none.
    """
    options = wsrpc.Options(open_timeout=patience, call_timeout=None)
    retry = wsrpc.RetryPolicy(attempts=1)
    with _failures(method):
        async with wsrpc.connect(address, credentials, options=options, retry=retry) as client:
            for _ in range(count):
                begun = trio.current_time()
                with trio.move_on_after(patience) as scope:
                    reply = await client.call(method, payload)
                if scope.cancelled_caught:
                    raise Failure(
                        f"{address} gave no answer to {method!r} within {patience:g} s (a Go server"
                        " gives none to a method that it doesn't know)",
                        Status.TIMEOUT,
                    )
                with told():
                    answered(reply, trio.current_time() - begun)


@contextmanager
def _failures(method: str) -> Iterator[None]:
    """Turn what connecting and calling raise into a Failure."""
    try:
        yield
    except BrokenPipeError:
        raise  # our own output: whoever reads it has had enough
    except errors.RpcError as error:
        raise Failure(f"{method} answered with an error: {error}") from error
    except (errors.ConnectionLost, errors.RemoteError, OSError) as error:
        raise Failure(text_of(error), Status.NO_CONNECTION) from error
