"""``wirecore tap`` between real ends: what it shows of each protocol, and what it lets through."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.cli.tap.tapping import (
    PATIENCE,
    Tapping,
    connected,
    listening,
    open_websocket,
    receive,
)
from tests.cli.test_webwire_serve import write_certificate
from tests.resetting import close_resets
from wirecore._backend import default
from wirecore.protocols.rest.handshake import ack_message, metadata_message
from wirecore.websocket import DeflateOffer
from wirecore_trio import rest, websocket

if TYPE_CHECKING:
    from tests.cli.conftest import Here, Wirecore

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="these signals can't be sent to a process there"
)

HERE = Path(__file__).parent


def lines_of(told: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["from"], each["summary"]) for each in told]


# --- each protocol, found by itself ---------------------------------------------------------------


@pytest.mark.usefixtures("protoc")
def test_wsrpc_with_a_key_of_its_own_for_each_side(wirecore: Wirecore) -> None:
    keys = {name: wirecore.key(name) for name in ("server", "client", "outer", "inner")}
    served = wirecore.serve(
        *("wirecore_cli.example:Ping", "wirecore_cli.example:handlers"),
        *("--key", "server", "--client", keys["inner"]),
    )
    (wirecore.folder / "ping.proto").write_text(
        'syntax = "proto3";\npackage ping;\nmessage PingRequest { string body = 1; }\n'
        "message PingResponse { string body = 1; }\n"
        "service Ping { rpc Ping(PingRequest) returns (PingResponse); }\n"
    )
    tapping = Tapping(
        wirecore,
        f"wsrpc://{served.address}",
        *("--key", "outer", "--client", keys["client"]),
        *("--target-key", "inner", "--server-key", keys["server"], "--proto", "ping.proto"),
    )
    call = ("wsrpc", "call", tapping.address)
    ours = ("--key", "client", "--server-key", keys["outer"])
    done = wirecore(*call, "Ping", "--proto", "ping.proto", "-d", '{"body": "hi"}', *ours)
    assert json.loads(done.text) == {"body": "pong hi"}
    assert wirecore(*call, "Reverse", "-d", "abc", *ours).out == b"cba"
    assert wirecore(*call, "Nothing", *ours).status == 1
    done = tapping.stop()
    requests, answers = tapping.told("request"), tapping.told("response", "error")
    assert lines_of(requests) == [
        ("client", 'Ping  {"body": "hi"}'),
        ("client", "Reverse  abc"),
        ("client", "Nothing"),
    ]
    assert [(each["from"], each["kind"]) for each in answers] == [
        ("server", "response"),
        ("server", "response"),
        ("server", "error"),
    ]
    assert answers[0]["value"] == {"body": "pong hi"}
    assert answers[0]["milliseconds"] > 0
    assert "Nothing" in answers[2]["summary"]
    [summary] = tapping.told("summary")
    assert summary["answers"]["wsrpc"]["count"] == 3
    assert "wsrpc 3 answers, p50 " in done.text.splitlines()[-1]


def test_wsrpc_with_one_key_for_all(wirecore: Wirecore) -> None:
    wirecore("keygen")
    served = wirecore.serve("wirecore_cli.example:Ping")
    tapping = Tapping(wirecore, f"wsrpc://{served.address}")
    assert wirecore("wsrpc", "call", tapping.address, "Ping", "--data-hex", "0a026869").status == 0
    tapping.stop()
    assert lines_of(tapping.told("request", "response")) == [
        ("client", "Ping  1: hi"),
        ("server", "Ping  1: pong hi"),
    ]


def test_wsrpc_whose_target_refuses_the_taps_key(wirecore: Wirecore) -> None:
    wirecore("keygen")
    other = wirecore.key("other")
    served = wirecore.serve("wirecore_cli.example:Ping", "--client", other)
    tapping = Tapping(wirecore, f"wsrpc://{served.address}")
    done = wirecore("wsrpc", "call", tapping.address, "Ping")
    assert "HTTP status 502" in done.failed(3)
    tapping.stop()
    [refused] = tapping.told("refused")
    assert refused["status"] == 502


def test_wsrpc_whose_client_is_nobody_the_tap_knows(wirecore: Wirecore) -> None:
    wirecore("keygen")
    served = wirecore.serve("wirecore_cli.example:Ping")
    wirecore.key("stranger")
    tapping = Tapping(wirecore, f"wsrpc://{served.address}")
    done = wirecore("wsrpc", "call", tapping.address, "Ping", "--key", "stranger")
    assert done.status == 3
    tapping.stop()
    [problem] = tapping.told("problem")
    assert problem["summary"].startswith("the client wasn't taken: ")


def test_webwire(wirecore: Wirecore) -> None:
    shutil.copy(HERE / "webwire_server.py", wirecore.folder)
    served = wirecore.serve_webwire("wirecore_cli.chat:server")
    tapping = Tapping(wirecore, served.url.rstrip("/"))
    ask = ("webwire", "request", f"{tapping.url}/")
    assert wirecore(*ask, "echo", "hello").out == b"hello"
    assert wirecore(*ask, "login", "alice").status == 0
    assert wirecore(*ask, "whoami").status == 1
    done = tapping.stop()
    assert lines_of(tapping.told("request", "reply", "reply-error")) == [
        ("client", "echo  id 1  hello"),
        ("server", "echo  id 1  hello"),
        ("client", "login  id 1  alice"),
        ("server", "login  id 1  hello alice"),
        ("client", "whoami  id 1"),
        ("server", "whoami  id 1  NO_SESSION  log in first"),
    ]
    [created] = tapping.told("session-created")
    assert created["session"]["k"] == "[masked, 33-64]"
    assert [each["version"] for each in tapping.told("accept-conf")] == ["2.0"] * 3
    assert {each["connection"] for each in tapping.told("open", "closed")} == {1, 2, 3}
    assert "3 connections" in done.text.splitlines()[-1]


@pytest.mark.parametrize("codec", ["gob", "json"])
def test_a_pool(wirecore: Wirecore, codec: str) -> None:
    prefix = "json:" if codec == "json" else ""
    served = wirecore.serve_pool("--path", f"{prefix}/pool")
    tapping = Tapping(wirecore, served.url)
    provided = wirecore.provide(
        f"{tapping.url}/pool",
        "wirecore_cli.example:Backend",
        *(("--codec", "json") if codec == "json" else ()),
        *("--connections", "1"),
    )
    done = wirecore("pool", "call", "Backend.Add", '{"a": 2, "b": 3}')
    assert done.out.strip() == b"5", done.err
    done = wirecore("pool", "call", "Backend.Get", '"x"')
    assert b"the object x" in done.out
    provided.signal(signal.SIGTERM)
    assert provided.end().status == 0
    tapping.stop()
    calls = tapping.told("call", "reply")
    assert [(each["from"], each["kind"], each["method"], each["value"]) for each in calls] == [
        ("server", "call", "Backend.Add", {"a": 2, "b": 3} if prefix else {"A": 2, "B": 3}),
        ("client", "reply", "Backend.Add", 5),
        ("server", "call", "Backend.Get", "x"),
        ("client", "reply", "Backend.Get", "the object x"),
    ]
    assert {each["protocol"] for each in calls} == {"pool"}
    assert lines_of(tapping.told("control")) == [("client", "wants no more calls")]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Says what was asked for; over a WebSocket, what it hears."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"].upper()})
        return
    if scope["type"] != "http":
        return
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"set-cookie", b"session=abcdefghijkl")],
        }
    )
    body = scope["path"].encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b" is well"})


def with_server(serve: Callable[..., Awaitable[None]], use: Callable[[int], Any]) -> Any:
    """What *use* gives, in a thread, with the port of a server that runs meanwhile."""

    async def main() -> Any:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve)
            found = await trio.to_thread.run_sync(use, server.port)
            nursery.cancel_scope.cancel()
        return found

    return trio.run(main)


PATHS = ("/pump?token=abcdef", "/valve")


async def ask_in_frames(url: str) -> list[bytes]:
    """The bodies that our own client gets."""
    headers = [("Authorization", "Bearer abcdefghijkl")]
    async with rest.connect(url) as connection:
        return [(await connection.request("GET", p, headers=headers)).body for p in PATHS]


async def ask_in_texts(url: str) -> list[bytes]:
    """The same, asked as the original asks."""
    async with websocket.connect(url) as ws:
        await ws.send(metadata_message(None).decode())
        await ws.receive()
        await ws.send(ack_message().decode())
        bodies = []
        for path in PATHS:
            await ws.send(
                f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer abcdefghijkl\r\n\r\n"
            )
            response = ""
            while not response.endswith("0\r\n\r\n"):
                response += str(await ws.receive())
            bodies.append("".join(response.partition("\r\n\r\n")[2].split("\r\n")[1::2]).encode())
        return bodies


@pytest.mark.parametrize("wire", ["multiplexed", "sequential"])
def test_rest(wirecore: Wirecore, wire: str) -> None:
    serving = rest.Server(application)

    async def serve(*, task_status: Any) -> None:
        await serving.serve("127.0.0.1", 0, task_status=task_status)

    ask = ask_in_frames if wire == "multiplexed" else ask_in_texts

    def use(port: int) -> Tapping:
        tapping = Tapping(wirecore, f"ws://127.0.0.1:{port}")
        assert trio.run(ask, f"{tapping.url}/") == [b"/pump is well", b"/valve is well"]
        tapping.stop()
        return tapping

    tapping = with_server(serve, use)
    requests, responses = tapping.told("request"), tapping.told("response")
    assert [each["target"] for each in requests] == ["/pump?token=[masked, 1-8]", "/valve"]
    assert [each["status"] for each in responses] == [200, 200]
    assert {each["protocol"] for each in requests} == {"rest"}
    written = (wirecore.folder / "traffic.jsonl").read_text()
    assert "abcdef" not in written
    assert "Bearer [masked, 9-16]" in written
    assert [each["kind"] for each in tapping.told("metadata", "connection-id", "ack")] == [
        "metadata",
        "connection-id",
        "ack",
    ]
    bodies = "".join(each.get("payload", "") for each in tapping.told("response", "data", "end"))
    assert bodies == "/pump is well/valve is well"


def test_websocket_with_compression(wirecore: Wirecore) -> None:
    options = websocket.Options(compression=DeflateOffer(threshold=10))

    async def echo(ws: websocket.WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    async def serve(*, task_status: Any) -> None:
        await websocket.serve(echo, "127.0.0.1", 0, options=options, task_status=task_status)

    async def talk(url: str) -> None:
        async with websocket.connect(url, options=options, subprotocols=["chat"]) as ws:
            for message in ("to be or not to be " * 20, b"\x00\x01", "hi", "to be " * 20):
                await ws.send(message)
                assert await ws.receive() == message

    def use(port: int) -> Tapping:
        tapping = Tapping(wirecore, f"ws://127.0.0.1:{port}", "--max-bytes", "100")
        trio.run(talk, f"{tapping.url}/room")
        tapping.stop()
        return tapping

    tapping = with_server(serve, use)
    [upgraded] = tapping.told("upgraded")
    assert upgraded["compression"] is True
    messages = tapping.told("text", "binary")
    assert len(messages) == 8
    first = messages[0]
    assert (first["size"], first["compressed"], first["payload_cut"]) == (380, True, True)
    assert first["wire_size"] < 100
    assert first["payload"] == ("to be or not to be " * 20)[:100]
    assert [each.get("compressed", False) for each in messages[::2]] == [True, False, False, True]
    assert messages[2]["payload"] == "0001"
    assert len(tapping.told("close")) == 2


# --- TLS, and heads -------------------------------------------------------------------------------


def test_tls_on_both_sides(wirecore: Wirecore) -> None:
    write_certificate(wirecore.folder)
    shutil.copy(HERE / "webwire_server.py", wirecore.folder)
    served = wirecore.serve_webwire("webwire_server:server", "--certificate", "both.pem")
    tapping = Tapping(
        wirecore,
        served.url.rstrip("/"),
        *("--cafile", "cert.pem", "--cert", "cert.pem", "--key", "cert.key"),
    )
    assert tapping.url.startswith("wss://")
    ask = ("webwire", "request", f"{tapping.url}/", "same", "hi", "--cafile", "cert.pem")
    for _ in range(2):
        assert wirecore(*ask).out == b"hi"
    tapping.stop()
    assert lines_of(tapping.told("reply")) == [("server", "same  id 1  hi")] * 2
    # Both ended in good order, each told of the other's end.
    assert not tapping.told("problem", "reset")


def test_a_target_that_isnt_trusted(wirecore: Wirecore) -> None:
    write_certificate(wirecore.folder)
    shutil.copy(HERE / "webwire_server.py", wirecore.folder)
    served = wirecore.serve_webwire("webwire_server:server", "--certificate", "both.pem")
    tapping = Tapping(wirecore, served.url.rstrip("/"))
    done = wirecore("webwire", "request", f"{tapping.url}/", "same", "hi")
    assert "502" in done.failed(3)
    tapping.stop()
    [problem] = tapping.told("problem")
    assert "certificate isn't acceptable" in problem["summary"]


@pytest.mark.parametrize("rewrite", [False, True])
def test_whom_a_request_names(wirecore: Wirecore, rewrite: bool) -> None:
    head = (
        b"GET /x?y HTTP/1.1\r\nhOst: tap.example:1\r\nOrigin: http://tap.example:1\r\n"
        b"X-Host: tap.example\r\n\r\n"
    )
    with listening() as (listener, url):
        tapping = Tapping(wirecore, url, *(["--rewrite-host"] if rewrite else []))
        with connected(tapping, listener) as (client, server):
            for byte in head + b"after":
                client.send(bytes((byte,)))
            address = url.removeprefix("ws://").encode()
            wanted = head + b"after"
            if rewrite:
                wanted = wanted.replace(b"hOst: tap.example:1", b"Host: " + address)
                wanted = wanted.replace(b"http://tap.example:1", b"http://" + address)
            assert receive(server, len(wanted)) == wanted
        tapping.stop()


# --- bytes, ends and floods -----------------------------------------------------------------------


@pytest.mark.parametrize("spoken", [True, False], ids=["websocket", "anything"])
def test_bytes_go_through_unchanged(wirecore: Wirecore, spoken: bool) -> None:
    """Random ones, which are no frames: what can't be decoded goes on all the same."""
    made = random.Random(1)
    sent = {name: made.randbytes(5_000_000) for name in ("client", "server")}
    got: dict[str, str] = {}

    def take(name: str, sock: socket.socket) -> None:
        got[name] = hashlib.sha256(receive(sock, len(sent[name]))).hexdigest()

    with listening() as (listener, url):
        tapping = Tapping(wirecore, url)
        with connected(tapping, listener) as (client, server):
            if spoken:
                open_websocket(client, server)
            threads = [
                threading.Thread(target=take, args=("client", server)),
                threading.Thread(target=take, args=("server", client)),
                threading.Thread(target=client.sendall, args=(sent["client"],)),
            ]
            for thread in threads:
                thread.start()
            server.sendall(sent["server"])
            for thread in threads:
                thread.join(PATIENCE)
        tapping.stop()
    assert got == {name: hashlib.sha256(data).hexdigest() for name, data in sent.items()}
    [summary] = tapping.told("summary")
    more = 500 if spoken else 0
    for sender in sent:
        assert 0 <= summary["bytes"][sender] - 5_000_000 <= more
    assert all("the bytes go on" in each["summary"] for each in tapping.told("problem"))
    assert tapping.told("problem")


