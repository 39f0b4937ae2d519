"""Exchanges whose ends don't wait for each other, on each server and through the gateway."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import pytest
import trio

from tests.transports.rest.torture.answers import answers_and_reads, answers_before_it_reads
from tests.transports.rest.torture.callers import Caller
from tests.transports.rest.torture.cases import post, request
from tests.transports.rest.torture.conftest import Plain
from tests.transports.rest.torture.recorder import Exchange, Script, read_and_answer
from tests.transports.rest.torture.servers import GatewayPlace, Place
from tests.transports.rest.torture.test_over_sockets import nothing_left

MIB: Final = 1 << 20
HELD: Final = b"Expect: 100-continue\r\nContent-Length: 3\r\n"


@pytest.fixture(params=["h11", "httptools", "hypercorn", "gateway"])
def place(request: pytest.FixtureRequest, plain: Plain, gateway: GatewayPlace) -> Place:
    """Each in turn; nothing may be left of an exchange."""
    return gateway if request.param == "gateway" else plain(request.param)


@pytest.fixture(autouse=True)
def left_over(gateway: GatewayPlace) -> object:
    """No exchange may be left at either end of the publisher's connection."""
    yield
    assert nothing_left(gateway)


def asking(place: Place, script: Script) -> Caller:
    """A new connection, on which the application does what *script* says."""
    place.recorder.journal.take()
    place.recorder.script = script
    return Caller(place.port)


def test_a_body_that_waits_for_100(place: Place) -> None:
    with asking(place, read_and_answer) as caller:
        caller.send(post(HELD))
        caller.read_interim()
        caller.send(b"abc")
        caller.read_answer()
        [answer] = caller.answers
        assert (answer.status, answer.body, answer.interim) == (200, b"3 bytes", (100,))
        [seen] = place.recorder.journal.take()
        assert (seen.body, seen.end) == (b"abc", "whole")


def test_a_body_that_is_not_wanted(place: Place) -> None:
    """Where uvicorn sends no 100; hypercorn does before it knows, and a gateway may.

    The gateway under uvicorn asks for the body while the answer is on its way.
    """
    with asking(place, answers_before_it_reads) as caller:
        caller.send(post(HELD))
        caller.read_answer()
        [answer] = caller.answers
        assert (answer.status, answer.body) == (413, b"no!\n")
        if place.name in ("h11", "httptools"):
            assert answer.interim == ()
        elif place.name == "gateway on uvicorn":
            assert answer.interim in ((), (100,))
        else:
            assert answer.interim == (100,)
        [seen] = place.recorder.journal.take()
        assert seen.end == "unread"


def test_an_answer_before_the_body(place: Place) -> None:
    with asking(place, answers_before_it_reads) as caller:
        caller.send(post(b"Content-Length: %d\r\n" % (10 * MIB)))
        caller.read_answer()
        [answer] = caller.answers
        assert (answer.status, answer.body, answer.whole) == (413, b"no!\n", True)
        [seen] = place.recorder.journal.take()
        assert (seen.body, seen.end, seen.outcome) == (b"", "unread", "returned")


def test_an_answer_while_the_body_goes_on(place: Place) -> None:
    """What is sent behind it reaches nobody; a server may close the connection, or read on."""
    with asking(place, answers_before_it_reads) as caller:
        caller.send(post(b"Content-Length: %d\r\n" % (10 * MIB), bytes(MIB)))
        caller.read_answer()
        [answer] = caller.answers
        assert (answer.status, answer.body, answer.whole) == (413, b"no!\n", True)
        caller.send(bytes(9 * MIB))
        [seen] = place.recorder.journal.take()
        assert (seen.body, seen.end) == (b"", "unread")


