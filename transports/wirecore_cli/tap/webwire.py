"""The messages of webwire: settings, requests and replies, signals, sessions."""

from __future__ import annotations

from typing import Any, Final

from wirecore import _backend
from wirecore.errors import InvalidMessage, printable
from wirecore.events import RawText
from wirecore.protocols.webwire import AcceptConf, Encoding, MessageType
from wirecore.protocols.webwire.stored import load
from wirecore.webwire_rules import MALFORMED

from .pending import Pending
from .records import Sender, Told, problem
from .showing import Showing

#: Those that have encodings, which are added to their type.
_ENCODED: Final = (MessageType.SIGNAL, MessageType.REQUEST, MessageType.REPLY)

#: What answers a request, besides a reply.
_OUTCOMES: Final = (
    MessageType.REPLY_ERROR,
    MessageType.REPLY_SHUTDOWN,
    MessageType.REPLY_INTERNAL_ERROR,
    MessageType.REPLY_SESSION_NOT_FOUND,
    MessageType.REPLY_MAX_SESSION_CONNECTIONS,
    MessageType.REPLY_SESSIONS_DISABLED,
)
_RESTORE: Final = "restore-session"


class Webwire:
    """A :class:`~wirecore_cli.tap.plain.Decoder`."""

    protocol = "webwire"

    def __init__(self, showing: Showing, *, backend: _backend.Backend) -> None:
        self._showing = showing
        self._backend = backend
        self._pending = Pending()

    def message(self, sender: Sender, data: bytes, text: bool, now: float) -> list[Told]:
        """See Decoder."""
        message = RawText(data) if text else data
        number, request_id, name, payload = self._backend.webwire.decode_message(message)
        if number == MALFORMED:
            return [problem(f"no message: {name}", len(data), **self._showing.payload(data))]
        kind, encoding = _kind_of(number)
        told = Told(kind.name.lower().replace("_", "-"), size=len(payload))
        if kind in _ENCODED:
            told.fields["encoding"] = encoding.name.lower()
        match kind:
            case MessageType.REQUEST | MessageType.RESTORE_SESSION | MessageType.CLOSE_SESSION:
                self._request(told, kind, request_id, name, payload, encoding, now)
            case MessageType.SIGNAL:
                told.fields["name"] = self._showing.word(name)
                self._say(told, told.fields["name"], self._payload(told, payload, encoding))
            case MessageType.REPLY:
                self._reply(told, request_id, payload, encoding, now)
            case MessageType.ACCEPT_CONF:
                self._settings(told, payload)
            case MessageType.SESSION_CREATED:
                self._say(told, self._session(told, payload))
            case _ if kind in _OUTCOMES:
                self._outcome(told, kind, request_id, name, payload, now)
            case _:
                pass  # it has nothing but its type
        return [told]

    def passed_over(self, sender: Sender) -> None:
        """See Decoder. Each message stands alone."""

    @staticmethod
    def _say(told: Told, *words: str) -> None:
        told.summary = printable("  ".join(word for word in words if word))

    def _payload(self, told: Told, payload: bytes, encoding: Encoding) -> str:
        """Add *payload* to the fields of *told*; the same on a line."""
        if encoding is Encoding.UTF16:
            shown = self._showing.payload(payload.decode("utf-16-le", "replace").encode())
            shown["payload_size"] = len(payload)
        else:
            shown = self._showing.payload(payload)
        told.fields |= shown
        return self._showing.preview(shown)

    def _request(
        self,
        told: Told,
        kind: MessageType,
        request_id: int,
        name: str,
        payload: bytes,
        encoding: Encoding,
        now: float,
    ) -> None:
        asked = name if kind is MessageType.REQUEST else told.kind
        self._pending.ask(request_id, asked, now)
        told.fields["id"] = str(request_id)
        if kind is MessageType.RESTORE_SESSION:
            told.fields["key"] = self._showing.mask.secret(payload.decode("latin-1"))
            self._say(told, f"id {request_id}", f"key {told.fields['key']}")
        elif kind is MessageType.REQUEST:
            told.fields["name"] = self._showing.word(name)
            shown = self._payload(told, payload, encoding)
            self._say(told, told.fields["name"], f"id {request_id}", shown)
        else:
            self._say(told, f"id {request_id}")

    def _answered(self, told: Told, request_id: int, now: float) -> str:
        """Put the answer beside its request, whose name is returned."""
        told.fields["id"] = str(request_id)
        asked = self._pending.answer(request_id)
        if asked is None:
            return ""
        told.took = now - asked.when
        told.fields["name"] = self._showing.word(asked.name)
        return asked.name

    def _reply(
        self, told: Told, request_id: int, payload: bytes, encoding: Encoding, now: float
    ) -> None:
        name = self._answered(told, request_id, now)
        # A session that was restored comes back whole, with its key.
        if name == _RESTORE:
            shown = self._session(told, payload)
        else:
            shown = self._payload(told, payload, encoding)
        self._say(told, self._showing.word(name), f"id {request_id}", shown)

    def _outcome(
        self,
        told: Told,
        kind: MessageType,
        request_id: int,
        name: str,
        payload: bytes,
        now: float,
    ) -> None:
        asked = self._answered(told, request_id, now)
        shown = ""
        if kind is MessageType.REPLY_ERROR:
            told.fields["code"] = self._showing.word(name)
            shown = self._payload(told, payload, Encoding.UTF8)
        self._say(
            told, self._showing.word(asked), f"id {request_id}", told.fields.get("code", ""), shown
        )

    def _settings(self, told: Told, payload: bytes) -> None:
        try:
            found = AcceptConf.decode(payload)
        except InvalidMessage as error:
            told.fields["problem"] = str(error)
            return
        subprotocol = found.subprotocol.decode("utf-8", "replace")
        told.fields |= {
            "version": f"{found.major}.{found.minor}",
            "read_timeout_ms": found.read_timeout_ms,
            "buffer_size": found.buffer_size,
            "subprotocol": self._showing.subprotocols(subprotocol),
        }
        about = f"version {found.major}.{found.minor}  read timeout {found.read_timeout_ms} ms"
        about += f"  buffer {found.buffer_size} B"
        self._say(told, about, subprotocol and f"subprotocol {told.fields['subprotocol']}")

    def _session(self, told: Told, payload: bytes) -> str:
        """A session's JSON, in which its key is ``k``."""
        try:
            members: dict[str, Any] = load(payload)
        except InvalidMessage as error:
            told.fields["problem"] = str(error)
            return str(error)
        if isinstance(members.get("k"), str):
            members["k"] = self._showing.mask.secret(members["k"])
        told.fields["session"] = self._showing.value(members)
        return self._showing.value_preview(told.fields["session"])


def _kind_of(number: int) -> tuple[MessageType, Encoding]:
    for kind in _ENCODED:
        if kind <= number <= kind + Encoding.UTF16:
            return kind, Encoding(number - kind)
    return MessageType(number), Encoding.BINARY
