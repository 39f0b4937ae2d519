"""One message for its handler: how it is given, and what becomes of what that returns."""

from __future__ import annotations

import contextvars
import logging
from typing import TYPE_CHECKING, Any, Final

import trio

from wirecore.errors import ConnectionLost, InvalidMessage
from wirecore.protocols.webwire import Payload, RequestError
from wirecore.webwire_rules import Encoding, MessageType

from .._handlers import Mode, forgotten_await
from ._messages import Request, Signal, delivery
from ._routes import Route

if TYPE_CHECKING:
    from wirecore_py.webwire import Message

    from ._connection import Connection
    from ._handling import Handling

logger = logging.getLogger("wirecore.webwire")

#: As plain numbers: comparing members of an enum costs as much as a call.
SIGNAL: Final = int(MessageType.SIGNAL)
SIGNAL_END: Final = SIGNAL + len(Encoding)
REQUEST: Final = int(MessageType.REQUEST)
REQUEST_END: Final = REQUEST + len(Encoding)

#: Stands for a type: a job of the connection's own, a function in the id's place.
OWN: Final = -3

_THREAD: Final = Mode.THREAD
_copy_context = contextvars.copy_context

#: What a client gets whose payload isn't what its route wants.
INVALID_PAYLOAD: Final = "INVALID_PAYLOAD"


class _UnreadablePayload(RequestError):
    """The client's fault, and no handler's."""


async def run_own(handling: Handling, connection: Connection, message: Message) -> None:
    """A job of the connection's own: a hook, or what the client asks of its session.

    Raises nothing but cancellation.
    """
    kind, what, _, data = message
    try:
        if kind == OWN:
            await what()
        else:
            await connection._answer_session_request(kind, what, data)
    except Exception:
        logger.exception("a job of a connection's own failed")
    finally:
        handling.ended(barrier=True)


async def run_in_worker(
    handling: Handling, connection: Connection, route: Route, message: Message
) -> None:
    """Run a handler in a task or a thread. Raises nothing but cancellation."""
    scope = handling.scopes.open() if handling.scopes.needed else None
    try:
        if scope is not None:
            with scope:
                await _run_and_finish(connection, route, message)
        elif route.mode is _THREAD:
            await _run_and_finish(connection, route, message)
        else:
            # No coroutine of its own: each would cost at every request.
            result = await route.handler(make_message(connection, route, message))
            if result is not None or message[0] >= REQUEST:
                finish(connection, route, message, result)
    except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
        fail(connection, message, error)
    finally:
        if scope is not None:
            handling.scopes.left(scope)
        handling.ended()


async def _run_and_finish(connection: Connection, route: Route, message: Message) -> None:
    argument = make_message(connection, route, message)
    if route.mode is _THREAD:
        # Abandoned where it is cancelled: a thread that blocks for ever would keep a server
        # from being left.
        result = await trio.to_thread.run_sync(
            route.handler,
            argument,
            abandon_on_cancel=True,
            limiter=connection._thread_limit,  # type: ignore[arg-type]  # no more is asked of it
        )
    else:
        result = await route.handler(argument)
    finish(connection, route, message, result)


def run_inline(connection: Connection, route: Route, message: Message) -> None:
    """Run a handler that never blocks, here and now."""
    try:
        argument = make_message(connection, route, message)
        # In a context of its own: what one handler puts into a contextvar isn't the next one's.
        result = _copy_context().run(route.handler, argument)
        kind, request_id, name, _ = message
        if kind >= REQUEST and route.reply is None:
            connection._reply(request_id, name, result)
        elif kind >= REQUEST or result is not None:
            finish(connection, route, message, result)
    except Exception as error:  # noqa: BLE001 - whatever a user's handler raises
        fail(connection, message, error)


def make_message(
    connection: Connection, route: Route, message: Message
) -> Request[Any] | Signal[Any]:
    """What the handler is called with. Raises RequestError for a payload it can't be."""
    made = delivery(connection, message)
    if route.codec is not None:
        try:
            made.value = route.codec.decode(made.payload)
        except InvalidMessage as error:
            raise _UnreadablePayload(INVALID_PAYLOAD, str(error)) from error
    return made


def finish(connection: Connection, route: Route, message: Message, result: Any) -> None:
    """The handler returned *result*. Raises what its codec raises."""
    if message[0] >= REQUEST:
        if route.reply is not None and not isinstance(result, Payload):
            result = route.reply.encode(result)
        connection._reply(message[1], message[2], result)
    elif result is not None:
        hint = forgotten_await(result)
        logger.error("the handler of the signal %r returned something%s", message[2], hint)


def fail(connection: Connection, message: Message, error: Exception) -> None:
    """The handler raised *error*: only what was raised on purpose reaches the client."""
    kind, request_id, name, _ = message
    is_request = kind >= REQUEST
    if is_request and isinstance(error, RequestError):
        connection._fail(request_id, name, error)
    elif connection._ended and isinstance(error, ConnectionLost):
        logger.debug("the handler of %r ended with its connection", name)
    elif is_request:
        connection._fail_internally(request_id, name, error)
    elif isinstance(error, _UnreadablePayload):
        logger.warning("a signal %r was dropped: %s", name[:100], error.message)
    else:
        logger.error("the handler of the signal %r failed", name, exc_info=error)
