"""A provider that nobody can connect to: it dials the pool, and is called all the same.

On Linux, as root, it lives in a network namespace of its own, whose firewall takes in nothing but
answers of the pool; elsewhere it is another process, which listens nowhere.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trio

from wirecore_trio import pool

PROVIDER = Path(__file__).with_name("provide.py")

#: The pool's address and the provider's, of a network that is kept for tests; each run of this
#: program has another four addresses of it.
FIRST = os.getpid() % 16384 * 4
POOL, PRIVATE = (f"198.18.{FIRST // 256}.{FIRST % 256 + host}" for host in (1, 2))
PORT = 8080


def ip(command: str) -> None:
    """Run ``ip`` with the words of *command*."""
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)


@contextmanager
def namespace(name: str) -> Iterator[None]:
    """A network namespace that can reach us, and that we can't: it is gone at the end."""
    ours, theirs = f"{name}-o", f"{name}-t"
    ip(f"netns add {name}")
    try:
        ip(f"link add {ours} type veth peer name {theirs} netns {name}")
        ip(f"address add {POOL}/30 dev {ours}")
        ip(f"link set {ours} up")
        ip(f"-n {name} address add {PRIVATE}/30 dev {theirs}")
        ip(f"-n {name} link set {theirs} up")
        # What comes in is dropped, but for what the pool's port sends.
        ip(f"-n {name} rule add pref 1 iif {theirs} ipproto tcp sport {PORT} lookup local")
        ip(f"-n {name} rule add pref 2 iif {theirs} blackhole")
        ip(f"-n {name} rule add pref 3 lookup local")
        ip(f"-n {name} rule del pref 0")
        yield
    finally:
        ip(f"netns delete {name}")


def enter_namespace(stack: ExitStack) -> str:
    """The name of such a namespace, until *stack* is closed; "" where none can be made here."""
    if not sys.platform.startswith("linux") or os.geteuid() or not shutil.which("ip"):
        return ""
    name = f"nat{os.getpid()}"
    try:
        stack.enter_context(namespace(name))
    except subprocess.CalledProcessError:
        return ""
    return name


async def try_to_reach() -> str:
    """What comes of a connection to the provider."""
    with trio.move_on_after(0.3):
        try:
            await trio.open_tcp_stream(PRIVATE, 22)
        except OSError as error:
            return f"the pool can't connect to the provider: {error}"
        return "the pool can connect to the provider"
    return "the pool can't connect to the provider: nothing answers"


async def main(host: str, port: int, prefix: list[str]) -> None:
    """Call the provider; *prefix* is what its command begins with."""
    server = pool.PoolServer()
    server.bind("/pool")
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, host, port)
        url = f"ws://{host}:{listening.port}/pool"
        command = [*prefix, sys.executable, str(PROVIDER), url]
        provider = await trio.lowlevel.open_process(command, stdout=subprocess.DEVNULL)
        try:
            result = await server.call("Backend.Get", "object_id-1", str)
            print(f"called {server.providers[0].remote_address.partition(':')[0]}: {result}")
            if prefix:
                print(await try_to_reach())
        finally:
            provider.send_signal(signal.SIGTERM)
            with trio.CancelScope(shield=True):
                await provider.wait()
        await server.drain()


if __name__ == "__main__":
    with ExitStack() as stack:
        name = enter_namespace(stack)
        if name:
            trio.run(main, POOL, PORT, ["ip", "netns", "exec", name])
        else:
            print("not as root on Linux: the provider is only another process", flush=True)
            trio.run(main, "127.0.0.1", 0, [])
