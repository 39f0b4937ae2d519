"""The pool over TLS between ours and Go: who trusts whom, and what is said where one doesn't."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.interop.pool_services import Arith, echo
from tests.interop.poolpeer import GoPool, go_caller, go_pool, go_provider
from tests.transports.conftest import Authority
from tests.transports.pool.world import World, serving, until
from wirecore._backend import default
from wirecore.errors import HandshakeError, PeerRefused
from wirecore_trio import pool

if TYPE_CHECKING:
    from tests.interop.conftest import StartPeer, Story

Run = Callable[["Story"], None]


class Certificates:
    """Files: of authorities, and of certificates of theirs with their keys."""

    def __init__(self, folder: Path) -> None:
        for name in ("known", "foreign"):
            (folder / name).mkdir()
        known, foreign = Authority(folder / "known"), Authority(folder / "foreign")
        self.known, self.foreign = str(known.path), str(foreign.path)
        self.pool = str(known.certify("pool.test"))
        self.provider = str(known.certify("provider.test"))
        self.expired = str(known.certify("expired.test", expired=True))
        self.elsewhere = str(known.certify("elsewhere.test", local=False))
        self.of_foreign = str(foreign.certify("provider.test"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("pool"))


def our_pool(certificate: str, *client_cas: str) -> AbstractAsyncContextManager[World]:
    """Ours, with that certificate: providers at /, callers at /cb."""

    def prepare(server: pool.PoolServer) -> None:
        server.bind("/")
        server.serve_callbacks("/cb", Arith(), echo("gob"))

    context = pool.server_context(certificate, client_cas=client_cas)
    return serving(default, prepare, keywords={"ssl_context": context})


def our_provider() -> pool.Provider:
    """Ours, which gives up where it is refused."""
    options = pool.ProviderOptions(persist=False, max_attempts=1)
    return pool.Provider(Arith(), echo("gob"), options=options)


# --- our pool -------------------------------------------------------------------------------


@pytest.mark.parametrize("asks", [False, True], ids=["server only", "both ends"])
def test_our_pool(pool_peer: StartPeer, run: Run, files: Certificates, asks: bool) -> None:
    """Over wss://, and a provider is who its certificate says where one is asked for."""
    flags = ("--ca", files.known, *(("--cert", files.provider) if asks else ()))

    async def story() -> None:
        async with our_pool(files.pool, *([files.known] if asks else [])) as world:
            url = world.url("/").replace("ws:", "wss:")
            async with (
                go_provider(pool_peer, url, *flags),
                go_caller(pool_peer, f"{url}cb", *flags) as caller,
            ):
                assert await world.server.call("Echo.Say", "s" * 100_000, str) == "s" * 100_000
                assert await caller.call("Echo.Say", "t" * 100_000) == "t" * 100_000
                [provider] = world.server.providers
                assert provider.identity == ("provider.test" if asks else None)

    run(story)


