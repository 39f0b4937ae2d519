"""What applications answer, as they should and as they shouldn't."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from tests.transports.rest.torture.callers import Outcome
from tests.transports.rest.torture.cases import (
    ALL,
    ON_H11,
    UVICORN,
    Case,
    of_the_first,
    on,
    post,
    request,
    statuses,
)
from tests.transports.rest.torture.compare import Check, Unlike
from tests.transports.rest.torture.recorder import MARK, Exchange, Field, Script


def answering(
    status: int, *fields: Field, body: bytes = b"", pieces: tuple[bytes, ...] = ()
) -> Script:
    """An application that reads, and answers so; *pieces*: of a body that comes in several."""

    async def script(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.start(status, *fields)
        for piece in pieces:
            await exchange.body(piece, more=True)
        await exchange.body(body)

    return script


def failing(*, after: tuple[bytes, ...] | None = None, length: int | None = None) -> Script:
    """An application that fails before it answers, or *after* so much of a body."""

    async def script(exchange: Exchange) -> None:
        await exchange.read()
        if after is not None:
            fields = [] if length is None else [(b"Content-Length", b"%d" % length)]
            await exchange.start(200, *fields)
            for piece in after:
                await exchange.body(piece, more=True)
        raise ValueError("it broke")

    return script


async def returns_early(exchange: Exchange) -> None:
    """Returns without an answer."""
    await exchange.read()


async def returns_in_the_middle(exchange: Exchange) -> None:
    """Returns before its body has an end."""
    await exchange.read()
    await exchange.start()
    await exchange.body(b"the beginning", more=True)


async def starts_twice(exchange: Exchange) -> None:
    """Sends two heads."""
    await exchange.read()
    await exchange.start()
    await exchange.start(500)


async def goes_on(exchange: Exchange) -> None:
    """Sends more behind the end."""
    await exchange.answer(200, body=b"all")
    await exchange.body(b" and more")


async def answers_before_it_reads(exchange: Exchange) -> None:
    """Says no, and reads nothing."""
    await exchange.answer(413, (b"Content-Length", b"4"), body=b"no!\n")


async def answers_and_reads(exchange: Exchange) -> None:
    """Begins its answer, and echoes each piece as it comes."""
    await exchange.start()
    while (piece := await exchange.piece()) is not None:
        if piece:
            await exchange.body(piece.upper(), more=True)
    await exchange.body()


async def sends_trailers(exchange: Exchange) -> None:
    """Announces trailers, and sends them, whether that is offered or not."""
    await exchange.read()
    await exchange.start(trailers=True)
    await exchange.body(b"body")
    await exchange.message(type="http.response.trailers", headers=[(b"x-sum", b"1")])


def _came(*expected: int) -> Check:
    """The answers have these statuses, and each is whole."""
    return lambda outcome: (
        statuses(outcome) == [*expected] and all(answer.whole for answer in outcome.answers)
    )


def _broke_off(beginning: bytes) -> Check:
    """A response of 200 was cut, behind some of *beginning*."""

    def check(outcome: Outcome) -> bool:
        if not outcome.answers:
            return False
        answer = outcome.answers[-1]
        return (
            not answer.whole and answer.status == 200 and beginning.startswith(bytes(answer.body))
        )

    return check


def _with_length(outcome: Outcome) -> Outcome:
    first, *others = outcome.answers
    name = b"Content-Length" if MARK in first.fields else b"content-length"
    told = replace(first, fields=(*first.fields, (name, b"4")))
    return replace(outcome, answers=[told, *others])


def _without_length(outcome: Outcome) -> Outcome:
    first, *others = outcome.answers
    fields = [field for field in first.fields if field[0].lower() != b"content-length"]
    return replace(outcome, answers=[replace(first, fields=tuple(fields)), *others])


_nothing = _came()

#: 500 is a response as any other to the gateway, and so the connection to its caller goes on.
GOES_ON: Final = Unlike(
    "the application's own server closes the connection behind 500",
    plain=_came(500),
    through=_came(500, 200),
)

#: uvicorn has told its transport of a response when it looks at its fields.
FAULTY: Final = {
    **on(
        UVICORN,
        Unlike(
            "uvicorn closes the connection, or sends what is no HTTP",
            plain=_nothing,
            through=_came(500, 200),
        ),
    ),
    "hypercorn": GOES_ON,
}

#: And hypercorn ends, with all its connections, where an application answers with 1xx.
ENDS: Final = {**FAULTY, "hypercorn": Unlike("hypercorn's process ends", is_asked=False)}

#: A head is kept until something of the body is there, as ASGI wants it.
STILL_500: Final = on(
    ALL,
    Unlike(
        "our own ends send no head before its body begins, and can still answer with 500",
        plain=_broke_off(b"body"),
        through=_came(500, 200),
    ),
)


def cut(beginning: bytes) -> dict[str, Unlike]:
    """The response breaks off everywhere; through the gateway perhaps earlier."""
    return on(
        ALL,
        Unlike(
            "a caller learns at once that a response broke off, in place of what was under way",
            plain=_broke_off(beginning),
            through=_broke_off(beginning),
            always=False,
        ),
    )


def _case(
    name: str,
    script: Script,
    unlike: Mapping[str, Unlike] = MappingProxyType({}),
    method: bytes = b"GET",
) -> Case:
    return Case(name, request(method, b"/a"), method.decode(), script, unlike)


def _fields(*fields: Field) -> Script:
    return answering(200, *fields, body=b"body")


_TEXT: Final = (b"Content-Type", b"text/plain")
_FOUR: Final = (b"Content-Length", b"4")
_NO_204: Final = Unlike(
    "uvicorn has an application fail that gives a body where there is none",
    plain=lambda outcome: statuses(outcome) in ([204], [304]),
    through=lambda outcome: statuses(outcome) in ([204, 200], [304, 200]),
)

STATUSES: Final = [
    *(
        _case(f"status {status}", answering(status, _TEXT, body=b"body"))
        for status in (200, 201, 206, 299, 300, 307, 399, 400, 404, 418, 451, 499, 500, 502, 599)
    ),
    *(
        _case(
            f"status {status}",
            answering(status, _TEXT, body=b"body"),
            # httptools' has no more of a difference, as the gateway's own has taught it these.
            on("h11", Unlike("those below 600", plain=_nothing, through=_came(status, 200))),
        )
        for status in (600, 999)
    ),
    *(_case(f"status {status}", answering(status), FAULTY) for status in (99, 1000)),
    *(_case(f"status {status}", answering(status), ENDS) for status in (100, 101, 103)),
    _case("status 204", answering(204, _TEXT)),
    _case("status 205", answering(205, _TEXT)),
    _case("status 304", answering(304, (b"ETag", b'"x"'))),
    _case("status 204 with a body", answering(204, body=b"body"), on(UVICORN, _NO_204)),
    _case("status 304 with a body", answering(304, body=b"body"), on(UVICORN, _NO_204)),
    _case("status 304 with a length", answering(304, _FOUR), on("httptools", _NO_204)),
    _case(
        "status 204 with a length",
        answering(204, _TEXT, (b"Content-Length", b"0")),
        on(ALL, Unlike("204 has no Content-Length (RFC 9110 section 8.6)", _without_length)),
    ),
]

_SAYS: Final = Unlike("HEAD says what GET would (RFC 9110 section 8.6)", _with_length)
_DROPS: Final = Unlike("h11 drops a length beside chunks", _with_length)

BODIES: Final = [
    _case("no body", answering(200)),
    _case("a body with its length", _fields(_FOUR)),
    _case("a body without", _fields()),
    _case("a body in pieces", answering(200, _FOUR, pieces=(b"b", b"", b"od"), body=b"y")),
    _case("a body in pieces without length", answering(200, pieces=(b"bo", b"", b"dy"))),
    _case("a body of empty pieces", answering(200, pieces=(b"", b"", b""))),
    _case("a body of 64 KiB", answering(200, body=b"a" * 65_536)),
    _case("a body of 64 KiB and 1", answering(200, body=b"a" * 65_537)),
    _case("a body of 10 MiB", answering(200, body=bytes(range(256)) * 40_960)),
    _case("a body of 10 MiB in pieces", answering(200, pieces=(bytes(1 << 20),) * 10)),
    Case(
        "a body for HTTP/1.0",
        request(b"GET", b"/a", version=b"1.0"),
        script=answering(200, pieces=(b"bo", b"dy")),
    ),
    _case("HEAD", answering(200), method=b"HEAD"),
    _case("HEAD with a length", answering(200, _FOUR), method=b"HEAD"),
    _case("HEAD with a length and a body", _fields(_FOUR), method=b"HEAD"),
    _case("HEAD with a body", _fields(), on(ALL, _SAYS), b"HEAD"),
    _case("HEAD with pieces", answering(200, pieces=(b"a", b"b")), method=b"HEAD"),
    _case("HEAD with another length", _fields((b"Content-Length", b"400")), method=b"HEAD"),
    _case("longer than it says", _fields((b"Content-Length", b"3")), STILL_500),
    _case("shorter than it says", _fields((b"Content-Length", b"5")), STILL_500),
    _case(
        "longer than it says in pieces",
        answering(200, (b"Content-Length", b"3"), pieces=(b"bo", b"dy")),
        cut(b"bod"),
    ),
    _case(
        "shorter than it says in pieces",
        answering(200, (b"Content-Length", b"5"), pieces=(b"bo", b"dy")),
        cut(b"body"),
    ),
    *(
        _case(f"it says {value!r}", _fields((b"Content-Length", value)), FAULTY)
        for value in (b"+4", b"-4", b"four", b"4, 5")
    ),
    _case("it says two lengths", _fields(_FOUR, (b"Content-Length", b"5")), FAULTY),
    _case("it says its length twice", _fields(_FOUR, _FOUR)),
    _case("it says that it is chunked", _fields((b"Transfer-Encoding", b"chunked"))),
    _case(
        "it says both",
        _fields(_FOUR, (b"Transfer-Encoding", b"chunked")),
        on(ON_H11, _DROPS),
    ),
    _case(
        "it says another encoding",
        _fields((b"Transfer-Encoding", b"x")),
        {
            **on(
                UVICORN,
                Unlike("ASGI has it ignored", plain=_nothing, through=_came(200, 200)),
            ),
            "hypercorn": Unlike("ASGI has it ignored", plain=_came(500), through=_came(200, 200)),
        },
    ),
]

_LIMIT: Final = on(
    ALL,
    Unlike(
        "a head between our own ends has max_head bytes at most, and 1000 fields: else 500",
        through=_came(500, 200),
    ),
)
_CLOSES: Final = Unlike(
    "Connection is between a server and its caller, and the gateway is another one",
    plain=_came(200),
    through=_came(200, 200),
)

FIELDS: Final = [
    _case(
        "answered fields in their order",
        _fields((b"Set-Cookie", b"a"), (b"X-B", b"1"), (b"set-cookie", b"b"), (b"X-b", b"2")),
    ),
    _case("answered fields that are empty", _fields((b"X-Empty", b""))),
    _case(
        "answered fields with spaces around",
        _fields((b"X-Spaces", b"  a b  ")),
        on("h11", Unlike("uvicorn with h11 refuses it", plain=_nothing, through=_came(200, 200))),
    ),
    _case("answered fields with tabs", _fields((b"X-Tab", b"a\tb"))),
    _case("answered fields beyond ASCII", _fields((b"X-Name", b"caf\xe9\xff"))),
    _case("answered fields of 60 KiB", _fields((b"X", b"a" * 61_440))),
    _case("answered fields of 70 KiB", _fields((b"X", b"a" * 71_680)), _LIMIT),
    _case("answered fields, 990", _fields(*[(b"X", b"1")] * 990)),
    _case("answered fields, 1001", _fields(*[(b"X", b"1")] * 1001), _LIMIT),
    _case("answered fields of a server's own", _fields((b"Date", b"x"), (b"Server", b"y"))),
    _case("answered Connection: close", _fields((b"Connection", b"close")), on(ALL, _CLOSES)),
    _case(
        "answered fields of one connection",
        _fields((b"Connection", b"X-Own, upgrade"), (b"X-Own", b"1"), (b"Keep-Alive", b"5")),
    ),
    *(
        _case(f"a value with {value!r}", _fields((b"X-Evil", value)), FAULTY)
        for value in (
            b"a\r\nX-More: 1",
            b"a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"a\rb",
            b"a\nb",
            b"a\0b",
        )
    ),
    _case(
        "an answered value with a control character",
        _fields((b"X-Evil", b"a\x01b")),
        {
            **on(ON_H11, Unlike("h11 sends it", plain=_came(200, 200), through=_came(500, 200))),
            "httptools": FAULTY["httptools"],
        },
    ),
    *(
        _case(f"the name {name!r}", _fields((name, b"1")), FAULTY)
        for name in (b"X\r\nX-More", b"X Y", b"X:Y", b":status", b"", b"X\xe9")
    ),
]

_AFTER: Final = b"the beginning"

ENDS_OF_APPLICATIONS: Final = [
    _case("fails", failing(), on(ALL, GOES_ON)),
    _case("fails behind its head", failing(after=()), STILL_500),
    _case("fails in its body", failing(after=(_AFTER,)), cut(_AFTER)),
    _case("fails in a body with a length", failing(after=(_AFTER,), length=100), cut(_AFTER)),
    _case("returns without an answer", returns_early, on(ALL, GOES_ON)),
    _case("returns in its body", returns_in_the_middle, cut(_AFTER)),
    _case("starts twice", starts_twice, STILL_500),
    _case(
        "goes on behind its end",
        goes_on,
        on(
            UVICORN,
            Unlike("uvicorn closes then", plain=_came(200), through=_came(200, 200)),
        )
        | on("hypercorn", of_the_first(outcome="AsgiViolation", why="the error's name")),
    ),
    _case("answers before it reads what is none", answers_before_it_reads),
    Case(
        "answers and doesn't read",
        post(b"Content-Length: 3\r\n", b"abc"),
        script=answers_before_it_reads,
    ),
    Case("answers as it reads", post(b"Content-Length: 3\r\n", b"abc"), script=answers_and_reads),
    _case(
        "sends trailers",
        sends_trailers,
        on(
            UVICORN,
            Unlike(
                "uvicorn knows no trailers; between our own ends they go, and end at the gateway",
                plain=_came(200),
                through=_came(200, 200),
            ),
        )
        | on(
            "hypercorn",
            Unlike(
                "nor does hypercorn for HTTP/1.1",
                plain=_broke_off(b"body"),
                through=_came(200, 200),
            ),
        ),
    ),
]

CASES: Final = [*STATUSES, *BODIES, *FIELDS, *ENDS_OF_APPLICATIONS]
