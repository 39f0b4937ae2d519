"""Who may connect to a pool, and as whom."""

from __future__ import annotations

import ssl
import sys
from typing import Any

import pytest
import trio

from tests.transports.conftest import Authority, Run
from tests.transports.pool.world import Echo, OpenPool, Worker, default_path
from wirecore import errors
from wirecore_trio import pool


def test_a_token_says_who_it_is(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        tokens = pool.Tokens({"s3cret": "worker-1"})
        async with open_pool(tokens=tokens) as world:
            await world.provide(Worker("1"), token="s3cret", name="somebody else")
            [connection] = world.server.providers
            assert connection.identity == "worker-1"  # whatever it says of itself
            assert await world.server.call("Worker.Who", "", str, provider="worker-1") == "1"
            for wrong in (None, "S3CRET", ""):
                fields = () if wrong is None else (f"Authorization: Bearer {wrong}",)
                status, rest = await world.http("/pool", *fields)
                assert status == "HTTP/1.1 401 Unauthorized"
                assert b"WWW-Authenticate: Bearer\r\n" in rest
            refused = world.provider(persist=False).serve(world.url(), token="guess", wait=True)
            with pytest.raises(errors.UpgradeRejected, match="401"):
                async with refused:
                    pass
            assert len(world.server.providers) == 1

    run_sockets(main)


def test_a_token_is_revoked(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        tokens = pool.Tokens({"a": "first", "b": "second"})
        async with open_pool(tokens=tokens) as world:
            first = await world.provide(Echo(), token="a")
            await world.provide(Echo(), token="b")
            assert list(tokens) == ["first", "second"]
            assert world.server.revoke("first") == 1
            await first.wait_disconnected()
            await trio.sleep(1)
            assert isinstance(first.error, errors.UpgradeRejected)
            assert [each.identity for each in world.server.providers] == ["second"]
            assert list(tokens) == ["second"]
            tokens.add("new", "third")
            await world.provide(Echo(), token="new")

    run_sockets(main)


def test_other_tokens_take_the_place_of_all(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        tokens = pool.Tokens({"a": "first", "b": "second", "c": "third"})

        def prepare(server: pool.PoolServer) -> None:
            server.bind("/pool")
            server.serve_callbacks("/back", Echo())

        async with open_pool(prepare, tokens=tokens) as world:
            second = await world.provide(Echo(), token="b")
            third = await world.provide(Echo(), token="c")
            asks = world.provider(persist=False).connect_callbacks(
                world.url("/back"), token="c", wait=True
            )
            async with asks as client:
                for wrong in ({"d": "fourth", "e": "is, no name"}, {"": "fourth"}):
                    with pytest.raises(errors.InvalidOption):
                        tokens.replace(wrong)
                assert list(tokens) == ["first", "second", "third"]

                assert tokens.replace({"b": "second", "d": "third"}) == {"first", "third"}
                assert [world.server.disconnect(name) for name in ("first", "third")] == [0, 2]
                await third.wait_disconnected()
                await client.wait_closed()
                assert isinstance(client.error, errors.UpgradeRejected)
            assert second.connected
            await world.provide(Echo(), token="d")

    run_sockets(main)


def test_secrets_are_not_shown() -> None:
    tokens = pool.Tokens({"s3cret": "worker"})
    assert "s3cret" not in repr(tokens)
    assert "s3cret" not in repr(vars(tokens))
    for unspeakable in ("", "pad ", "é", "two\nlines"):
        with pytest.raises(errors.InvalidOption) as refused:
            tokens.add(unspeakable, "nobody")
        assert not unspeakable or unspeakable not in str(refused.value)
    with pytest.raises(TypeError):
        tokens.add("x", None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "field",
    [
        "Wirecore-Concurrency: many",
        "Wirecore-Concurrency: 0",
        "Wirecore-Concurrency: -1",
        "Wirecore-Provider: " + "x" * 300,
        "Wirecore-Labels: " + ",".join(map(str, range(100))),
    ],
)
def test_an_introduction_that_makes_no_sense(
    open_pool: OpenPool, run_sockets: Run, field: str
) -> None:
    async def main() -> None:
        async with open_pool() as world:
            assert (await world.http("/pool", field))[0] == "HTTP/1.1 400 Bad Request"

    run_sockets(main)


def test_an_origin_that_is_not_wanted(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        origins: list[str | None] = []

        def check(request: Any) -> bool:
            origins.append(request.origin)
            return bool(request.origin != "http://evil/")

        async with open_pool(keywords={"check_origin": check}) as world:
            await world.provide(Echo())
            status, _ = await world.http("/pool", "Origin: http://evil/")
            assert status == "HTTP/1.1 403 Forbidden"
            assert origins == ["http://localhost/", "http://evil/"]

    run_sockets(main)


def test_the_program_looks_at_each_connection(open_pool: OpenPool, run_sockets: Run) -> None:
    async def main() -> None:
        async def look(connection: pool.ProviderConnection) -> None:
            if connection.identity == "unwanted":
                raise ValueError("go away")

        async with open_pool(on_connection=look) as world:
            async with world.provider(Echo()).serve(world.url(), name="unwanted") as serving:
                events = serving.events()
                kinds = [(await anext(events)).kind for _ in range(2)]
                assert kinds == [pool.Happening.CONNECTED, pool.Happening.DISCONNECTED]
                assert world.server.providers == []
            await world.provide(Echo(), name="wanted")
            [connection] = world.server.providers
            assert connection.identity == "wanted"
            assert connection.remote_address.startswith("127.0.0.1:")
            assert connection.path == "/pool"

    run_sockets(main)


def test_certificates_of_both_ends(
    open_pool: OpenPool, run_sockets: Run, authority: Authority
) -> None:
    """The pool's name is verified, and the provider is who its certificate says."""

    async def main() -> None:
        keywords = {"ssl_context": authority.server_context(asks=True)}
        async with open_pool(default_path, keywords=keywords) as world:
            url = f"wss://127.0.0.1:{world.port}/pool"
            context = authority.client_context(authority)
            provider = world.provider(Worker("tls"))
            async with provider.serve(url, ssl_context=context, wait=True):
                assert await world.server.call("Worker.Who", "", str) == "tls"
                [connection] = world.server.providers
                assert connection.identity == "client.test"
                assert world.server.revoke("client.test") == 1
                await trio.sleep(1)
                assert world.server.providers == []

    run_sockets(main)


@pytest.mark.parametrize("shows", ["nothing", "one of another authority"])
def test_certificates_that_are_refused(
    open_pool: OpenPool,
    run_sockets: Run,
    authority: Authority,
    another_authority: Authority,
    shows: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        keywords = {"ssl_context": authority.server_context(asks=True)}
        async with open_pool(default_path, keywords=keywords) as world:
            url = f"wss://127.0.0.1:{world.port}/pool"
            context = authority.client_context(None if shows == "nothing" else another_authority)
            refused = world.provider(persist=False).serve(url, ssl_context=context, wait=True)
            with pytest.raises(errors.HandshakeError):
                async with refused:
                    pass
            assert world.server.providers == []

    run_sockets(main)
    assert "certificate" in caplog.text


def test_a_pool_that_is_not_trusted(
    open_pool: OpenPool, run_sockets: Run, authority: Authority, another_authority: Authority
) -> None:
    async def main() -> None:
        keywords = {"ssl_context": authority.server_context()}
        async with open_pool(default_path, keywords=keywords) as world:
            url = f"wss://127.0.0.1:{world.port}/pool"
            context = another_authority.client_context()
            with pytest.raises(errors.PeerRefused, match="certificate"):
                async with world.provider(persist=False).serve(url, ssl_context=context, wait=True):
                    pass

    run_sockets(main)


def test_what_the_system_trusts(
    open_pool: OpenPool,
    run_sockets: Run,
    authority: Authority,
    another_authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And besides that what it is told to; neither of these is in the system's store."""

    async def main() -> None:
        keywords = {"ssl_context": authority.server_context()}
        async with open_pool(default_path, keywords=keywords) as world:
            url = f"wss://127.0.0.1:{world.port}/pool"
            told = pool.provider_context(str(authority.path), system_trust=True)
            async with world.provider(Worker("tls")).serve(url, ssl_context=told, wait=True):
                assert await world.server.call("Worker.Who", "", str) == "tls"
            for wrong in (
                pool.provider_context(system_trust=True),
                pool.provider_context(str(another_authority.path), system_trust=True),
            ):
                refused = world.provider(persist=False).serve(url, ssl_context=wrong, wait=True)
                with pytest.raises(errors.PeerRefused):
                    async with refused:
                        pass

    run_sockets(main)
    monkeypatch.setitem(sys.modules, "truststore", None)
    with pytest.raises(errors.LocalError, match=r"pip install 'wirecore\[trust\]'"):
        pool.provider_context(system_trust=True)


def test_contexts_from_files(tmp_path: Any, authority: Authority) -> None:
    ca = str(authority.path)
    context = pool.provider_context(ca)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    with pytest.raises(errors.InvalidOption, match="no certificates could be read"):
        pool.provider_context(str(tmp_path / "missing.pem"))
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(errors.InvalidOption, match="no certificates could be read"):
        pool.provider_context(str(empty))
    with pytest.raises(errors.InvalidOption, match="a key goes with a certificate"):
        pool.provider_context(ca, key="key.pem")
    with pytest.raises(errors.InvalidOption, match="can't be used"):
        pool.server_context(str(empty))
    assert pool.provider_context(authority.path).verify_mode is ssl.CERT_REQUIRED
    certificate = authority.certify("pool.test")
    served = pool.server_context(certificate, client_cas=[authority.path])
    assert served.verify_mode is ssl.CERT_REQUIRED
    with pytest.raises(TypeError, match="client_cas must be a tuple of files: put the one into it"):
        pool.server_context(certificate, client_cas=ca)
    with pytest.raises(TypeError, match="ca_files must be paths of files: it holds int"):
        pool.provider_context(7)  # type: ignore[arg-type]


def test_a_path_of_the_other_direction(open_pool: OpenPool, run_sockets: Run) -> None:
    """Who means to call would be called there, and never answer."""

    async def main() -> None:
        def prepare(server: pool.PoolServer) -> None:
            server.bind("/pool")
            server.serve_callbacks("/back", Echo())

        async with open_pool(prepare) as world:
            calls = world.provider(persist=False).connect_callbacks(world.url(), wait=True)
            with pytest.raises(errors.UpgradeRejected, match="400: this path is for providers"):
                async with calls:
                    pass
            serves = world.provider(Echo(), persist=False).serve(world.url("/back"), wait=True)
            with pytest.raises(errors.UpgradeRejected, match="400: this path serves call-backs"):
                async with serves:
                    pass
            assert world.server.providers == []

    run_sockets(main)
