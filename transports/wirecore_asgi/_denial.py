"""Answers to an upgrade request that isn't accepted: the application's, and our own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from wirecore.websocket import Response
from wirecore.websocket.http import FRAMING_FIELDS, Fields

_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")


class Denial:
    """The response of the application, from ``websocket.http.response.start`` on.

    Raises RuntimeError for a status that no final response has, and
    :class:`~wirecore.errors.InvalidOption` for header fields that can't be sent.
    """

    __slots__ = ("_body", "_headers", "_status")

    def __init__(self, start: Any) -> None:
        self._status: int = start["status"]
        if not 200 <= self._status < 600:
            raise RuntimeError(f"Invalid HTTP status code '{self._status}' in response.")
        self._headers = list(start.get("headers", ()))
        self._body = b""
        self.response([])  # what can't be sent is told now, while another answer can be given

    def add(self, body: Any) -> bool:
        """The next ``websocket.http.response.body``; whether it was the last."""
        if self._status not in (204, 304):  # RFC 9110 section 6.4.1: these have none
            self._body += body.get("body", b"")
        return not body.get("more_body", False)

    def response(self, defaults: Fields) -> Response:
        """All that is there. What frames it is written anew; *defaults* are put where missing."""
        return Response(self._status, with_defaults(self._headers, defaults), self._body)


def refusal(defaults: Fields) -> Response:
    """The answer to a connection that the application closed instead of accepting it."""
    return Response(403, with_defaults((), defaults))


def server_error(defaults: Fields) -> Response:
    """The answer where the application gave none."""
    return Response(500, with_defaults([_TEXT], defaults), b"Internal Server Error")


def with_defaults(headers: Iterable[tuple[bytes, bytes]], defaults: Fields) -> Fields:
    """*headers* without those that frame a response, and *defaults* that they don't hold."""
    kept = [(name, value) for name, value in headers if name.lower() not in FRAMING_FIELDS]
    names = {name.lower() for name, _ in kept}
    return kept + [field for field in defaults if field[0].lower() not in names]
