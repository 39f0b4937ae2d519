"""``wirecore tunnel``: a gateway and its publishers as processes."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
import trio

from tests.cli.test_pool import write_secret
from tests.cli.test_webwire_serve import write_certificate
from wirecore_cli.tunnel import tunnel
from wirecore_trio import websocket

if TYPE_CHECKING:
    from tests.cli.conftest import Here, Running, Wirecore

GUIDE = (Path(__file__).parents[2] / "docs" / "rest-tunnel.md").read_text(encoding="utf-8")

APP = Path(__file__).with_name("tunnel_app.py")

needs_signals = pytest.mark.skipif(
    sys.platform == "win32", reason="these signals can't be sent to a process there"
)


@pytest.fixture(autouse=True)
def folder(wirecore: Wirecore) -> Path:
    """A folder with a module of applications."""
    shutil.copy(APP, wirecore.folder)
    return wirecore.folder


def get(url: str, **headers: str) -> tuple[int, str]:
    """Status and body of the answer."""
    context = None
    if url.startswith("https:"):
        context = ssl._create_unverified_context()
    try:
        asked = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(asked, context=context, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    give_up = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def start_holding(pool: ThreadPoolExecutor, url: str, folder: Path) -> Future[tuple[int, str]]:
    """A request that waits in its application."""
    asking = pool.submit(get, f"{url}/hold")
    until((folder / "held").exists)
    return asking


# --- what they do -------------------------------------------------------------------------------


def test_an_application_through_a_gateway(wirecore: Wirecore) -> None:
    gateway = wirecore.serve_gateway("--access-log", "access.log")
    publishing = wirecore.publish(
        gateway,
        *("tunnel_app:app", "--name", "shop", "--metadata", '{"site": "Oslo"}'),
        *("--root-path", "/v1/"),
    )
    status, text = get(f"{gateway.url}/shop/items?token=secret")
    assert (status, text) == (200, "/v1|/v1/items|{'site': 'Oslo', 'name': 'shop'}")
    assert get(f"{gateway.url}/else/") == (503, "nobody publishes that now\n")
    state = json.loads(get(f"{gateway.live}state.json")[1])
    assert [each["name"] for each in state["publishers"]] == ["shop"]
    assert 'wirecore_gateway_publishers{name="shop"} 1\n' in get(f"{gateway.live}metrics")[1]
    lines = (wirecore.folder / "access.log").read_text().splitlines()
    assert '127.0.0.1 "GET /shop/items" 200 ' in lines[0]
    assert '127.0.0.1 "GET /else/" 503 ' in lines[1]
    publishing.signal(signal.SIGTERM)
    assert publishing.end().status == 0
    until(lambda: get(f"{gateway.url}/shop/")[0] == 503)


@pytest.mark.parametrize("reference", ["tunnel_app:make", "./tunnel_app.py:app"])
def test_what_can_be_published(wirecore: Wirecore, reference: str) -> None:
    gateway = wirecore.serve_gateway("--no-live", lines=2)
    wirecore.publish(gateway, reference, "--name", "shop")
    assert get(f"{gateway.url}/shop/x") == (200, "/shop|/shop/x|shop")


def test_an_application_that_needs_asyncio(wirecore: Wirecore) -> None:
    gateway = wirecore.serve_gateway()
    wirecore.publish(gateway, "tunnel_app:on_asyncio", "--name", "a", "--loop", "asyncio")
    assert get(f"{gateway.url}/a/") == (200, f"asyncio in {wirecore.folder.name}")


def test_one_that_needs_it_and_isnt_told(wirecore: Wirecore) -> None:
    gateway = wirecore.serve_gateway("--no-live", lines=2)
    publishing = wirecore.publish(gateway, "tunnel_app:on_asyncio", "--name", "a")
    assert get(f"{gateway.url}/a/")[0] == 500
    assert "it wants asyncio, and runs on trio here: " in (line := publishing.logged("ERROR"))
    assert "--loop asyncio" in line


def test_routes(wirecore: Wirecore) -> None:
    gateway = wirecore.serve_gateway(
        *("--route", "shop.example.org=shop", "--route", "/kept=shop"),
        *("--strip-route", "/api=shop", "--strip-route", "/wiki/=wiki"),
        *("--route", 'meta.example.org={"name": "shop", "n": 1}'),
    )
    wirecore.publish(gateway, "tunnel_app:app", "--name", "shop")
    assert get(f"{gateway.url}/a", Host="shop.example.org") == (200, "|/a|shop")
    assert get(f"{gateway.url}/kept/a") == (200, "|/kept/a|shop")
    assert get(f"{gateway.url}/api/a") == (200, "/api|/api/a|shop")
    assert get(f"{gateway.url}/wiki/a")[0] == 503
    assert get(f"{gateway.url}/a", Host="meta.example.org")[0] == 503
    assert get(f"{gateway.url}/shop/a")[0] == 404


def test_limits(wirecore: Wirecore, folder: Path) -> None:
    gateway = wirecore.serve_gateway("--max-requests", "1", "--max-body-size", "3")
    wirecore.publish(gateway, "tunnel_app:app", "--name", "shop")
    with ThreadPoolExecutor() as pool:
        asking = start_holding(pool, f"{gateway.url}/shop", folder)
        assert get(f"{gateway.url}/shop/") == (
            503,
            "the gateway has as many requests as it takes\n",
        )
        (folder / "go").touch()
        assert asking.result()[0] == 200


def test_tls_on_both_sides(wirecore: Wirecore, folder: Path) -> None:
    write_certificate(folder)
    gateway = wirecore.serve_gateway("--cert", "cert.pem", "--key", "cert.key")
    assert gateway.url.startswith("https://")
    assert gateway.publishers.startswith("wss://")
    wirecore.publish(
        gateway, "tunnel_app:app", "--name", "shop", "--cafile", str(folder / "cert.pem")
    )
    assert get(f"{gateway.url}/shop/a") == (200, "/shop|/shop/a|shop")
    refused = wirecore(
        *("tunnel", "publish", "tunnel_app:app", "--name", "shop"),
        *("--connect", gateway.publishers),
    )
    assert "(--cafile names whose certificates are trusted" in refused.err
    assert refused.status == 3


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_on_either_server(wirecore: Wirecore, folder: Path, server: str, *, secure: bool) -> None:
    write_certificate(folder)
    cert = ("--cert", "cert.pem", "--key", "cert.key") if secure else ()
    gateway = wirecore.serve_gateway("--server", server, *cert)
    trusted = ("--cafile", str(folder / "cert.pem")) if secure else ()
    wirecore.publish(gateway, "tunnel_app:app", "--name", "shop", *trusted)
    assert get(f"{gateway.url}/shop/a") == (200, "/shop|/shop/a|shop")
    assert get(f"{gateway.url}/none/a")[0] == 503


# --- who may publish ----------------------------------------------------------------------------


def test_tokens(wirecore: Wirecore, folder: Path) -> None:
    write_secret(folder / "tokens", "shop s3cret-1\n# both\nwiki s3cret-2\nshop s3cret-2\n")
    for name in ("s3cret-1", "s3cret-2", "wrong"):
        write_secret(folder / name, f"{name}\n")
    gateway = wirecore.serve_gateway("--tokens", "tokens")
    publish = ("tunnel", "publish", "tunnel_app:app", "--connect", gateway.publishers)
    for arguments in ((), ("--token-file", "wrong")):
        done = wirecore(*publish, "--name", "shop", *arguments)
        assert done.status == 3
        assert "(the gateway wants another token: --token-file holds it)\n" in done.err
        assert done.err.count("401") == 1
    done = wirecore(*publish, "--name", "wiki", "--token-file", "s3cret-1")
    assert done.status == 3
    assert "(--name must be one that the token is for)\n" in done.err
    assert done.err.count("1008") == 1
    assert "s3cret" not in done.err.replace("--token-file s3cret-1", "")
    wirecore.publish(gateway, "tunnel_app:app", "--name", "shop", "--token-file", "s3cret-1")
    wirecore.publish(gateway, "tunnel_app:app", "--name", "wiki", "--token-file", "s3cret-2")
    assert get(f"{gateway.url}/shop/")[0] == get(f"{gateway.url}/wiki/")[0] == 200


@needs_signals
def test_tokens_are_read_again(wirecore: Wirecore, folder: Path) -> None:
    tokens = write_secret(folder / "tokens", "* s3cret-1\nwiki s3cret-2\n")
    for name in ("s3cret-1", "s3cret-2"):
        write_secret(folder / name, f"{name}\n")
    gateway = wirecore.serve_gateway("--tokens", "tokens")
    shop = wirecore.publish(gateway, "tunnel_app:app", "--name", "shop", "--token-file", "s3cret-1")
    wirecore.publish(gateway, "tunnel_app:app", "--name", "wiki", "--token-file", "s3cret-2")
    write_secret(tokens, "what is this line\n")
    gateway.signal(signal.SIGHUP)
    gateway.logged("SIGHUP: nothing has changed: --tokens: tokens, line 1: a publisher is NAME SEC")
    write_secret(tokens, "wiki s3cret-2\n")
    gateway.signal(signal.SIGHUP)
    gateway.logged("SIGHUP: tokens: 1 token, 1 publisher disconnected")
    done = shop.end()
    assert done.status == 3
    assert "refused it: the connection was closed with code 1008" in done.err
    assert get(f"{gateway.url}/wiki/")[0] == 200


@pytest.mark.parametrize("secure", [False, True], ids=["ws-to-wss", "wss-to-ws"])
def test_a_gateway_that_speaks_the_other_scheme(
    wirecore: Wirecore, folder: Path, *, secure: bool
) -> None:
    write_certificate(folder)
    cert = () if secure else ("--publisher-cert", "cert.pem", "--publisher-key", "cert.key")
    gateway = wirecore.serve_gateway(*cert)
    scheme, _, place = gateway.publishers.partition("://")
    assert (scheme == "wss") is not secure
    url = f"{'wss' if secure else 'ws'}://{place}"
    publishing = wirecore.run(
        "tunnel", "publish", "tunnel_app:app", "--name", "shop", "--connect", url
    )
    publishing.logged("is it ws://?" if secure else "does it want wss://?")


def test_who_persists_dials_on(wirecore: Wirecore, folder: Path) -> None:
    write_secret(folder / "tokens", "shop s3cret\n")
    gateway = wirecore.serve_gateway("--tokens", "tokens")
    publishing = wirecore.run(
        *("tunnel", "publish", "tunnel_app:app", "--name", "shop", "--persist"),
        *("--connect", gateway.publishers),
    )
    publishing.logged("401")
    publishing.logged("401")
    publishing.signal(signal.SIGTERM)
    assert publishing.end().status == 0


# --- how they end -------------------------------------------------------------------------------


def test_a_gateway_that_comes_back(wirecore: Wirecore) -> None:
    gateway = wirecore.serve_gateway()
    publishing = wirecore.publish(gateway, "tunnel_app:app", "--name", "shop")
    gateway.process.kill()
    publishing.logged("was lost; connecting again")
    port = gateway.publishers.rstrip("/").rpartition(":")[2]
    again = wirecore.serve_gateway("--publishers", f"127.0.0.1:{port}")
    publishing.logged(f"connected to ws://127.0.0.1:{port}/ again")
    assert get(f"{again.url}/shop/a") == (200, "/shop|/shop/a|shop")


@needs_signals
@pytest.mark.parametrize("stopped", ["gateway", "publisher"])
def test_requests_that_run_are_answered(wirecore: Wirecore, folder: Path, stopped: str) -> None:
    gateway = wirecore.serve_gateway()
    publishing = wirecore.publish(gateway, "tunnel_app:app", "--name", "shop")
    ends: Running = gateway if stopped == "gateway" else publishing
    with ThreadPoolExecutor() as pool:
        asking = start_holding(pool, f"{gateway.url}/shop", folder)
        ends.signal(signal.SIGTERM)
        ends.logged("SIGTERM: draining")
        (folder / "go").touch()
        assert asking.result() == (200, "/shop|/shop/hold|shop")
    done = ends.end()
    assert (done.status, done.out) == (0, b"")
    assert "Traceback" not in done.err


@needs_signals
@pytest.mark.parametrize("stopped", ["gateway", "publisher"])
def test_a_second_signal_stops_it_at_once(wirecore: Wirecore, folder: Path, stopped: str) -> None:
    gateway = wirecore.serve_gateway()
    publishing = wirecore.publish(gateway, "tunnel_app:app", "--name", "shop")
    ends: Running = gateway if stopped == "gateway" else publishing
    with ThreadPoolExecutor() as pool:
        asking = start_holding(pool, f"{gateway.url}/shop", folder)
        ends.signal(signal.SIGINT)
        ends.logged("SIGINT: draining")
        ends.signal(signal.SIGINT)
        done = ends.end()
        assert done.status == 130
        assert "Traceback" not in done.err
        if stopped == "gateway":
            assert asking.exception() is not None
        else:
            assert asking.result()[0] == 502


def test_a_publisher_that_is_killed_in_the_midst(wirecore: Wirecore, folder: Path) -> None:
    """The caller sees that it is cut, and the gateway's log has no traceback."""
    gateway = wirecore.serve_gateway()
    publishing = wirecore.publish(gateway, "tunnel_app:app", "--name", "shop")
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(get, f"{gateway.url}/shop/stream")
        until((folder / "held").exists)
        publishing.process.kill()
        assert isinstance(asking.exception(), http.client.IncompleteRead)
    [error] = json.loads(get(f"{gateway.live}state.json")[1])["errors"]
    assert error["problem"].startswith("a response broke off: the publisher was lost")
    gateway.signal(signal.SIGTERM)
    done = gateway.end()
    assert done.status == 0
    assert "Traceback" not in done.err