def test_either_end_may_stop_sending_first(wirecore: Wirecore) -> None:
    with listening() as (listener, url):
        tapping = Tapping(wirecore, url)
        for first in ("client", "server"):
            with connected(tapping, listener) as ends:
                one, other = ends if first == "client" else ends[::-1]
                one.sendall(b"bye")
                one.shutdown(socket.SHUT_WR)
                assert receive(other, 3) == b"bye"
                assert other.recv(1) == b""
                other.sendall(b"so you say")
                assert receive(one, 10) == b"so you say"
                other.shutdown(socket.SHUT_WR)
                assert one.recv(1) == b""
        tapping.stop()
    ends_told = [(each["connection"], each["from"]) for each in tapping.told("eof")]
    assert ends_told == [(1, "client"), (1, "server"), (2, "server"), (2, "client")]


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_reset_is_passed_on(wirecore: Wirecore, first: str) -> None:
    with listening() as (listener, url):
        tapping = Tapping(wirecore, url)
        with connected(tapping, listener) as ends:
            one, other = ends if first == "client" else ends[::-1]
            other.sendall(b"x")
            assert receive(one, 1) == b"x"
            close_resets(one)
            one.close()
            with pytest.raises(ConnectionResetError):
                other.recv(1)
        tapping.stop()
    [told] = tapping.told("reset")
    assert told["from"] == first


