"""A client of serve.py: requests in every encoding, one that is refused, many at once."""

from __future__ import annotations

import argparse
import logging

import trio

from wirecore_trio import webwire


async def main(url: str) -> None:
    """Make the requests, and tell of the replies."""
    async with webwire.connect(url) as client:
        for payload in ("grüße", b"bytes", webwire.Payload.utf16("grüße")):
            reply = await client.request("echo", payload)
            print(f"{reply.encoding.name}: {reply.text}")
        print((await client.request("upper", "quietly")).text)
        try:
            await client.request("upper")
        except webwire.RequestError as error:
            print(f"refused as {error.code}: {error.message}")

        replies = dict.fromkeys(map(str, range(100)), "")

        async def ask(text: str) -> None:
            replies[text] = (await client.request("echo", text)).text

        async with trio.open_nursery() as nursery:
            for text in replies:
                nursery.start_soon(ask, text)
        right = sum(text == reply for text, reply in replies.items())
        print(f"{right} of {len(replies)} at once were answered")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "url", nargs="?", default="ws://127.0.0.1:8080/", help="the server's (%(default)s)"
    )
    logging.basicConfig(format="%(message)s")
    trio.run(main, parser.parse_args().url)