@needs_signals
@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_websockets_are_told_to_go(wirecore: Wirecore, server: str) -> None:
    """And the rest of the grace, an hour, isn't waited for."""
    gateway = wirecore.serve_gateway("--server", server, "--grace", "3600")
    wirecore.publish(gateway, "tunnel_app:app", "--name", "shop")

    async def call() -> None:
        url = f"ws{gateway.url.removeprefix('http')}/shop/"
        async with websocket.connect(url) as ws:
            gateway.signal(signal.SIGTERM)
            with pytest.raises(websocket.ConnectionClosed) as caught:
                await ws.receive()
            assert caught.value.code == 1001

    trio.run(call)
    done = gateway.end()
    assert done.status == 0
    assert "Traceback" not in done.err


# --- what they say ------------------------------------------------------------------------------


def test_what_a_gateway_says(wirecore: Wirecore) -> None:
    gateway = wirecore.serve_gateway("--health", "127.0.0.1:0", "--open", lines=4)
    patterns = (
        r"listening on http://127.0.0.1:\d+\n",
        r"publishers on ws://127.0.0.1:\d+/\n",
        r"live view on http://127.0.0.1:\d+/\n",
        r"health on 127.0.0.1:\d+\n",
    )
    for pattern, line in zip(patterns, gateway.said, strict=True):
        assert re.fullmatch(pattern, line)
    assert get(f"http://{gateway.said[3].removeprefix('health on ').strip()}/readyz")[0] == 200


