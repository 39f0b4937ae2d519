"""wirecore's wsrpc on trio, with the protobuf messages of the gRPC peers.

Option ``mode`` of the server: ``inline`` answers in the reading task, ``async`` in worker tasks.
Option ``tls=off`` of both: the same code without its TLS, which wsrpc itself never leaves out; it
is there so that libraries are compared without TLS, and to tell what TLS costs. Option ``pending``
of the driver: so many more calls to a method that never answers.
"""

from __future__ import annotations

from functools import partial

import trio
import trio.testing
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import wirecore
from bench.peers.load import Meter, Outcome, Task, calls
from bench.peers.ping_messages import METHOD, PingReply, PingRequest, answers, questions
from wirecore._backend import default
from wirecore_trio import wsrpc
from wirecore_trio._link import Link
from wirecore_trio.wsrpc import _client, _server
from wirecore_trio.wsrpc._upgrade import Secured

VERSION = f"wirecore {wirecore.__version__}, backend {default.name}"

SERVER_KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
CLIENT_KEY = Ed25519PrivateKey.from_private_bytes(b"\2" * 32)

#: Room for the calls that option ``pending`` keeps open.
OPTIONS = wsrpc.Options(
    call_timeout=None, max_pending_calls=200_000, max_handlers=200_000, max_handler_bytes=2**30
)

HOLD = "Hold"


def ping(request: PingRequest, peer: wsrpc.Peer) -> PingReply:
    """Answers with what it was asked."""
    return PingReply(body=request.body)


async def ping_in_task(request: PingRequest, peer: wsrpc.Peer) -> PingReply:
    """The same in a task."""
    return PingReply(body=request.body)


async def hold(payload: bytes, peer: wsrpc.Peer) -> bytes:
    """Never answers."""
    await trio.sleep_forever()


def leave_out_tls(task: Task) -> None:
    """Has both ends skip the TLS handshake, where option ``tls`` is ``off``."""
    if task.options.get("tls") != "off":
        return

    async def unsecured(link: Link, credentials: object) -> Secured:
        serving = isinstance(credentials, wsrpc.ServerCredentials)
        key = CLIENT_KEY if serving else SERVER_KEY
        return Secured(link, key.public_key().public_bytes_raw())

    _client.secure = _server.secure = unsecured


def serve(task: Task) -> None:
    """A server with the one method, and the one that never answers."""
    leave_out_tls(task)
    credentials = wsrpc.ServerCredentials(SERVER_KEY, [CLIENT_KEY.public_key()])
    server = wsrpc.Server(credentials, options=OPTIONS)
    register = partial(server.handle, METHOD, request=PingRequest, response=PingReply)
    if task.options["mode"] == "inline":
        register(ping, inline=True)
    else:
        register(ping_in_task)
    server.handle(HOLD, hold)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listening = await nursery.start(server.serve, "127.0.0.1", 0)
            task.listening(listening.port)

    trio.run(main)


def drive(task: Task) -> Outcome:
    """Calls over one connection, each caller in a task of its own."""
    leave_out_tls(task)
    credentials = wsrpc.ClientCredentials(CLIENT_KEY, SERVER_KEY.public_key())

    async def main() -> Outcome:
        address = f"127.0.0.1:{task.port}"
        async with (
            wsrpc.connect(address, credentials, options=OPTIONS) as client,
            trio.open_nursery() as pending,
        ):
            await hold_calls(client, pending, int(task.options.get("pending", "0")))
            outcome = await measure(task, client)
            pending.cancel_scope.cancel()
        return outcome

    return trio.run(main)


async def hold_calls(client: wsrpc.Client, pending: trio.Nursery, number: int) -> None:
    """Has *number* calls pending, each in a task of *pending*; returns when all were sent."""
    for _ in range(0, number, 1000):
        for _ in range(min(1000, number)):
            pending.start_soon(client.call, HOLD, b"")
        await trio.testing.wait_all_tasks_blocked()
        # Its answer comes when the server has read what was sent before it.
        await client.invoke(METHOD, PingRequest(body="all there?"), PingReply)


async def measure(task: Task, client: wsrpc.Client) -> Outcome:
    """``task.in_flight`` callers."""

    async def call(request: PingRequest) -> PingReply:
        return await client.invoke(METHOD, request, PingReply)

    meter, asked, expected = Meter(task), questions(task), answers(task)
    async with trio.open_nursery() as callers:
        for _ in range(task.in_flight):
            callers.start_soon(calls, call, meter, asked, expected)
    return meter.outcome()
