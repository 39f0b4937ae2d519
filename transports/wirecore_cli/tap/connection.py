"""One connection, as an observer sees it: bytes of both directions in, what they say out.

There is no I/O here, and no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from wirecore import _backend
from wirecore.errors import HandshakeError, printable
from wirecore.events import Close, Failure, Ping, Pong

from .frames import FrameReader, Message
from .guessing import Chooser
from .plain import passed_over
from .records import OTHER, Record, Sender, Told, problem
from .showing import Showing
from .upgrade import RequestHead, ResponseHead

#: What a client may send before its answer is there, which says how it is to be read.
_MAX_HELD: Final = 256 * 1024


class Watched:
    """Connection *number*: what goes over it, as records.

    *chooser*: makes the decoder of its messages. *now*: when it began; times are seconds since the
    tap did.
    """

    def __init__(
        self,
        number: int,
        showing: Showing,
        chooser: Chooser,
        *,
        max_message: int,
        backend: _backend.Backend | None = None,
    ) -> None:
        self.number = number
        self.bytes: dict[Sender, int] = {"client": 0, "server": 0}
        self._showing = showing
        self._chooser = chooser
        self._max_message = max_message
        self._backend = backend
        self._request = RequestHead(showing)
        self._response = ResponseHead(showing)
        self._held = b""  # of the client, behind its request
        self._frames: dict[Sender, FrameReader] = {}
        # Of either direction, what takes its bytes.
        self._take: dict[Sender, Callable[[bytes, float], list[Record]]] = {
            "client": self._take_request,
            "server": self._take_response,
        }
        self._blind: set[Sender] = set()

    @property
    def requested(self) -> bool:
        """Whether the client's request is there, or what it sends can't be one."""
        return self._request.request is not None or "client" in self._blind

    @property
    def frames(self) -> dict[Sender, int]:
        """How many frames came."""
        found: dict[Sender, int] = {"client": 0, "server": 0}
        return found | {sender: each.frames for sender, each in self._frames.items()}

    def receive(self, sender: Sender, data: bytes, now: float) -> list[Record]:
        """*sender* has sent *data*."""
        self.bytes[sender] += len(data)
        if sender in self._blind:
            return []
        try:
            return self._take[sender](data, now)
        except Exception as error:  # noqa: BLE001
            # Whatever a decoder stumbles over, the connection goes on, and so does the tap.
            text = f"a fault of the tap's own: {type(error).__name__}: {error}"
            return self._go_blind(sender, now, printable(text), both=True)

    def ended(self, sender: Sender, how: str, now: float, why: str = "") -> list[Record]:
        """*sender* has ended its stream: *how* is ``eof`` or ``reset``."""
        records = []
        if sender == "server" and how == "eof" and sender not in self._blind:
            told = self._response.receive_eof()
            if told is not None:
                records.append(self._record(sender, told, now, "http"))
        words = "ended its stream" if how == "eof" else f"broke off{f': {why}' if why else ''}"
        records.append(self._record(sender, Told(how, words), now, "tcp"))
        return records

    def say(self, told: Told, now: float, protocol: str = "tap") -> Record:
        """What the tap itself says of it."""
        return Record(now, self.number, None, protocol, told)

    def _record(self, sender: Sender, told: Told, now: float, protocol: str) -> Record:
        return Record(now, self.number, sender, protocol, told)

    def _go_blind(
        self, sender: Sender, now: float, why: str, *, both: bool = False
    ) -> list[Record]:
        """Nothing more of *sender* can be decoded."""
        self._blind |= {sender, OTHER[sender]} if both else {sender}
        whose = "" if both else f" of the {sender}'s"
        text = f"nothing more{whose} is decoded: {why}; the bytes go on"
        return [self._record(sender, problem(text), now, "tap")]

    # --- the handshake ----------------------------------------------------------------------------

    def _take_request(self, data: bytes, now: float) -> list[Record]:
        if self._request.request is not None:
            self._held += data
            if len(self._held) > _MAX_HELD:
                self._held = b""
                return self._go_blind("client", now, "it sends on before it has an answer")
            return []
        try:
            told = self._request.receive(data)
        except HandshakeError as error:
            return self._go_blind("client", now, printable(str(error)), both=True)
        if told is None:
            return []
        self._held = self._request.leftover
        return [self._record("client", told, now, "http")]

    def _take_response(self, data: bytes, now: float) -> list[Record]:
        try:
            told = self._response.receive(data)
        except HandshakeError as error:
            return self._go_blind("server", now, printable(str(error)), both=True)
        if told is None:
            return []
        records = [self._record("server", told, now, "http")]
        if not self._response.accepted:
            # What follows is HTTP of which nothing is shown.
            self._blind = {"client", "server"}
            return records
        if self._response.trouble:
            text = self._response.trouble
            return records + self._go_blind("server", now, text, both=True)
        for sender in OTHER:
            self._frames[sender] = FrameReader(
                sender,
                self._response.deflate,
                max_message=self._max_message,
                backend=self._backend,
            )
        self._chooser.upgraded(self._response.subprotocol)
        self._take = {"client": self._take_client, "server": self._take_server}
        held, self._held = self._held, b""
        if held:
            records += self._take_frames("client", held, now)
        if self._response.leftover:
            records += self._take_frames("server", self._response.leftover, now)
        return records

    # --- frames -----------------------------------------------------------------------------------

    def _take_client(self, data: bytes, now: float) -> list[Record]:
        return self._take_frames("client", data, now)

    def _take_server(self, data: bytes, now: float) -> list[Record]:
        return self._take_frames("server", data, now)

    def _take_frames(self, sender: Sender, data: bytes, now: float) -> list[Record]:
        records: list[Record] = []
        for item in self._frames[sender].receive(data):
            if isinstance(item, Message):
                records += self._take_message(sender, item, now)
            elif isinstance(item, Failure):
                records += self._go_blind(sender, now, printable(item.reason))
            else:
                told = self._control(item)
                records.append(self._record(sender, told, now, "websocket"))
        return records

    def _take_message(self, sender: Sender, message: Message, now: float) -> list[Record]:
        if message.data is None:
            told = [passed_over(message)]
            self._chooser.passed_over(sender)
        else:
            told = self._chooser.message(sender, message.data, message.text, now)
        protocol = self._chooser.protocol
        if told and (message.frames > 1 or message.compressed):
            told[0].fields |= _of_frames(message)
            told[0].summary += _frames_in_words(message)
        return [self._record(sender, each, now, protocol) for each in told]

    def _control(self, item: Ping | Pong | Close) -> Told:
        if isinstance(item, Close):
            code = "no code" if item.code is None else str(item.code)
            reason = self._showing.word(item.reason)
            fields = {"code": item.code, "reason": reason}
            return Told("close", printable(f"{code} {reason}".rstrip()), None, fields)
        payload = self._showing.payload(item.payload)
        kind = "ping" if isinstance(item, Ping) else "pong"
        return Told(kind, self._showing.preview(payload), len(item.payload), payload)


def _of_frames(message: Message) -> dict[str, Any]:
    return {
        "frames": message.frames,
        "compressed": message.compressed,
        "wire_size": message.wire,
    }


def _frames_in_words(message: Message) -> str:
    about = []
    if message.frames > 1:
        about.append(f"{message.frames} frames")
    if message.compressed:
        about.append(f"{message.wire} B compressed")
    return f"  ({', '.join(about)})"
