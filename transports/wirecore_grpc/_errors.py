"""Errors of calls as gRPC's statuses, both ways."""

from __future__ import annotations

from typing import Final

import grpc

from wirecore import errors
from wirecore_trio.wsrpc import CallLost, NotConnected


class NotOverGrpc(errors.InvalidState):
    """A handler asked for what a call over gRPC hasn't: a way to call back, or a public key."""


class GrpcStatus(errors.RpcError):
    """An error with a status *code* of gRPC's.

    A caller over gRPC gets one for what the server answered. A handler may raise it: over gRPC
    the caller sees the code, over wsrpc the text alone. Raises InvalidOption for the code OK.
    """

    def __init__(self, text: str, *, code: grpc.StatusCode) -> None:
        if code is grpc.StatusCode.OK:
            raise errors.InvalidOption("the status OK is no error: return the reply")
        super().__init__(text)
        self.code = code


class GrpcUnknownMethod(GrpcStatus, errors.UnknownMethod):
    """The server doesn't serve the method: UNIMPLEMENTED."""


class GrpcOverloaded(GrpcStatus, errors.Overloaded):
    """The server takes no more requests at the moment: RESOURCE_EXHAUSTED."""


def status_of(error: errors.RpcError) -> grpc.StatusCode:
    """The status that answers a call whose handler raised *error*."""
    if isinstance(error, GrpcStatus):
        return error.code
    if isinstance(error, errors.UnknownMethod):
        return grpc.StatusCode.UNIMPLEMENTED
    if isinstance(error, errors.Overloaded):
        return grpc.StatusCode.RESOURCE_EXHAUSTED
    # As Go's gRPC does for errors without a status.
    return grpc.StatusCode.UNKNOWN


#: What gRPC's own library says where the request can't have left this process.
_NOT_SENT: Final = ("failed to connect to all addresses", "DNS resolution failed")
#: Its words for a channel that this program closed under the call.
_CLOSED: Final = "Channel closed!"
#: Its words for a bound on sizes, which has the same status as too many requests.
_TOO_BIG: Final = "message larger than max"


def error_of(code: grpc.StatusCode, details: str | None) -> errors.WirecoreError:
    """The error of a call that ended with *code* and *details*."""
    text = details or code.name
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return GrpcUnknownMethod(text, code=code)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_BIG not in text:
        return GrpcOverloaded(text, code=code)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.CallTimeout(f"no answer in time: {text}")
    if code is grpc.StatusCode.UNAVAILABLE:
        if text.startswith(_NOT_SENT):
            return NotConnected(text)
        return CallLost(f"the call was lost: {text}", execution="maybe_executed")
    if code is grpc.StatusCode.CANCELLED and text == _CLOSED:
        return channel_closed()
    return GrpcStatus(text, code=code)


def channel_closed() -> CallLost:
    """The error of a call that waited while this program closed its channel."""
    return CallLost("this program closed the channel", execution="maybe_executed")