def test_the_access_log_on_standard_output(wirecore: Wirecore) -> None:
    gateway = wirecore.serve_gateway("--access-log", "-")
    get(f"{gateway.url}/a?b=c")
    assert ' 127.0.0.1 "GET /a" 503 ' in gateway.line()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["gateway", "--route", "api"],
            "--route: a route is [HOST][/PREFIX]=NAME, as example.org/",
        ),
        (["gateway", "--strip-route", "h=a"], "--strip-route h=a: strip takes a prefix off, and"),
        (["gateway", "--route", "/a={wrong"], "--route /a={wrong: Expecting property name"),
        (["gateway", "--publishers", "0.0.0.0:0"], "--publishers 0.0.0.0:0: whoever reaches it"),
        (["gateway", "--publishers", "ws://x:1"], "--publishers: an address is HOST:PORT without"),
        (["gateway", "--live", "8002"], "an address is HOST:PORT, as"),
        (["gateway", "--tokens", "nowhere"], "--tokens: nowhere can't be read: No such file or"),
        (["gateway", "--tokens", "open"], "--tokens: others can read or write open, which holds"),
        (["gateway", "--cert", "nowhere"], "the certificate 'nowhere' can't be used with the key"),
        (["gateway", "--key", "x"], "--key is the key of a --cert"),
        (["gateway", "--publisher-key", "x"], "--publisher-key is the key of a --publisher-cert"),
        (["gateway", "--access-log", "no/where"], "--access-log: no/where can't be written: "),
        (["gateway", "--max-requests", "0"], "Invalid value for '--max-requests': 0 is not in"),
        (["publish", "tunnel_app:app"], "say what it is published as: --name, or --metadata"),
        (["publish", "tunnel_app:app", "--metadata", "{"], "--metadata isn't JSON: Expecting"),
        (
            ["publish", "tunnel_app:app", "--metadata", "1", "--name", "a"],
            "--metadata is an object where there is a --name",
        ),
        (
            ["publish", "tunnel_app:app", "--name", "a", "--connect", "http://x/"],
            "a WebSocket URL begins with ws://",
        ),
        (
            ["publish", "tunnel_app:app", "--name", "a", "--cafile", "x"],
            "--cafile, --cert and --key are for wss:// URLs",
        ),
        (["publish", "tunnel_app:app", "--name", ""], "--name: a name isn't empty"),
        (
            ["publish", "tunnel_app:app", "--name", "a/b"],
            "--name: a name is one part of a path, without a slash, and not 'a/b'",
        ),
        (
            ["publish", "tunnel_app:app", "--metadata", '{"name": ".."}'],
            "--metadata: a name is none that stands for another part of a path, as '..' does",
        ),
        (
            ["gateway", "--route", "/a=b/c"],
            "--route /a=b/c: name: a name is one part of a path, wi",
        ),
        (
            ["gateway", "--tokens", "slashed"],
            "--tokens: slashed, line 1: a name is one part of a p",
        ),
        (["publish", "tunnel_app:no", "--name", "a"], "tunnel_app:no: tunnel_app has no 'no'"),
        (
            ["publish", "tunnel_app:not_async", "--name", "a"],
            "tunnel_app:not_async is str, which is no app: an application of ASGI is async",
        ),
    ],
)
def test_what_cant_be_done(here: Here, arguments: list[str], says: str) -> None:
    shutil.copy(APP, here.folder)
    write_secret(here.folder / "open", "shop s3cret", 0o644)
    write_secret(here.folder / "slashed", "a/b s3cret")
    assert here("tunnel", *arguments).failed(2).startswith(says)


