"""Every exception of the package, in one tree.

Three branches say whose matter it is: :class:`LocalError` (the program that uses wirecore did
something it must not), :class:`RemoteError` (the peer broke a rule or refused) and
:class:`ConnectionLost` (the connection is gone). :class:`RpcError` stands beside them: an
answer, sent on purpose by a handler. A leaf: it imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, TypeVar

E = TypeVar("E", bound=BaseException)

#: What is known of a call that got no answer.
Execution: TypeAlias = Literal["not_sent", "maybe_executed"]

Side: TypeAlias = Literal["local", "remote"]


def kind_of(value: object) -> str:
    """What *value* is, for an error's text: its type, never what it says, which may be secret."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


class WirecoreError(Exception):
    """Base of all errors that this package defines."""


# --- the program's own fault -------------------------------------------------------------


class LocalError(WirecoreError):
    """The calling program misused the library; the connection is as it was."""


class InvalidKey(LocalError, ValueError):
    """A key has the wrong length or kind. The message never holds the key."""


class InvalidOption(LocalError, ValueError):
    """An option has a value that makes no sense: the message names option, value and bound."""


class UnsendableMessage(InvalidOption):
    """A message can't be written as asked: its name, code or payload isn't what the wire takes."""


class UnsendableGob(UnsendableMessage):
    """A value can't be written as gob: it isn't what its type says, or has no type in Go."""


class InvalidGobType(LocalError, TypeError):
    """A type has no counterpart in gob, or is declared in a way that makes no sense."""


class UnsendableJson(UnsendableMessage):
    """A value can't be written as JSON: it isn't what its type says, or JSON has nothing for it."""


class InvalidJsonType(LocalError, TypeError):
    """A type has no counterpart in JSON, though it may have one in gob."""


class InvalidState(LocalError):
    """The operation isn't possible in the state the object is in (say, send after close)."""


class CredentialsUnavailable(LocalError):
    """The program's function that gives the credentials, or signs for them, failed.

    Its exception is the cause.
    """


# --- the peer's fault, or its refusal ----------------------------------------------------


class RemoteError(WirecoreError):
    """The peer broke a rule, or refused what was asked."""


class ProtocolError(RemoteError):
    """The peer broke the protocol. *close_code* is what we answered with."""

    def __init__(self, message: str, *, close_code: int = 1002) -> None:
        super().__init__(message)
        self.close_code = close_code


class InvalidMessage(RemoteError, ValueError):
    """The bytes of a message aren't what its format says."""


class InvalidValue(InvalidMessage):
    """One value can't be read as the type that was asked for. It is passed over: more may come."""


class InvalidStream(InvalidMessage):
    """A stream isn't what its format says: nothing more can be read from it."""


class GobError(InvalidMessage):
    """What came isn't gob, or isn't what it was to be read as."""


class GobValueError(GobError, InvalidValue):
    """One value of a gob stream can't be read as the type that was asked for."""


class GobStreamError(GobError, InvalidStream):
    """The stream isn't gob, or not the values that it was to be made of."""


class JsonError(InvalidMessage):
    """What came isn't JSON, or isn't what it was to be read as."""


class JsonValueError(JsonError, InvalidValue):
    """One value of a stream of JSON can't be read as the type that was asked for."""


class JsonStreamError(JsonError, InvalidStream):
    """The stream isn't JSON, or not the messages that it was to be made of."""


class HandshakeError(RemoteError):
    """The connection wasn't established: TLS or the HTTP upgrade failed."""


class UpgradeRejected(HandshakeError):
    """The server answered the upgrade request with an ordinary HTTP response.

    *status* is its code, *headers* its header fields (names in lower case), *body* the first
    bytes of its body (bounded).
    """

    def __init__(
        self, status: int, headers: Sequence[tuple[bytes, bytes]] = (), body: bytes = b""
    ) -> None:
        super().__init__(f"the server answered the upgrade request with HTTP status {status}")
        self.status = status
        self.headers = tuple(headers)
        self.body = body


class PeerRefused(HandshakeError):
    """TLS: the peer's certificate or key isn't acceptable, or the peer refused ours."""


