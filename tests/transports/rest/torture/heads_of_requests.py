"""Methods, targets, versions and header fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.transports.rest.torture.callers import Outcome
from tests.transports.rest.torture.cases import (
    ALL,
    CHECKED,
    LAXER,
    NO_BODY,
    ON_H11,
    SMUGGLED,
    STRICTER,
    TOO_LONG,
    Case,
    get,
    of_the_first,
    on,
    request,
)
from tests.transports.rest.torture.compare import Unlike, refused

_NO_TUNNEL: Final = Unlike("a gateway makes no tunnels", through=refused(501, and_goes_on=True))

METHODS: Final = [
    *(
        Case(f"method {method}", request(method.encode(), b"/a"))
        for method in ("GET", "DELETE", "OPTIONS", "TRACE", "M-SEARCH", "PROPFIND")
    ),
    *(
        Case(f"method {method}", request(method.encode(), b"/a"), unlike=on(ALL, NO_BODY))
        for method in ("POST", "PUT", "PATCH")
    ),
    Case("method HEAD", request(b"HEAD", b"/a"), "HEAD"),
    Case("method of one's own", request(b"FROB!", b"/a"), unlike=on("httptools", STRICTER)),
    Case(
        "method in lower case",
        request(b"get", b"/a"),
        unlike={
            "h11": of_the_first(
                method="GET",
                why="ASGI has methods in upper case: hypercorn and our own ends see to that",
            ),
            "httptools": STRICTER,
        },
    ),
    Case(
        "method CONNECT",
        request(b"CONNECT", b"a.example:443"),
        "CONNECT",
        unlike=on(ALL, _NO_TUNNEL),
    ),
    Case("method that is none", request(b"GE(T", b"/a")),
    Case("method that is missing", b" /a HTTP/1.1\r\nHost: torture.example\r\n\r\n"),
]


def _of_its_target(outcome: Outcome) -> Outcome:
    """Host is what an absolute target says: RFC 9112 section 3.2.2."""
    first, *others = outcome.requests
    headers = [
        (name, b"b.example:81" if name == b"host" else value) for name, value in first.headers
    ]
    return replace(outcome, requests=[replace(first, headers=tuple(headers)), *others])


def _of_its_path(outcome: Outcome) -> Outcome:
    told = _of_its_target(outcome)
    first, *others = told.requests
    path = first.path.removeprefix("http://b.example:81") or "/"
    return replace(outcome, requests=[replace(first, path=path, raw_path=path.encode()), *others])


_HOST_OF_TARGET: Final = "an absolute target says the host, whatever Host says"
_PATH_OF_TARGET: Final = f"{_HOST_OF_TARGET}, and the path is the rest of it"

TARGETS: Final = [
    Case("target *", request(b"OPTIONS", b"*")),
    Case("target with escapes", get(target=b"/%61%2Fb%00%ff%C3%A9%zz%")),
    Case("target with empty parts", get(target=b"//a///b/")),
    Case("target with dots", get(target=b"/a/../b/./c/..")),
    Case("target with an empty query", get(target=b"/a?")),
    Case("target with marks in its query", get(target=b"/a??b?c=%20+&=&")),
    Case("target with what should be escaped", get(target=b'/a[]{}|\\^`"<>')),
    Case("target with bytes beyond ASCII", get(target="/é".encode())),
    Case("target with a space", get(target=b"/a b")),
    Case("target with a tab", get(target=b"/a\tb")),
    Case("target with a NUL", get(target=b"/a\0b")),
    Case("target that is empty", get(target=b"")),
    Case(
        "target with a fragment",
        get(target=b"/a#b?c"),
        unlike=on(
            "httptools",
            of_the_first(
                path="/a#b", raw_path=b"/a#b", query_string=b"c", why="llhttp drops fragments"
            ),
        ),
    ),
    Case(
        "target without a slash",
        get(target=b"a/b"),
        unlike={**on(ON_H11, CHECKED), "httptools": STRICTER},
    ),
    Case(
        "target in absolute form",
        get(target=b"http://b.example:81/a/b?c=d"),
        unlike={
            **on(ON_H11, Unlike(_PATH_OF_TARGET, _of_its_path)),
            "httptools": Unlike(_HOST_OF_TARGET, _of_its_target),
        },
    ),
    Case(
        "target in absolute form without a path",
        get(target=b"http://b.example:81?c"),
        unlike={**on(ON_H11, Unlike(_PATH_OF_TARGET, _of_its_path)), "httptools": STRICTER},
    ),
    Case(
        "target with a user",
        get(target=b"http://me@b.example/a"),
        unlike=on(
            ALL,
            Unlike("RFC 9110 section 4.2.4: an attack", through=refused(400, and_goes_on=True)),
        ),
    ),
    Case(
        "target beyond 64 KiB",
        get(target=b"/" + b"a" * 66_000),
        unlike={**on(ON_H11, TOO_LONG), "httptools": STRICTER},
    ),
]

VERSIONS: Final = [
    Case("HTTP/1.0", request(b"GET", b"/a", version=b"1.0")),
    Case(
        "HTTP/1.0 keep-alive", request(b"GET", b"/a", b"Connection: keep-alive\r\n", version=b"1.0")
    ),
    Case("HTTP/1.2", request(b"GET", b"/a", version=b"1.2"), unlike=on("httptools", STRICTER)),
    Case("HTTP/0.9", b"GET /a\r\n\r\n", unlike=on("httptools", LAXER)),
    Case("HTTP/1.1 without Host", b"GET /a HTTP/1.1\r\n\r\n", unlike=on("httptools", LAXER)),
    Case("HTTP/1.1 with two Hosts", get(b"Host: b.example\r\n"), unlike=on("httptools", LAXER)),
    Case("HTTP/one", request(b"GET", b"/a", version=b"one")),
    Case("TLS", b"\x16\x03\x01\x02\x00garbage\r\n\r\n" + SMUGGLED, smuggles=True),
    Case("an empty line before", b"\r\n" + get(), unlike=on("httptools", LAXER)),
]


def _at_its_end(outcome: Outcome) -> Outcome:
    first, *others = outcome.requests
    headers = [(name, value.rstrip(b" ")) for name, value in first.headers]
    return replace(outcome, requests=[replace(first, headers=tuple(headers)), *others])


FIELDS: Final = [
    Case("fields in their order", get(b"B: 1\r\na: 2\r\nB: 3\r\nCookie: x=1\r\nCookie: y=2\r\n")),
    Case("fields that are empty", get(b"X-Empty:\r\nX-Spaces:  \r\nX-Last:\r\n")),
    Case("fields with tabs", get(b"X-Tab:\ta\tb\r\n")),
    Case(
        "fields with spaces behind",
        get(b"X-Spaces: a b  \r\n"),
        unlike=on("httptools", Unlike("llhttp leaves them there", _at_its_end)),
    ),
    Case("fields beyond ASCII", get(b"X-Name: caf\xe9\xff\x80\r\n")),
    Case("fields of 8 KiB", get(b"X: %b\r\n" % (b"a" * 8192))),
    Case("fields of 60 KiB", get(b"X: %b\r\n" % (b"a" * 61_440))),
    Case("fields of 70 KiB", get(b"X: %b\r\n" % (b"a" * 71_680)), unlike=on(ALL, TOO_LONG)),
    Case("fields of 1 MiB", get(b"X: %b\r\n" % (b"a" * (1 << 20))), unlike=on(ALL, TOO_LONG)),
    Case("fields, 990", get(b"X: 1\r\n" * 990)),
    Case("fields, 1001", get(b"X: 1\r\n" * 1001), unlike=on(ALL, TOO_LONG)),
    Case(
        "fields of one connection",
        get(
            b"Connection: keep-alive, X-Own\r\nX-Own: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
            b"Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic YQ==\r\nX-Kept: 1\r\n"
        ),
    ),
    Case(
        "fields that name Host as the connection's",
        get(b"Connection: host, cookie\r\nCookie: a\r\n"),
    ),
    Case(
        "fields that claim to be forwarded",
        get(
            b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: c.test\r\nX-Forwarded-Proto: https\r\n"
            b"X-Forwarded-Prefix: /x\r\nForwarded: for=6.6.6.6\r\n"
        ),
    ),
    Case("fields with an id of their own", get(b"X-Correlation-Id: mine\r\n")),
    Case(
        "fields that are folded", get(b"X: a\r\n  b\r\nY: c\r\n"), unlike=on("httptools", STRICTER)
    ),
    Case("a fold before all fields", b"GET /a HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n"),
    Case("a space before a colon", get(b"X : 1\r\n")),
    Case("a tab before a colon", get(b"X\t: 1\r\n")),
    Case("no colon", get(b"X\r\n")),
    Case("no name", get(b": 1\r\n")),
    Case("a name that is no token", get(b"X[y]: 1\r\n")),
    Case("a name beyond ASCII", get(b"X\xe9: 1\r\n")),
    Case("a value with a NUL", get(b"X: a\0b\r\n")),
    Case(
        "a value with a control character",
        get(b"X: a\x01b\r\n"),
        unlike={**on(ON_H11, CHECKED), "httptools": STRICTER},
    ),
    Case(
        "a value with a DEL",
        get(b"X: a\x7fb\r\n"),
        unlike={**on(ON_H11, CHECKED), "httptools": STRICTER},
    ),
    Case("a value with a bare CR", get(b"X: a\rY: b\r\n")),
    Case(
        "a request behind a bare CR",
        get(b"X: a\r\r" + SMUGGLED.replace(b"\r\n", b"\r") + b"\r\n"),
        smuggles=True,
    ),
    Case(
        "lines that end with a bare LF",
        get().replace(b"\r\n", b"\n"),
        unlike=on("httptools", STRICTER),
    ),
    Case(
        "one line that ends with a bare LF",
        get(b"X: a\nY: b\r\n"),
        unlike=on("httptools", STRICTER),
    ),
]

CASES: Final = [*METHODS, *TARGETS, *VERSIONS, *FIELDS]
