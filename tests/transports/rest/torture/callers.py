"""A caller of HTTP/1.1 that sends bytes as they are, and tells what came back; h11 reads that."""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import h11

from tests.resetting import close_resets
from tests.transports.rest.torture.recorder import PATIENCE, Field, Script, Seen, read_and_answer
from tests.transports.rest.torture.servers import Place

#: What is asked behind each case, on the same connection, if that is open still.
LAST: Final = b"GET /last HTTP/1.1\r\nHost: torture.example\r\nConnection: close\r\n\r\n"


@dataclass
class Answer:
    """A response. *whole*: whether it came to its end. *interim*: answers of 1xx before it."""

    status: int
    fields: tuple[Field, ...]
    body: bytes | bytearray = field(default_factory=bytearray)
    whole: bool = False
    interim: tuple[int, ...] = ()


@dataclass
class Outcome:
    """What the application saw, and what the caller got.

    *garbled*: why what came is no HTTP, "" where it is.
    """

    requests: list[Seen] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    garbled: str = ""


class Caller:
    """One connection. *methods*: of the requests, as how long an answer is depends on these."""

    def __init__(self, port: int, methods: Sequence[str] = ()) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._methods = [*methods]
        self._parser = self._new_parser()
        self._interim: list[int] = []
        self.answers: list[Answer] = []
        self.garbled = ""
        self.ended = False
        #: The server has said that it closes the connection.
        self.is_closing = False

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _new_parser(self) -> h11.Connection:
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 23)
        method = self._methods.pop(0) if self._methods else "GET"
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "torture.example")]))
        parser.send(h11.EndOfMessage())
        return parser

    @property
    def is_over(self) -> bool:
        """Whether no answer can come any more that is HTTP/1.1."""
        return self.ended or self.is_closing or bool(self.garbled)

    def send(self, data: bytes) -> None:
        """Send as much of *data* as the server takes."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered, or its end is still to be read

    def send_until_it_blocks(self, data: bytes, seconds: float) -> int:
        """Send *data* until the server takes no more of it for so long; how much that was."""
        sent = 0
        view = memoryview(data)
        while sent < len(data) and select.select([], [self._socket], [], seconds)[1]:
            self._socket.setblocking(False)
            try:
                sent += self._socket.send(view[sent : sent + 65_536])
            except BlockingIOError:
                pass
            finally:
                self._socket.settimeout(PATIENCE)
        return sent

    def read(self, most: int = 1 << 18) -> None:
        """Read once."""
        try:
            data = self._socket.recv(most)
        except ConnectionResetError:
            data = b""
        self.ended = self.ended or not data
        if not self.garbled:
            self._parser.receive_data(data)
            try:
                self._parse()
            except h11.RemoteProtocolError as error:
                if not self.ended:
                    self.garbled = str(error)

    def _parse(self) -> None:
        while True:
            event: Any = self._parser.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            if isinstance(event, h11.ConnectionClosed):
                return
            if isinstance(event, h11.InformationalResponse):
                self._interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                fields = tuple(event.headers.raw_items())
                interim, self._interim = tuple(self._interim), []
                self.answers.append(Answer(event.status_code, fields, interim=interim))
            elif isinstance(event, h11.Data):
                self.answers[-1].body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.answers[-1].whole = True
                rest, _ = self._parser.trailing_data
                if self._parser.their_state is h11.MUST_CLOSE:
                    self.is_closing = True
                    self.garbled = f"something behind the end: {rest[:50]!r}" if rest else ""
                    return
                self._parser = self._new_parser()
                if rest:
                    self._parser.receive_data(rest)

    def read_answer(self) -> None:
        """Read until an answer more is whole, or the connection has ended."""
        count = len(self.answers)
        while not self.is_over and not (len(self.answers) > count and self.answers[-1].whole):
            self.read()

    def read_interim(self) -> None:
        """Read until an answer of 1xx has come, or more."""
        while not (self.is_over or self._interim or self.answers):
            self.read()

    def read_to_end(self) -> None:
        """Read until the server has closed the connection."""
        while not self.ended:
            self.read()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def abort(self) -> None:
        """Reset it."""
        close_resets(self._socket)
        self._socket.close()


def observe(
    place: Place,
    parts: Sequence[bytes],
    methods: Sequence[str] = (),
    script: Script = read_and_answer,
) -> Outcome:
    """Send *parts*, each once the one before was answered, and LAST; what came of it.

    The application does what *script* says.
    """
    place.recorder.journal.take()
    place.recorder.script = script
    with Caller(place.port, methods) as caller:
        for part in parts:
            if caller.is_over:
                break
            caller.send(part)
            caller.read_answer()
        if not caller.is_over:
            caller.send(LAST)
        if not caller.garbled:
            caller.read_to_end()
        seen = place.recorder.journal.take()
        return Outcome(list(seen), caller.answers, caller.garbled)