def test_pieces_go_both_ways_at_once(place: Place) -> None:
    with asking(place, answers_and_reads) as caller:
        caller.send(post(b"Transfer-Encoding: chunked\r\n"))
        for word in (b"one", b"two", b"three"):
            caller.send(b"%x\r\n%b\r\n" % (len(word), word))
            while not (caller.answers and caller.answers[0].body.endswith(word.upper())):
                caller.read()
        caller.send(b"0\r\n\r\n")
        while not caller.answers[0].whole:
            caller.read()
        assert caller.answers[0].body == b"ONETWOTHREE"
        [seen] = place.recorder.journal.take()
        assert (seen.body, seen.end) == (b"onetwothree", "whole")


@pytest.mark.parametrize("how", ["reset", "closed"])
@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n"],
    ids=["sized", "chunked"],
)
def test_an_upload_that_is_given_up(place: Place, head: bytes, how: str) -> None:
    async def reads_on(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.body(b"begun", more=True)
        await read_and_answer(exchange)

    with asking(place, reads_on) as caller:
        caller.send(
            post(head, bytes(500) if b"Length" in head else b"1f4\r\n" + bytes(500) + b"\r\n")
        )
        while not (caller.answers and caller.answers[0].body == b"begun"):
            caller.read()
        seen = place.recorder.journal.wait_for()
        while len(seen.body) < 500:
            time.sleep(0.001)
        caller.abort() if how == "reset" else caller.close()
        assert place.recorder.journal.take() == (seen,)
        assert (seen.body, seen.end, seen.outcome) == (bytes(500), "disconnect", "returned")


async def pours(exchange: Exchange) -> None:
    """A response of 64 MiB, until nobody wants more of it."""
    await exchange.read()
    await exchange.start()
    try:
        for _ in range(1024):
            await exchange.body(bytes(65_536), more=True)
    except OSError:
        pass  # as ASGI has it since 2.4; uvicorn and hypercorn drop what is sent then
    exchange.seen.end = "poured"
    await exchange.gone()


def test_a_reader_that_goes(place: Place) -> None:
    with asking(place, pours) as caller:
        caller.send(request(b"GET", b"/a"))
        while not (caller.answers and len(caller.answers[0].body) > MIB):
            caller.read()
        caller.abort()
    [seen] = place.recorder.journal.take()
    assert (seen.end, seen.outcome) == ("disconnect", "returned")


def test_a_reader_that_is_slow(place: Place) -> None:
    """The application waits, with so much under way as buffers hold; and all of it comes."""
    with asking(place, pours) as caller:
        caller.send(request(b"GET", b"/a"))
        seen = place.recorder.journal.wait_for()
        sent = -1
        while sent < seen.sent or not sent:
            sent = seen.sent
            time.sleep(0.3)
        assert 0 < sent < 32 * MIB
        while not (caller.answers and len(caller.answers[0].body) == 64 * MIB):
            caller.read()
            assert not caller.ended
    place.recorder.journal.take()


def test_a_writer_that_is_not_read(place: Place) -> None:
    """The caller waits, with so much under way as buffers hold; and the application gets all."""
    go_on: list[bool] = []

    async def sleeps(exchange: Exchange) -> None:
        # It answers, and so the caller can tell it when to go on.
        await exchange.start()
        await exchange.body(b"ready", more=True)
        while not go_on:
            await asleep()
        while await exchange.piece() is not None:
            pass
        await exchange.body(b"%d bytes" % len(exchange.seen.body))

    with asking(place, sleeps) as caller:
        caller.send(post(b"Content-Length: %d\r\n" % (64 * MIB)))
        sent = caller.send_until_it_blocks(bytes(64 * MIB), 0.3)
        assert sent < 32 * MIB
        go_on.append(True)
        caller.send(bytes(64 * MIB - sent))
        caller.read_answer()
        assert caller.answers[0].body == b"ready%d bytes" % (64 * MIB)
    place.recorder.journal.take()


async def asleep() -> None:
    """A moment, on either loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        await trio.sleep(0.01)
    else:
        await asyncio.sleep(0.01)
