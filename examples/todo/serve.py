"""The public side: waits for a to-do list to dial in, and calls it with the generated client."""

from __future__ import annotations

import argparse
import logging

import trio
from todo_client import Client
from todo_client.api.todos import add_one, destroy_one, find_todos, update_one
from todo_client.models import Error, Item

from wirecore_trio import rest
from wirecore_trio.rest.httpx import Transport


async def use(api: Client) -> None:
    """Add, refuse, change, delete: no function here knows that it isn't over plain HTTP.

    The generator calls those that are awaited "asyncio"; they run on trio as well.
    """
    for text in ("buy milk", "water the plants", "call Bob"):
        print("added:", shown(await add_one.asyncio(client=api, body=Item(text))))
    print("refused:", shown(await add_one.asyncio(client=api, body=Item(""))))
    done = Item("buy milk", completed=True)
    print("changed:", shown(await update_one.asyncio(1, client=api, body=done)))
    response = await destroy_one.asyncio_detailed(2, client=api)
    print("deleted:", response.status_code.value)
    print("refused:", shown(await destroy_one.asyncio(2, client=api)))
    found = await find_todos.asyncio(client=api, since=0, limit=10)
    assert isinstance(found, list)
    for item in found:
        print("listed:", shown(item))


def shown(result: object) -> str:
    """An answer in a line."""
    match result:
        case Item(id=number, description=text, completed=completed):
            return f"{number} {text}{', done' if completed else ''}"
        case Error(code=code, message=message):
            return f"{code}, {message}"
    raise TypeError(f"the document has no such answer: {result!r}")


async def main(host: str, port: int) -> None:
    """Use the first list that comes, and stop."""
    server = rest.Server()
    events = server.events()
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(server.serve, host, port)
        print(f"listening on ws://{host}:{listening.port}/", flush=True)
        connection = (await anext(events)).connection
        print(f"{connection.metadata['name']} is there", flush=True)
        # Over whatever transport the client is given, its base_url goes into requests.
        over = {"transport": Transport(connection)}
        async with Client(base_url="http://todo", httpx_args=over) as api:
            await use(api)
        await server.drain()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="0: any (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="the address (%(default)s)")
    given = parser.parse_args()
    logging.basicConfig()
    trio.run(main, given.host, given.port)
