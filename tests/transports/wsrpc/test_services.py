"""What can be served, and how: services, single handlers, and the mistakes people make there.

It is type-checked too: a service written as anybody would write it must be one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from wirecore.errors import InvalidOption
from wirecore_trio import wsrpc
from wirecore_trio.tls import load_private_key, public_key_of
from wirecore_trio.wsrpc import MethodTypes, Peer, Service
from wirecore_trio.wsrpc.ping import (
    GnipRequest,
    GnipResponse,
    GnipService,
    GnipStub,
    PingRequest,
    PingResponse,
    PingService,
    PingStub,
)

Opener = Callable[..., Any]
Run = Callable[..., Any]

SERVER, ALICE = (bytes([number]) * 32 for number in (1, 2))


def public(private_key: bytes) -> bytes:
    return public_key_of(load_private_key(private_key))


class Plain:
    """A service as the README shows one."""

    wsrpc_methods = {"Ping": MethodTypes(PingRequest, PingResponse)}  # noqa: RUF012 # as users write

    def Ping(self, request: PingRequest, peer: Peer) -> PingResponse:  # noqa: N802
        return PingResponse(body=f"pong, {request.body}")


class Annotated:
    """The same, as generated code has it."""

    wsrpc_methods: ClassVar[Mapping[str, MethodTypes]] = {
        "Ping": MethodTypes(PingRequest, PingResponse)
    }

    def Ping(self, request: PingRequest, peer: Peer) -> PingResponse:  # noqa: N802
        return PingResponse(body=f"pong, {request.body}")


class Computed:
    """A service whose methods depend on the object."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def wsrpc_methods(self) -> dict[str, MethodTypes]:
        return {self._name: MethodTypes(PingRequest, PingResponse)}

    async def Pong(self, request: PingRequest, peer: Peer) -> PingResponse:  # noqa: N802
        return PingResponse(body=f"{self._name}, {request.body}")


class InAThread(PingService):
    """The example's service with plain functions: to mypy that is an override like any other."""

    def Ping(self, request: PingRequest, peer: Peer) -> PingResponse:  # noqa: N802
        return PingResponse(body=f"pong, {request.body}")


class GnipInAThread(GnipService):
    def Gnip(self, request: GnipRequest, peer: Peer) -> GnipResponse:  # noqa: N802
        return GnipResponse(body=request.body[::-1])


def shout(payload: bytes, peer: Peer) -> bytes:
    return payload.upper()


async def reverse(payload: bytes, peer: Peer) -> bytes:
    return payload[::-1]


def a_server(**arguments: Any) -> wsrpc.Server:
    return wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(ALICE)]), **arguments)