def test_a_client_that_is_killed(wirecore: Wirecore) -> None:
    shutil.copy(HERE / "webwire_server.py", wirecore.folder)
    served = wirecore.serve_webwire("webwire_server:server")
    tapping = Tapping(wirecore, served.url.rstrip("/"))
    heard = wirecore.listen(f"{tapping.url}/")
    heard.process.kill()
    heard.process.wait(PATIENCE)
    assert wirecore("webwire", "request", f"{tapping.url}/", "same", "hi").out == b"hi"
    tapping.stop()
    assert {each["connection"] for each in tapping.told("closed")} == {1, 2}


def test_a_target_that_isnt_there(wirecore: Wirecore) -> None:
    with listening() as (_, url):
        pass  # nobody listens there any more
    tapping = Tapping(wirecore, url)
    done = wirecore("webwire", "request", f"{tapping.url}/", "same", "hi")
    assert "502" in done.failed(3)
    tapping.stop()
    [problem] = tapping.told("problem")
    assert "refused the connection" in problem["summary"]
    assert [each["kind"] for each in tapping.records()[1:-1]] == [
        "open",
        "problem",
        "upgrade",
        "refused",
        "closed",
    ]


def test_a_target_that_takes_no_connection_in_time(wirecore: Wirecore) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(8):  # more than it has places for
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
            waiting.append(sock)
        tapping = Tapping(wirecore, f"ws://127.0.0.1:{port}", "--timeout", "0.2")
        done = wirecore("webwire", "request", f"{tapping.url}/", "same", "hi")
        for sock in waiting:
            sock.close()
    assert "502" in done.failed(3)
    tapping.stop()
    assert "within 0.2 s" in tapping.told("problem")[0]["summary"]


