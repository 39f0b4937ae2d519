"""Two ends of the multiplexed wire, and what each is told."""

from __future__ import annotations

from typing import Any

from wirecore.protocols.rest.happenings import Happening, Stream
from wirecore.protocols.rest.heads import RequestHead, ResponseHead
from wirecore.protocols.rest.multiplexed import Multiplexed

GET = RequestHead(b"GET", b"/a?b=c", ((b"Host", b"example.org"),))
POST = RequestHead(b"POST", b"/upload", ((b"Host", b"example.org"),), b"https")
OK = ResponseHead(200, ((b"Content-Type", b"text/plain"),))


class End:
    """One end. *sent*: its messages that the other end hasn't got."""

    def __init__(self, *, client: bool, **options: int) -> None:
        self.sent: list[bytes] = []
        self.wire = Multiplexed(self.sent.append, client=client, **options)
        self.told: list[Happening] = []

    def take(self) -> list[Happening]:
        """What it was told since the last time."""
        told, self.told = self.told, []
        return told

    def request(self, head: RequestHead = GET, data: bytes = b"", **more: Any) -> Stream:
        """Make a request, whole unless told otherwise."""
        return self.wire.request(head, data, **{"end": True, "now": 0.0, **more})

    def respond(self, stream: Stream, data: bytes = b"", **more: Any) -> None:
        """Answer 200, as a whole unless told otherwise."""
        self.wire.respond(stream, more.pop("head", OK), data, **{"end": True, "now": 0.0, **more})

    def send(self, stream: Stream, data: bytes, **more: Any) -> None:
        """Send a piece of a body."""
        self.wire.send(stream, data, now=0.0, **more)


class Wires:
    """Both ends; what is sent arrives with :meth:`carry`."""

    def __init__(self, **options: int) -> None:
        self.client = End(client=True, **options)
        self.server = End(client=False, **options)

    def carry(self) -> Wires:
        """Bring what each end has sent to the other, until nothing more comes of it."""
        while self.client.sent or self.server.sent:
            for one, other in (self.client, self.server), (self.server, self.client):
                messages = one.sent[:]
                one.sent.clear()
                other.told += other.wire.receive(messages, 0.0)
        return self

    def asked(self, head: RequestHead = POST, **more: Any) -> tuple[Stream, Stream]:
        """A request under way, as the client and as the server see it."""
        ours = self.client.request(head, **{"end": False, **more})
        self.carry()
        theirs = self.server.take()[0][1]
        assert theirs is not None
        return ours, theirs
