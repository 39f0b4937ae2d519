"""The scope of ASGI 3.0: what an application learns of a request before it does anything.

The HTTP specification 2.3 of ASGI, and the WebSocket specification 2.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from wirecore.protocols.rest.gohttp import values_of
from wirecore.protocols.rest.heads import RequestHead, http_scheme, split_target
from wirecore.websocket.http import split_list

from ._asgi_types import Scope
from ._incoming import Caller, Incoming

#: The key of ``scope["extensions"]`` with the connection's ``id`` and ``metadata``.
EXTENSION: Final = "wirecore.rest"

#: ``send`` raises an OSError when the caller has gone, which is what 2.4 adds. But Starlette, where
#: it reads of 2.4, notices that with its next piece alone, which may be hours away, and leaves the
#: generator that makes them to the garbage collector; where it reads of 2.3, it cancels that at
#: once.
_HTTP: Final = {"version": "3.0", "spec_version": "2.3"}
_WEBSOCKET: Final = {"version": "3.0", "spec_version": "2.5"}
_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def http_scope(incoming: Incoming, *, root_path: str, state: Mapping[str, Any]) -> Scope:
    """The scope of *incoming*; *state* is copied, not deeply.

    ``path`` is what the caller asked for, behind *root_path*: frameworks look for that and take it
    off. ``raw_path`` is what came.
    """
    head = incoming.head
    scope = _scope(incoming, http_scheme(head.scheme).decode("ascii"), root_path, state)
    scope.update(type="http", asgi=dict(_HTTP), method=head.method.decode("ascii").upper())
    if has_trailers(head):
        scope["extensions"]["http.response.trailers"] = {}
    return scope


def websocket_scope(incoming: Incoming, *, root_path: str, state: Mapping[str, Any]) -> Scope:
    """The same where *incoming* asks for a WebSocket."""
    head = incoming.head
    scope = _scope(incoming, head.scheme.decode("ascii"), root_path, state)
    scope.update(type="websocket", asgi=dict(_WEBSOCKET), subprotocols=offered_subprotocols(head))
    scope["extensions"]["websocket.http.response"] = {}
    return scope


def offered_subprotocols(head: RequestHead) -> list[str]:
    """The subprotocols that a caller offers, those it likes best first."""
    return split_list(b",".join(values_of(head.fields, b"sec-websocket-protocol")))


def _scope(incoming: Incoming, scheme: str, root_path: str, state: Mapping[str, Any]) -> Scope:
    """What all scopes have."""
    head, caller = incoming.head, incoming.connection
    raw_path, _, query = _origin_form(head).partition(b"?")
    return {
        # Others are answered in 1.1.
        "http_version": "1.0" if head.version == b"1.0" else "1.1",
        "scheme": scheme,
        "path": root_path + unquote_to_bytes(raw_path).decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": root_path,
        "headers": [(name.lower(), value) for name, value in head.fields],
        "client": client_of(caller),
        "server": server_of(head, _PORTS[scheme]),
        "state": dict(state),
        "extensions": {EXTENSION: {"id": caller.id, "metadata": caller.metadata}},
    }


def has_trailers(head: RequestHead) -> bool:
    """Whether a response to *head* may have trailers: HTTP/1.0 has no chunks for them to follow."""
    return head.version != b"1.0"


def _origin_form(head: RequestHead) -> bytes:
    """The target without scheme and authority, which HTTP/1.1 lets it have (RFC 9112, 3.2)."""
    return b"" if head.method == b"CONNECT" else split_target(head.target)[1]


def client_of(caller: Caller) -> tuple[str, int] | None:
    """Host and port of *caller*; None where it has none, as on a Unix socket."""
    host, _, port = caller.remote_address.rpartition(":")
    if not host or not _is_number(port):
        return None
    return host.removeprefix("[").removesuffix("]"), int(port)


def server_of(head: RequestHead, default_port: int) -> tuple[str, int] | None:
    """Host and port that the caller asked, as the field Host says; None without one."""
    value = next((value for name, value in head.fields if name.lower() == b"host"), b"")
    text = value.decode("latin-1")
    # A colon within brackets is one of IPv6's (RFC 3986 section 3.2.2).
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, ""
    host = host.removeprefix("[").removesuffix("]")
    if not host:
        return None
    return host, int(port) if _is_number(port) else default_port


def _is_number(port: str) -> bool:
    return port.isascii() and port.isdecimal() and len(port) <= 5