def test_many_connections_at_once(wirecore: Wirecore) -> None:
    with listening() as (listener, url):
        tapping = Tapping(wirecore, url, "--count", "50")
        pairs = []
        for _ in range(50):
            client = socket.create_connection(("127.0.0.1", tapping.port), PATIENCE)
            server, _ = listener.accept()
            server.settimeout(PATIENCE)
            pairs.append((client, server))
        for number, (client, server) in enumerate(reversed(pairs)):
            open_websocket(client, server)
            frame = default.frames.encode_message(f"number {number}", True)
            client.sendall(frame)
            assert receive(server, len(frame)) == frame
        for pair in pairs:
            for sock in pair:
                sock.close()
        # That was its count: it ends by itself.
        assert tapping.running.end().status == 0
    texts = tapping.told("text")
    assert {each["payload"] for each in texts} == {f"number {number}" for number in range(50)}
    assert len({each["connection"] for each in texts}) == 50


def peak_memory(pid: int) -> int:
    """The most that a process ever had, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is seen on Linux")
@pytest.mark.parametrize("size", [60_000, 2_000_000])
def test_a_flood_takes_bounded_memory_and_time(wirecore: Wirecore, size: int) -> None:
    count = 100_000_000 // size
    frame = default.frames.encode_message(bytes(size), True)
    with listening() as (listener, url):
        tapping = Tapping(wirecore, url)
        with connected(tapping, listener) as (client, server):
            open_websocket(client, server)
            before = peak_memory(tapping.running.process.pid)

            def flood() -> None:
                for _ in range(count):
                    client.sendall(frame)

            begun = time.monotonic()
            thread = threading.Thread(target=flood)
            thread.start()
            left = count * len(frame)
            while left:
                left -= len(server.recv(min(left, 1 << 20)))
            thread.join(PATIENCE)
            took = time.monotonic() - begun
            more = peak_memory(tapping.running.process.pid) - before
        tapping.stop()
    assert len(tapping.told("binary")) == count
    assert more < 64 << 20
    assert took < 30  # it takes one or two


def test_a_target_that_doesnt_read_slows_the_client_down(wirecore: Wirecore) -> None:
    with listening() as (listener, url):
        tapping = Tapping(wirecore, url)
        with connected(tapping, listener) as (client, server):
            open_websocket(client, server)
            client.settimeout(2)
            sent = 0
            while True:
                try:
                    sent += client.send(bytes(1 << 16))
                except TimeoutError:
                    break
                # No more than the system's own buffers hold.
                assert sent < 50_000_000
        tapping.stop()


def test_a_terminal_that_shows_nothing_stops_no_traffic(wirecore: Wirecore) -> None:
    """Nobody reads what it prints; what it can't say is counted."""
    frames = b"".join(default.frames.encode_message(f"number {n}", True) for n in range(1000))
    with listening() as (listener, url):
        tapping = Tapping(wirecore, url)
        with connected(tapping, listener) as (client, server):
            open_websocket(client, server)
            for _ in range(60):
                client.sendall(frames)
                assert receive(server, len(frames)) == frames
        done = tapping.stop()
    shown = done.text.count(" text ")
    dropped = sum(
        int(line.split(" not shown")[0].split()[-1])
        for line in done.text.splitlines()
        if " dropped " in line
    )
    assert 0 < shown < 60_000
    assert dropped >= 60_000 - shown
    assert "summary" in done.text
    # The file took all of it.
    assert len(tapping.told("text")) == 60_000


