"""Generated stubs and services over real wsrpc, in both directions."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from google.protobuf.empty_pb2 import Empty

from tests.codegen.services import shouter
from wirecore.errors import InvalidOption
from wirecore_trio import tls, wsrpc

if TYPE_CHECKING:
    from tests.codegen.conftest import Generated

Run = Callable[[Callable[[], Awaitable[object]]], None]

SERVER, ALICE = (bytes([number]) * 32 for number in (1, 2))


def public(private_key: bytes) -> bytes:
    return tls.public_key_of(tls.load_private_key(private_key))


@asynccontextmanager
async def both_ends(
    server_services: list[Any], client_services: list[Any]
) -> AsyncIterator[tuple[wsrpc.Peer, wsrpc.Client]]:
    """The client as its server sees it, and the client itself."""
    server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(ALICE)]))
    for service in server_services:
        server.register(service)
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", 0)
        async with wsrpc.connect(
            f"127.0.0.1:{listening.port}",
            wsrpc.ClientCredentials(ALICE, public(SERVER)),
            services=client_services,
        ) as client:
            yield server.peer(public(ALICE)), client
        await server.aclose()


def test_every_method_is_called_in_both_directions(generated: Generated, run: Run) -> None:
    rich, made = generated.module("rich_pb2"), generated.module("rich_wsrpc")
    kept = generated.module("sub_dir.import.kept_pb2")
    hidden = generated.module("hidden_pb2")

    async def main() -> None:
        async with both_ends([shouter(generated)], [shouter(generated)]) as callers:
            for caller in callers:
                stub = made.ShouterStub(caller)
                assert (await stub.Shout(rich.ShoutRequest(text="hi", times=2))).text == "HIHI"
                assert (await stub.Nested(rich.Outer.Inner(text="abc"))).text == "cba"
                assert (await stub.Nothing(Empty())).seconds == 1
                request = rich.ShoutRequest(text="x")
                assert (await stub.import__(request)).text == "imported x"
                assert (await getattr(stub, "import")(request)).text == "imported x"
                assert (await stub.import_(rich.ShoutRequest(text="x"))).text == "x"
                assert (await stub.match(hidden.Hidden(text="x"))).text == "matched x"
                assert (await stub.private_(kept.Kept(text="x"))).text == "kept x"
                assert (await getattr(stub, "__private")(kept.Kept(text="y"))).text == "kept y"

    run(main)


def test_messages_may_have_names_that_python_keeps(generated: Generated, run: Run) -> None:
    keywords, made = generated.module("keywords_pb2"), generated.module("keywords_wsrpc")

    class Keywords(made.KeywordsService):  # type: ignore[name-defined]  # made later
        async def class_(self, request: Any, peer: Any) -> Any:
            return getattr(keywords.Holder, "class")(text=f"class of {request.text}")

    async def main() -> None:
        async with both_ends([Keywords()], []) as (_, client):
            stub = made.KeywordsStub(client)
            assert (await stub.class_(getattr(keywords, "None")(text="x"))).text == "class of x"

    run(main)


def test_errors_arrive_as_their_text(generated: Generated, run: Run) -> None:
    rich, made = generated.module("rich_pb2"), generated.module("rich_wsrpc")

    async def main() -> None:
        async with both_ends([shouter(generated)], []) as (_, client):
            with pytest.raises(wsrpc.RpcError, match="the shop is closed"):
                await made.ShouterStub(client).Shout(rich.ShoutRequest(text="refuse"))
            with pytest.raises(wsrpc.UnknownMethod, match="Hush"):
                await made.QuietStub(client).Hush(rich.ShoutRequest())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        run(main)


def test_a_service_needs_all_of_its_methods(generated: Generated) -> None:
    made = generated.module("rich_wsrpc")

    class Half(made.ShouterService):  # type: ignore[name-defined]  # made later
        async def Shout(self, request: Any, peer: Any) -> Any:  # noqa: N802
            return request

    with pytest.raises(TypeError, match="abstract"):
        Half()


def test_services_that_share_a_method_cant_be_registered_together(generated: Generated) -> None:
    """As the plugin has said when it made them."""
    made = generated.module("shared_wsrpc")

    class First(made.FirstService):  # type: ignore[name-defined]  # made later
        async def Get(self, request: Any, peer: Any) -> Any:  # noqa: N802
            return request

        async def Put(self, request: Any, peer: Any) -> Any:  # noqa: N802
            return request

    class Second(made.SecondService):  # type: ignore[name-defined]  # made later
        async def Get(self, request: Any, peer: Any) -> Any:  # noqa: N802
            return request

    server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(ALICE)]))
    made.add_FirstService_to(server, First())
    with pytest.raises(InvalidOption, match="'Get' is served already"):
        made.add_SecondService_to(server, Second())


def test_what_is_registered_inline_runs_so(generated: Generated) -> None:
    """It is refused for async methods: which shows that it came through."""
    server = wsrpc.Server(wsrpc.ServerCredentials(SERVER, [public(ALICE)]))
    made = generated.module("rich_wsrpc")
    with pytest.raises(InvalidOption, match="inline is for plain functions"):
        made.add_ShouterService_to(server, shouter(generated), inline=True)
    made.add_ShouterService_to(server, shouter(generated))


def test_names_that_generated_code_uses_itself_are_methods_too(
    generated: Generated, run: Run
) -> None:
    names, made = generated.module("names_pb2"), generated.module("names_wsrpc")
    hidden = generated.module("hidden_pb2")

    async def answer(self: object, request: Any, peer: object) -> Any:
        return names.Word(text=f"answer to {request.text}")

    methods = dict(made.NamesService.wsrpc_methods)
    python_names = {name: "yield_" if name == "yield" else name for name in methods}
    served = type("Served", (made.NamesService,), dict.fromkeys(python_names.values(), answer))

    async def main() -> None:
        async with both_ends([served()], []) as (_, client):
            stub = made.NamesStub(client)
            for name, python_name in python_names.items():
                kind = hidden.Hidden if name == "hidden_pb2" else names.Word
                assert (await getattr(stub, python_name)(kind(text=name))).text == (
                    f"answer to {name}"
                )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        run(main)


def test_what_is_deprecated_warns_whoever_calls_it(generated: Generated, run: Run) -> None:
    rich, made = generated.module("rich_pb2"), generated.module("rich_wsrpc")

    async def main() -> None:
        async with both_ends([shouter(generated)], []) as (_, client):
            with pytest.warns(DeprecationWarning, match=r"v1\.Shouter\.Whisper is") as warned:
                reply = await made.ShouterStub(client).Whisper(rich.ShoutRequest(text="HI"))
            assert reply.text == "hi"
            assert warned[0].filename == __file__
            with pytest.warns(DeprecationWarning, match=r"v1\.Quiet is") as warned:
                made.QuietStub(client)
            assert warned[0].filename == __file__

    run(main)


def test_comments_become_docstrings(generated: Generated) -> None:
    made = generated.module("rich_wsrpc")
    for kind in (made.ShouterStub, made.ShouterService):
        assert kind.Shout.__doc__ == "Shout it."
        assert 'it ends in a "quote"' in kind.Nested.__doc__
        assert kind.Nothing.__doc__ == "Behind the method."
        assert kind.Whisper.__doc__.split("\n\n")[-1].strip() == "Deprecated."
        assert kind.import__.__doc__ == 'It ends with a "quote"'
        assert 'with a "quote" and a \\backslash' in kind.__doc__
        assert 'Umlauts (ä), and """three quotes""" in a row.' in kind.__doc__
        assert "licence" not in kind.__doc__
        assert "nobody" not in kind.__doc__


def test_older_and_newer_syntax_make_services_alike(generated: Generated, run: Run) -> None:
    old, old_made = generated.module("old_pb2"), generated.module("old_wsrpc")
    modern, modern_made = generated.module("edition_pb2"), generated.module("edition_wsrpc")

    class Old(old_made.OldService):  # type: ignore[name-defined]  # made later
        def Forget(self, request: Any, peer: Any) -> Any:  # noqa: N802
            return old.Needy(text=request.text)

        def Unwrap(self, request: Any, peer: Any) -> Any:  # noqa: N802
            return request.detail

    class Editions(modern_made.EditionsService):  # type: ignore[name-defined]  # made later
        def Modernise(self, request: Any, peer: Any) -> Any:  # noqa: N802
            return modern.Modern(text=f"{request.text}, 2023")

    async def main() -> None:
        async with both_ends([Old(), Editions()], []) as (_, client):
            assert (await old_made.OldStub(client).Forget(old.Lax(text="x"))).text == "x"
            lax = old.Lax(detail=old.Lax.Detail(text="y"))
            assert (await old_made.OldStub(client).Unwrap(lax)).text == "y"
            reply = await modern_made.EditionsStub(client).Modernise(modern.Modern(text="z"))
            assert reply.text == "z, 2023"

    run(main)
