"""What the head of a request says: which host, which path of it, whether there is a body.

RFC 9112 sections 3.2, 3.3 and 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from wirecore.protocols.rest.heads import split_target

from ._refusals import Refusal

if TYPE_CHECKING:
    from .._asgi_types import Scope


def asked(scope: Scope) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    """The host of the request of *scope*, its path as it was sent, and its fields.

    Raises Refusal for a request that isn't one for a gateway, or whose length is in doubt.
    """
    if scope.get("method") == "CONNECT":
        raise Refusal(501, "this is no proxy: it makes no tunnels")
    fields = list(scope["headers"])
    names = {name for name, _ in fields}
    if names >= {b"content-length", b"transfer-encoding"}:
        # RFC 9112 section 6.1: what one server takes for its end, another doesn't.
        raise Refusal(400, "a body has a Content-Length or a Transfer-Encoding", close=True)
    authority, path = split_target(bytes(scope.get("raw_path") or scope["path"].encode()))
    if authority:
        # RFC 9112 section 3.2.2: whatever Host says.
        if b"@" in authority:
            raise Refusal(400, "a target has no name of a user")
        fields = [(b"host", authority), *(field for field in fields if field[0] != b"host")]
    host = next((value for name, value in fields if name == b"host"), b"")
    if scope.get("http_version", "1.1")[0] != "1":
        fields = _with_one_cookie(fields)
    return host, path, fields


def _with_one_cookie(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """*fields* of HTTP/2 or 3, which cut a Cookie to pieces: RFC 9113 section 8.2.3."""
    pieces = [value for name, value in fields if name == b"cookie"]
    if len(pieces) < 2:
        return fields
    return [field for field in fields if field[0] != b"cookie"] + [(b"cookie", b"; ".join(pieces))]


def decoded(path: bytes) -> str:
    """*path* as routes have it: what is percent-encoded is itself, but no slash begins a part."""
    parts = (unquote_to_bytes(part).decode("utf-8", "replace") for part in path.split(b"/"))
    return "/".join(part.replace("/", "%2F") for part in parts)


def stripped(path: bytes, prefix: str) -> tuple[bytes, bytes]:
    """*path* in two, behind *prefix*, which is the beginning of what is :func:`decoded` of it."""
    parts = path.split(b"/")
    count = prefix.count("/") + 1
    return b"/".join(parts[:count]), b"/" + b"/".join(parts[count:])


def announced_body(scope: Scope) -> tuple[int | None, bool]:
    """The length of its body, where it says one, and whether it says that there is one.

    HTTP/2 and 3 need not: there the end of the head may be that of the request.
    """
    length: int | None = None
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return None, True
        if name == b"content-length" and value.isdigit():
            length = int(value[:20])
    return length, bool(length)
