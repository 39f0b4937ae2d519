"""A request as a server sees it, and whether it is a proper upgrade: RFC 6455 section 4.2.1."""

from __future__ import annotations

import binascii
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from wirecore.websocket.extensions import Extension, parse_extensions
from wirecore.websocket.handshake import VERSION
from wirecore.websocket.http import Fields, Response, find_field, has_token, is_token, split_list


@dataclass(slots=True)
class Request:
    """A whole request head.

    *target* is what the request line says; *path* and *query* are its parts (of an absolute
    target without scheme and host), percent signs as they came. *headers*: names in lower case.
    *problem*: None for a proper upgrade, else the answer to send unless the caller has a better
    one, say for ``GET /healthz``.
    """

    method: str
    target: str
    headers: Fields = field(repr=False)  # tokens and cookies are among them
    http_version: str = "1.1"
    path: str = field(init=False)
    query: str = field(init=False)
    subprotocols: Sequence[str] = field(init=False)
    extensions: Sequence[Extension] = field(init=False, default=())
    problem: Response | None = field(init=False)

    def __post_init__(self) -> None:
        self.path, self.query = _split_target(self.target)
        # Tuples, as all the empty ones are one: connections keep their requests.
        self.subprotocols = tuple(split_list(self.header(b"sec-websocket-protocol")))
        self.problem = self._judge()

    def header(self, name: str | bytes) -> bytes | None:
        """The field *name*, whatever its case; lines of one name are joined by commas."""
        wanted = name.encode("latin-1", "replace") if isinstance(name, str) else name
        return find_field(self.headers, wanted.lower())

    @property
    def host(self) -> str:
        """The Host field, with the port where it names one; "" where it is missing."""
        return (self.header(b"host") or b"").decode("latin-1")

    @property
    def origin(self) -> str | None:
        """The Origin field, which browsers send: RFC 6454 section 7."""
        value = self.header(b"origin")
        return None if value is None else value.decode("latin-1")

    @property
    def is_upgrade(self) -> bool:
        """Whether it asks for a WebSocket at all, be it properly or not."""
        return has_token(self.header(b"connection"), "upgrade") and has_token(
            self.header(b"upgrade"), "websocket"
        )

    def _judge(self) -> Response | None:
        if self.method != "GET":
            return problem_response(405, "only GET is served here", (b"Allow", b"GET"))
        if not self.is_upgrade:
            return problem_response(400, "this is a WebSocket server: an upgrade is needed")
        if self.http_version != "1.1":
            return problem_response(400, "a WebSocket needs HTTP/1.1")
        if self.header(b"transfer-encoding") or (self.header(b"content-length") or b"0") != b"0":
            # What a proxy takes for this body would be frames to us: a way to smuggle.
            return problem_response(400, "an upgrade request has no body")
        if self.header(b"sec-websocket-version") != VERSION:
            # Section 4.4 wants the version named, RFC 9110 section 15.5.22 the protocol.
            return problem_response(
                426,
                "Sec-WebSocket-Version must be 13",
                (b"Sec-WebSocket-Version", VERSION),
                (b"Upgrade", b"websocket"),
            )
        if not _is_key(self.header(b"sec-websocket-key") or b""):
            return problem_response(400, "Sec-WebSocket-Key must be 16 bytes in base64, once")
        if not all(map(is_token, self.subprotocols)):
            return problem_response(400, "Sec-WebSocket-Protocol must be a list of tokens")
        try:
            extensions = parse_extensions(self.header(b"sec-websocket-extensions") or b"")
        except ValueError as error:
            return problem_response(400, f"Sec-WebSocket-Extensions: {error}")
        self.extensions = tuple(extensions)
        return None


def origin_problem(request: Request, allowed: Collection[str] | None = None) -> Response | None:
    """The answer 403 to a page of a foreign origin; None where *request* may pass.

    Without an Origin field, as programs send it, it passes. With one, its host and port must be
    those of Host, or the origin must be one of *allowed* (such as ``"https://example.com"``);
    case doesn't matter. RFC 6455 section 10.2.
    """
    origin = request.origin
    if origin is None:
        return None
    if origin.lower() in {entry.lower() for entry in allowed or ()}:
        return None
    host = request.host.lower()
    if host and _origin_host(origin) == host:
        return None
    return foreign_origin()


def foreign_origin() -> Response:
    """The answer to a request whose origin may not pass."""
    return problem_response(403, "requests from this origin aren't allowed")


def problem_response(status: int, text: str, *headers: tuple[bytes, bytes]) -> Response:
    """A plain-text answer that says in *text* (ASCII) what is wrong."""
    kind = (b"Content-Type", b"text/plain; charset=utf-8")
    return Response(status, (kind, *headers), text.encode("ascii") + b"\n")


def _is_key(value: bytes) -> bool:
    try:
        return len(binascii.a2b_base64(value, strict_mode=True)) == 16
    except binascii.Error:
        return False


def _split_target(target: str) -> tuple[str, str]:
    """Path and query of a request target: RFC 9112 section 3.2."""
    scheme, separator, rest = target.partition("://")
    if separator and "/" not in scheme and "?" not in scheme:  # absolute-form
        cut = min((rest.find(mark) for mark in "/?" if mark in rest), default=len(rest))
        target = rest[cut:]
        if not target.startswith("/"):
            target = f"/{target}"
    path, _, query = target.partition("?")
    return path, query


def _origin_host(origin: str) -> str:
    """Host and port of a serialised origin in lower case; "" where it has none ("null")."""
    authority = origin.partition("://")[2]
    for mark in "/?#":
        authority = authority.partition(mark)[0]
    return authority.rpartition("@")[2].lower()