# --- the command line -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_with_connections_open(wirecore: Wirecore, number: signal.Signals) -> None:
    with listening() as (listener, url):
        tapping = Tapping(wirecore, url)
        with connected(tapping, listener) as (client, server):
            open_websocket(client, server)
            done = tapping.stop(number)
            assert client.recv(1) == b""
    assert done.err == ""
    [summary] = tapping.told("summary")
    assert summary["connections"] == 1
    assert summary["bytes"]["client"] > 0


def test_json_alone_on_standard_output(wirecore: Wirecore) -> None:
    with listening() as (listener, url):
        running = wirecore.run("tap", "127.0.0.1:0", url, "--json", "-", "--binary", "base64")
        first = json.loads(running.line())
        assert first["kind"] == "listening"
        port = int(first["url"].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            server, _ = listener.accept()
            with server:
                open_websocket(client, server)
                client.sendall(default.frames.encode_message(b"\x00\xff", True))
                receive(server, 8)
                assert json.loads(running.line())["kind"] == "open"
                told = [json.loads(running.line()) for _ in range(3)]
        running.signal(signal.SIGINT)
        done = running.end()
    assert [each["kind"] for each in told] == ["upgrade", "upgraded", "binary"]
    assert (told[2]["payload"], told[2]["payload_encoding"]) == ("AP8=", "base64")
    assert json.loads(done.text.splitlines()[-1])["kind"] == "summary"


def test_verbose_shows_all_below_each_line(wirecore: Wirecore) -> None:
    with listening() as (listener, url):
        tapping = Tapping(wirecore, url, "--verbose")
        with connected(tapping, listener) as (client, server):
            open_websocket(client, server)
        text = tapping.stop().text
    assert " host: tap.example\n" in text
    assert " subprotocols: []\n" in text


def test_the_file_is_for_its_owner_alone(wirecore: Wirecore) -> None:
    with listening() as (_, url):
        tapping = Tapping(wirecore, url)
        tapping.stop()
    assert (wirecore.folder / "traffic.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_reader_that_has_had_enough_ends_it(wirecore: Wirecore) -> None:
    with listening() as (_, url):
        running = wirecore.run("tap", "0", url)
        port = int(running.line().split(" for ")[0].rpartition(":")[2])
        assert running.process.stdout is not None
        running.process.stdout.close()
        # It may end before it has dialled: that there is a connection is a line already.
        with socket.create_connection(("127.0.0.1", port), PATIENCE):
            running.process.wait(PATIENCE)
    assert running.process.returncode == 1
    assert running.process.stderr is not None
    assert b"can't be written: Broken pipe" in running.process.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["0", "http://x"], "a WebSocket URL begins with ws:// or wss://, not http://"),
        (["0", "ws://x/path"], "TARGET is a scheme, a host and a port"),
        (["0", "ws://ann:secret@x"], "TARGET is a scheme, a host and a port"),
        (["x", "ws://x"], "an address is HOST:PORT"),
        (["0", "ws://x", "--client", "ab"], "--client is for a TARGET of wsrpc://"),
        (["0", "ws://x", "--cafile", "x"], "--cafile, --target-cert and --target-key are for"),
        (["0", "ws://x", "--key", "x"], "--key is the key of a --cert"),
        (["0", "wsrpc://x:1", "--cert", "x"], "wsrpc goes by keys"),
        (["0", "wsrpc://x:1", "--key", "nowhere"], "nowhere can't be read"),
        (["0", "wsrpc://x"], "an address is HOST:PORT"),
        (["0", "ws://x", "-I", "."], "--proto-path is for what --proto names"),
        (["0", "ws://x", "--proto", "x", "--protocol", "rest"], "--proto says what messages"),
        (["0", "ws://x", "--json", "no/such/file"], "--json: no/such/file can't be written"),
    ],
)
def test_what_is_wrong_is_said(here: Here, arguments: list[str], says: str) -> None:
    line = here("tap", *arguments).failed(2)
    assert says in line
    assert "secret" not in line


def test_a_port_that_is_taken(wirecore: Wirecore) -> None:
    with listening() as (listener, url):
        taken = str(listener.getsockname()[1])
        assert "can't listen on" in wirecore("tap", taken, url).failed(1)
