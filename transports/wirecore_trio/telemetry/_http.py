"""Requests, by the semantic conventions for HTTP; what they belong to goes in their headers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from opentelemetry import propagate, trace
from opentelemetry.context import Context, get_current

from wirecore.protocols.rest.gohttp import values_of
from wirecore.protocols.rest.heads import Fields, RequestHead, http_scheme, split_target

from ..rest._asgi_scope import server_of
from ..rest._asgi_types import Scope
from ._operations import Operation, Providers

#: Methods that are told from others, unless this variable names some: the conventions' default.
KNOWN_METHODS: Final = "CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,QUERY,TRACE"
KNOWN_METHODS_VARIABLE: Final = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"

_HIDDEN: Final = "REDACTED"
_PORTS: Final = {"http": 80, "https": 443}


class Http:
    """The requests of REST, in both directions."""

    def __init__(self, providers: Providers) -> None:
        self._client, self._server = providers.sides(
            "rest",
            "http.client.request.duration",
            "http.server.request.duration",
            "requests",
        )
        known = os.environ.get(KNOWN_METHODS_VARIABLE) or KNOWN_METHODS
        self._known = frozenset(method.strip() for method in known.split(","))

    # --- requests that are made -------------------------------------------------------------------

    def send(self, head: RequestHead) -> tuple[Operation, RequestHead]:
        """The request of *head*, and the head that says what it belongs to.

        Its parent is the task's span; where there is none, what *head* says already, as that of a
        request which a gateway passes on does.
        """
        context = get_current()
        if not trace.get_current_span(context).get_span_context().is_valid:
            context = propagate.extract(_carrier(head.fields), context)
        scheme = http_scheme(head.scheme).decode("latin-1")
        attributes, more = self._of_method(head.method.decode("latin-1"))
        server = server_of(head, _PORTS[scheme])
        if server is not None:
            attributes |= {"server.address": server[0], "server.port": server[1]}
        attributes["url.scheme"] = scheme
        more["url.full"] = full_url(head)
        operation = self._client.begin(_name(attributes), attributes, more, context)
        return operation, replace(head, fields=_belonging(head.fields, operation.context))

    @staticmethod
    def answered(operation: Operation, status: int) -> None:
        """The answer's head came."""
        operation.tell("http.response.status_code", status)
        if status >= 400:
            operation.fail(str(status))

    # --- requests that are served -----------------------------------------------------------------

    @contextmanager
    def serve(self, head: RequestHead, scope: Scope) -> Iterator[Operation]:
        """The request of *head*, whose application gets *scope*, is served meanwhile."""
        scheme = http_scheme(scope["scheme"].encode("latin-1")).decode("latin-1")
        attributes, more = self._of_method(head.method.decode("latin-1"))
        attributes["url.scheme"] = scheme
        attributes["network.protocol.version"] = scope["http_version"]
        more["url.path"] = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            more["url.query"] = without_values(scope["query_string"].decode("latin-1"))
        for who in ("server", "client"):
            if scope[who] is not None:
                more[f"{who}.address"], more[f"{who}.port"] = scope[who]
        agent = values_of(head.fields, b"user-agent")
        if agent:
            more["user_agent.original"] = agent[0].decode("latin-1")
        context = propagate.extract(_carrier(head.fields), Context())
        operation = self._server.begin(_name(attributes), attributes, more, context)
        try:
            with operation.current():
                yield operation
        except BaseException as error:
            operation.failed(error)
            raise
        finally:
            operation.end()

    @staticmethod
    def matched(operation: Operation, method: str, route: str) -> None:
        """The application's framework found *route* for a request of *method*."""
        operation.tell("http.route", route)
        operation.rename(f"{method} {route}")

    def method_in_names(self, head: RequestHead) -> str:
        """What the method of *head* is called in a span's name."""
        attributes, _ = self._of_method(head.method.decode("latin-1"))
        return _name(attributes)

    def _of_method(self, method: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The method as attributes: of span and duration, and of the span alone."""
        if method in self._known:
            return {"http.request.method": method}, {}
        return {"http.request.method": "_OTHER"}, {"http.request.method_original": method}


def _name(attributes: dict[str, Any]) -> str:
    """The name of a span whose route nobody knows."""
    method: str = attributes["http.request.method"]
    return "HTTP" if method == "_OTHER" else method


def _carrier(fields: Fields) -> dict[str, list[str]]:
    """*fields* as propagators read them."""
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _belonging(fields: Fields, context: Context) -> Fields:
    """*fields*, which say that they belong to *context*."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier, context)
    if not carrier:
        return fields
    named = {name.lower().encode("latin-1") for name in carrier}
    if b"traceparent" in named:
        named.add(b"tracestate")  # it is of the one that was before
    return [
        *(field for field in fields if field[0].lower() not in named),
        *(
            (name.encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in carrier.items()
        ),
    ]


def full_url(head: RequestHead) -> str:
    """The URL that *head* asks for, without passwords, and without the values of its query."""
    authority, target = split_target(head.target)
    if not authority:
        authority = next(iter(values_of(head.fields, b"host")), b"")
    user, at, host = authority.decode("latin-1").rpartition("@")
    if at:
        host = f"{_HIDDEN}:{_HIDDEN}@{host}" if ":" in user else f"{_HIDDEN}@{host}"
    asked = "" if target == b"*" else target.decode("latin-1")  # of the server as a whole
    path, mark, query = asked.partition("?")
    shown = f"?{without_values(query)}" if mark else ""
    return f"{http_scheme(head.scheme).decode('latin-1')}://{host}{path}{shown}"


def without_values(query: str) -> str:
    """*query* with its names alone: which of its values are secret nobody knows."""
    shown = []
    for item in query.split("&"):
        name, mark, _ = item.partition("=")
        shown.append(f"{name}={_HIDDEN}" if mark else _HIDDEN if item else "")
    return "&".join(shown)
