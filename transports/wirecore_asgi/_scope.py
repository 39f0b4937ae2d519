"""The connection scope of ASGI 3.0, as the WebSocket specification 2.4 of ASGI has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

from wirecore.websocket import Request

Scope: TypeAlias = dict[str, Any]


def websocket_scope(
    request: Request,
    *,
    asgi_version: str,
    secure: bool,
    server: tuple[str, int | None] | None,
    client: tuple[str, int] | None,
    root_path: str,
    state: Mapping[str, Any],
) -> Scope:
    """The scope of *request*, a proper upgrade; *state* is copied, not deeply."""
    return {
        "type": "websocket",
        "asgi": {"version": asgi_version, "spec_version": "2.4"},
        "http_version": request.http_version,
        "scheme": "wss" if secure else "ws",
        "server": server,
        "client": client,
        "root_path": root_path,
        "path": root_path + unquote(request.path),
        "raw_path": root_path.encode("ascii") + request.path.encode("ascii"),
        "query_string": request.query.encode("ascii"),
        "headers": list(request.headers),
        "subprotocols": list(request.subprotocols),
        "state": dict(state),
        "extensions": {"websocket.http.response": {}},
    }
