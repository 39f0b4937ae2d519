"""Handlers with types: codecs by route, and what mypy knows of them.

mypy checks this file as it does the rest: a line that needs no ``type: ignore`` is a test, and so
is one that needs it, as one too many is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

import msgspec
import pytest

from tests.transports.conftest import Run
from tests.transports.webwire.world import OpenServer, settle
from wirecore.errors import InvalidOption
from wirecore_trio import webwire
from wirecore_trio.webwire import Encoding, Json, Payload, Struct


class Args(msgspec.Struct):
    """What is to be added."""

    a: int
    b: int


@dataclass
class Result:
    """The sum."""

    total: int


ARGS = Struct(Args)
RESULT = Struct(Result)
PACKED = Struct(Args, "msgpack")


def prepare(server: webwire.Server) -> None:
    """Typed handlers of each kind."""

    @server.request("sum", codec=ARGS, reply=RESULT)
    async def add(request: webwire.Request[Args]) -> Result:
        assert_type(request.value, Args)
        return Result(request.value.a + request.value.b)

    @server.request("packed", codec=PACKED)
    def swap(request: webwire.Request[Args]) -> Args:
        return Args(request.value.b, request.value.a)

    @server.request("json", codec=Json(), inline=True)
    def json(request: webwire.Request[Any]) -> Any:
        return request.value

    @server.request("raw reply", codec=Json())
    async def raw_reply(request: webwire.Request[Any]) -> Payload:
        return Payload.utf16("as it is")

    @server.request("wrong", codec=Json(), reply=RESULT)
    async def wrong(request: webwire.Request[Any]) -> Any:
        return object()

    @server.request("plain")
    async def plain(request: webwire.Request[Payload]) -> str | bytes | Payload | None:
        assert_type(request.value, Payload)
        assert_type(request.payload, Payload)
        assert_type(request.connection, webwire.Connection)
        return request.name

    @server.signal("tell", codec=ARGS)
    async def tell(signal: webwire.Signal[Args]) -> None:
        assert_type(signal.value, Args)
        await signal.connection.signal("told", signal.value, codec=PACKED)


def test_values_go_both_ways(open_server: OpenServer, run_sockets: Run) -> None:
    told: list[Args] = []

    async def main() -> None:
        async with open_server(prepare) as world:
            connecting = world.connect()

            @connecting.on_signal("told", codec=PACKED)
            async def note(signal: webwire.ServerSignal[Args]) -> None:
                assert_type(signal.value, Args)
                told.append(signal.value)

            async with connecting as client:
                total = await client.request("sum", Args(1, 2), codec=ARGS, reply=RESULT)
                assert total == Result(3)
                assert await client.request("packed", Args(1, 2), codec=PACKED) == Args(2, 1)
                reply = await client.request("plain", "x")
                assert_type(reply, Payload)
                assert reply.text == "plain"
                values: list[Any] = [None, True, 1.5, "zwölf", [1, {"a": []}], {}]
                for value in values:
                    assert await client.request("json", value, codec=Json()) == value
                assert (await client.request("json", "[1]")).encoding is Encoding.UTF8
                assert (await client.request("json", Payload.utf16("[1]"))).text == "[1]"
                assert (await client.request("sum", Payload.utf16('{"a":1,"b":2}'))).text
                assert (await client.request("raw reply", "1")) == Payload.utf16("as it is")
                await client.signal("tell", Args(3, 4), codec=ARGS)
                await settle()
                assert told == [Args(3, 4)]

    run_sockets(main)


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("sum", "{"),
        ("sum", '{"a": 1}'),
        ("sum", '{"a": 1, "b": "2"}'),
        ("sum", b"\xff"),
        ("packed", '{"a": 1, "b": 2}'),
        ("json", "{"),
        ("json", b"\xff"),
        ("json", Payload(b"\0\xd8", Encoding.UTF16)),
    ],
)
def test_a_payload_that_isnt_what_its_route_wants_is_refused(
    open_server: OpenServer, run_sockets: Run, name: str, payload: Any
) -> None:
    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            with pytest.raises(webwire.RequestError) as caught:
                await client.request(name, payload)
            assert caught.value.code == "INVALID_PAYLOAD"
            assert (await client.request("plain", "x")).text == "plain"

    run_sockets(main)


def test_values_that_cant_be_coded(open_server: OpenServer, run_sockets: Run) -> None:
    recursive: list[Any] = []
    recursive.append(recursive)

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            with pytest.raises(webwire.InternalError):
                await client.request("wrong", "1")
            for value in (object(), float("nan"), recursive, "\ud800", {1: object()}):
                with pytest.raises(webwire.UnsendableMessage):
                    await client.request("json", value, codec=Json())
                with pytest.raises(webwire.UnsendableMessage):
                    await client.signal("json", value, codec=Json())
            with pytest.raises(webwire.UnsendableMessage):
                await client.request("sum", object(), codec=ARGS)
            with pytest.raises(webwire.InvalidMessage):
                await client.request("plain", "x", reply=Json())
            assert (await client.request("plain", "x")).text == "plain"

    run_sockets(main)


def test_a_format_is_one_of_two() -> None:
    with pytest.raises(InvalidOption, match='"json" or "msgpack"'):
        Struct(int, "yaml")  # type: ignore[arg-type]  # the mistake is tested


def test_a_reply_that_cant_be_read_is_named(open_server: OpenServer, run_sockets: Run) -> None:
    def prepare(server: webwire.Server) -> None:
        server.request("odd")(lambda request: "{")
        server.request("none")(lambda request: None)

    async def main() -> None:
        async with open_server(prepare) as world, world.connect() as client:
            for codec in (Json(), Struct(list[int])):
                with pytest.raises(
                    webwire.InvalidMessage, match="the reply to 'odd': the payload isn't"
                ):
                    await client.request("odd", 1, codec=codec)
                with pytest.raises(webwire.InvalidMessage, match="'none': the payload is empty"):
                    await client.request("none", 1, codec=codec)

    run_sockets(main)


def test_what_is_no_type_is_told() -> None:
    nothing: Any = "nothing"
    with pytest.raises(TypeError, match=r"kind must be a type that msgspec reads: .*nothing"):
        webwire.Struct(nothing)


def test_any_object_with_both_methods_is_a_codec(open_server: OpenServer, run_sockets: Run) -> None:
    class Numbers:
        """Decimal digits."""

        def encode(self, value: int) -> Payload:
            return Payload.of(str(value))

        def decode(self, payload: Payload) -> int:
            return int(payload.text)

    numbers: webwire.Codec[int] = Numbers()

    def doubling(server: webwire.Server) -> None:
        @server.request("double", codec=numbers)
        async def double(request: webwire.Request[int]) -> int:
            return request.value * 2

    async def main() -> None:
        async with open_server(doubling) as world, world.connect() as client:
            assert await client.request("double", 21, codec=numbers) == 42

    run_sockets(main)