def test_services_are_written_in_several_ways(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        services: list[Service] = [Plain(), Computed("Pong")]
        async with open_world(services=services) as world, world.connect() as client:
            reply = await client.invoke("Ping", PingRequest(body="x"), PingResponse)
            assert reply.body == "pong, x"
            reply = await client.invoke("Pong", PingRequest(body="x"), PingResponse)
            assert reply.body == "Pong, x"
        annotated: Service = Annotated()
        async with open_world(services=[annotated]) as world, world.connect() as client:
            reply = await client.invoke("Ping", PingRequest(body="x"), PingResponse)
            assert reply.body == "pong, x"

    run(main)


def test_the_examples_services_may_be_plain_functions(open_world: Opener, run: Run) -> None:
    async def main() -> None:
        async with (
            open_world(services=[InAThread()]) as world,
            world.connect(services=[GnipInAThread()]) as client,
        ):
            assert await PingStub(client).Ping(PingRequest("x")) == PingResponse("pong, x")
            peer = world.server.peer(public(ALICE))
            assert await GnipStub(peer).Gnip(GnipRequest("ab")) == GnipResponse("ba")

    run(main)


# --- before the dial ------------------------------------------------------------------------


def test_raw_handlers_are_there_before_the_first_call(open_world: Opener, run: Run) -> None:
    """The other end may call as soon as it sees the connection: none of its calls is missed."""

    async def call_at_once(payload: bytes, peer: Peer) -> bytes:
        return b"%b, %b" % (await peer.call("Shout", b"you"), await peer.call("Reverse", b"you"))

    async def main() -> None:
        async with open_world(handlers={"CallAtOnce": call_at_once}) as world:
            handlers = {"Shout": shout, "Reverse": reverse}
            async with world.connect(handlers=handlers) as client:
                assert await client.call("CallAtOnce", b"") == b"YOU, uoy"

    run(main)


def test_what_will_connect_takes_handlers_with_all_their_options(
    open_world: Opener, run: Run
) -> None:
    async def main() -> None:
        async with open_world() as world:
            connecting = world.connect(handlers={"Reverse": reverse})
            connecting.handle("Shout", shout, inline=True)
            connecting.register(Plain(), inline=True)
            async with connecting as client:
                client.handle("Late", shout, inline=True)
                peer = world.server.peer(public(ALICE))
                assert await peer.call("Shout", b"x") == b"X"
                assert await peer.call("Reverse", b"xy") == b"yx"
                assert await peer.call("Late", b"x") == b"X"
                reply = await peer.invoke("Ping", PingRequest(body="x"), PingResponse)
                assert reply.body == "pong, x"

    run(main)


def test_a_name_is_taken_wherever_it_came_from(open_world: Opener) -> None:
    with pytest.raises(InvalidOption, match="'Ping' is served already"):
        a_server(services=[Plain()], handlers={"Ping": shout})
    server = a_server(services=[Plain()])
    with pytest.raises(InvalidOption, match="'Ping' is served already"):
        server.handle("Ping", shout)


# --- mistakes -------------------------------------------------------------------------------


class NamesTooMuch:
    wsrpc_methods: ClassVar = {
        "Ping": MethodTypes(PingRequest, PingResponse),
        "Pong": MethodTypes(PingRequest, PingResponse),
    }

    async def Ping(self, request: PingRequest, peer: Peer) -> PingResponse:  # noqa: N802
        raise NotImplementedError


class AttributeForAMethod:
    wsrpc_methods: ClassVar = {"Ping": MethodTypes(PingRequest, PingResponse)}
    Ping = "pong"


class ListForAMapping:
    wsrpc_methods: ClassVar = ["Ping"]


class TupleForTypes:
    wsrpc_methods: ClassVar = {"Ping": (PingRequest, PingResponse)}

    Ping = shout


def test_a_class_is_no_service_yet() -> None:
    with pytest.raises(TypeError, match=r"Plain is a class: register an instance, as Plain\(\)"):
        a_server().register(Plain)


@pytest.mark.parametrize(
    ("service", "error", "says"),
    [
        (object(), ValueError, "object is no service: its class has no wsrpc_methods"),
        (None, ValueError, "NoneType is no service"),
        (NamesTooMuch(), ValueError, "NamesTooMuch has no method 'Pong', which its wsrpc_methods"),
        (AttributeForAMethod(), TypeError, "the handler of 'Ping' must be callable, not str"),
        (ListForAMapping(), TypeError, "ListForAMapping.wsrpc_methods must map .* not list"),
        (TupleForTypes(), TypeError, "wsrpc_methods.'Ping'. must be MethodTypes.*, not tuple"),
    ],
)
def test_what_is_no_service_is_told_at_once(
    service: Any, error: type[Exception], says: str
) -> None:
    server = a_server()
    with pytest.raises(error, match=says):
        server.register(service)
    # All or nothing: none of its names is taken.
    server.handle("Ping", shout)


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (None, "the handler of 'Shout' must be callable, not NoneType"),
        (b"reply", "the handler of 'Shout' must be callable, not bytes"),
        (lambda payload: payload, r"called as handler\(request, peer\): too many positional"),
        (lambda: b"", r"called as handler\(request, peer\): too many positional"),
        (lambda a, b, c: a, r"called as handler\(request, peer\): missing a required arg.* 'c'"),
    ],
)
def test_what_is_no_handler_is_told_at_once(handler: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        a_server().handle("Shout", handler)
    with pytest.raises(TypeError, match=says):
        a_server(handlers={"Shout": handler})


def test_handlers_of_every_shape_are_taken() -> None:
    class Callable_:  # noqa: N801
        async def __call__(self, payload: bytes, peer: Peer) -> bytes:
            raise NotImplementedError

    def more(prefix: bytes, payload: bytes, peer: Peer, *, suffix: bytes = b"") -> bytes:
        raise NotImplementedError

    def any_number(*arguments: Any) -> bytes:
        raise NotImplementedError

    server = a_server(handlers={"Partial": functools.partial(more, b"x"), "Any": any_number})
    server.handle("Object", Callable_())
    server.handle("Method", Plain().Ping, request=PingRequest, response=PingResponse)
    server.handle("Builtin", max)  # it doesn't tell its parameters everywhere


@pytest.mark.parametrize("name", [None, b"Shout", 7])
def test_a_methods_name_is_text(name: Any) -> None:
    with pytest.raises(TypeError, match=f"must be str, not {type(name).__name__}"):
        a_server().handle(name, shout)
    with pytest.raises(InvalidOption, match="needs a name"):
        a_server().handle("", shout)


@pytest.mark.parametrize("kind", [int, bytes, PingRequest(), "PingRequest", object])
def test_types_of_messages_are_classes_of_messages(kind: Any) -> None:
    for make in (
        lambda: MethodTypes(kind, PingResponse),
        lambda: a_server().handle("Ping", shout, request=kind, response=PingResponse),
    ):
        with pytest.raises(TypeError, match=r"request .* SerializeToString and FromString, not"):
            make()
    for make in (
        lambda: MethodTypes(PingRequest, kind),
        lambda: a_server().handle("Ping", shout, response=kind),
    ):
        with pytest.raises(TypeError, match=r"response .* SerializeToString and FromString, not"):
            make()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"services": Plain()}, r"services must be a sequence of services, not Plain"),
        ({"services": Plain}, r"services must be a sequence of services, not the class Plain"),
        ({"services": {"Ping": Plain()}}, r"services must be a sequence of services, not dict"),
        ({"handlers": [shout]}, r"handlers must map names to functions, not list"),
        ({"handlers": shout}, r"handlers must map names to functions, not function"),
    ],
)
def test_services_and_handlers_come_in_what_holds_several(
    arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        a_server(**arguments)
    with pytest.raises(TypeError, match=says):
        wsrpc.connect("h:1", wsrpc.ClientCredentials(ALICE, public(SERVER)), **arguments)
