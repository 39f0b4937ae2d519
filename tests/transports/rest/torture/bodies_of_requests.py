"""Bodies, and what lies about them: a request that is smuggled is one that a body holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.transports.rest.torture.cases import (
    ALL,
    ON_H11,
    SMUGGLED,
    STRICTER,
    SUGGESTED,
    UVICORN,
    Case,
    get,
    on,
    post,
    request,
    statuses,
)
from tests.transports.rest.torture.compare import Unlike, refused

_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"


def sized(body: bytes) -> bytes:
    """A request with a Content-Length that is true."""
    return post(b"Content-Length: %d\r\n" % len(body), body)


def chunked(*lines: bytes) -> bytes:
    """A request whose body is *lines*, which end as lines do."""
    return post(_CHUNKED, b"".join(line + b"\r\n" for line in lines))


WHOLE: Final = [
    Case("an empty body", sized(b"")),
    Case("1 byte", sized(b"a")),
    Case("64 KiB less 1", sized(b"a" * 65_535)),
    Case("64 KiB", sized(b"b" * 65_536)),
    Case("64 KiB and 1", sized(b"c" * 65_537)),
    Case("10 MiB", sized(bytes(range(256)) * 40_960)),
    Case("a body of GET", request(b"GET", b"/a", b"Content-Length: 3\r\n", b"abc")),
    Case("chunks", chunked(b"3", b"abc", b"2", b"de", b"0", b"")),
    Case("chunks in hexadecimal", chunked(b"0a", b"0123456789", b"0", b"")),
    Case("chunks of 10 MiB", chunked(b"a00000", bytes(range(256)) * 40_960, b"0", b"")),
    Case("chunks, none", chunked(b"0", b"")),
    Case("chunked in capitals", post(_CHUNKED.upper(), b"1\r\na\r\n0\r\n\r\n")),
    Case("extensions of chunks", chunked(b'3;x=y;z="a;b"', b"abc", b"0;last", b"")),
    Case(
        "trailers",
        chunked(b"3", b"abc", b"0", b"X-Sum: 1", b"Host: c.example", b""),
        unlike=on(
            "httptools",
            Unlike(
                "uvicorn with httptools takes trailers for header fields",
                lambda outcome: replace(
                    outcome,
                    requests=[
                        replace(outcome.requests[0], headers=outcome.requests[0].headers[:1]),
                        *outcome.requests[1:],
                    ],
                ),
            ),
        ),
    ),
    Case("three requests at once", get() + sized(b"hi") + get(target=b"/c")),
    Case("one after the other", [get(), sized(b"hi"), chunked(b"1", b"a", b"0", b""), get()]),
    Case(
        "100-continue, and the body at once",
        post(b"Expect: 100-continue\r\nContent-Length: 3\r\n", b"abc"),
    ),
    Case("an expectation of one's own", post(b"Expect: more\r\nContent-Length: 3\r\n", b"abc")),
]

LENGTHS: Final = [
    Case(
        "a body longer than its length", post(b"Content-Length: 3\r\n", b"abc" + get(target=b"/b"))
    ),
    Case(
        "two lengths",
        post(b"Content-Length: 3\r\nContent-Length: 50\r\n", b"abc" + SMUGGLED),
        smuggles=True,
    ),
    Case(
        "two lengths in one", post(b"Content-Length: 3, 50\r\n", b"abc" + SMUGGLED), smuggles=True
    ),
    Case(
        "the same length twice",
        post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc"),
        unlike=on("httptools", STRICTER),
    ),
    Case(
        "the same length twice in one",
        post(b"Content-Length: 3, 3\r\n", b"abc"),
        unlike=on("httptools", STRICTER),
    ),
    *(
        Case(
            f"the length {value!r}",
            post(b"Content-Length: %b\r\n" % value.encode(), b"abc" + SMUGGLED),
            smuggles=True,
        )
        for value in (
            "-3",
            "+3",
            "0x3",
            "3_0",
            "3 0",
            "",
            "three",
            "99999999999999999999999",
            "3;x",
        )
    ),
    Case("a length with zeros", post(b"Content-Length: 0003\r\n", b"abc")),
    Case(
        "a length of 20 digits",
        post(b"Content-Length: 00000000000000000003\r\n", b"abc"),
        unlike=on(
            ALL,
            Unlike(
                "between our own ends a length has 18 digits at most",
                through=refused(400, and_goes_on=True),
            ),
        ),
    ),
]

_NOT_BOTH: Final = Unlike(
    "RFC 9112 section 6.1: with a length in doubt the gateway refuses it, and closes. hypercorn "
    "may close before its answer is out where more is there already",
    through=lambda seen: not seen.requests and statuses(seen) in ([400], []),
)

#: As llhttp does, but for the order.
_NEITHER: Final = replace(_NOT_BOTH, plain=refused(400), always=False)

ENCODINGS: Final = [
    Case(
        "chunks, and a length",
        post(_CHUNKED + b"Content-Length: 5\r\n", b"0\r\n\r\n" + SMUGGLED),
        unlike=on(ON_H11, _NOT_BOTH) | on("httptools", _NEITHER),
        smuggles=True,
    ),
    Case(
        "a length, and chunks",
        post(b"Content-Length: 200\r\n" + _CHUNKED, b"3\r\nabc\r\n0\r\n\r\n" + SMUGGLED),
        unlike=on(ON_H11, _NOT_BOTH) | on("httptools", _NEITHER),
        smuggles=True,
    ),
    Case(
        "a length, and chunks behind a bare LF",
        post(b"X: a\n" + _CHUNKED + b"Content-Length: 3\r\n", b"0\r\n\r\n" + SMUGGLED),
        unlike=on(ON_H11, _NOT_BOTH) | on("httptools", _NEITHER),
        smuggles=True,
    ),
    *(
        Case(
            f"the encoding {value!r}",
            post(b"Transfer-Encoding: %b\r\n" % value.encode(), b"0\r\n\r\n" + SMUGGLED),
            unlike=on(UVICORN, SUGGESTED),
            smuggles=True,
        )
        for value in (
            "xchunked",
            "identity",
            "chunked, identity",
            "chunked, chunked",
            '"chunked"',
            "",
        )
    ),
    Case(
        "the encoding 'gzip, chunked'",
        post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
        unlike={
            "h11": SUGGESTED,
            "httptools": Unlike("llhttp passes gzip on as it is", through=refused(501)),
        },
        smuggles=True,
    ),
    Case(
        "two encodings",
        post(_CHUNKED + _CHUNKED, b"0\r\n\r\n" + SMUGGLED),
        unlike=on(UVICORN, SUGGESTED),
        smuggles=True,
    ),
    Case(
        "an encoding with a control character",
        post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n" + SMUGGLED),
        smuggles=True,
    ),
    Case(
        "an encoding before a space",
        post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
        smuggles=True,
    ),
    Case(
        "an encoding in a fold",
        post(b"Transfer-Encoding:\r\n chunked\r\n", b"1\r\na\r\n0\r\n\r\n"),
        unlike=on("httptools", STRICTER),
    ),
]

CHUNKS: Final = [
    *(
        Case(
            f"a chunk of size {size!r}",
            post(_CHUNKED, size.encode() + b"\r\nabc\r\n0\r\n\r\n" + SMUGGLED),
            smuggles=True,
        )
        for size in ("0x3", "-3", "+3", "3,3", "", "three", "F" * 21)
    ),
    Case("a chunk that is longer", chunked(b"2", b"abc", b"0", b"") + SMUGGLED, smuggles=True),
    Case("a chunk that is shorter", chunked(b"5", b"abc", b"0", b"") + SMUGGLED, smuggles=True),
    Case(
        "a chunk without its end", post(_CHUNKED, b"3\r\nabcXX0\r\n\r\n" + SMUGGLED), smuggles=True
    ),
    Case("chunks with bare LF", post(_CHUNKED, b"3\nabc\n0\n\n" + SMUGGLED), smuggles=True),
    Case(
        "an extension with a bare LF",
        post(_CHUNKED, b"3;a\nb\r\nabc\r\n0\r\n\r\n" + SMUGGLED),
        smuggles=True,
    ),
    Case(
        "an extension with a bare CR",
        chunked(b"3;a\rb", b"abc", b"0", b""),
        unlike=on("httptools", STRICTER),
    ),
    Case(
        "a space behind a size", chunked(b"3 ", b"abc", b"0", b""), unlike=on("httptools", STRICTER)
    ),
    Case(
        "trailers that are none",
        post(_CHUNKED, b"1\r\na\r\n0\r\nX : 1\r\n\r\n" + SMUGGLED),
        smuggles=True,
    ),
]

CASES: Final = [*WHOLE, *LENGTHS, *ENCODINGS, *CHUNKS]