@pytest.mark.parametrize(
    ("shows", "told"),
    [
        ("", "did not return a certificate"),
        ("of_foreign", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
    ],
    ids=["none", "foreign", "expired"],
)
def test_providers_that_our_pool_refuses(
    pool_peer: StartPeer,
    run: Run,
    files: Certificates,
    caplog: pytest.LogCaptureFixture,
    shows: str,
    told: str,
) -> None:
    caplog.set_level("INFO", "wirecore")  # which is where those are told who come and fail
    own = ("--cert", getattr(files, shows)) if shows else ()

    async def story() -> None:
        async with our_pool(files.pool, files.known) as world:
            url = world.url("/").replace("ws:", "wss:")
            async with go_provider(pool_peer, url, "--ca", files.known, *own) as provider:
                refusal = await provider.peer.wait_for("refused")
                assert "certificate" in refusal["reason"] or "reset" in refusal["reason"]
            with trio.fail_after(5):
                await until(lambda: told in caplog.text)
            assert world.server.providers == []

    run(story)


@pytest.mark.parametrize(
    ("own", "trusted", "reason", "told"),
    [
        ("pool", "foreign", "unknown authority", "the peer refused our certificate"),
        ("expired", "known", "has expired", "the peer refused our certificate"),
        ("elsewhere", "known", "cannot validate certificate for 127.0.0.1", "certificate"),
    ],
)
def test_providers_that_refuse_our_pool(
    pool_peer: StartPeer,
    run: Run,
    files: Certificates,
    caplog: pytest.LogCaptureFixture,
    own: str,
    trusted: str,
    reason: str,
    told: str,
) -> None:
    caplog.set_level("INFO", "wirecore")

    async def story() -> None:
        async with our_pool(getattr(files, own)) as world:
            url = world.url("/").replace("ws:", "wss:")
            flags = ("--ca", getattr(files, trusted))
            async with go_provider(pool_peer, url, *flags) as provider:
                assert reason in (await provider.peer.wait_for("refused"))["reason"]
            with trio.fail_after(5):
                await until(lambda: told in caplog.text)

    run(story)


# --- our provider -----------------------------------------------------------------------------


@pytest.mark.parametrize("asks", [False, True], ids=["server only", "both ends"])
def test_our_provider(pool_peer: StartPeer, run: Run, files: Certificates, asks: bool) -> None:
    flags = ("--cert", files.pool, *(("--ca", files.known) if asks else ()))
    context = pool.provider_context(files.known, certificate=files.provider if asks else None)

    async def story() -> None:
        async with go_pool(pool_peer, "--bind", "/", "--callbacks", "/cb", *flags) as go:
            provider = our_provider()
            async with (
                provider.serve(go.url(), ssl_context=context),
                provider.connect_callbacks(go.url("/cb"), ssl_context=context) as client,
            ):
                assert await go.call("Echo.Say", "s" * 100_000) == "s" * 100_000
                assert await client.call("Echo.Say", "t" * 100_000, str) == "t" * 100_000
                for arrival in await go.connected(2):
                    assert arrival.get("certificate") == ("provider.test" if asks else None)

    run(story)


async def refused(go: GoPool, error: type[Exception], told: str, **context: Any) -> None:
    """Dial *go* in both directions, and be told why that can't be."""
    provider = our_provider()
    for keeping in (
        provider.serve(go.url(), wait=True, **context),
        provider.connect_callbacks(go.url("/cb"), wait=True, **context),
    ):
        with pytest.raises(error, match=told):
            async with keeping:
                pass


@pytest.mark.parametrize(
    ("shows", "told"),
    [
        (None, "refused our certificate.*certificate required"),
        ("of_foreign", "refused our certificate.*(unknown ca|bad certificate)"),
        ("expired", "refused our certificate.*(expired|bad certificate)"),
    ],
    ids=["none", "foreign", "expired"],
)
def test_a_pool_that_refuses_our_provider(
    pool_peer: StartPeer, run: Run, files: Certificates, shows: str | None, told: str
) -> None:
    own = None if shows is None else getattr(files, shows)
    context = pool.provider_context(files.known, certificate=own)

    async def story() -> None:
        flags = ("--callbacks", "/cb", "--bind", "/", "--cert", files.pool, "--ca", files.known)
        async with go_pool(pool_peer, *flags) as go:
            await refused(go, PeerRefused, f"(?s){told}", ssl_context=context)

    run(story)


@pytest.mark.parametrize(
    ("shows", "trusted", "told"),
    [
        ("pool", "foreign", "unable to get local issuer"),
        ("expired", "known", "expired"),
        ("elsewhere", "known", "IP address mismatch"),
    ],
)
def test_a_pool_that_our_provider_refuses(
    pool_peer: StartPeer, run: Run, files: Certificates, shows: str, trusted: str, told: str
) -> None:
    context = pool.provider_context(getattr(files, trusted))

    async def story() -> None:
        flags = ("--callbacks", "/cb", "--bind", "/", "--cert", getattr(files, shows))
        async with go_pool(pool_peer, *flags) as go:
            await refused(go, PeerRefused, told, ssl_context=context)

    run(story)


def test_the_wrong_scheme(pool_peer: StartPeer, run: Run, files: Certificates) -> None:
    """A pool without its certificate listens in plain text, and says so to nobody."""

    async def story() -> None:
        flags = ("--callbacks", "/cb", "--bind", "/")
        async with go_pool(pool_peer, *flags) as go:
            go.scheme = "wss"
            context = pool.provider_context(files.known)
            await refused(go, HandshakeError, "ws://", ssl_context=context)
        async with go_pool(pool_peer, *flags, "--cert", files.pool) as go:
            go.scheme = "ws"
            await refused(go, HandshakeError, "wss://|400")

    run(story)
