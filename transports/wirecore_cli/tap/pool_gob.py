"""Calls of a pool in gob: net/rpc's headers, and what goes with each, in two streams."""

from __future__ import annotations

from typing import Any, Final

from wirecore import _backend, gob
from wirecore.errors import GobStreamError, GobValueError, printable

from .pool_streams import StreamedCalls
from .records import Sender, Told
from .showing import Showing

#: Stands for a header that wasn't read yet.
_NONE: Final[dict[str, Any]] = {}


class GobCalls(StreamedCalls["_Stream"]):
    """A :class:`~wirecore_cli.tap.plain.Decoder`."""

    kind = "binary"

    def __init__(
        self,
        showing: Showing,
        *,
        max_message: int,
        backend: _backend.Backend | None = None,
    ) -> None:
        limits = gob.Limits(max_message_size=max_message)
        streams: dict[Sender, _Stream] = {
            "client": _Stream(limits, backend),
            "server": _Stream(limits, backend),
        }
        super().__init__(showing, streams)

    def _next(self, sender: Sender, stream: _Stream, now: float) -> Told | None:
        pair = stream.next()
        return None if pair is None else self._told(sender, *pair, now)

    def _told(self, sender: Sender, header: dict[str, Any], value: Any, now: float) -> Told:
        method, seq = str(header["ServiceMethod"]), header["Seq"]
        trouble = str(value) if isinstance(value, GobValueError) else ""
        if trouble:
            value = None
        if "Error" in header:
            error = str(header["Error"]) or None
            told = self._teller.answer(sender, seq, value, error, now, method=method)
        else:
            told = self._teller.call(sender, seq, method, value, now)
        if trouble:
            told.fields["problem"] = printable(f"its value can't be decoded: {trouble}")
            told.summary = f"{printable(method)}  seq {seq}  {told.fields['problem']}"
        return told


class _Stream:
    """Headers, and their values, of one direction."""

    def __init__(self, limits: gob.Limits, backend: _backend.Backend | None) -> None:
        self._decoder = gob.Decoder(limits=limits, backend=backend)
        self._header = _NONE
        self.feed = self._decoder.feed

    def next(self) -> tuple[dict[str, Any], Any] | None:
        """The next header and its value, or why that can't be read; None: not all is there.

        Raises :class:`~wirecore.errors.GobError` where it is no stream of calls.
        """
        if self._header is _NONE:
            header = self._decoder.decode()
            if header is gob.NEED_DATA:
                return None
            if not (isinstance(header, dict) and {"ServiceMethod", "Seq"} <= header.keys()):
                raise GobStreamError("a value came that is no header of a call")
            self._header = header
        try:
            value = self._decoder.decode()
        except GobValueError as error:
            value = error
        if value is gob.NEED_DATA:
            return None
        header, self._header = self._header, _NONE
        return header, value