@pytest.mark.parametrize("name", tunnel.commands)
def test_the_guide_says_when_to_use_each_option(name: str) -> None:
    """A row of a table that names it, in the section of its command."""
    title = {"gateway": "The gateway's options", "publish": "A publisher's options"}[name]
    section = GUIDE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    told = set(re.findall(r"`(--[a-z-]+)`", "".join(re.findall(r"^\| (`.+?) \|", section, re.M))))
    options = [each for each in tunnel.commands[name].params if isinstance(each, click.Option)]
    assert {name for each in options for name in each.opts} == told


def test_an_application_that_fails_to_start(wirecore: Wirecore) -> None:
    done = wirecore("tunnel", "publish", "tunnel_app:fails_to_start", "--name", "a")
    assert done.status == 2
    assert "wirecore: the application's startup: " in done.err
    assert "no database" in done.err


def test_a_port_that_is_taken(wirecore: Wirecore) -> None:
    gateway = wirecore.serve_gateway()
    taken = gateway.url.removeprefix("http://")
    other = ("--publishers", "127.0.0.1:0", "--no-live")
    done = wirecore("tunnel", "gateway", "--listen", taken, *other)
    assert done.failed(1).startswith("can't listen on 127.0.0.1:")


def test_without_the_extra(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wirecore_cli.extras.is_installed", lambda name: name != "hypercorn")
    line = here("tunnel", "gateway", "--server", "hypercorn").failed(2)
    assert line == "the gateway needs hypercorn: pip install 'wirecore[tunnel]'"