class Incompatible(HandshakeError):
    """The peer speaks another version, or is set up in another way: to try again can't help."""


# --- limits, on either side --------------------------------------------------------------


class LimitExceeded(WirecoreError):
    """A bound was passed: *limit* names it, *figure* passed *bound*, *side* says who did it.

    *remedy*: what to do about it, where there is something.
    """

    side: Side

    def __init__(self, limit: str, figure: int, bound: int, remedy: str = "") -> None:
        hint = f"; {remedy}" if remedy else ""
        super().__init__(f"{self.side} side: {limit} is {bound}, got {figure}{hint}")
        self.limit = limit
        self.figure = figure
        self.bound = bound


class LocalLimitExceeded(LimitExceeded, LocalError):
    """This program passed a bound of its own; nothing was sent."""

    side = "local"


class RemoteLimitExceeded(LimitExceeded, RemoteError):
    """The peer passed a bound."""

    side = "remote"


class GobValueLimitExceeded(RemoteLimitExceeded, GobValueError):
    """One value of a gob stream passed a bound. It is passed over: more may come."""


class GobStreamLimitExceeded(RemoteLimitExceeded, GobStreamError):
    """A gob stream passed a bound: nothing more can be read from it."""


class JsonValueLimitExceeded(RemoteLimitExceeded, JsonValueError):
    """One value of a stream of JSON passed a bound. It is passed over: more may come."""


class JsonStreamLimitExceeded(RemoteLimitExceeded, JsonStreamError):
    """A stream of JSON passed a bound: nothing more can be read from it."""


# --- loss --------------------------------------------------------------------------------


def other_thread() -> RuntimeError:
    """What is raised in a thread that calls what is another's."""
    return RuntimeError(
        "this belongs into the thread in which trio runs: elsewhere it is called by "
        "trio.from_thread.run_sync"
    )


def without_frames(error: E) -> E:
    """*error*, to be kept: its traceback would keep all that was under way when it was raised."""
    at: BaseException | None = error
    while at is not None and at.__traceback__ is not None:
        at.__traceback__ = None
        at = at.__cause__ or at.__context__
    return error


def printable(text: str) -> str:
    """*text* of the peer's, fit for a log or a terminal: it must not forge a line, nor steer."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)


class ConnectionLost(WirecoreError):
    """The connection is gone. On trio it is a ``trio.BrokenResourceError`` too."""


class ConnectionClosed(ConnectionLost):
    """The WebSocket was closed.

    *code* and *reason* are what the peer's close frame said: 1005 where it named no code, 1006
    where the connection ended without a close frame. *clean* tells whether both close frames
    were exchanged.
    """

    def __init__(self, code: int, reason: str = "", *, clean: bool = False) -> None:
        text = f"the connection was closed with code {code}"
        super().__init__(f"{text}: {printable(reason)}" if reason else text)
        self.code = code
        self.reason = reason
        self.clean = clean


class CallLost(ConnectionLost):
    """A call ended because its connection did.

    *execution* is ``"not_sent"`` when the whole request certainly never left this process, so
    that it is safe to call again, and ``"maybe_executed"`` otherwise.
    """

    def __init__(self, message: str, *, execution: Execution) -> None:
        super().__init__(f"{message} ({execution})")
        self.execution: Execution = execution


class NotConnected(CallLost):
    """There is no connection to call over at the moment; nothing was sent."""

    def __init__(self, message: str = "connection is not ready") -> None:
        super().__init__(message, execution="not_sent")


# --- calls -------------------------------------------------------------------------------


class RpcError(WirecoreError):
    """An error that a handler raises on purpose: its text is the caller's answer.

    A handler raises it to answer with an error; the caller gets one with the same *text*.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class UnknownMethod(RpcError):
    """The peer doesn't serve the method that was called."""


class Overloaded(RpcError):
    """The peer handles as many requests as it takes at once; nothing was executed."""


class CallTimeout(WirecoreError, TimeoutError):
    """No answer within the connection's ``call_timeout``; a late answer will be dropped."""
