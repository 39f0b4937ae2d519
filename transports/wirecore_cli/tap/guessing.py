"""Which protocol messages are of: told, agreed on, or seen in the first of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wirecore import _backend
from wirecore.protocols.pool import PROTOCOL as POOL_V1
from wirecore.protocols.rest import PROTOCOL as REST_V1
from wirecore.protocols.webwire import PROTOCOL as WEBWIRE_V1
from wirecore.protocols.wsrpc import PROTOCOL as WSRPC_V1
from wirecore.webwire_rules import MessageType

from .controls import told_control
from .plain import Decoder, Plain
from .pool_gob import GobCalls
from .pool_json import JsonCalls
from .records import Sender, Told
from .rest import Rest
from .showing import Showing
from .webwire import Webwire
from .wsrpc import Values, Wsrpc

#: What ``--protocol`` takes.
PROTOCOLS: Final = ("auto", "wsrpc", "webwire", "pool-gob", "pool-json", "rest", "raw")

#: Subprotocols by which text is no message of the protocol, but what our own ends say besides.
_WITH_CONTROLS: Final = (POOL_V1, WEBWIRE_V1, WSRPC_V1)

#: Messages after which no more is guessed.
_ATTEMPTS: Final = 8

#: The beginning of a server's settings: type, and the major version that there is.
_ACCEPT_CONF: Final = bytes((MessageType.ACCEPT_CONF, 2))
_ACCEPT_CONF_SIZE: Final = 11


class Chooser:
    """Finds the decoder of one connection's messages, and has it read them.

    *told*: one of PROTOCOLS. *values*: decodes payloads of wsrpc by a .proto file.
    """

    def __init__(
        self,
        showing: Showing,
        told: str = "auto",
        *,
        values: Values | None = None,
        max_message: int,
        backend: _backend.Backend | None = None,
    ) -> None:
        self._showing = showing
        self._values = values
        self._max_message = max_message
        self._backend = backend or _backend.default
        self._told = told
        self._subprotocol: str | None = None
        self._plain = Plain(showing)
        self._decoder: Decoder | None = None
        self._attempts = 0

    @property
    def protocol(self) -> str:
        """What the messages are of, as far as it is known."""
        return (self._decoder or self._plain).protocol

    def upgraded(self, subprotocol: str | None) -> None:
        """The WebSocket is open, with this subprotocol."""
        self._subprotocol = subprotocol
        if self._told != "auto":
            self._decoder = self._makers()[self._told]()
        elif subprotocol == REST_V1:
            self._decoder = self._rest()
        elif subprotocol == WEBWIRE_V1:
            self._decoder = self._webwire()
        elif subprotocol == WSRPC_V1:
            self._decoder = self._wsrpc()

    def message(self, sender: Sender, data: bytes, text: bool, now: float) -> list[Told]:
        """What a message says."""
        if text and self._subprotocol in _WITH_CONTROLS:
            return [told_control(self._showing, data)]
        if self._decoder is None and self._attempts < _ATTEMPTS:
            self._attempts += 1
            self._decoder = self._guess(sender, data, text)
        return (self._decoder or self._plain).message(sender, data, text, now)

    def passed_over(self, sender: Sender) -> None:
        """A message of *sender* was too long to be decoded."""
        (self._decoder or self._plain).passed_over(sender)

    def _guess(self, sender: Sender, data: bytes, text: bool) -> Decoder | None:
        if text:
            return self._guess_text(data)
        if data[:1] == b"{":
            return self._guess_json(data)
        if sender == "server" and self._is_settings(data):
            return self._webwire()
        if b"ServiceMethod" in data[:200]:
            return self._gob()
        kind, *rest = self._backend.envelope.decode_envelope(data)
        if kind == self._backend.envelope.REQUEST and rest[0] and rest[1]:
            return self._wsrpc()
        return None

    def _guess_text(self, data: bytes) -> Decoder | None:
        # A client's metadata, or where the tap has missed these the messages behind them.
        if b"ClientHandshakeMetaData" in data[:200] or _is_http(data):
            return self._rest()
        return self._guess_json(data)

    def _guess_json(self, data: bytes) -> Decoder | None:
        # Of JSON-RPC 1.0 no member may be missing, and Go writes them in this order.
        if data.startswith(b'{"method":') and b'"params":' in data and b'"jsonrpc"' not in data:
            return self._json()
        return self._json() if self._subprotocol == POOL_V1 else None

    def _is_settings(self, data: bytes) -> bool:
        return data[:2] == _ACCEPT_CONF and len(data) >= _ACCEPT_CONF_SIZE

    def _makers(self) -> dict[str, Callable[[], Decoder]]:
        return {
            "wsrpc": self._wsrpc,
            "webwire": self._webwire,
            "pool-gob": self._gob,
            "pool-json": self._json,
            "rest": self._rest,
            "raw": lambda: self._plain,
        }

    def _wsrpc(self) -> Decoder:
        return Wsrpc(self._showing, self._values, backend=self._backend)

    def _webwire(self) -> Decoder:
        return Webwire(self._showing, backend=self._backend)

    def _gob(self) -> Decoder:
        return GobCalls(self._showing, max_message=self._max_message, backend=self._backend)

    def _json(self) -> Decoder:
        return JsonCalls(self._showing, max_message=self._max_message)

    def _rest(self) -> Decoder:
        return Rest(self._showing, multiplexed=self._subprotocol == REST_V1)


def _is_http(data: bytes) -> bool:
    line = data[:4096].partition(b"\n")[0].rstrip()
    return line.endswith((b" HTTP/1.1", b" HTTP/1.0"))
