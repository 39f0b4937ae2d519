# cython: annotation_typing=False, auto_pickle=False, nonecheck=True
"""What either end of a webwire connection does for each message.

``wirecore._webwire_ends`` is this file, compiled with the types that ``_webwire_ends.pxd``
declares.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wirecore import webwire_rules as rules
from wirecore.errors import LocalLimitExceeded

if TYPE_CHECKING:
    # Modules, as their classes' names are those of types already where this is compiled.
    from wirecore.events import Buffer
    from wirecore_py import receiving
    from wirecore_py.webwire import Message

_MALFORMED = rules.MALFORMED


class ClientEnd:
    """The hot half of the client's session; what it does seldom is for the class that derives.

    *connection*: a Receiver, which the messages go through. *table*: the pending requests.
    *writer*, *decode*: a backend's.

    Who derives has ``request_with(fields, ...)`` for requests that aren't usual,
    ``_refused(error)``, which makes of a limit that was met the error to raise, and
    ``_received_first(happened, now)`` for what comes before the server has said how it is set up,
    and for what is no message.
    """

    __slots__ = (
        "_alone_at",
        "_connection",
        "_decode",
        "_own_writer",
        "_quiet_since",
        "_writer",
        "conf",
        "table",
    )

    conf: Any
    table: Any

    def __init__(
        self, connection: receiving.Receiver, table: Any, writer: Any, decode: Any
    ) -> None:
        self._connection = connection
        self.table = table
        self._writer = writer
        try:
            # As the backend's own it is a type of C, whose methods cost no look-up.
            self._own_writer = writer
        except TypeError:
            self._own_writer = None
        self._decode = decode
        self.conf = None
        #: When the last request or signal was queued; ``math.inf`` before the first.
        self._quiet_since = math.inf
        #: When a request was queued last that was alone then, since somebody asked; else ``inf``.
        self._alone_at = math.inf

    def request(self, call: Any, name: str, payload: bytes, encoding: int, now: float) -> None:
        """Queue a request; *call* then waits, and comes back once in one of three ways.

        In the call's place of a reply's message, in a message ``TIMED_OUT``, or from ``lost``.
        Where this raises, it doesn't wait and nothing is queued.

        Raises :class:`~wirecore.errors.NotConnected` where the connection isn't open,
        :class:`BufferOverflow` for too long a message,
        :class:`~wirecore.errors.LocalLimitExceeded` for too many requests that wait or too much
        that waits to be sent, :class:`~wirecore.errors.UnsendableMessage` for a name or payload
        that can't be sent.
        """
        if self.conf is not None and self._connection.plain:
            alone = not self.table
            own = self._own_writer
            try:
                if own is None:
                    end = self._writer.request(call, name, payload, encoding, now)
                else:
                    end = own.request(call, name, payload, encoding, now)
            except LocalLimitExceeded as error:
                raise self._refused(error) from None
            if end:
                self._quiet_since = now
                if alone:
                    self._alone_at = now
                return
        self.request_with({}, call, name, payload, encoding, now)

    def receive(self, data: Buffer, now: float) -> list[Message] | None:
        """Bytes came: the messages that became whole, in order.

        The first says how the server is set up, and ``conf`` is there then. Replies to pending
        requests have the call in place of an id; other replies are dropped.
        What is no message ends the connection, as ``problem``.
        """
        connection = self._connection
        messages: Any = connection.receive(data, now)
        if not messages:
            return None
        happened: list[Message] = self._decode(messages, self.table)
        if self.conf is None or (happened and happened[-1][0] == _MALFORMED):
            return self._received_first(happened, now)
        return happened

    # --- seldom -----------------------------------------------------------------------

    def request_with(
        self,
        fields: Any,
        call: Any,
        name: str,
        payload: bytes,
        encoding: int,
        now: float,
    ) -> None:
        """See the class."""
        raise NotImplementedError

    def _refused(self, error: LocalLimitExceeded) -> LocalLimitExceeded:
        raise NotImplementedError

    def _received_first(self, happened: list[Message], now: float) -> list[Message] | None:
        raise NotImplementedError


class ServerEnd:
    """The hot half of the server's session; what it does seldom is for the class that derives.

    *connection*: a Receiver, which the messages go through. *writer*, *decode*: a backend's.

    Who derives has ``_reply(request_id, payload, encoding)`` for replies that aren't usual,
    ``_refuse(why)`` for what is no message, and ``_drop(happened)`` for what nobody takes.
    """

    __slots__ = (
        "_connection",
        "_decode",
        "_heard_at",
        "_own_writer",
        "_stopping",
        "_writer",
        "inactive",
    )

    def __init__(self, connection: receiving.Receiver, writer: Any, decode: Any) -> None:
        self._connection = connection
        self._writer = writer
        try:
            self._own_writer = writer  # see ClientEnd
        except TypeError:
            self._own_writer = None
        self._decode = decode
        #: When the client gave a sign of life last; ``math.inf`` before the connection begins.
        self._heard_at = math.inf
        self._stopping = False
        self.inactive = False

    def receive(self, data: Buffer, now: float) -> list[Message] | None:
        """Bytes came: the requests and signals that became whole, in order.

        Messages that are none for a server may be among them, and are to be ignored. What is no
        message ends the connection, as ``problem``.
        """
        connection: Any = self._connection
        messages = connection.receive(data, now)
        if not messages:
            if connection.heard:
                self._heard_at = now
            return None
        self._heard_at = now
        happened: list[Message] = self._decode(messages, None)
        # First: a client whose message is none is refused, and so inactive.
        dropping = self._stopping or self.inactive
        if happened and happened[-1][0] == _MALFORMED:
            self._refuse(happened.pop()[2])
        if dropping:
            self._drop(happened)
            return None
        return happened

    def reply(self, request_id: int, payload: bytes, encoding: int) -> None:
        """Queue the reply to a request; nothing happens where the connection is over.

        Raises :class:`BufferOverflow` for too long a message,
        :class:`~wirecore.errors.UnsendableMessage` for a payload that can't be sent, and
        :class:`~wirecore.errors.LocalLimitExceeded` where the client leaves too much unread.
        """
        if self._connection.plain:
            own = self._own_writer
            if own is None:
                end = self._writer.reply(request_id, payload, encoding)
            else:
                end = own.reply(request_id, payload, encoding)
            if end:
                return
        self._reply(request_id, payload, encoding)

    # --- seldom -----------------------------------------------------------------------

    def _drop(self, happened: list[Message]) -> None:
        raise NotImplementedError

    def _refuse(self, why: str) -> None:
        raise NotImplementedError

    def _reply(self, request_id: int, payload: bytes, encoding: int) -> None:
        raise NotImplementedError
