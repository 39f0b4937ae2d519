"""Several paths: each service has its providers, and one path is for all others."""

from __future__ import annotations

import trio

from wirecore_trio import pool


class Database:
    """Lives at /db."""

    @pool.exported
    async def select(self, key: str) -> str:
        """What is stored as *key*."""
        return f"the row {key}"


class Filesystem:
    """Lives at /files."""

    @pool.exported
    def open(self, name: str) -> bytes:  # a plain function: in a thread, where it may block
        """The bytes of a file."""
        return name.encode()


class Echo:
    """Lives at the default path."""

    @pool.exported(inline=True)
    def say(self, text: str) -> str:
        """Give it back."""
        return text


async def main() -> None:
    """Call each of them."""
    server = pool.PoolServer()
    server.bind("/")
    server.bind("/db", "Database")
    server.bind("/files", "Filesystem")
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{listening.port}"
        async with (
            pool.Provider(Database()).serve(f"{url}/db"),
            pool.Provider(Filesystem()).serve(f"{url}/files"),
            pool.Provider(Echo()).serve(f"{url}/"),
        ):
            print(await server.call("Database.Select", "object_id-1", str))
            print(await server.call("Filesystem.Open", "file_id-1", bytes))
            print(await server.call("Echo.Say", "hello", str))
        await server.drain()


if __name__ == "__main__":
    trio.run(main)
